//! Anthropic's messages, as the provider on this machine answers them.
//!
//! A request says what it is to take in the same `metadata` as one for chat, where
//! Anthropic's `user_id` is too.

use serde_json::{Value, json};

use super::{Api, Asked, words};

pub(super) fn read(body: &Value) -> Option<Asked> {
    let texts = body["messages"].as_array()?.iter().map(|message| &message["content"]);
    let bytes: usize = texts.chain([&body["system"]]).map(text_bytes).sum();
    // Unlike elsewhere, a maximum has to be stated.
    let most = body["max_tokens"].as_u64()?;
    Some(Asked {
        user: body["metadata"]["user_id"].as_str().map(str::to_owned),
        ..Asked::of(Api::Messages, body, bytes, Some(most))?
    })
}

/// A text, or the texts of blocks.
fn text_bytes(content: &Value) -> usize {
    match content {
        Value::String(text) => text.len(),
        Value::Array(blocks) => {
            blocks.iter().filter_map(|block| block["text"].as_str()).map(str::len).sum()
        }
        _ => 0,
    }
}

/// An answer in one piece.
pub(super) fn whole(asked: &Asked, number: usize) -> Value {
    let text = words(0, asked.usage.output_tokens);
    let content = json!([{ "type": "text", "text": text }]);
    message(asked, number, &content, &stop_reason(asked), asked.usage.output_tokens)
}

/// An answer in pieces, as they are sent. The input is told at the start, and what
/// the output has come to at the end.
pub(super) fn events(asked: &Asked, number: usize) -> Vec<String> {
    let start = message(asked, number, &json!([]), &Value::Null, 1);
    let mut events = vec![
        event("message_start", json!({ "message": start })),
        event(
            "content_block_start",
            json!({ "index": 0, "content_block": { "type": "text", "text": "" } }),
        ),
        event("ping", json!({})),
    ];
    events.extend(asked.pieces().map(|text| {
        let delta = json!({ "type": "text_delta", "text": text });
        event("content_block_delta", json!({ "index": 0, "delta": delta }))
    }));
    let delta = json!({ "stop_reason": stop_reason(asked), "stop_sequence": null });
    let usage = json!({ "output_tokens": asked.usage.output_tokens });
    events.extend([
        event("content_block_stop", json!({ "index": 0 })),
        event("message_delta", json!({ "delta": delta, "usage": usage })),
        event("message_stop", json!({})),
    ]);
    events
}

fn event(name: &str, mut data: Value) -> String {
    data["type"] = name.into();
    format!("event: {name}\ndata: {data}\n\n")
}

fn stop_reason(asked: &Asked) -> Value {
    if asked.is_cut { "max_tokens".into() } else { "end_turn".into() }
}

fn message(
    asked: &Asked,
    number: usize,
    content: &Value,
    stop_reason: &Value,
    output_tokens: u64,
) -> Value {
    json!({
        "id": format!("msg_{number}"), "type": "message", "role": "assistant",
        "model": asked.model, "content": content,
        "stop_reason": stop_reason, "stop_sequence": null,
        "usage": {
            "input_tokens": asked.usage.input_tokens, "output_tokens": output_tokens,
            "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
        },
    })
}
