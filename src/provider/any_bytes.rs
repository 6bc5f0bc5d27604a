//! No bytes make the readers of Anthropic's and Gemini's formats stumble.

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use proptest::prelude::*;

use super::{Edits, Format, Observed, Reading, Route, Routes, prepare, read};
use crate::sse::Events;

const FORMATS: [(Format, &str); 3] = [
    (Format::AnthropicMessages, "https://api.anthropic.com/v1/messages"),
    (Format::GeminiGenerate, "https://x.example/v1beta/models/m:streamGenerateContent?alt=sse"),
    (Format::GeminiGenerate, "https://x.example/v1/projects/p/endpoints/m:generateContent"),
];

/// Words that mean something in requests or in answers.
#[rustfmt::skip]
const WORDS: [&str; 58] = [
    "model",
    "messages",
    "max_tokens",
    "system",
    "stream",
    "tools",
    "output_config",
    "format",
    "service_tier",
    "speed",
    "fast",
    "inference_geo",
    "us",
    "mcp_servers",
    "container",
    "context_management",
    "compact_1",
    "content",
    "source",
    "type",
    "image",
    "document",
    "text",
    "base64",
    "data",
    "url",
    "file_id",
    "citations",
    "enabled",
    "max_uses",
    "web_search_1",
    "bash_1",
    "contents",
    "parts",
    "generationConfig",
    "max_output_tokens",
    "maxOutputTokens",
    "cachedContent",
    "functionResponse",
    "inlineData",
    "mimeType",
    "googleSearch",
    "usage",
    "message",
    "message_delta",
    "message_stop",
    "delta",
    "stop_reason",
    "input_tokens",
    "output_tokens",
    "iterations",
    "usageMetadata",
    "promptTokenCount",
    "candidates",
    "finishReason",
    "groundingMetadata",
    "webSearchQueries",
    "totalTokenCount",
];

fn word() -> impl Strategy<Value = String> {
    prop::sample::select(&WORDS[..]).prop_map(|word| format!("\"{word}\""))
}

/// JSON of such words, as deep as it comes.
fn json() -> impl Strategy<Value = String> {
    let number = prop_oneof![0..100u64, Just(u64::MAX), Just(1 << 40)];
    let leaf = prop_oneof![
        3 => word(),
        2 => number.prop_map(|number| number.to_string()),
        1 => prop::sample::select(vec!["null", "true", "false", "-1", "1.5", "\"\\u0041\"", "{}", "[]"])
            .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        let members = prop::collection::vec((word(), inner.clone()), 0..5);
        prop_oneof![
            1 => prop::collection::vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            2 => members.prop_map(|members| {
                let members = members.into_iter().map(|(key, value)| format!("{key}:{value}"));
                format!("{{{}}}", members.collect::<Vec<_>>().join(","))
            }),
        ]
    })
}

/// Members that a request of one of the formats may have, `?` standing for anything.
const MEMBERS: [&[&str]; 2] = [
    &[
        r#""messages":[{"role":"user","content":?},{"content":[{"text":"x","source":?}]}]"#,
        r#""system":?"#,
        r#""max_tokens":12"#,
        r#""max_tokens":null"#,
        r#""tools":[{"type":"bash_1","x":?},{"name":"f","input_schema":?}]"#,
        r#""output_config":{"format":{"schema":?},"x":?}"#,
        r#""context_management":{"edits":?}"#,
        r#""container":?"#,
        r#""mcp_servers":?"#,
        r#""metadata":?"#,
    ],
    &[
        r#""contents":[{"role":"user","parts":[{"text":"x"},{"functionCall":?},{"x":?}]}]"#,
        r#""systemInstruction":{"parts":{"inlineData":{"mimeType":"text/plain","data":?}}}"#,
        r#""generationConfig":{"maxOutputTokens":12,"responseSchema":?}"#,
        r#""generation_config":{"response_json_schema":?,"x":?}"#,
        r#""tools":[{"functionDeclarations":?,"googleSearch":{}}]"#,
        r#""toolConfig":?"#,
        r#""safetySettings":?"#,
    ],
];

/// A request that is read, or nearly: what its format must have, some of what it may
/// have, and seldom anything else.
fn request() -> impl Strategy<Value = String> {
    let more = prop::option::weighted(0.2, (word(), json()));
    let values = prop::collection::vec(json(), 8);
    (any::<bool>(), any::<u16>(), values, more).prop_map(|(is_claude, which, values, more)| {
        let [claude, gemini] = MEMBERS;
        let members = if is_claude { claude } else { gemini };
        let mut values = values.iter().cycle();
        let mut body = if is_claude { r#"{"model":"m""# } else { r#"{"x":0"# }.to_owned();
        for (bit, member) in members.iter().enumerate() {
            if bit == 0 || which >> bit & 1 == 1 {
                let parts: Vec<_> = member.split('?').collect();
                let filled = parts.iter().skip(1).fold(parts[0].to_owned(), |filled, part| {
                    filled + values.next().unwrap() + part
                });
                body.push_str(&format!(",{filled}"));
            }
        }
        if let Some((key, value)) = more {
            body.push_str(&format!(",{key}:{value}"));
        }
        body + "}"
    })
}

fn read_in_every_format(body: &[u8]) -> Result<(), TestCaseError> {
    for (format, uri) in FORMATS {
        let uri = Uri::from_static(uri);
        let route = Routes::new().classify(&Method::POST, &uri, &HeaderMap::new());
        let Route::Metered(endpoint) = route else { panic!("{uri} is metered") };
        prop_assert_eq!(endpoint.format, format);
        let Ok(Reading { call, layout, .. }) = read(&endpoint, &uri, body) else { continue };
        // Of one byte come no more than those of a tool that is known by its name, or of
        // a text that is to be cited at each of its levels.
        let (input, most) = (call.input(), body.len() as u64 * 200 + 4_096);
        prop_assert!(input.text_bytes + input.schema_bytes <= most, "{:?}", input);
        prop_assert!(input.messages + input.media <= body.len() as u64, "{:?}", input);
        // What is written is read again, and nothing is left to write.
        let edits = Edits { model: Some("other"), include_usage: true, max_output_tokens: Some(9) };
        let body = Bytes::copy_from_slice(body);
        let there = endpoint.uri_for(&uri, "other").unwrap().unwrap_or(uri);
        let Some(out) = prepare(&body, &layout, &edits) else { continue };
        let again = read(&endpoint, &there, &out);
        let again = again.map_err(|error| TestCaseError::fail(format!("{error} in {out:?}")))?;
        prop_assert_eq!(again.call.model(), "other");
        prop_assert!(again.call.max_output_tokens().is_some_and(|most| most <= 9));
        prop_assert_eq!(prepare(&out, &again.layout, &edits), None);
    }
    Ok(())
}

fn observe_in_every_format(bytes: &[u8], size: usize) -> Result<(), TestCaseError> {
    for (format, _) in FORMATS {
        let [mut whole, mut pieced] = [(); 2].map(|()| format.observer());
        whole.feed(bytes);
        whole.end_document();
        bytes.chunks(size).for_each(|piece| pieced.feed(piece));
        pieced.end_document();
        prop_assert_eq!(whole.observed(), pieced.observed());
        check_usage(whole.observed())?;
        let [mut whole, mut pieced] = [(); 2].map(|()| Events::new(format.observer()));
        whole.read_all(bytes);
        whole.finish();
        bytes.chunks(size).for_each(|piece| pieced.read_all(piece));
        pieced.finish();
        prop_assert_eq!(whole.observed(), pieced.observed());
        check_usage(whole.observed())?;
    }
    Ok(())
}

fn check_usage(observed: &Observed) -> Result<(), TestCaseError> {
    if let Some(usage) = observed.usage {
        prop_assert!(usage.is_consistent() && usage.total_tokens() < 1 << 50, "{:?}", usage);
    }
    Ok(())
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_stumble(body in prop::collection::vec(any::<u8>(), 0..400)) {
        read_in_every_format(&body)?;
    }

    #[test]
    fn no_request_makes_a_reader_stumble(
        body in prop_oneof![4 => request(), 1 => json()],
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        read_in_every_format(body.as_bytes())?;
        let mut bent = body.into_bytes();
        let at = at.index(bent.len());
        read_in_every_format(&bent[..at])?;
        bent[at] = byte;
        read_in_every_format(&bent)?;
    }

    #[test]
    fn no_answer_makes_a_reader_stumble_however_it_is_cut(
        documents in prop::collection::vec(json(), 0..4),
        noise in prop::collection::vec(any::<u8>(), 0..40),
        size in 1..50usize,
    ) {
        let mut stream = Vec::new();
        for document in &documents {
            observe_in_every_format(document.as_bytes(), size)?;
            stream.extend_from_slice(format!("data: {document}\n\n").as_bytes());
            stream.extend_from_slice(&noise);
        }
        observe_in_every_format(&stream, size)?;
        let mut list = format!(" [{}", documents.join(",\n")).into_bytes();
        observe_in_every_format(&list, size)?;
        list.extend_from_slice(&noise);
        list.extend_from_slice(b"]");
        observe_in_every_format(&list, size)?;
    }
}

#[test]
fn an_endless_list_costs_no_memory_and_no_time() {
    let part = r#"{"candidates":[{"content":{"parts":[{"text":"x"}]},"groundingMetadata":{"a":"b"}}],
        "usageMetadata":{"promptTokenCount":1}},"#;
    let many = part.repeat(1_000);
    let mut observer = Format::GeminiGenerate.observer();
    observer.feed(b"[");
    for _ in 0..50 {
        observer.feed(many.as_bytes());
    }
    assert_eq!(observer.observed().usage.map(|usage| usage.input_tokens), Some(1));
    assert_eq!(observer.kept_len(), 0);
}
