//! Usage as OpenAI's responses tell it.
//!
//! A document is the response itself; in a stream it is inside of the events that
//! tell of its state, and only the last of them, which ends the stream, has usage.
//! What tools of the provider's took is told beside the usage, in `tool_usage`.

use serde::Deserialize;

use super::totals;
use crate::{
    extract::{Extractor, Found, Path, Wanted},
    provider::observe::{self, Dialect, EventKind, Memory, Observed},
    usage::Usage,
};

/// Of responses. Some hosts end their streams as those of chats end.
pub(in crate::provider) static DIALECT: Dialect =
    Dialect { wanted: &WANTED, end_marker: b"[DONE]", read };

const USAGE: usize = 0;
const MODEL: usize = 1;
const SERVICE_TIER: usize = 2;
const TOOL_USAGE: usize = 3;
const TYPE: usize = 4;

static WANTED: [Wanted; 5] = [
    Wanted { path: Path::WithinOrTop("response", "usage"), most: 64 * 1024 },
    Wanted { path: Path::WithinOrTop("response", "model"), most: 1024 },
    Wanted { path: Path::WithinOrTop("response", "service_tier"), most: 64 },
    Wanted { path: Path::WithinOrTop("response", "tool_usage"), most: 64 * 1024 },
    Wanted { path: Path::Top("type"), most: 64 },
];

fn read(found: &Extractor, observed: &mut Observed, memory: &mut Memory) -> EventKind {
    observed.tell_model(found.found(MODEL));
    observed.tell_service_tier(found.found(SERVICE_TIER));
    match found.found(USAGE) {
        Found::Absent | Found::Value(b"null") => {}
        Found::Unusable => observed.tell_usage(None),
        Found::Value(raw) => tell(raw, found.found(TOOL_USAGE), observed),
    }
    let is_end = matches!(
        found.found(TYPE),
        Found::Value(
            br#""response.completed""# | br#""response.incomplete""# | br#""response.failed""#,
        )
    );
    if is_end || matches!(found.found(USAGE), Found::Value([b'{', ..])) {
        // What an event before the last one tells is a running total.
        let is_other = matches!(found.found(TYPE), Found::Value(_)) && !is_end;
        observed.tell_partial(memory.is_part && is_other);
    }
    if is_end && found.is_whole() { EventKind::Terminal } else { EventKind::Other }
}

fn tell(raw: &[u8], tools: Found<'_>, observed: &mut Observed) {
    let tools = match tools {
        Found::Absent | Found::Value(b"null") => Some(ToolUsage::default()),
        Found::Unusable => None,
        Found::Value(raw) => observe::json(raw),
    };
    if tools.as_ref().is_some_and(ToolUsage::tells_searches) {
        observed.tell_searches();
    }
    let wire = observe::json::<Wire>(raw);
    observed.tell_usage(
        wire.and_then(Wire::usage).zip(tools).and_then(|(usage, tools)| tools.add_to(usage)),
    );
}

/// `usage` on the wire; unknown fields are ignored, negative or fractional counts
/// and fields given twice are errors.
#[derive(Deserialize)]
struct Wire {
    input_tokens: u64,
    output_tokens: u64,
    total_tokens: Option<u64>,
    input_tokens_details: Option<InputDetails>,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Default, Deserialize)]
struct InputDetails {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
    audio_tokens: Option<u64>,
}

#[derive(Default, Deserialize)]
struct OutputDetails {
    reasoning_tokens: Option<u64>,
    audio_tokens: Option<u64>,
}

impl Wire {
    /// In the words of [`Usage`]; `None` if the numbers contradict each other.
    fn usage(self) -> Option<Usage> {
        let input = self.input_tokens_details.unwrap_or_default();
        let output = self.output_tokens_details.unwrap_or_default();
        let usage = Usage {
            input_tokens: self.input_tokens,
            cached_input_tokens: input.cached_tokens.unwrap_or_default(),
            cache_write_tokens: input.cache_write_tokens.unwrap_or_default(),
            input_audio_tokens: input.audio_tokens.unwrap_or_default(),
            output_tokens: self.output_tokens,
            reasoning_tokens: output.reasoning_tokens.unwrap_or_default(),
            output_audio_tokens: output.audio_tokens.unwrap_or_default(),
            ..Usage::default()
        };
        totals::settled(usage, self.total_tokens)
    }
}

/// What the provider's own tools took.
#[derive(Default, Deserialize)]
struct ToolUsage {
    web_search: Option<WebSearch>,
    image_gen: Option<ImageGeneration>,
}

#[derive(Default, Deserialize)]
struct WebSearch {
    num_requests: Option<u64>,
}

#[derive(Default, Deserialize)]
struct ImageGeneration {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
}

impl ToolUsage {
    fn tells_searches(&self) -> bool {
        self.web_search.as_ref().is_some_and(|search| search.num_requests.is_some())
    }

    /// Searches are counted apart. Tokens of images come from another model, which is
    /// not named; they are counted as tokens of the one that answers.
    fn add_to(self, mut usage: Usage) -> Option<Usage> {
        let image = self.image_gen.unwrap_or_default();
        usage.web_searches = self.web_search.and_then(|search| search.num_requests).unwrap_or(0);
        usage.input_tokens = usage.input_tokens.checked_add(image.input_tokens.unwrap_or(0))?;
        usage.output_tokens = usage.output_tokens.checked_add(image.output_tokens.unwrap_or(0))?;
        totals::settled(usage, None)
    }
}

#[cfg(test)]
mod tests;
