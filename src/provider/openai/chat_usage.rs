//! Usage as OpenAI's chat completions tell it, and the many hosts that follow them.
//!
//! All agree on `usage.prompt_tokens` and `usage.completion_tokens`. What they
//! disagree on is whether a part is counted inside its whole or beside it, which
//! `total_tokens` settles. Text completions tell their usage in the same way.

use serde::Deserialize;

use super::totals;
use crate::{
    extract::{Extractor, Found, Path, Wanted},
    provider::observe::{self, Dialect, EventKind, Memory, Observed},
    usage::Usage,
};

/// Of chat completions, and of text completions.
pub(in crate::provider) static DIALECT: Dialect =
    Dialect { wanted: &WANTED, end_marker: b"[DONE]", read };

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

fn read(found: &Extractor, observed: &mut Observed, memory: &mut Memory) -> EventKind {
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
        Found::Value(raw) => match observe::json::<Wire>(raw) {
            // a prompt is never empty: some hosts send zeros until they know
            Some(wire) if wire.is_zero() => {}
            told => observed.tell_usage(told.and_then(Wire::usage)),
        },
    }
}

fn is_empty_array(value: Found<'_>) -> bool {
    let Found::Value([b'[', inner @ .., b']']) = value else { return false };
    inner.iter().all(u8::is_ascii_whitespace)
}

/// `usage` on the wire; unknown fields are ignored, negative or fractional counts
/// and fields given twice are errors.
#[derive(Deserialize)]
struct Wire {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
    /// DeepSeek's name for cached tokens.
    prompt_cache_hit_tokens: Option<u64>,
    /// Moonshot's.
    cached_tokens: Option<u64>,
    /// Anthropic's, which gateways pass on.
    cache_read_input_tokens: Option<u64>,
    /// Anthropic's name for tokens written to a cache.
    cache_creation_input_tokens: Option<u64>,
    cache_creation: Option<CacheCreation>,
    /// Where hosts without `completion_tokens_details` put it.
    reasoning_tokens: Option<u64>,
}

#[derive(Default, Deserialize)]
struct PromptDetails {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
    audio_tokens: Option<u64>,
}

#[derive(Default, Deserialize)]
struct CompletionDetails {
    reasoning_tokens: Option<u64>,
    audio_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct CacheCreation {
    ephemeral_1h_input_tokens: Option<u64>,
}

impl Wire {
    fn is_zero(&self) -> bool {
        self.prompt_tokens == 0
            && self.completion_tokens == 0
            && self.total_tokens.unwrap_or_default() == 0
    }

    /// In the words of [`Usage`]; `None` if the numbers contradict each other.
    fn usage(self) -> Option<Usage> {
        let input = self.prompt_tokens_details.unwrap_or_default();
        let output = self.completion_tokens_details.unwrap_or_default();
        let cached = input
            .cached_tokens
            .or(self.prompt_cache_hit_tokens)
            .or(self.cached_tokens)
            .or(self.cache_read_input_tokens)
            .unwrap_or_default();
        let written =
            input.cache_write_tokens.or(self.cache_creation_input_tokens).unwrap_or_default();
        let written_1h = self
            .cache_creation
            .and_then(|cache| cache.ephemeral_1h_input_tokens)
            .unwrap_or_default();
        let reasoning = output.reasoning_tokens.or(self.reasoning_tokens).unwrap_or_default();
        let usage = Usage {
            input_tokens: self.prompt_tokens,
            cached_input_tokens: cached,
            cache_write_tokens: written.saturating_sub(written_1h),
            cache_write_1h_tokens: written_1h,
            input_audio_tokens: input.audio_tokens.unwrap_or_default(),
            output_tokens: self.completion_tokens,
            reasoning_tokens: reasoning,
            output_audio_tokens: output.audio_tokens.unwrap_or_default(),
            ..Usage::default()
        };
        totals::settled(usage, self.total_tokens)
    }
}

#[cfg(test)]
mod tests;
