//! The recordings of Gemini's content generation, at Google's API and at Vertex AI.

use serde_json::Value;

use super::{
    exchange::exchanges,
    frames::{cuttings, told},
    kind::Kind,
};
use crate::{body::Mode, provider::Format, usage::Usage};

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

/// Recorded are streams of events; without `alt=sse` the same chunks come as an array.
#[tokio::test]
async fn a_recorded_stream_is_read_the_same_as_an_array() {
    let (mut streams, mut runs) = (0, 0);
    let format = GENERATE.format;
    for (seed, exchange) in exchanges(GENERATE.name).iter().enumerate() {
        if !exchange.is_stream {
            continue;
        }
        let (_, expected) = told(&exchange.response, &[], Mode::Sse { format, hide: false }).await;
        let lines = exchange.response.lines().filter_map(|line| line.strip_prefix("data: "));
        let array = format!("[{}\n]\n", lines.collect::<Vec<_>>().join("\n,\r\n"));
        for cuts in cuttings(&array, true, seed + 1) {
            let (out, read) = told(&array, &cuts, Mode::Json(format)).await;
            assert_eq!(read.observed.usage, expected.observed.usage, "{}", exchange.id);
            assert_eq!(read.observed.model, expected.observed.model, "{}", exchange.id);
            assert!(read.observed.is_final && !read.observed.is_partial, "{}", exchange.id);
            assert_eq!(out, array);
            runs += 1;
        }
        streams += 1;
    }
    eprintln!("{streams} streams as arrays, {runs} runs");
}
