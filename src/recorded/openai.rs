//! The recordings in OpenAI's formats, of OpenAI and of those who follow it.

use serde_json::Value;

use super::kind::{Exception, Kind};
use crate::{provider::Format, usage::Usage};

pub(super) const CHAT: Kind = Kind {
    name: "openai.chat",
    format: Format::OpenAiChat,
    messages: |request| request["messages"].as_array().unwrap().len() as u64,
    reported: chat_usage,
    count: (696, 434),
    read_otherwise: &[
        Exception {
            why: "Mistral counts audio beside the prompt, as the total shows",
            is: |_, read| read.usage.is_some_and(|read| read.input_audio_tokens > 0),
            count: 3,
        },
        Exception {
            why: "reasoning was counted before it was shortened, and exceeds what it is part of",
            is: |exchange, read| {
                let plain = |usage| Usage { reasoning_tokens: 0, ..usage };
                read.usage.map(plain) == Some(plain(chat_usage(&exchange.usage)))
            },
            count: 10,
        },
    ],
    priced: 209,
    priced_otherwise: &[],
};

fn chat_usage(usage: &Value) -> Usage {
    let count = |path: &str| count(usage, path);
    Usage {
        input_tokens: count("/prompt_tokens"),
        cached_input_tokens: count("/prompt_tokens_details/cached_tokens"),
        cache_write_tokens: count("/prompt_tokens_details/cache_write_tokens"),
        input_audio_tokens: count("/prompt_tokens_details/audio_tokens"),
        output_tokens: count("/completion_tokens"),
        reasoning_tokens: count("/completion_tokens_details/reasoning_tokens"),
        output_audio_tokens: count("/completion_tokens_details/audio_tokens"),
        ..Usage::default()
    }
}

fn count(usage: &Value, path: &str) -> u64 {
    usage.pointer(path).and_then(Value::as_u64).unwrap_or_default()
}
