//! Usage as OpenAI's chat completions tell it, and the many hosts that follow them.
//!
//! All agree on `usage.prompt_tokens` and `usage.completion_tokens`. What they
//! disagree on is whether a part is counted inside its whole or beside it, which
//! `total_tokens` settles. Text completions tell their usage in the same way.

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

/// Of chat completions, and of text completions.
pub(in crate::provider) static DIALECT: Dialect =
    Dialect { wanted: &WANTED, starts_as: List::Single, end_marker: b"[DONE]", read };

const USAGE: usize = 0;
const CHOICES: usize = 1;
const MODEL: usize = 2;
const SERVICE_TIER: usize = 3;
const GROQ_USAGE: usize = 4;

static WANTED: [Wanted; 5] = [
    Wanted { path: Path::Top("usage"), most: 64 * 1024 },
    // only of interest if it is an empty array
    Wanted { path: Path::Top("choices"), most: 16 },
    Wanted { path: Path::Top("model"), most: 1024 },
    Wanted { path: Path::Top("service_tier"), most: 64 },
    // in Groq's last chunk even if usage was not asked for
    Wanted { path: Path::Within("x_groq", "usage"), most: 64 * 1024 },
];

fn read(found: &Finds<'_>, observed: &mut Observed, memory: &mut Memory) -> EventKind {
    observed.tell_model(found.found(MODEL));
    observed.tell_service_tier(found.found(SERVICE_TIER));
    match found.found(USAGE) {
        Found::Absent | Found::Value(b"null") => tell(found.found(GROQ_USAGE), observed),
        usage => tell(usage, observed),
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

fn tell(usage: Found<'_>, observed: &mut Observed) {
    match usage {
        Found::Absent | Found::Value(b"null") => {}
        Found::Unusable => observed.tell_usage(None),
        Found::Value(raw) => match &counts(raw, &COUNTS) {
            // a prompt is never empty: some hosts send zeros until they know
            Some([Some(0), Some(0), None | Some(0), ..]) => {}
            told => observed.tell_usage(told.as_ref().and_then(usage_of)),
        },
    }
}

fn is_empty_array(value: Found<'_>) -> bool {
    let Found::Value([b'[', inner @ .., b']']) = value else { return false };
    inner.iter().all(u8::is_ascii_whitespace)
}

const IN: &str = "prompt_tokens_details";
const OUT: &str = "completion_tokens_details";

/// What `usage` has of counts.
static COUNTS: [Path; 14] = [
    Path::Top("prompt_tokens"),
    Path::Top("completion_tokens"),
    Path::Top("total_tokens"),
    Path::Within(IN, "cached_tokens"),
    Path::Within(IN, "cache_write_tokens"),
    Path::Within(IN, "audio_tokens"),
    Path::Within(OUT, "reasoning_tokens"),
    Path::Within(OUT, "audio_tokens"),
    // DeepSeek's name for cached tokens, Moonshot's, and Anthropic's, which gateways pass on
    Path::Top("prompt_cache_hit_tokens"),
    Path::Top("cached_tokens"),
    Path::Top("cache_read_input_tokens"),
    // Anthropic's names for tokens written to a cache
    Path::Top("cache_creation_input_tokens"),
    Path::Within("cache_creation", "ephemeral_1h_input_tokens"),
    // where hosts without `completion_tokens_details` put it
    Path::Top("reasoning_tokens"),
];

/// In the words of [`Usage`]; `None` if counts are missing or contradict each other.
fn usage_of(told: &[Option<u64>; COUNTS.len()]) -> Option<Usage> {
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
