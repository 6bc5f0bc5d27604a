use super::*;
use crate::{
    call::Input,
    provider::{
        Edits,
        tests::{edited, read_at},
    },
};

const OPENAI: &str = "https://api.openai.com/v1/completions";
const DEEPSEEK: &str = "https://api.deepseek.com/beta/completions";

/// A good request with more members.
fn with(members: &str) -> Result<Reading, Unreadable> {
    read_at(OPENAI, &format!(r#"{{"model":"gpt-3.5-turbo-instruct","prompt":"abc",{members}}}"#))
}

#[test]
fn the_facts_of_a_plain_call() {
    let reading = with(r#""suffix":"de","max_tokens":7,"stream":true,"service_tier":"flex""#);
    let Reading { call, ask_usage, .. } = reading.unwrap();
    assert_eq!(
        (call.model(), call.operation()),
        ("gpt-3.5-turbo-instruct", Operation::TextCompletion)
    );
    assert_eq!(call.input(), Input { text_bytes: 5, messages: 1, ..Input::default() });
    assert_eq!((call.max_output_tokens(), call.choices()), (Some(7), 1));
    assert_eq!((call.service_tier(), call.is_streaming(), ask_usage), (Some("flex"), true, true));
    let embedded = with(r#""prompt_embeds":"AAAA""#).unwrap().call;
    assert_eq!(embedded.open_ended(), Some("prompt embeddings"));
    assert_eq!(with(r#""models":["a"]"#).unwrap().call.fallback_models(), ["a"]);
}

#[test]
fn every_prompt_has_as_many_choices_as_are_asked_for_or_compared() {
    for (members, choices) in [
        (r#""prompt":"x""#, 1),
        (r#""prompt":"x","n":3"#, 3),
        (r#""prompt":"x","n":2,"best_of":5"#, 5),
        (r#""prompt":"x","best_of":5,"n":2"#, 5),
        (r#""prompt":["x","y"],"best_of":5"#, 10),
        (r#""prompt":[[1,2],[3]]"#, 2),
        (r#""prompt":[1,2,3],"n":null"#, 1),
        (r#""prompt":null"#, 1),
        (r#""prompt":[]"#, 1),
        (r#""user":"x""#, 1),
    ] {
        let body = format!(r#"{{"model":"m",{members}}}"#);
        assert_eq!(read_at(OPENAI, &body).unwrap().call.choices(), choices, "{members}");
    }
}

#[test]
fn an_unstated_maximum_is_sixteen_only_where_openai_answers() {
    let body = r#"{"model":"m","prompt":"x"}"#;
    let most = |uri| read_at(uri, body).unwrap().call.max_output_tokens();
    assert_eq!(most(OPENAI), Some(16));
    assert_eq!(most("https://x.openai.azure.com/openai/v1/completions"), Some(16));
    assert_eq!(most(DEEPSEEK), None);
    assert_eq!(most("http://localhost:8000/v1/completions"), None);
    assert_eq!(most("https://llm.example.com/v1/completions"), None);
    let nothing = with(r#""max_tokens":0,"echo":true"#).unwrap().call;
    assert_eq!(nothing.max_output_tokens(), Some(0));
}

#[test]
fn a_value_of_the_wrong_type_or_range_is_refused() {
    for (key, bad) in [
        ("max_tokens", &["-1", "1.5", "\"5\"", "4294967296"][..]),
        ("n", &["0", "129", "1.0"]),
        ("best_of", &["0", "129", "\"1\""]),
        ("suffix", &["7", "[]"]),
        ("stream", &["1"]),
        ("stream_options", &["true"]),
    ] {
        for bad in bad {
            match with(&format!("\"{key}\":{bad}")) {
                Err(Unreadable::Invalid { key: named, .. }) => assert_eq!(named, key),
                other => panic!("{key} {bad}: {other:?}"),
            }
        }
    }
    let twice = with(r#""prompt":"y""#).unwrap_err();
    assert_eq!(twice, Unreadable::Twice { key: "prompt" });
    assert_eq!(with(r#""Best_Of":9"#).unwrap_err(), Unreadable::Miscased { key: "best_of" });
}

#[test]
fn a_request_is_edited_as_a_chat_is() {
    let edits = Edits { model: Some("b"), include_usage: true, max_output_tokens: Some(9) };
    for (uri, before, after) in [
        (
            DEEPSEEK,
            r#"{"model":"a","prompt":"x","stream":true}"#,
            r#"{"model":"b","prompt":"x","stream":true,"stream_options":{"include_usage":true},"max_tokens":9}"#,
        ),
        (
            OPENAI,
            r#"{"max_tokens":700,"prompt":"x","model":"a"}"#,
            r#"{"max_tokens":9,"prompt":"x","model":"b"}"#,
        ),
        (
            OPENAI,
            r#"{"max_tokens":null,"prompt":"x","model":"a","n":2}"#,
            r#"{"max_tokens":9,"prompt":"x","model":"b","n":2}"#,
        ),
    ] {
        assert_eq!(edited(uri, before, edits).as_deref(), Some(after));
    }
    let unasked =
        read_at("https://llm.example.com/v1/completions", r#"{"model":"a","stream":true}"#);
    assert!(!unasked.unwrap().ask_usage);
}
