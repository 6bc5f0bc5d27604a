//! Parts that are counted inside their whole, or beside it.
//!
//! OpenAI's own counts contain their parts. Those who follow it disagree: xAI counts
//! reasoning beside the answer, Mistral audio beside the prompt, the compatible
//! endpoint of Gemini its thinking. The total settles it: what it holds above input
//! and output has been counted beside them.

use crate::usage::Usage;

/// More tokens than any call can have.
const ABSURD: u64 = 1 << 40;

/// The usage once everything is inside its whole; `None` if the numbers contradict each
/// other or are beyond belief.
#[inline]
pub(super) fn settled(usage: Usage, total: Option<u64>) -> Option<Usage> {
    let (input, output) = (usage.input_tokens, usage.output_tokens);
    if input.max(output).max(total.unwrap_or_default()) > ABSURD {
        return None;
    }
    // most often there is nothing beside the two, and nothing to shorten
    let hidden = usage.reasoning_tokens.saturating_add(usage.output_audio_tokens);
    if hidden <= output && total.is_none_or(|total| total == input + output || total == 0) {
        return usage.is_consistent().then_some(usage);
    }
    settled_at_length(usage, total)
}

#[inline(never)]
fn settled_at_length(mut usage: Usage, total: Option<u64>) -> Option<Usage> {
    usage.add_what_was_counted_beside(total.filter(|total| *total != 0))?;
    // some hosts count reasoning before it was shortened; the total is what they bill
    usage.reasoning_tokens =
        usage.reasoning_tokens.min(usage.output_tokens.saturating_sub(usage.output_audio_tokens));
    usage.is_consistent().then_some(usage)
}

impl Usage {
    /// Adds to a whole the parts that `total` shows to have been left out of it.
    fn add_what_was_counted_beside(&mut self, total: Option<u64>) -> Option<()> {
        let beside = match total {
            Some(total) => total.checked_sub(self.total_tokens())?,
            None if self.reasoning_tokens > self.output_tokens => self.reasoning_tokens,
            None => 0,
        };
        let cache = self
            .cached_input_tokens
            .saturating_add(self.cache_write_tokens)
            .saturating_add(self.cache_write_1h_tokens);
        let is_input = beside == self.input_audio_tokens || beside == cache;
        let whole = if is_input && beside != self.reasoning_tokens {
            &mut self.input_tokens
        } else {
            // reasoning, or what has no name: output, the dearer side
            &mut self.output_tokens
        };
        *whole = whole.checked_add(beside)?;
        (*whole <= ABSURD).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_usage_is_settled_as_at_length(
            input in prop_oneof![0..9_u64, Just(ABSURD)],
            output in prop_oneof![0..9_u64, Just(ABSURD)],
            (cached, written, audio) in (0..5_u64, 0..3_u64, 0..3_u64),
            (reasoning, spoken) in (prop_oneof![0..5_u64, Just(u64::MAX)], 0..3_u64),
            total in prop::option::of(prop_oneof![0..20_u64, Just(ABSURD), Just(2 * ABSURD)]),
        ) {
            let usage = Usage {
                cached_input_tokens: cached,
                cache_write_tokens: written,
                input_audio_tokens: audio,
                reasoning_tokens: reasoning,
                output_audio_tokens: spoken,
                ..Usage::tokens(input, output)
            };
            let is_believed = total.is_none_or(|total| total <= ABSURD);
            let long = is_believed.then(|| settled_at_length(usage, total)).flatten();
            prop_assert_eq!(settled(usage, total), long);
        }
    }
}
