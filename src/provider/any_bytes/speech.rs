//! What is said in the formats, right or wrong.

use proptest::prelude::*;

/// Words that mean something in requests or in answers.
#[rustfmt::skip]
const WORDS: &[&str] = &[
    "model", "models", "input", "messages", "prompt", "content", "output", "type", "role",
    "tools", "text", "format", "schema", "reasoning", "mode", "stream", "stream_options",
    "include_usage", "max_tokens", "max_output_tokens", "n", "best_of", "suffix", "result",
    "image_url", "file_id", "file_data", "input_audio", "previous_response_id", "background",
    "image_generation_call", "item_reference", "usage", "response", "input_tokens",
    "prompt_tokens", "output_tokens", "completion_tokens", "total_tokens", "tool_usage",
    "image_gen", "web_search", "num_requests", "response.completed", "service_tier", "data",
    "choices", "function", "namespace", "standard", "pro", "http://x", "é\\u00e9\\n", "",
    "system", "output_config", "speed", "fast", "inference_geo", "us", "mcp_servers",
    "container", "context_management", "compact_1", "source", "image", "document", "base64",
    "url", "citations", "enabled", "max_uses", "web_search_1", "bash_1", "contents", "parts",
    "generationConfig", "maxOutputTokens", "cachedContent", "functionResponse", "inlineData",
    "mimeType", "googleSearch", "message", "message_delta", "message_stop", "delta",
    "stop_reason", "iterations", "usageMetadata", "promptTokenCount", "candidates",
    "finishReason", "groundingMetadata", "webSearchQueries", "totalTokenCount",
];

pub(super) fn word() -> impl Strategy<Value = String> {
    prop::sample::select(WORDS).prop_map(|word| format!("\"{word}\""))
}

/// JSON of such words, as deep as it comes.
pub(super) fn json() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        any::<u64>().prop_map(|number| number.to_string()),
        (0..50u8).prop_map(|number| number.to_string()),
        any::<f64>()
            .prop_filter("JSON has no others", |number| number.is_finite())
            .prop_map(|number| format!("{number:e}")),
    ];
    const OTHER: &[&str] = &["null", "true", "false", "-1", "1.5", r#""\u0041""#, "{}", "[]"];
    let leaf = prop_oneof![
        3 => word(),
        2 => number,
        1 => prop::sample::select(OTHER).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(5, 60, 8, |inner| {
        let members = prop::collection::vec((word(), inner.clone()), 0..8);
        prop_oneof![
            1 => prop::collection::vec(inner, 0..6)
                .prop_map(|items| format!("[{}]", items.join(","))),
            2 => members.prop_map(|members| {
                let members = members.into_iter().map(|(key, value)| format!("{key}:{value}"));
                format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
            }),
        ]
    })
}

/// A request that is read, or nearly: what its format must have, the first of these
/// members, some of the others, `?` standing for anything, and seldom anything else.
pub(super) fn request(members: &'static [&'static str]) -> impl Strategy<Value = String> {
    let more = prop::collection::vec((word(), json()), 1..4);
    let more = prop::option::weighted(0.2, more);
    let values = prop::collection::vec(json(), 8);
    (any::<u16>(), values, more).prop_map(|(which, values, more)| {
        let mut values = values.iter().cycle();
        let chosen =
            members.iter().enumerate().filter(|(bit, _)| *bit == 0 || which >> bit & 1 == 1);
        let mut body: Vec<String> = chosen
            .map(|(_, member)| {
                let mut parts = member.split('?');
                let first = parts.next().unwrap_or_default().to_owned();
                parts.fold(first, |filled, part| filled + values.next().unwrap() + part)
            })
            .collect();
        let more = more.unwrap_or_default().into_iter();
        body.extend(more.map(|(key, value)| format!("{key}:{value}")));
        format!("{{{}}}", body.join(","))
    })
}
