use serde_json::{Value, json};

use super::*;
use crate::{
    call::{Input, Needs, Operation, Provider},
    provider::{
        Edits,
        tests::{edited, read_at},
    },
};

const OPENAI: &str = "https://api.openai.com/v1/responses";
const COMPACT: &str = "https://api.openai.com/v1/responses/compact";

/// A good request with more members.
fn with(members: &str) -> Result<Reading, Unreadable> {
    read_at(OPENAI, &format!(r#"{{"model":"gpt-5","input":"",{members}}}"#))
}

/// A good request with this item.
fn item(item: &str) -> Reading {
    read_at(OPENAI, &format!(r#"{{"model":"gpt-5","input":[{item}]}}"#)).unwrap()
}

#[test]
fn the_facts_of_a_plain_call() {
    let reading = read_at(
        OPENAI,
        r#"{"instructions":"be brief","input":"hi \u00e9","mod\u0065l":"gpt-5","stream":true,
        "max_output_tokens":7,"service_tier":"flex","store":false,"metadata":{"model":"x"},
        "stream_options":{"include_obfuscation":false},"reasoning":{"effort":"low","mode":null}}"#,
    )
    .unwrap();
    let call = &reading.call;
    assert_eq!((call.model(), call.provider()), ("gpt-5", &Provider::OPENAI));
    assert_eq!(call.operation(), Operation::Chat);
    assert_eq!(call.input(), Input { text_bytes: 13, messages: 2, ..Input::default() });
    assert_eq!((call.choices(), call.max_output_tokens()), (1, Some(7)));
    assert_eq!((call.service_tier(), call.is_streaming()), (Some("flex"), true));
    assert_eq!((call.needs(), call.open_ended()), (Needs::default(), None));
    assert!(!reading.ask_usage, "usage comes unasked");
}

#[test]
fn null_is_as_good_as_absent() {
    let call = with(
        r#""instructions":null,"stream":null,"max_output_tokens":null,"tools":null,"text":null,
        "reasoning":null,"service_tier":null,"previous_response_id":null,"conversation":null,
        "prompt":null,"background":null,"context_management":null,"models":null,"plugins":[],
        "search_parameters":null"#,
    )
    .unwrap()
    .call;
    assert_eq!((call.max_output_tokens(), call.is_streaming()), (None, false));
    assert_eq!(
        (call.needs(), call.open_ended(), call.input().messages),
        (Needs::default(), None, 1)
    );
}

#[test]
fn a_value_of_the_wrong_type_or_range_is_refused() {
    for (key, bad) in [
        ("max_output_tokens", &["0", "-1", "1.5", "\"5\"", "4294967296", "[]"][..]),
        ("instructions", &["7", "[]", "{}"]),
        ("stream", &["1", "\"true\""]),
        ("background", &["1", "\"true\"", "{}"]),
        ("tools", &["{}", "\"x\""]),
        ("text", &["[]", "\"x\""]),
        ("reasoning", &["[]", "\"low\""]),
        ("prompt", &["[]", "\"pmpt_1\""]),
        ("service_tier", &["1"]),
        ("models", &["\"gpt-5\"", "[1]"]),
    ] {
        for bad in bad {
            match with(&format!("\"{key}\":{bad}")) {
                Err(Unreadable::Invalid { key: named, .. }) => assert_eq!(named, key),
                other => panic!("{key} {bad}: {other:?}"),
            }
        }
    }
    for bad in ["7", "{}", "true"] {
        let error = read_at(OPENAI, &format!(r#"{{"model":"gpt-5","input":{bad}}}"#)).unwrap_err();
        assert!(matches!(error, Unreadable::Invalid { key: "input", .. }), "{bad}: {error}");
    }
    let error = with(r#""reasoning":{"mode":7}"#).unwrap_err();
    assert!(matches!(error, Unreadable::Invalid { key: "mode", .. }));
    let error = with(r#""text":{"format":"json"}"#).unwrap_err();
    assert!(matches!(error, Unreadable::Invalid { key: "format", .. }));
}

#[test]
fn what_is_missing_is_named() {
    let missing = |body| read_at(OPENAI, body).unwrap_err();
    assert_eq!(missing(r#"{"model":"gpt-5"}"#), Unreadable::Missing { key: "input" });
    assert_eq!(missing(r#"{"model":"gpt-5","input":null}"#), Unreadable::Missing { key: "input" });
    assert_eq!(missing(r#"{"input":"x"}"#), Unreadable::Missing { key: "model" });
    assert_eq!(missing("[]"), Unreadable::NotAnObject);
    let stored = r#"{"model":"gpt-5","prompt":{"id":"p1","variables":{"city":"Kyoto"}}}"#;
    let call = read_at(OPENAI, stored).unwrap().call;
    assert_eq!((call.open_ended(), call.input().text_bytes), (Some("stored prompt"), 7));
}

#[test]
fn a_governed_key_given_twice_or_in_other_letters_is_refused() {
    let names = KEYS.iter().map(|(name, _)| name.text());
    for name in names.filter(|name| !matches!(*name, "model" | "input")) {
        let null = format!(r#""{name}":null"#);
        let escaped = format!(r#""\u{:04x}{}":null"#, name.as_bytes()[0], &name[1..]);
        let capital = format!(r#""{}{}":null"#, name[..1].to_uppercase(), &name[1..]);
        with(&null).unwrap();
        for again in [&null, &escaped] {
            let error = with(&format!("{null},{again}")).unwrap_err();
            assert_eq!(error, Unreadable::Twice { key: name }, "{again}");
        }
        assert_eq!(with(&capital).unwrap_err(), Unreadable::Miscased { key: name });
    }
    for inner in
        [r#""reasoning":{"mode":"pro","mode":null}"#, r#""text":{"format":{},"format":{}}"#]
    {
        assert!(matches!(with(inner), Err(Unreadable::Twice { .. })), "{inner}");
    }
}

#[test]
fn every_string_of_an_item_is_text() {
    let message = item(r#"{"role":"user","content":"12345"}"#).call;
    assert_eq!(message.input(), Input { text_bytes: 9, messages: 1, ..Input::default() });
    let parts = item(
        r#"{"type":"message","role":"user","content":[{"type":"input_text","text":"123"}]},
        {"type":"reasoning","encrypted_content":"abc","summary":[{"text":"xy"}]}"#,
    )
    .call;
    assert_eq!(parts.input().messages, 2);
    assert_eq!(parts.input().text_bytes, 7 + 4 + 10 + 3 + 9 + 3 + 2);
    let call = item(r#"{"type":"function_call","name":"f","arguments":"{\"a\":1}","call_id":"1"}"#);
    assert_eq!(call.call.input().text_bytes, 13 + 1 + 7 + 1);
    let output = item(r#"{"type":"x","output":[{"a":{"deep":12}}],"image_url":"123"}"#).call;
    assert_eq!((output.input().text_bytes, output.input().media), (1 + 4 + 2 + 3, 0));
}

#[test]
fn media_count_as_media_and_not_as_text() {
    let data = format!("data:{}", "x".repeat(40_000));
    for (part, media, open_ended) in [
        (format!(r#"{{"image_url":"{data}"}}"#), 1, None),
        (r#"{"image_url":"https://x.example/y.png"}"#.into(), 1, None),
        (format!(r#"{{"file_data":"{data}","filename":"f"}}"#), 2, None),
        (format!(r#"{{"input_audio":{{"data":"{data}","format":"wav"}}}}"#), 1, None),
        (r#"{"file_url":"https://x.example/y.pdf"}"#.into(), 1, Some("linked media")),
        (r#"{"file_id":"f-1"}"#.into(), 1, Some("file ids")),
        (r#"{"file_id":null,"image_url":null}"#.into(), 0, None),
    ] {
        for holder in ["content", "output"] {
            let call = item(&format!(r#"{{"role":"","{holder}":[{part}]}}"#)).call;
            assert_eq!((call.input().media, call.open_ended()), (media, open_ended), "{part:.60}");
            assert!(call.input().text_bytes < 40, "{part:.60}");
            assert_eq!(call.needs().media, media > 0);
        }
    }
    let screenshot = item(&format!(
        r#"{{"type":"computer_call_output","output":{{"type":"computer_screenshot","image_url":"{data}"}}}}"#
    ));
    assert_eq!(screenshot.call.input().media, 1);
    for item_of_image in [
        format!(r#"{{"type":"image_generation_call","result":"{data}"}}"#),
        format!(r#"{{"result":"{data}","type":"image_generation_call"}}"#),
    ] {
        let call = item(&item_of_image).call;
        assert_eq!((call.input().media, call.input().text_bytes), (1, 21));
    }
    let text = item(r#"{"type":"other","result":"12345"}"#).call;
    assert_eq!((text.input().media, text.input().text_bytes), (0, 10));
}

#[test]
fn tools_and_schemas_are_needs_and_bytes() {
    let tools = r#"[{"type":"function","name":"f"},{"type":"custom"},{"type":"namespace"}]"#;
    let call = with(&format!("\"tools\":{tools}")).unwrap().call;
    assert_eq!(call.needs(), Needs { tools: true, ..Needs::default() });
    assert_eq!((call.input().schema_bytes, call.open_ended()), (tools.len() as u64, None));
    let format = r#"{"type":"json_schema","name":"x","schema":{"type":"object"}}"#;
    let call = with(&format!(r#""text":{{"verbosity":"low","format":{format}}}"#)).unwrap().call;
    assert!(call.needs().schema && call.input().schema_bytes == format.len() as u64);
    assert!(!with(r#""text":{"format":{"type":"text"}}"#).unwrap().call.needs().schema);
    let added = item(r#"{"type":"additional_tools","tools":[{"type":"function","name":"f"}]}"#);
    assert!(added.call.needs().tools && added.call.input().schema_bytes > 0);
}

#[test]
fn input_from_elsewhere_is_an_open_end() {
    for (members, why) in [
        (r#""tools":[{"type":"function"},{"type":"web_search"}]"#, "server tools"),
        (r#""tools":[{"type":"file_search"}]"#, "server tools"),
        (r#""tools":[{"type":"code_interpreter"}]"#, "server tools"),
        (r#""tools":[{"type":"mcp"}]"#, "server tools"),
        (r#""tools":[{"type":"image_generation"}]"#, "server tools"),
        (r#""plugins":[{"id":"web"}]"#, "server tools"),
        (r#""search_parameters":{}"#, "server tools"),
        (r#""previous_response_id":"resp_1""#, "stored conversation"),
        (r#""conversation":{"id":"conv_1"}"#, "stored conversation"),
        (r#""prompt":{"id":"pmpt_1"}"#, "stored prompt"),
        (r#""context_management":[{"type":"compaction"}]"#, "compaction"),
        (r#""reasoning":{"mode":"pro"}"#, "reasoning mode"),
    ] {
        assert_eq!(with(members).unwrap().call.open_ended(), Some(why), "{members}");
    }
    let both = with(r#""previous_response_id":"resp_1","tools":[{"type":"web_search"}]"#).unwrap();
    assert_eq!(both.call.open_ended(), Some("server tools"), "the dearer of two reasons");
    assert_eq!(with(r#""reasoning":{"mode":"standard"}"#).unwrap().call.open_ended(), None);
    for (stored, why) in [
        (r#"{"type":"item_reference","id":"msg_1"}"#, "stored items"),
        (r#"{"id":"msg_1"}"#, "stored items"),
        (r#"{"type":"compaction_trigger"}"#, "compaction"),
        (r#"{"type":"additional_tools","tools":[{"type":"mcp"}]}"#, "server tools"),
    ] {
        assert_eq!(item(stored).call.open_ended(), Some(why), "{stored}");
    }
    let online = r#"{"model":"openai/gpt-4o:online","input":""}"#;
    assert_eq!(read_at(OPENAI, online).unwrap().call.open_ended(), Some("server tools"));
}

#[test]
fn what_runs_in_the_background_cannot_be_metered() {
    let error = with(r#""background":true"#).unwrap_err();
    assert!(matches!(error, Unreadable::Unmeterable { .. }));
    assert!(error.to_string().contains("`background: true`"), "{error}");
    with(r#""background":false"#).unwrap();
}

#[test]
fn fallback_models_are_seen() {
    assert_eq!(with(r#""models":["a/b","c"]"#).unwrap().call.fallback_models(), ["a/b", "c"]);
}

const BOTH: Edits<'static> =
    Edits { model: Some("a\"b"), include_usage: true, max_output_tokens: Some(9) };

#[test]
fn model_and_maximum_are_written_and_nothing_else() {
    for (before, after) in [
        (
            r#" {"input":[{"model":"gpt-5"}] , "model" : "gpt-5" , "stream":true} "#,
            r#" {"input":[{"model":"gpt-5"}] , "model" : "a\"b" , "stream":true,"max_output_tokens":9} "#,
        ),
        (
            r#"{"model":"gpt-5","input":"","max_output_tokens":700}"#,
            r#"{"model":"a\"b","input":"","max_output_tokens":9}"#,
        ),
        (
            r#"{"max_output_tokens":null,"model":"gpt-5","input":""}"#,
            r#"{"max_output_tokens":9,"model":"a\"b","input":""}"#,
        ),
        (
            r#"{"model":"gpt-5","input":"","max_output_tokens":8}"#,
            r#"{"model":"a\"b","input":"","max_output_tokens":8}"#,
        ),
    ] {
        let out = edited(OPENAI, before, BOTH).unwrap();
        assert_eq!(out, after);
        serde_json::from_str::<Value>(&out).unwrap();
    }
}

#[test]
fn a_compaction_is_open_ended_and_is_given_no_maximum() {
    let body = r#"{"model":"gpt-5","input":"x"}"#;
    assert_eq!(read_at(COMPACT, body).unwrap().call.open_ended(), Some("compaction"));
    assert_eq!(edited(COMPACT, body, BOTH).unwrap(), r#"{"model":"a\"b","input":"x"}"#);
}

#[test]
fn a_deployment_names_the_model_whatever_the_body_says() {
    let azure = "https://x.openai.azure.com/openai/deployments/mine/responses";
    let body = json!({"input": "x", "model": "gpt-5"}).to_string();
    let call = read_at(azure, &body).unwrap().call;
    assert_eq!((call.model(), call.provider()), ("mine", &Provider::AZURE));
    let v1 = "https://x.openai.azure.com/openai/v1/responses";
    assert_eq!(read_at(v1, &body).unwrap().call.model(), "gpt-5");
}
