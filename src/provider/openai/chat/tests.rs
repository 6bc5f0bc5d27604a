use serde_json::{Value, json};

use super::*;
use crate::{
    call::{Input, Needs, Provider},
    provider::{
        Edits,
        tests::{edited, read_at},
    },
};

mod edits;

const OPENAI: &str = "https://api.openai.com/v1/chat/completions";

/// A good request with more members.
fn with(members: &str) -> Result<Reading, Unreadable> {
    read_at(OPENAI, &format!(r#"{{"model":"gpt-4o","messages":[],{members}}}"#))
}

/// A good request with this message.
fn message(message: &str) -> Reading {
    read_at(OPENAI, &format!(r#"{{"model":"gpt-4o","messages":[{message}]}}"#)).unwrap()
}

#[test]
fn the_facts_of_a_plain_call() {
    let reading = read_at(
        OPENAI,
        r#"{"messages":[{"role":"user","content":"hi \u00e9\n"},{"content":[{"type":"text","text":"yo"}],
        "role":"user"}],"m\u006fdel":"gpt-4o\u002dmini","n":2,"max_tokens":5,"max_completion_tokens":7,
        "service_tier":"flex","stream":true,"temperature":0.5,"metadata":{"model":"x","Model":"y"}}"#,
    )
    .unwrap();
    let call = &reading.call;
    assert_eq!((call.model(), call.provider()), ("gpt-4o-mini", &Provider::OPENAI));
    assert_eq!(call.input(), Input { text_bytes: 20, messages: 2, ..Input::default() });
    assert_eq!((call.choices(), call.max_output_tokens()), (2, Some(7)));
    assert_eq!((call.service_tier(), call.is_streaming()), (Some("flex"), true));
    assert_eq!((call.needs(), call.open_ended()), (Needs::default(), None));
    assert!(reading.ask_usage && call.fallback_models().is_empty());
}

#[test]
fn messages_are_read_the_same_however_they_are_written() {
    let input = |messages: &str| {
        read_at(OPENAI, &format!(r#"{{"model":"gpt-4o","messages":[{messages}]}}"#))
            .map(|reading| (reading.call.input(), reading.call.needs()))
    };
    for messages in [
        r#"{"role":"system","content":"short"}"#,
        r#"{"role":"user","content":""},{"role":"assistant","content":"a \"text\"\n of \u00e9"}"#,
        r#"{"role":"user","content":"x","name":"y"},"z",{"role":"user","content":null}"#,
        r#"{"role":"assistant","content":"x","audio":{"id":"a"}},{"role":"tool","content":"y"}"#,
        r#"{"role":"user","content":"x","content":[{"type":"image_url","image_url":"u"}]}"#,
        r#"{"role":"user","content":["x"]},[{"role":"user","content":"x"}]"#,
    ] {
        let spaced = messages.replace('{', "{ ");
        assert_eq!(input(messages), input(&spaced), "{messages}");
        assert!(input(messages).is_ok(), "{messages}");
    }
    for broken in [
        r#"{"role":"user","content":"x""#,
        r#"{"role":"user","content":"x"]"#,
        r#"{"role":"user","content":"x}"#,
        r#"{"role":"user","content":"\x"}"#,
        r#"{"role":"user","content":"x"}{"role":"user","content":"x"}"#,
        r#",{"role":"user","content":"x"}"#,
    ] {
        assert!(input(broken).is_err() && input(&broken.replace('{', "{ ")).is_err(), "{broken}");
    }
}

#[test]
fn null_is_as_good_as_absent() {
    let reading = with(
        r#""stream":null,"stream_options":null,"max_tokens":null,"max_completion_tokens":null,"n":null,
        "tools":null,"functions":null,"response_format":null,"modalities":null,"web_search_options":null,
        "models":null,"service_tier":null,"prediction":null,"audio":null,"background":null,"plugins":[]"#,
    )
    .unwrap();
    let call = reading.call;
    assert_eq!((call.choices(), call.max_output_tokens(), call.is_streaming()), (1, None, false));
    assert_eq!((call.needs(), call.open_ended()), (Needs::default(), None));
}

#[test]
fn a_value_of_the_wrong_type_or_range_is_refused() {
    for (key, bad) in [
        ("max_tokens", &["0", "-1", "1.5", "1e3", "1.0", "\"5\"", "true", "[]", "4294967296"][..]),
        ("max_completion_tokens", &["0", "-0", "{}", "99999999999999999999"]),
        ("n", &["0", "129", "-1", "\"1\"", "1.0"]),
        ("stream", &["1", "\"true\"", "[]"]),
        ("stream_options", &["true", "[]", "\"\""]),
        ("models", &["\"gpt-4o\"", "[1]", "[[]]", "{}", "[\"\"]"]),
        ("modalities", &["\"audio\"", "[null]"]),
        ("tools", &["{}", "\"x\""]),
        ("response_format", &["[]", "\"json\""]),
        ("service_tier", &["1", "{}"]),
    ] {
        for bad in bad {
            match with(&format!("\"{key}\":{bad}")) {
                Err(Unreadable::Invalid { key: named, .. }) => assert_eq!(named, key),
                other => panic!("{key} {bad}: {other:?}"),
            }
        }
    }
    let bad = with(r#""stream_options":{"include_usage":1}"#).unwrap_err();
    assert!(matches!(bad, Unreadable::Invalid { key: "include_usage", .. }));
}

#[test]
fn the_model_is_a_name_of_sensible_length() {
    for model in ["null", "\"\"", "7", "{}", &format!("\"{}\"", "x".repeat(257))] {
        let body = format!(r#"{{"messages":[],"model":{model}}}"#);
        let error = read_at(OPENAI, &body).unwrap_err();
        assert!(matches!(error, Unreadable::Invalid { key: "model", .. }), "{model}: {error}");
    }
    let longest = "x".repeat(256);
    let body = format!(r#"{{"messages":[],"model":"{longest}"}}"#);
    assert_eq!(read_at(OPENAI, &body).unwrap().call.model(), longest);
}

#[test]
fn what_is_missing_is_named() {
    let missing = |body| read_at(OPENAI, body).unwrap_err();
    assert_eq!(missing("{}"), Unreadable::Missing { key: "messages" });
    assert_eq!(missing(r#"{"messages":null}"#), Unreadable::Missing { key: "messages" });
    assert_eq!(missing(r#"{"messages":[]}"#), Unreadable::Missing { key: "model" });
    assert_eq!(missing("[]"), Unreadable::NotAnObject);
    assert_eq!(missing("7"), Unreadable::NotAnObject);
    assert!(matches!(missing(r#"{"messages":[]}}"#), Unreadable::NotJson { .. }));
}

#[test]
fn a_governed_key_given_twice_is_refused_however_it_is_written() {
    let names = KEYS.iter().map(|(name, _)| name.text());
    for name in names.filter(|name| !matches!(*name, "model" | "messages")) {
        let null = format!(r#""{name}":null"#);
        let escaped = format!(r#""\u{:04x}{}":null"#, name.as_bytes()[0], &name[1..]);
        with(&null).unwrap();
        for again in [&null, &escaped] {
            let error = with(&format!("{null},{again}")).unwrap_err();
            assert_eq!(error, Unreadable::Twice { key: name }, "{again}");
        }
    }
    assert_eq!(with(r#""mod\u0065l":"o1""#).unwrap_err(), Unreadable::Twice { key: "model" });
    let error =
        with(r#""stream_options":{"include_usage":true,"include_usage":false}"#).unwrap_err();
    assert_eq!(error, Unreadable::Twice { key: "include_usage" });
}

#[test]
fn a_governed_key_in_other_letters_is_refused() {
    for (key, name) in [
        ("Model", "model"),
        ("MAX_TOKENS", "max_tokens"),
        ("max_to\\u212Aens", "max_tokens"),
        ("\\u017Ftream", "stream"),
        ("mode\\u004C", "model"),
    ] {
        let error = with(&format!("\"{key}\":1")).unwrap_err();
        assert_eq!(error, Unreadable::Miscased { key: name }, "{key}");
    }
    let error = with(r#""stream_options":{"Include_Usage":true}"#).unwrap_err();
    assert_eq!(error, Unreadable::Miscased { key: "include_usage" });
    with(r#""Temperature":1,"modèle":2,"x_Model":3"#).unwrap();
}

#[test]
fn media_count_as_media_and_not_as_text() {
    let data = "x".repeat(40_000);
    let call = message(&format!(
        r#"{{"content":[{{"image_url":{{"url":"data:{data}"}}}},{{"image_url":null}},{{"text":"12345"}}]}}"#
    ))
    .call;
    assert_eq!(call.input(), Input { text_bytes: 5, messages: 1, media: 1, ..Input::default() });
    assert!(call.needs().media && call.open_ended().is_none());
    let call = message(&format!(r#"{{"content":[{{"file":{{"file_data":"{data}"}}}}]}}"#)).call;
    assert_eq!((call.input().text_bytes, call.input().media), (0, 2));
    for audio in [r#"{"id":"audio_1"}"#, r#""audio_1""#] {
        let call = message(&format!(r#"{{"role":"assistant","audio":{audio}}}"#)).call;
        assert_eq!((call.input().text_bytes, call.input().media), (9, 1), "{audio}");
    }
}

#[test]
fn what_only_looks_like_media_counts_as_text() {
    let call = message(r#"{"content":"12345","image_url":"123","x":{"y":{"file":"123"}}}"#).call;
    assert_eq!((call.input().text_bytes, call.input().media), (11, 0));
}

#[test]
fn tool_calls_count_with_their_arguments() {
    let call = message(
        r#"{"tool_calls":[{"id":"1","function":{"name":"f","arguments":"{\"a\":1}","n":12}}]}"#,
    )
    .call;
    assert_eq!(call.input().text_bytes, 1 + (4 + 1) + (9 + 7) + (1 + 2));
}

#[test]
fn tools_and_schemas_are_needs_and_bytes() {
    let tools = r#"[{"type":"function","function":{"type":"web"}}]"#;
    let call = with(&format!("\"tools\":{tools}")).unwrap().call;
    assert_eq!(call.needs(), Needs { tools: true, ..Needs::default() });
    assert_eq!((call.input().schema_bytes, call.open_ended()), (tools.len() as u64, None));
    assert!(!with(r#""tools":[]"#).unwrap().call.needs().tools);
    assert!(with(r#""functions":[{"name":"f"}]"#).unwrap().call.needs().tools);
    let format = r#"{"type":"json_schema","json_schema":{"name":"x"}}"#;
    let call = with(&format!("\"response_format\":{format}")).unwrap().call;
    assert!(call.needs().schema && call.input().schema_bytes == format.len() as u64);
    assert!(!with(r#""response_format":{"type":"text"}"#).unwrap().call.needs().schema);
    assert!(with(r#""modalities":["text","audio"]"#).unwrap().call.needs().media);
}

#[test]
fn input_from_elsewhere_is_an_open_end() {
    for (members, why) in [
        (r#""web_search_options":{}"#, "server tools"),
        (r#""plugins":[{"id":"web"}]"#, "server tools"),
        (r#""tools":[{"type":"function"},{"type":"web_search"}]"#, "server tools"),
        (r#""background":true"#, "background"),
        (r#""prediction":{"type":"content","content":"abc"}"#, "predicted output"),
    ] {
        assert_eq!(with(members).unwrap().call.open_ended(), Some(why), "{members}");
    }
    let file = message(r#"{"content":[{"file":{"file_id":"f-1"}}]}"#).call;
    assert_eq!((file.open_ended(), file.input().media), (Some("file ids"), 1));
    let linked = message(r#"{"content":[{"document_url":"\u0068TTPS:\/\/x.example"}]}"#).call;
    assert_eq!(linked.open_ended(), Some("linked media"));
    let online = read_at(OPENAI, r#"{"model":"openai/gpt-4o:online","messages":[]}"#).unwrap().call;
    assert_eq!(online.open_ended(), Some("server tools"));
}

#[test]
fn data_sources_are_an_open_end_and_forbid_the_ask_for_usage() {
    for key in ["data_sources", "dataSources"] {
        let reading =
            with(&format!(r#""stream":true,"{key}":[{{"type":"azure_search"}}]"#)).unwrap();
        assert_eq!((reading.call.open_ended(), reading.ask_usage), (Some("data sources"), false));
        let reading = with(&format!(r#""stream":true,"{key}":[]"#)).unwrap();
        assert_eq!((reading.call.open_ended(), reading.ask_usage), (None, true));
    }
}

#[test]
fn predicted_output_adds_to_a_stated_maximum() {
    let call =
        with(r#""prediction":{"type":"content","content":"abc"},"max_tokens":5"#).unwrap().call;
    assert_eq!((call.max_output_tokens(), call.open_ended()), (Some(5 + 10), None));
}

#[test]
fn fallback_models_are_seen() {
    let call = with(r#""models":["a/b","c"]"#).unwrap().call;
    assert_eq!(call.fallback_models(), ["a/b", "c"]);
    let list = |names| with(&format!("\"models\":[{}]", vec!["\"a\""; names].join(",")));
    assert_eq!(list(256).unwrap().call.fallback_models().len(), 256);
    assert!(matches!(list(257), Err(Unreadable::Invalid { key: "models", .. })));
}

#[test]
fn a_deployment_names_the_model_whatever_the_body_says() {
    let azure = "https://x.openai.azure.com/openai/deployments/mine/chat/completions?api-version=1";
    let reading = read_at(azure, r#"{"messages":[]}"#).unwrap();
    assert_eq!((reading.call.model(), reading.layout.model), ("mine", None));
    let reading = read_at(azure, r#"{"messages":[],"model":"gpt-4o"}"#).unwrap();
    assert_eq!(reading.call.model(), "mine");
}
