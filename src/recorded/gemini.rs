//! The recordings of Gemini's content generation, at Google's API and at Vertex AI.

use serde_json::Value;

use super::kind::Kind;
use crate::{provider::Format, usage::Usage};

pub(super) const GENERATE: Kind = Kind {
    name: "gemini.generate",
    format: Format::GeminiGenerate,
    messages: |request| request["contents"].as_array().unwrap().len() as u64,
    reported: usage,
    count: (220, 114),
    read_otherwise: &[],
    priced: 324,
    priced_otherwise: &[],
};

fn usage(usage: &Value) -> Usage {
    let count = |name: &str| usage[name].as_u64().unwrap_or_default();
    let audio = |name: &str| {
        let details = usage[name].as_array().into_iter().flatten();
        let audio =
            details.filter(|detail| detail["modality"] == "AUDIO" || detail["modality"] == 4);
        audio.map(|detail| detail["tokenCount"].as_u64().unwrap()).sum::<u64>()
    };
    Usage {
        input_tokens: count("promptTokenCount") + count("toolUsePromptTokenCount"),
        cached_input_tokens: count("cachedContentTokenCount"),
        input_audio_tokens: audio("promptTokensDetails"),
        cached_audio_tokens: audio("cacheTokensDetails"),
        output_tokens: count("candidatesTokenCount") + count("thoughtsTokenCount"),
        reasoning_tokens: count("thoughtsTokenCount"),
        output_audio_tokens: audio("candidatesTokensDetails"),
        ..Usage::default()
    }
}
