//! What a call consumed, the same words for every provider.
//!
//! The wire formats disagree on what contains what: OpenAI counts cached tokens
//! inside the prompt, Anthropic beside it; Gemini reports thinking beside the
//! answer, OpenAI inside. [`Usage`] has one reading: **totals contain their parts**.

use serde::{Deserialize, Serialize};

/// The tokens of one call, as OpenTelemetry's `gen_ai.usage.*` names them.
///
/// `input_tokens` and `output_tokens` are totals; every other token field is a
/// part of one of them. All fields are counts, default zero.
///
/// # Example
/// ```
/// use driftlock::Usage;
///
/// let usage = Usage { input_tokens: 1_000, cached_input_tokens: 800, ..Usage::default() };
/// assert_eq!(usage.total_tokens(), 1_000);
/// assert!(usage.is_consistent());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Every token the provider read: text, media, cache reads and cache writes.
    pub input_tokens: u64,
    /// The part of the input served from the provider's cache.
    pub cached_input_tokens: u64,
    /// The part of the input written to a cache that lives five minutes (or, for
    /// providers with one kind of cache, to that one).
    pub cache_write_tokens: u64,
    /// The part of the input written to a cache that lives one hour.
    pub cache_write_1h_tokens: u64,
    /// The part of the input that is audio.
    pub input_audio_tokens: u64,
    /// The part of the cached input that is audio.
    pub cached_audio_tokens: u64,
    /// Every token the provider wrote, hidden reasoning included.
    pub output_tokens: u64,
    /// The part of the output that is hidden reasoning.
    pub reasoning_tokens: u64,
    /// The part of the output that is audio.
    pub output_audio_tokens: u64,
    /// Web searches the provider ran on its own and bills apart.
    pub web_searches: u64,
}

impl Usage {
    /// Input and output for plain text.
    pub fn tokens(input_tokens: u64, output_tokens: u64) -> Self {
        Self { input_tokens, output_tokens, ..Self::default() }
    }

    /// Input plus output; saturates.
    pub fn total_tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }

    /// Whether all tokens are plain text, neither cached nor hidden.
    #[inline]
    pub(crate) fn has_no_parts(&self) -> bool {
        let input = self.cached_input_tokens | self.cache_write_tokens | self.cache_write_1h_tokens;
        let audio = self.input_audio_tokens | self.cached_audio_tokens | self.output_audio_tokens;
        input | audio | self.reasoning_tokens == 0
    }

    /// Whether there is nothing to it but plain text.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.has_no_parts() && self.web_searches == 0
    }

    /// Whether no part is larger than its whole.
    #[inline]
    pub fn is_consistent(&self) -> bool {
        if self.has_no_parts() {
            return true;
        }
        let cache = [self.cached_input_tokens, self.cache_write_tokens, self.cache_write_1h_tokens];
        cache.iter().fold(0u64, |sum, part| sum.saturating_add(*part)) <= self.input_tokens
            && self.input_audio_tokens <= self.input_tokens
            && self.cached_audio_tokens <= self.cached_input_tokens.min(self.input_audio_tokens)
            && self.reasoning_tokens.saturating_add(self.output_audio_tokens) <= self.output_tokens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_larger_than_its_whole_is_a_contradiction() {
        assert!(Usage::tokens(10, 10).is_consistent());
        assert!(!Usage { cached_input_tokens: 11, ..Usage::tokens(10, 10) }.is_consistent());
        assert!(!Usage { reasoning_tokens: 11, ..Usage::tokens(10, 10) }.is_consistent());
        let overflow =
            Usage { cached_input_tokens: u64::MAX, cache_write_tokens: 1, ..Usage::tokens(10, 10) };
        assert!(!overflow.is_consistent());
    }
}
