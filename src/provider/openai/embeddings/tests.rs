use super::*;
use crate::{
    call::Provider,
    provider::{
        Edits,
        tests::{edited, read_at},
    },
};

const OPENAI: &str = "https://api.openai.com/v1/embeddings";

fn input(input: &str) -> Result<(u64, u64), Unreadable> {
    let body = format!(r#"{{"model":"text-embedding-3-small","input":{input}}}"#);
    let reading = read_at(OPENAI, &body)?;
    let input = reading.call.input();
    assert_eq!((input.schema_bytes, input.media), (0, 0));
    Ok((input.messages, input.text_bytes))
}

#[test]
fn texts_are_counted_in_bytes_and_tokens_by_their_number() {
    for (written, counted) in [
        (r#""hi \u00e9""#, (1, 5)),
        (r#"["abc","de"]"#, (2, 5)),
        ("[1,22,333]", (1, 9)),
        ("[[1,2],[3],[]]", (3, 9)),
        (r#"["a",1,[2]]"#, (3, 7)),
        (r#"[{"type":"text","text":"abc"}]"#, (1, 15)),
        ("[]", (0, 0)),
        (r#""""#, (1, 0)),
    ] {
        assert_eq!(input(written), Ok(counted), "{written}");
    }
    assert_eq!(input("null"), Err(Unreadable::Missing { key: "input" }));
    for bad in ["7", "{}", "true"] {
        assert!(matches!(input(bad), Err(Unreadable::Invalid { key: "input", .. })), "{bad}");
    }
}

#[test]
fn the_facts_of_a_call() {
    let body = r#"{"dimensions":256,"model":"text-embedding-3-small","input":"x","models":["a"]}"#;
    let reading = read_at(OPENAI, body).unwrap();
    let call = &reading.call;
    assert_eq!((call.model(), call.operation()), ("text-embedding-3-small", Operation::Embeddings));
    assert_eq!((call.provider(), call.fallback_models()), (&Provider::OPENAI, &["a".into()][..]));
    assert_eq!((call.max_output_tokens(), call.open_ended()), (None, None));
    assert!(!reading.ask_usage && !call.is_streaming());
    let azure = "https://x.openai.azure.com/openai/deployments/mine/embeddings";
    assert_eq!(read_at(azure, r#"{"input":"x"}"#).unwrap().call.model(), "mine");
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    let refused = |body| read_at(OPENAI, body).unwrap_err();
    let twice = refused(r#"{"model":"a","input":"x","inp\u0075t":"y"}"#);
    assert_eq!(twice, Unreadable::Twice { key: "input" });
    let miscased = refused(r#"{"model":"a","Input":"x"}"#);
    assert_eq!(miscased, Unreadable::Miscased { key: "input" });
    assert_eq!(refused(r#"{"input":"x"}"#), Unreadable::Missing { key: "model" });
}

#[test]
fn only_the_model_is_written() {
    let edits = Edits { model: Some("b"), include_usage: true, max_output_tokens: Some(9) };
    let out = edited(OPENAI, r#"{"input":["model"],"model":"a"}"#, edits);
    assert_eq!(out.as_deref(), Some(r#"{"input":["model"],"model":"b"}"#));
}
