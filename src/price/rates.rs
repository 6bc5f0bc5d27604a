//! One sheet of rates: what each kind of token costs, all else being decided.
//!
//! Rates are whole pico-dollars, because the cheapest are below a nano-dollar a
//! token. Sums are 128 bits wide and saturate, so an absurd count can only ever
//! look too dear.

use serde::Deserialize;

use crate::usage::Usage;

/// Pico-dollars per token, and per request or search. A rate that is absent is
/// that of the kind of token it is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Rates {
    #[serde(rename = "in")]
    pub(super) input: u64,
    #[serde(rename = "out")]
    pub(super) output: u64,
    pub(super) cached: Option<u64>,
    #[serde(rename = "write")]
    pub(super) cache_write: Option<u64>,
    #[serde(rename = "write_1h")]
    pub(super) cache_write_1h: Option<u64>,
    pub(super) reasoning: Option<u64>,
    #[serde(rename = "audio_in")]
    pub(super) audio_input: Option<u64>,
    #[serde(rename = "audio_cached")]
    pub(super) audio_cached: Option<u64>,
    #[serde(rename = "audio_out")]
    pub(super) audio_output: Option<u64>,
    #[serde(default)]
    pub(super) request: u64,
    #[serde(default)]
    pub(super) search: u64,
}

impl Rates {
    /// Two rates; everything else follows them or costs nothing.
    pub(super) const fn new(input: u64, output: u64) -> Self {
        Self {
            input,
            output,
            cached: None,
            cache_write: None,
            cache_write_1h: None,
            reasoning: None,
            audio_input: None,
            audio_cached: None,
            audio_output: None,
            request: 0,
            search: 0,
        }
    }

    pub(super) fn cached(&self) -> u64 {
        self.cached.unwrap_or(self.input)
    }

    fn cache_write(&self) -> u64 {
        self.cache_write.unwrap_or(self.input)
    }

    fn cache_write_1h(&self) -> u64 {
        self.cache_write_1h.unwrap_or(self.cache_write())
    }

    pub(super) fn reasoning(&self) -> u64 {
        self.reasoning.unwrap_or(self.output)
    }

    fn audio_input(&self) -> u64 {
        self.audio_input.unwrap_or(self.input)
    }

    /// Without a rate of its own, cached audio is cached input where audio is not
    /// told apart, and else audio: no discount that nobody stated.
    fn audio_cached(&self) -> u64 {
        self.audio_cached.or(self.audio_input).unwrap_or(self.cached())
    }

    fn audio_output(&self) -> u64 {
        self.audio_output.unwrap_or(self.output)
    }

    /// Pico-dollars for the tokens of a call.
    ///
    /// Every token is billed once: what is not cached, written or audio is plain.
    /// A part that claims to be larger than its whole is billed as stated.
    #[inline]
    pub(super) fn tokens(&self, usage: &Usage) -> u128 {
        if usage.has_no_parts() {
            return sum([(usage.input_tokens, self.input), (usage.output_tokens, self.output)]);
        }
        self.tokens_by_kind(usage)
    }

    pub(super) fn tokens_by_kind(&self, usage: &Usage) -> u128 {
        let cached_audio = usage.cached_audio_tokens.min(usage.cached_input_tokens);
        let cached_text = usage.cached_input_tokens - cached_audio;
        let uncached = usage
            .input_tokens
            .saturating_sub(usage.cached_input_tokens)
            .saturating_sub(usage.cache_write_tokens)
            .saturating_sub(usage.cache_write_1h_tokens);
        let audio = usage.input_audio_tokens.saturating_sub(cached_audio).min(uncached);
        let hidden = usage.reasoning_tokens.saturating_add(usage.output_audio_tokens);
        sum([
            (uncached - audio, self.input),
            (audio, self.audio_input()),
            (cached_text, self.cached()),
            (cached_audio, self.audio_cached()),
            (usage.cache_write_tokens, self.cache_write()),
            (usage.cache_write_1h_tokens, self.cache_write_1h()),
            (usage.output_tokens.saturating_sub(hidden), self.output),
            (usage.reasoning_tokens, self.reasoning()),
            (usage.output_audio_tokens, self.audio_output()),
        ])
    }

    /// Pico-dollars for what is billed by the piece.
    pub(super) fn pieces(&self, web_searches: u64) -> u128 {
        sum([(1, self.request), (web_searches, self.search)])
    }

    /// The most pico-dollars that many tokens can cost, however they are split.
    pub(super) fn tokens_at_most(&self, input: u64, output: u64, media: bool) -> u128 {
        sum([(input, self.dearest_input(media)), (output, self.dearest_output(media))])
    }

    fn dearest_input(&self, media: bool) -> u64 {
        let text = self.input.max(self.cached()).max(self.cache_write()).max(self.cache_write_1h());
        if media { text.max(self.audio_input()).max(self.audio_cached()) } else { text }
    }

    fn dearest_output(&self, media: bool) -> u64 {
        let text = self.output.max(self.reasoning());
        if media { text.max(self.audio_output()) } else { text }
    }

    /// The dearest input and output of text.
    pub(super) fn dearest_text(&self) -> (u64, u64) {
        (self.dearest_input(false), self.dearest_output(false))
    }

    /// Whether no call can cost more at these rates than at others.
    pub(super) fn cost_no_more_than(&self, other: &Self) -> bool {
        let most = |rates: &Self| {
            let (text, media) = (false, true);
            [
                rates.dearest_input(text),
                rates.dearest_input(media),
                rates.dearest_output(text),
                rates.dearest_output(media),
                rates.request,
                rates.search,
            ]
        };
        most(self).iter().zip(most(other)).all(|(own, other)| *own <= other)
    }

    /// The dearest token rate, and the dearest rate of a piece.
    pub(super) fn dearest(&self) -> (u64, u64) {
        let token = self.dearest_input(true).max(self.dearest_output(true));
        (token, self.request.max(self.search))
    }

    /// Every rate at `percent` of itself, rounded up.
    pub(super) fn scaled(&self, percent: u8) -> Self {
        let one = |rate: u64| {
            let scaled = (u128::from(rate) * u128::from(percent)).div_ceil(100);
            u64::try_from(scaled).unwrap_or(u64::MAX)
        };
        Self {
            input: one(self.input),
            output: one(self.output),
            cached: self.cached.map(one),
            cache_write: self.cache_write.map(one),
            cache_write_1h: self.cache_write_1h.map(one),
            reasoning: self.reasoning.map(one),
            audio_input: self.audio_input.map(one),
            audio_cached: self.audio_cached.map(one),
            audio_output: self.audio_output.map(one),
            request: one(self.request),
            search: one(self.search),
        }
    }
}

#[inline]
fn sum<const N: usize>(parts: [(u64, u64); N]) -> u128 {
    parts.into_iter().fold(0, |sum: u128, (count, rate)| {
        sum.saturating_add(u128::from(count) * u128::from(rate))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_rate_is_that_of_the_whole() {
        let rates = Rates::new(2, 5);
        let usage = Usage {
            cached_input_tokens: 30,
            cache_write_tokens: 10,
            cache_write_1h_tokens: 10,
            input_audio_tokens: 20,
            reasoning_tokens: 40,
            output_audio_tokens: 10,
            ..Usage::tokens(100, 100)
        };
        assert_eq!(rates.tokens(&usage), 100 * 2 + 100 * 5);
    }

    #[test]
    fn audio_that_is_also_written_to_a_cache_is_billed_once() {
        let rates = Rates { cache_write: Some(3), audio_input: Some(7), ..Rates::new(1, 1) };
        let usage =
            Usage { cache_write_tokens: 10, input_audio_tokens: 10, ..Usage::tokens(10, 0) };
        assert!(rates.tokens(&usage) <= rates.tokens_at_most(10, 0, true));
    }

    #[test]
    fn cached_audio_has_no_discount_that_nobody_stated() {
        let rates = Rates { cached: Some(1), audio_input: Some(9), ..Rates::new(2, 1) };
        let usage = Usage {
            cached_input_tokens: 10,
            cached_audio_tokens: 10,
            input_audio_tokens: 10,
            ..Usage::tokens(10, 0)
        };
        assert_eq!(rates.tokens(&usage), 90);
    }
}
