use super::*;
use crate::{
    call::{Input, Needs, Operation, Provider},
    provider::{Edits, tests},
};

const ANTHROPIC: &str = "https://api.anthropic.com/v1/messages";

fn read_body(body: &str) -> Result<Reading, Unreadable> {
    tests::read_at(ANTHROPIC, body)
}

/// A good request with more members.
fn with(members: &str) -> Result<Reading, Unreadable> {
    read_body(&format!(r#"{{"model":"claude-x","max_tokens":9,"messages":[],{members}}}"#))
}

/// A good request with this content.
fn content(content: &str) -> Reading {
    let messages = format!(r#"[{{"role":"user","content":{content}}}]"#);
    read_body(&format!(r#"{{"model":"claude-x","max_tokens":9,"messages":{messages}}}"#)).unwrap()
}

/// Bytes of text in this content, less those of the message around it.
fn text_bytes(of: &str) -> u64 {
    content(of).call.input().text_bytes - 4
}

fn edited(body: &str, edits: Edits<'_>) -> Option<String> {
    tests::edited(ANTHROPIC, body, edits)
}

#[test]
fn the_facts_of_a_plain_call() {
    let reading = read_body(
        r#"{"system":"be \u00e9","messages":[{"role":"user","content":"hi"},{"role":"assistant",
        "content":[{"type":"text","text":"yo"}]}],"m\u006fdel":"claude\u002dx","max_tokens":5,
        "stream":true,"temperature":0.5,"metadata":{"model":"x","Model":"y"},"service_tier":"auto",
        "inference_geo":"us","stop_sequences":["x"],"thinking":{"type":"enabled","budget_tokens":4}}"#,
    )
    .unwrap();
    let call = &reading.call;
    assert_eq!((call.model(), call.provider()), ("claude-x", &Provider::ANTHROPIC));
    assert_eq!(call.operation(), Operation::Chat);
    let text_bytes = 5 + (4 + 2) + (9 + 4 + 2);
    assert_eq!(call.input(), Input { text_bytes, messages: 2, ..Input::default() });
    assert_eq!((call.choices(), call.max_output_tokens()), (1, Some(5)));
    assert_eq!((call.service_tier(), call.region()), (Some("auto"), Some("us")));
    assert!(call.is_streaming() && !reading.ask_usage);
    assert_eq!((call.needs(), call.open_ended()), (Needs::default(), None));
    assert_eq!(call.web_searches(), Some(0));
}

#[test]
fn null_is_as_good_as_absent() {
    let nulls: Vec<_> = KEYS.iter().map(|(name, _)| format!("\"{}\":null", name.text())).collect();
    let call = with(&nulls[3..].join(",")).unwrap().call;
    assert_eq!((call.needs(), call.open_ended()), (Needs::default(), None));
    assert_eq!((call.service_tier(), call.region(), call.is_streaming()), (None, None, false));
    let reading = read_body(r#"{"model":"m","max_tokens":null,"messages":[]}"#).unwrap();
    assert_eq!(reading.call.max_output_tokens(), None);
}

#[test]
fn a_value_of_the_wrong_type_or_range_is_refused() {
    for (key, bad) in [
        ("stream", &["1", "\"true\"", "[]"][..]),
        ("tools", &["{}", "\"x\"", "[1]", "[[]]"]),
        ("output_config", &["[]", "\"x\""]),
        ("output_format", &["[]", "\"x\""]),
        ("context_management", &["[]", "true"]),
        ("service_tier", &["1", "{}"]),
        ("speed", &["1", "[]"]),
        ("inference_geo", &["1", "[]"]),
    ] {
        for bad in bad {
            match with(&format!("\"{key}\":{bad}")) {
                Err(Unreadable::Invalid { key: named, .. }) => assert_eq!(named, key),
                other => panic!("{key} {bad}: {other:?}"),
            }
        }
    }
    for most in ["-1", "1.5", "1e3", "\"5\"", "true", "[]", "4294967296"] {
        let body = format!(r#"{{"model":"m","messages":[],"max_tokens":{most}}}"#);
        let error = read_body(&body).unwrap_err();
        assert!(matches!(error, Unreadable::Invalid { key: "max_tokens", .. }), "{most}: {error}");
    }
    for model in ["null", "\"\"", "7", &format!("\"{}\"", "x".repeat(257))] {
        let error = read_body(&format!(r#"{{"messages":[],"model":{model}}}"#)).unwrap_err();
        assert!(matches!(error, Unreadable::Invalid { key: "model", .. }), "{model}: {error}");
    }
    let error = with(r#""tools":[{"max_uses":-1}]"#).unwrap_err();
    assert!(matches!(error, Unreadable::Invalid { key: "max_uses", .. }));
    let error = read_body(r#"{"model":"m","messages":["hi"]}"#).unwrap_err();
    assert!(matches!(error, Unreadable::Invalid { key: "messages", .. }));
}

#[test]
fn what_is_missing_is_named() {
    let missing = |body| read_body(body).unwrap_err();
    assert_eq!(missing("{}"), Unreadable::Missing { key: "messages" });
    assert_eq!(missing(r#"{"messages":[]}"#), Unreadable::Missing { key: "model" });
    assert_eq!(missing("[]"), Unreadable::NotAnObject);
    assert!(matches!(missing(r#"{"messages":[]}}"#), Unreadable::NotJson { .. }));
}

#[test]
fn a_governed_key_given_twice_or_in_other_letters_is_refused() {
    for name in KEYS[3..].iter().map(|(name, _)| name.text()) {
        let null = format!(r#""{name}":null"#);
        let escaped = format!(r#""\u{:04x}{}":null"#, name.as_bytes()[0], &name[1..]);
        for again in [&null, &escaped] {
            let error = with(&format!("{null},{again}")).unwrap_err();
            assert_eq!(error, Unreadable::Twice { key: name }, "{again}");
        }
        let capital = format!(r#""{}":null"#, name.to_uppercase());
        assert_eq!(with(&capital).unwrap_err(), Unreadable::Miscased { key: name });
    }
    assert_eq!(with(r#""mod\u0065l":"o1""#).unwrap_err(), Unreadable::Twice { key: "model" });
    let tool = with(r#""tools":[{"Type":"web_search_20250305"}]"#).unwrap_err();
    assert_eq!(tool, Unreadable::Miscased { key: "type" });
}

#[test]
fn text_counts_wherever_it_stands() {
    assert_eq!(text_bytes(r#""12345""#), 5);
    assert_eq!(
        text_bytes(r#"[{"text":"12345","cache_control":{"type":"ephemeral","ttl":"1h"}}]"#),
        5
    );
    assert_eq!(text_bytes(r#"[{"thinking":"123","signature":"45"},{"data":"678"}]"#), 8);
    // what is given to a tool, as it is written
    assert_eq!(text_bytes(r#"[{"name":"f","id":"1","input":{"a":[1, 2]}}]"#), 2 + 12);
    let result = r#"[{"tool_use_id":"1","is_error":true,"content":[{"text":"23"},"4",["5"]]}]"#;
    assert_eq!(text_bytes(result), 1 + 2 + 1 + 5);
    let document =
        r#"[{"type":"document","source":{"data":"1234","media_type":"text/plain","type":"text"}}]"#;
    assert_eq!(text_bytes(document), 8 + 4);
    let blocks = r#"[{"source":{"type":"content","content":[{"text":"1234"}]},"title":"ab"}]"#;
    assert_eq!(text_bytes(blocks), 4 + 2);
    assert_eq!(text_bytes(r#"[{"source":"https://x","title":"ab","content":[{"text":"c"}]}]"#), 12);
    assert_eq!(
        content(r#"[{"input":{"source":{"type":"base64","data":"1"}}}]"#).call.input().media,
        0
    );
}

#[test]
fn what_is_to_be_cited_is_explained_and_marked_off() {
    let of = |block: &str| {
        let input = content(&format!("[{block}]")).call.input();
        (input.text_bytes - 4, input.schema_bytes)
    };
    assert_eq!(of(r#"{"text":"123","citations":{"enabled":true}}"#), (3 + 4, 1_536));
    assert_eq!(of(r#"{"citations":{"enabled":false},"text":"123"}"#), (3, 0));
    assert_eq!(of(r#"{"text":"123","citations":[{"cited_text":"45"}]}"#), (3, 0));
    // however deep, it is counted no more than once a level
    let open = r#"{"citations":{"enabled":true},"content":["#.repeat(60);
    let (text, _) = of(&format!("{open}\"x\"{}", "]}".repeat(60)));
    assert_eq!(text, 1 + 60 * 2);
}

#[test]
fn media_count_as_media_and_not_as_text() {
    let data = "x".repeat(70_000);
    let image = format!(
        r#"{{"source":{{"data":"{data}","media_type":"image/png","type":"base64"}},"type":"image"}}"#
    );
    let pdf = image.replace("image/png", "application/pdf").replace("\"image\"", "\"document\"");
    for (block, media) in [(&image, 1), (&pdf, 1 + 2)] {
        for block in [block.clone(), format!(r#"{{"type":"tool_result","content":[{block}]}}"#)] {
            let call = content(&format!("[{block}]")).call;
            assert_eq!((call.input().media, call.open_ended()), (media, None));
            assert!(call.needs().media && call.input().text_bytes < 40);
        }
    }
}

#[test]
fn linked_documents_and_files_are_open_ends_and_linked_images_are_not() {
    let open = |block: &str| {
        let call = content(&format!("[{block}]")).call;
        (call.input().media, call.open_ended())
    };
    let url = r#""source":{"url":"https://x","type":"url"}"#;
    assert_eq!(open(&format!(r#"{{{url},"type":"image"}}"#)), (1, None));
    assert_eq!(open(&format!(r#"{{"type":"document",{url}}}"#)), (1, Some("linked media")));
    let file = r#"{"type":"image","source":{"type":"file","file_id":"f"}}"#;
    assert_eq!(open(file), (1, Some("file ids")));
    assert_eq!(open(r#"{"type":"container_upload","file_id":"f"}"#), (0, Some("file ids")));
    let found = r#"{"content":[{"title":"t","encrypted_content":"E4b"}]}"#;
    assert_eq!(open(found), (0, Some("server tools")));
}

#[test]
fn tools_and_schemas_are_needs_and_bytes() {
    let tools = r#"[{"name":"f","input_schema":{"type":"object"}},{"type":"custom","name":"g"}]"#;
    let call = with(&format!("\"tools\":{tools}")).unwrap().call;
    assert_eq!(call.needs(), Needs { tools: true, ..Needs::default() });
    assert_eq!((call.input().schema_bytes, call.open_ended()), (tools.len() as u64, None));
    let known = with(r#""tools":[{"type":"bash_20250124","name":"bash"}]"#).unwrap().call;
    assert!(known.open_ended().is_none() && known.input().schema_bytes > 2_048);
    assert!(!with(r#""tools":[]"#).unwrap().call.needs().tools);
    let schema = r#"{"type":"json_schema","schema":{}}"#;
    for format in [
        format!(r#""output_format":{schema}"#),
        format!(r#""output_config":{{"effort":"low","format":{schema}}}"#),
    ] {
        let call = with(&format).unwrap().call;
        assert!(call.needs().schema && call.input().schema_bytes == schema.len() as u64);
    }
    assert!(
        !with(r#""output_config":{"effort":"low","format":null}"#).unwrap().call.needs().schema
    );
}

#[test]
fn input_from_elsewhere_is_an_open_end() {
    for (members, why, searches) in [
        (r#""tools":[{"type":"web_search_20250305"}]"#, "server tools", 1),
        (r#""tools":[{"max_uses":5,"type":"web_search_20260209"}]"#, "server tools", 5),
        (r#""tools":[{"type":"web_fetch_20250910","max_uses":5}]"#, "server tools", 0),
        (r#""tools":[{"name":"f"},{"type":"code_execution_20250825"}]"#, "server tools", 0),
        (r#""tools":[{"type":"computer_20250124"}]"#, "server tools", 0),
        (r#""mcp_servers":[{"url":"https://x"}]"#, "server tools", 0),
        (r#""container":"c-1""#, "containers", 0),
        (r#""context_management":{"edits":[{"type":"compact_20260112"}]}"#, "compaction", 0),
    ] {
        let call = with(members).unwrap().call;
        assert_eq!(
            (call.open_ended(), call.web_searches()),
            (Some(why), Some(searches)),
            "{members}"
        );
    }
    for closed in [
        r#""mcp_servers":[]"#,
        r#""context_management":{"edits":[{"type":"clear_tool_uses_20250919"}]}"#,
    ] {
        assert_eq!(with(closed).unwrap().call.open_ended(), None, "{closed}");
    }
}

#[test]
fn a_fast_answer_is_a_tier() {
    let call = with(r#""speed":"fast","service_tier":"standard_only""#).unwrap().call;
    assert_eq!(call.service_tier(), Some("fast"));
    let call = with(r#""speed":"standard","service_tier":"standard_only""#).unwrap().call;
    assert_eq!(call.service_tier(), Some("standard_only"));
}

#[test]
fn model_and_maximum_are_written_in_their_places_and_nothing_else() {
    let body = r#" {"messages":[{"model":"m"}] , "max_tokens" : 900,"model" : "m" ,"x":1.50} "#;
    let edits = Edits { model: Some("a\"b"), max_output_tokens: Some(70), ..Edits::default() };
    assert_eq!(
        edited(body, edits).unwrap(),
        r#" {"messages":[{"model":"m"}] , "max_tokens" : 70,"model" : "a\"b" ,"x":1.50} "#
    );
    let higher = Edits { max_output_tokens: Some(901), ..Edits::default() };
    assert_eq!(edited(body, higher), None);
    for (before, after) in
        [("", r#","max_tokens":70"#), (r#","max_tokens":null"#, r#","max_tokens":70"#)]
    {
        let body = |members: &str| format!(r#"{{"model":"m","messages":[]{members}}}"#);
        let edits = Edits { max_output_tokens: Some(70), include_usage: true, model: None };
        assert_eq!(edited(&body(before), edits).unwrap(), body(after));
    }
}

#[test]
fn content_as_deep_as_json_goes_is_read() {
    let deep = |levels: usize| {
        let open = r#"[{"content":"#.repeat(levels);
        content(&format!("{open}\"x\"{}", "}]".repeat(levels)))
    };
    assert_eq!(deep(60).call.input().text_bytes, 5);
    let open = r#"[{"content":"#.repeat(1_000_000);
    let error = read_body(&format!(r#"{{"messages":{open}"#)).unwrap_err();
    assert!(matches!(error, Unreadable::TooDeep { .. }));
}
