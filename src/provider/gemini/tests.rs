use bytes::Bytes;

use super::*;
use crate::{
    call::{Input, Needs, Operation, Provider},
    provider::{
        Edits, Format, prepare,
        tests::{edited, read_at},
    },
};

const GEMINI: &str =
    "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash:generateContent";

/// A good request with more members.
fn with(members: &str) -> Result<Reading, Unreadable> {
    read_at(GEMINI, &format!(r#"{{"contents":[],{members}}}"#))
}

/// A good request with these parts.
fn parts(parts: &str) -> Reading {
    read_at(GEMINI, &format!(r#"{{"contents":[{{"role":"user","parts":{parts}}}]}}"#)).unwrap()
}

/// Bytes of text in these parts, less those of the content around them.
fn text_bytes(of: &str) -> u64 {
    parts(of).call.input().text_bytes - 4
}

#[test]
fn the_facts_of_a_plain_call() {
    let reading = read_at(
        &GEMINI.replace("generateContent", "streamGenerateContent?alt=sse&key=k"),
        r#"{"systemInstruction":{"parts":[{"text":"be \u00e9"}]},
        "contents":[{"role":"user","parts":[{"text":"hi"}]},{"role":"model","parts":[{"text":"yo"}]}],
        "generationConfig":{"maxOutputTokens":5,"candidateCount":2,"temperature":0.5},
        "safetySettings":[{"category":"X"}],"serviceTier":"FLEX"}"#,
    )
    .unwrap();
    let call = &reading.call;
    assert_eq!((call.model(), call.provider()), ("gemini-2.5-flash", &Provider::GOOGLE));
    assert_eq!(call.operation(), Operation::GenerateContent);
    let text_bytes = 5 + (4 + 2) + (5 + 2);
    assert_eq!(call.input(), Input { text_bytes, messages: 2, ..Input::default() });
    assert_eq!((call.choices(), call.max_output_tokens()), (2, Some(5)));
    assert_eq!((call.service_tier(), call.web_searches()), (Some("flex"), Some(0)));
    assert!(call.is_streaming() && !reading.ask_usage);
    assert_eq!((call.needs(), call.open_ended()), (Needs::default(), None));
    assert!(!parts("[]").call.is_streaming());
}

#[test]
fn one_object_stands_for_an_array_of_one() {
    let body =
        r#"{"contents":{"parts":{"text":"123"}},"tools":{"functionDeclarations":{"name":"f"}}}"#;
    let call = read_at(GEMINI, body).unwrap().call;
    assert_eq!((call.input().messages, call.input().text_bytes), (1, 3));
    assert!(call.needs().tools && call.open_ended().is_none());
}

#[test]
fn null_is_as_good_as_absent() {
    let call = with(
        r#""systemInstruction":null,"generationConfig":null,"tools":null,"cachedContent":null,
        "serviceTier":null,"model":null"#,
    )
    .unwrap()
    .call;
    assert_eq!((call.needs(), call.open_ended()), (Needs::default(), None));
    let call = with(
        r#""generationConfig":{"maxOutputTokens":null,"candidateCount":null,"responseSchema":null,
        "responseModalities":null},"tools":[{"codeExecution":null,"functionDeclarations":null}]"#,
    )
    .unwrap()
    .call;
    assert_eq!((call.needs(), call.open_ended()), (Needs::default(), None));
    assert_eq!((call.choices(), call.max_output_tokens()), (1, None));
}

#[test]
fn a_value_of_the_wrong_type_or_range_is_refused() {
    for (key, member, bad) in [
        (
            "maxOutputTokens",
            "generationConfig",
            &["0", "-1", "1.5", "\"5\"", "[]", "4294967296"][..],
        ),
        ("candidateCount", "generationConfig", &["0", "129", "\"1\""]),
        ("responseModalities", "generationConfig", &["\"TEXT\"", "[1]"]),
        ("parts", "contents", &["1", "\"x\"", "[1]", "[[]]"]),
    ] {
        for bad in bad {
            let body = match member {
                "contents" => format!(r#"{{"contents":[{{"{key}":{bad}}}]}}"#),
                _ => format!(r#"{{"contents":[],"{member}":{{"{key}":{bad}}}}}"#),
            };
            match read_at(GEMINI, &body) {
                Err(Unreadable::Invalid { key: named, .. }) => assert_eq!(named, key),
                other => panic!("{key} {bad}: {other:?}"),
            }
        }
    }
    for (key, bad) in [
        ("generationConfig", "[]"),
        ("tools", "1"),
        ("tools", "[1]"),
        ("cachedContent", "1"),
        ("serviceTier", "1"),
        ("model", "1"),
    ] {
        match with(&format!("\"{key}\":{bad}")) {
            Err(Unreadable::Invalid { key: named, .. }) => assert_eq!(named, key),
            other => panic!("{key} {bad}: {other:?}"),
        }
    }
    assert_eq!(read_at(GEMINI, "{}").unwrap_err(), Unreadable::Missing { key: "contents" });
    assert_eq!(read_at(GEMINI, "[]").unwrap_err(), Unreadable::NotAnObject);
}

#[test]
fn both_spellings_are_read_and_refused_together() {
    let config = |members: &str| with(&format!(r#""generation_config":{{{members}}}"#));
    let call =
        config(r#""max_output_tokens":5,"candidate_count":3,"response_schema":{}"#).unwrap().call;
    assert_eq!((call.max_output_tokens(), call.choices()), (Some(5), 3));
    assert!(call.needs().schema);
    let call = with(r#""tools":[{"google_search":{}}],"cached_content":"c""#).unwrap().call;
    assert_eq!((call.open_ended(), call.web_searches()), (Some("server tools"), Some(1)));

    for (camel, snake) in keys::REQUEST.iter().map(|(camel, snake, _)| (camel, snake)) {
        if *camel == "contents" {
            continue;
        }
        for again in [camel, snake] {
            let error = with(&format!(r#""{camel}":null,"{again}":null"#)).unwrap_err();
            assert_eq!(error, Unreadable::Twice { key: camel }, "{again}");
        }
    }
    let error = config(r#""maxOutputTokens":5,"max_output_tokens":6"#).unwrap_err();
    assert_eq!(error, Unreadable::Twice { key: "maxOutputTokens" });
    let error = with(r#""tools":[{"googleSearch":{},"google_search":{}}]"#).unwrap_err();
    assert_eq!(error, Unreadable::Twice { key: "googleSearch" });
}

#[test]
fn a_governed_key_in_other_letters_is_refused() {
    let config = |key: &str| with(&format!(r#""generationConfig":{{"{key}":1}}"#)).unwrap_err();
    for key in ["maxoutputtokens", "MaxOutputTokens", "max_outputTokens", "max_output_to\\u212Aens"]
    {
        assert_eq!(config(key), Unreadable::Miscased { key: "maxOutputTokens" }, "{key}");
    }
    let error = with(r#""Tools":[]"#).unwrap_err();
    assert_eq!(error, Unreadable::Miscased { key: "tools" });
    with(r#""Temperature":1,"x_tools":2"#).unwrap();
}

#[test]
fn text_counts_wherever_it_stands() {
    assert_eq!(text_bytes(r#"[{"text":"12345","thought":false,"thoughtSignature":"678"}]"#), 8);
    // what is given to and by functions, as it is written
    assert_eq!(text_bytes(r#"[{"functionCall":{"name":"f"}}]"#), 12);
    let response =
        r#"[{"functionResponse":{"name":"f","response":{"a": 1},"parts":[{"text":"23"}]}}]"#;
    assert_eq!(text_bytes(response), 1 + 8 + 2);
    let inline = r#"[{"inlineData":{"data":"1234","mimeType":"text/plain"}}]"#;
    assert_eq!(text_bytes(inline), 4);
    let call = with(r#""systemInstruction":"12345""#).unwrap().call;
    assert_eq!(call.input().text_bytes, 5);
}

#[test]
fn media_count_as_media_and_not_as_text() {
    let media = |mime: &str, bytes: usize| {
        let data = "x".repeat(bytes);
        let call = parts(&format!(r#"[{{"inline_data":{{"data":"{data}"{mime}}}}}]"#)).call;
        assert!(call.needs().media && call.input().text_bytes == 4 && call.open_ended().is_none());
        call.input().media
    };
    assert_eq!(media(r#","mimeType":"image/png""#, 70_000), 1);
    assert_eq!(media(r#","mime_type":"audio/mp3""#, 70_000), 1);
    assert_eq!(media(r#","mimeType":"video/mp4""#, 2 << 20), 3);
    assert_eq!(media(r#","mimeType":"application/pdf""#, 70_000), 3);
    assert_eq!(media("", 70_000), 3);
    let nested =
        r#"[{"functionResponse":{"parts":[{"inlineData":{"mimeType":"image/png","data":"1"}}]}}]"#;
    assert_eq!(parts(nested).call.input().media, 1);
    let call = with(r#""generationConfig":{"responseModalities":["Text","IMAGE"]}"#).unwrap().call;
    assert!(call.needs().media);
}

#[test]
fn input_from_elsewhere_is_an_open_end() {
    for (members, why, searches) in [
        (r#""tools":[{"googleSearch":{}}]"#, "server tools", 1),
        (r#""tools":[{"urlContext":{}}]"#, "server tools", 0),
        (r#""tools":[{"code_execution":{}}]"#, "server tools", 0),
        (r#""tools":[{"functionDeclarations":[]},{"newTool":{}}]"#, "server tools", 0),
        (r#""cachedContent":"cachedContents/1""#, "cached content", 0),
    ] {
        let call = with(members).unwrap().call;
        assert_eq!(
            (call.open_ended(), call.web_searches()),
            (Some(why), Some(searches)),
            "{members}"
        );
    }
    let file = parts(r#"[{"fileData":{"mimeType":"image/png","fileUri":"gs://x"}}]"#).call;
    assert_eq!((file.open_ended(), file.input().media), (Some("files"), 1));
    let tools = r#"[{"functionDeclarations":[{"name":"f"}]}]"#;
    let call = with(&format!("\"tools\":{tools}")).unwrap().call;
    assert_eq!((call.open_ended(), call.input().schema_bytes), (None, 14));
}

#[test]
fn a_model_that_the_body_repeats_has_to_be_the_same() {
    with(r#""model":"gemini-2.5-flash""#).unwrap();
    with(r#""model":"models/gemini-2.5-flash""#).unwrap();
    for other in ["gemini-2.5-pro", "models/gemini-2.5-pro", "Gemini-2.5-flash"] {
        let error = with(&format!(r#""model":"{other}""#)).unwrap_err();
        assert!(matches!(error, Unreadable::Invalid { key: "model", .. }), "{other}");
    }
}

#[test]
fn at_an_address_of_ones_own_the_body_names_the_model() {
    let endpoint = Endpoint::new(Format::GeminiGenerate, Provider::GOOGLE);
    let uri = Uri::from_static("https://llm.example.com/talk");
    let body = br#"{"contents":[],"model":"models/gemini-2.5-pro"}"#;
    let reading = read(&endpoint, &uri, body).unwrap();
    assert_eq!(reading.call.model(), "gemini-2.5-pro");
    let missing = read(&endpoint, &uri, br#"{"contents":[]}"#).unwrap_err();
    assert_eq!(missing, Unreadable::Missing { key: "model" });
    let edits = Edits { model: Some("x"), ..Edits::default() };
    let mut body = Bytes::from_static(body);
    assert!(prepare(&mut body, &reading.layout, &edits));
    assert_eq!(body, r#"{"contents":[],"model":"models/x"}"#);
}

#[test]
fn a_maximum_is_written_where_it_belongs() {
    for (before, after) in [
        ("", r#","generationConfig":{"maxOutputTokens":9}"#),
        (r#","generationConfig":null"#, r#","generationConfig":{"maxOutputTokens":9}"#),
        (r#","generationConfig":{}"#, r#","generationConfig":{"maxOutputTokens":9}"#),
        (
            r#","generation_config":{ "topK":1}"#,
            r#","generation_config":{"maxOutputTokens":9, "topK":1}"#,
        ),
        (
            r#","generationConfig":{"max_output_tokens":700,"topK":1}"#,
            r#","generationConfig":{"max_output_tokens":9,"topK":1}"#,
        ),
        (
            r#","generationConfig":{"maxOutputTokens":null}"#,
            r#","generationConfig":{"maxOutputTokens":9}"#,
        ),
    ] {
        let body = |members: &str| format!(r#"{{"contents":[]{members}}}"#);
        // a rewrite has its place in the path
        let edits = Edits { max_output_tokens: Some(9), model: Some("x"), include_usage: true };
        assert_eq!(edited(GEMINI, &body(before), edits).unwrap(), body(after));
    }
}
