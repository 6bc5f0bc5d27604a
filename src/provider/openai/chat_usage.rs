//! Usage as OpenAI's chat completions tell it, and the many hosts that follow them.
//!
//! All agree on `usage.prompt_tokens` and `usage.completion_tokens`. What they
//! disagree on is whether a part is counted inside its whole or beside it, which
//! `total_tokens` settles. Text completions tell their usage in the same way.

use super::totals;
use crate::{
    extract::{Counts, Finds, Found, Key},
    provider::{
        list::List,
        observe::{Dialect, EventKind, Memory, Observed},
    },
    usage::Usage,
};

/// Of chat completions, and of text completions.
pub(in crate::provider) static DIALECT: Dialect =
    Dialect { keys: &KEYS, starts_as: List::Single, end_marker: b"[DONE]", read };

const USAGE: usize = 0;
const CHOICES: usize = 1;
const MODEL: usize = 2;
const SERVICE_TIER: usize = 3;
const GROQ_USAGE: usize = 4;

static KEYS: [Key; 5] = [
    Key::take("model", MODEL, 1024),
    Key::counts("usage", USAGE, 64 * 1024, &COUNTS),
    // only of interest if it is an empty array
    Key::take("choices", CHOICES, 16),
    Key::take("service_tier", SERVICE_TIER, 64),
    // in Groq's last chunk even if usage was not asked for
    Key::enter("x_groq", &[Key::counts("usage", GROQ_USAGE, 64 * 1024, &COUNTS)]),
];

fn read(found: &Finds<'_>, observed: &mut Observed, memory: &mut Memory) -> EventKind {
    observed.tell_model(found.found(MODEL));
    observed.tell_service_tier(found.found(SERVICE_TIER));
    match found.found(USAGE) {
        Found::Absent | Found::Value(b"null") => tell(found, GROQ_USAGE, observed),
        _ => tell(found, USAGE, observed),
    }
    let has_usage = matches!(found.found(USAGE), Found::Value([b'{', ..]));
    let has_choices = match found.found(CHOICES) {
        Found::Absent => false,
        choices => !is_empty_array(choices),
    };
    if has_usage {
        // Some hosts tell running totals beside what they write; the mark of the end says
        // that the last of them was it.
        observed.tell_partial(memory.is_part && has_choices);
    }
    if has_usage && is_empty_array(found.found(CHOICES)) && found.is_whole() {
        EventKind::UsageOnly
    } else {
        EventKind::Other
    }
}

fn tell(found: &Finds<'_>, index: usize, observed: &mut Observed) {
    match found.found(index) {
        Found::Absent | Found::Value(b"null") => {}
        Found::Unusable => observed.tell_usage(None),
        Found::Value(_) => match found.counts(index, &COUNTS).as_deref() {
            // a prompt is never empty: some hosts send zeros until they know
            Some([Some(0), Some(0), None | Some(0), ..]) => {}
            told => observed.tell_usage(told.and_then(usage_of)),
        },
    }
}

fn is_empty_array(value: Found<'_>) -> bool {
    let Found::Value([b'[', inner @ .., b']']) = value else { return false };
    inner.iter().all(u8::is_ascii_whitespace)
}

/// What `usage` has of counts, by their numbers.
static COUNTS: [Key; 11] = [
    Key::count("prompt_tokens", 0),
    Key::count("completion_tokens", 1),
    Key::count("total_tokens", 2),
    Key::enter(
        "prompt_tokens_details",
        &[
            Key::count("cached_tokens", 3),
            Key::count("cache_write_tokens", 4),
            Key::count("audio_tokens", 5),
        ],
    ),
    Key::enter(
        "completion_tokens_details",
        &[Key::count("reasoning_tokens", 6), Key::count("audio_tokens", 7)],
    ),
    // DeepSeek's name for cached tokens, Moonshot's, and Anthropic's, which gateways pass on
    Key::count("prompt_cache_hit_tokens", 8),
    Key::count("cached_tokens", 9),
    Key::count("cache_read_input_tokens", 10),
    // Anthropic's names for tokens written to a cache
    Key::count("cache_creation_input_tokens", 11),
    Key::enter("cache_creation", &[Key::count("ephemeral_1h_input_tokens", 12)]),
    // where hosts without `completion_tokens_details` put it
    Key::count("reasoning_tokens", 13),
];

/// In the words of [`Usage`]; `None` if counts are missing or contradict each other.
fn usage_of(told: &Counts) -> Option<Usage> {
    let [prompt, completion, total, details @ .., reasoning] = *told;
    let [cached, written, audio_in, own_reasoning, audio_out, others @ ..] = details;
    let [deepseek, moonshot, read, creation, written_1h] = others;
    let cached = cached.or(deepseek).or(moonshot).or(read);
    let written_1h = written_1h.unwrap_or(0);
    let usage = Usage {
        input_tokens: prompt?,
        cached_input_tokens: cached.unwrap_or(0),
        cache_write_tokens: written.or(creation).unwrap_or(0).saturating_sub(written_1h),
        cache_write_1h_tokens: written_1h,
        input_audio_tokens: audio_in.unwrap_or(0),
        output_tokens: completion?,
        reasoning_tokens: own_reasoning.or(reasoning).unwrap_or(0),
        output_audio_tokens: audio_out.unwrap_or(0),
        ..Usage::default()
    };
    totals::settled(usage, total)
}

#[cfg(test)]
mod tests;
