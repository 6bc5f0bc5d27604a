//! Usage as OpenAI's responses tell it.
//!
//! A document is the response itself; in a stream it is inside of the events that
//! tell of its state, and only the last of them, which ends the stream, has usage.
//! What tools of the provider's took is told beside the usage, in `tool_usage`.

use std::borrow::Cow;

use super::totals;
use crate::{
    extract::{Counts, Finds, Found, Key},
    provider::{
        list::List,
        observe::{Dialect, EventKind, Memory, Observed},
    },
    usage::Usage,
};

/// Of responses. Some hosts end their streams as those of chats end.
pub(in crate::provider) static DIALECT: Dialect =
    Dialect { keys: &KEYS, starts_as: List::Single, end_marker: b"[DONE]", read };

const USAGE: usize = 0;
const MODEL: usize = 1;
const SERVICE_TIER: usize = 2;
const TOOL_USAGE: usize = 3;
const TYPE: usize = 4;

// In a document at the top, in an event within `response`.
static KEYS: [Key; 6] = [
    USAGE_KEY,
    MODEL_KEY,
    SERVICE_TIER_KEY,
    TOOL_USAGE_KEY,
    Key::enter("response", &[USAGE_KEY, MODEL_KEY, SERVICE_TIER_KEY, TOOL_USAGE_KEY]),
    Key::take("type", TYPE, 64),
];
const USAGE_KEY: Key = Key::counts("usage", USAGE, 64 * 1024, &COUNTS);
const MODEL_KEY: Key = Key::take("model", MODEL, 1024);
const SERVICE_TIER_KEY: Key = Key::take("service_tier", SERVICE_TIER, 64);
const TOOL_USAGE_KEY: Key = Key::counts("tool_usage", TOOL_USAGE, 64 * 1024, &TOOL_COUNTS);

fn read(found: &Finds<'_>, observed: &mut Observed, memory: &mut Memory) -> EventKind {
    observed.tell_model(found.found(MODEL));
    observed.tell_service_tier(found.found(SERVICE_TIER));
    match found.found(USAGE) {
        Found::Absent | Found::Value(b"null") => {}
        Found::Unusable => observed.tell_usage(None),
        Found::Value(_) => tell(found, observed),
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

fn tell(found: &Finds<'_>, observed: &mut Observed) {
    let tools = match found.found(TOOL_USAGE) {
        Found::Absent | Found::Value(b"null") => Some(Cow::Owned(Counts::default())),
        Found::Unusable => None,
        Found::Value(_) => found.counts(TOOL_USAGE, &TOOL_COUNTS),
    };
    if matches!(tools.as_deref(), Some([Some(_), ..])) {
        observed.tell_searches();
    }
    let own = found.counts(USAGE, &COUNTS).and_then(|told| usage_of(&told));
    observed.tell_usage(own.zip(tools).and_then(|(usage, tools)| with_tools(usage, &tools)));
}

/// What `usage` has of counts, by their numbers.
static COUNTS: [Key; 5] = [
    Key::count("input_tokens", 0),
    Key::count("output_tokens", 1),
    Key::count("total_tokens", 2),
    Key::enter(
        "input_tokens_details",
        &[
            Key::count("cached_tokens", 3),
            Key::count("cache_write_tokens", 4),
            Key::count("audio_tokens", 5),
        ],
    ),
    Key::enter(
        "output_tokens_details",
        &[Key::count("reasoning_tokens", 6), Key::count("audio_tokens", 7)],
    ),
];

/// What `tool_usage` has: searches, and the tokens of images.
static TOOL_COUNTS: [Key; 2] = [
    Key::enter("web_search", &[Key::count("num_requests", 0)]),
    Key::enter("image_gen", &[Key::count("input_tokens", 1), Key::count("output_tokens", 2)]),
];

/// In the words of [`Usage`]; `None` if counts are missing or contradict each other.
fn usage_of(told: &Counts) -> Option<Usage> {
    let [input, output, total, cached, written, audio_in, reasoning, audio_out, ..] = *told;
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
fn with_tools(mut usage: Usage, tools: &Counts) -> Option<Usage> {
    let [searches, image_in, image_out, ..] = *tools;
    usage.web_searches = searches.unwrap_or(0);
    usage.input_tokens = usage.input_tokens.checked_add(image_in.unwrap_or(0))?;
    usage.output_tokens = usage.output_tokens.checked_add(image_out.unwrap_or(0))?;
    totals::settled(usage, None)
}

#[cfg(test)]
mod tests;
