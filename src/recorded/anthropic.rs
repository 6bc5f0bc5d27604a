//! The recordings of Anthropic's messages.

use serde_json::Value;

use super::{exchange::exchanges, frames::told, gemini, kind::Kind};
use crate::{body::Mode, provider::Format, usage::Usage};

pub(super) const MESSAGES: Kind = Kind {
    name: "anthropic.messages",
    format: Format::AnthropicMessages,
    messages: |request| request["messages"].as_array().unwrap().len() as u64,
    reported: usage,
    count: (250, 167),
    read_otherwise: &[],
    priced: 416,
    priced_otherwise: &[],
};

fn usage(usage: &Value) -> Usage {
    let count = |path: &str| usage.pointer(path).and_then(Value::as_u64).unwrap_or_default();
    let cached = count("/cache_read_input_tokens");
    let written = count("/cache_creation_input_tokens");
    let written_1h = count("/cache_creation/ephemeral_1h_input_tokens");
    Usage {
        input_tokens: count("/input_tokens") + cached + written,
        cached_input_tokens: cached,
        cache_write_tokens: written - written_1h,
        cache_write_1h_tokens: written_1h,
        output_tokens: count("/output_tokens"),
        reasoning_tokens: count("/output_tokens_details/thinking_tokens"),
        web_searches: count("/server_tool_use/web_search_requests"),
        ..Usage::default()
    }
}

/// Anthropic's and Gemini's streams tell running totals, so it matters to know that there
/// was more to come.
#[tokio::test]
async fn a_recorded_stream_that_is_cut_off_is_known_to_be() {
    for kind in [MESSAGES, gemini::GENERATE] {
        let (mut cuts, mut before_usage) = (0, 0);
        for exchange in exchanges(kind.name).iter().filter(|exchange| exchange.is_stream) {
            let stream = exchange.response.replace("\r\n", "\n");
            let events: Vec<_> = stream.split_inclusive("\n\n").collect();
            // the model has stopped with the last event but those that only say so
            let stops = |event: &&str| {
                event.contains("\"finishReason\"") || event.contains("\"type\":\"message_delta\"")
            };
            let end = events.iter().position(stops).unwrap();
            for length in 0..=end {
                let mode = Mode::Sse { format: kind.format, hide: false };
                let (_, read) = told(&events[..length].concat(), &[], mode).await;
                let id = &exchange.id;
                assert_eq!(
                    read.observed.is_partial,
                    read.observed.usage.is_some(),
                    "{id} {length}"
                );
                assert!(!read.observed.is_final, "{id} {length}");
                before_usage += usize::from(read.observed.usage.is_none());
                cuts += 1;
            }
        }
        eprintln!("{}: {cuts} cuts, {before_usage} of them before any usage", kind.name);
    }
}
