//! Usage as OpenAI's responses tell it.
//!
//! A document is the response itself; in a stream it is inside of the events that
//! tell of its state, and only the last of them, which ends the stream, has usage.
//! What tools of the provider's took is told beside the usage, in `tool_usage`.

use super::totals;
use crate::{
    extract::{Finds, Found, Path, Wanted},
    provider::{
        counts::counts,
        list::List,
        observe::{Dialect, EventKind, Memory, Observed},
    },
    usage::Usage,
};

/// Of responses. Some hosts end their streams as those of chats end.
pub(in crate::provider) static DIALECT: Dialect =
    Dialect { wanted: &WANTED, starts_as: List::Single, end_marker: b"[DONE]", read };

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

fn read(found: &Finds<'_>, observed: &mut Observed, memory: &mut Memory) -> EventKind {
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
        Found::Absent | Found::Value(b"null") => Some([None; TOOL_COUNTS.len()]),
        Found::Unusable => None,
        Found::Value(raw) => counts(raw, &TOOL_COUNTS),
    };
    if matches!(tools, Some([Some(_), ..])) {
        observed.tell_searches();
    }
    let own = counts(raw, &COUNTS).and_then(usage_of);
    observed.tell_usage(own.zip(tools).and_then(|(usage, tools)| with_tools(usage, tools)));
}

const IN: &str = "input_tokens_details";
const OUT: &str = "output_tokens_details";

/// What `usage` has of counts.
static COUNTS: [Path; 8] = [
    Path::Top("input_tokens"),
    Path::Top("output_tokens"),
    Path::Top("total_tokens"),
    Path::Within(IN, "cached_tokens"),
    Path::Within(IN, "cache_write_tokens"),
    Path::Within(IN, "audio_tokens"),
    Path::Within(OUT, "reasoning_tokens"),
    Path::Within(OUT, "audio_tokens"),
];

/// What `tool_usage` has: searches, and the tokens of images.
static TOOL_COUNTS: [Path; 3] = [
    Path::Within("web_search", "num_requests"),
    Path::Within("image_gen", "input_tokens"),
    Path::Within("image_gen", "output_tokens"),
];

/// In the words of [`Usage`]; `None` if counts are missing or contradict each other.
fn usage_of(told: [Option<u64>; COUNTS.len()]) -> Option<Usage> {
    let [input, output, total, cached, written, audio_in, reasoning, audio_out] = told;
    let usage = Usage {
        input_tokens: input?,
        cached_input_tokens: cached.unwrap_or(0),
        cache_write_tokens: written.unwrap_or(0),
        input_audio_tokens: audio_in.unwrap_or(0),
        output_tokens: output?,
        reasoning_tokens: reasoning.unwrap_or(0),
        output_audio_tokens: audio_out.unwrap_or(0),
        ..Usage::default()
    };
    totals::settled(usage, total)
}

/// Adds what the provider's own tools took. Searches are counted apart. Tokens of images
/// come from another model, which is not named; they are counted as tokens of the one
/// that answers.
fn with_tools(mut usage: Usage, tools: [Option<u64>; TOOL_COUNTS.len()]) -> Option<Usage> {
    let [searches, image_in, image_out] = tools;
    usage.web_searches = searches.unwrap_or(0);
    usage.input_tokens = usage.input_tokens.checked_add(image_in.unwrap_or(0))?;
    usage.output_tokens = usage.output_tokens.checked_add(image_out.unwrap_or(0))?;
    totals::settled(usage, None)
}

#[cfg(test)]
mod tests;
