//! The recordings of Anthropic's messages.

use serde_json::Value;

use super::kind::Kind;
use crate::{provider::Format, usage::Usage};

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
