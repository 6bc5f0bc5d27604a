//! The short way to the price of a call, which most calls take.
//!
//! A plain call to a model with a plain price needs two sums. What is not that plain goes the
//! long way in `pricing.rs`, and comes to the same there.

use super::{
    InputBound, Policy,
    pricing::{InputEstimator, Quote},
};
use crate::{
    call::{Bound, Call, Estimate},
    estimate::{OVERSHOOT, OutputBound},
    price::{Entry, EntryId},
};

impl Policy {
    /// Puts the estimate on a plain call. `None` says nothing, and has changed nothing.
    #[inline]
    pub(super) fn quote_plain(&self, call: &mut Call, id: EntryId, entry: &Entry) -> Option<Quote> {
        let settings = &self.0.settings;
        let plain = entry.plain().filter(|plain| call.is_plain() && call.at() < plain.until)?;
        let InputEstimator::Bytes(_) = &self.0.estimator else { return None };
        let (expected, ceiling) = plain.measure.of_chat(call.input(), call.needs().tools)?;
        let (input_tokens, bound) = match settings.input_bound {
            InputBound::Expected => (expected, Bound::Assumed),
            InputBound::Ceiling if plain.measure.is_bounded => (ceiling, Bound::Hard),
            InputBound::Ceiling => return None,
        };
        let (output_tokens, bound) = match (call.max_output_tokens(), settings.output_bound) {
            (Some(stated), _) => (stated.saturating_add(OVERSHOOT), bound),
            (None, OutputBound::Assume(tokens)) => {
                let limit = entry.max_output_tokens().unwrap_or(u64::MAX);
                (tokens.min(limit).max(1), Bound::Assumed)
            }
            (None, _) => return None,
        };
        let cost = plain.ceiling(input_tokens, output_tokens)?;
        call.set_estimate(Some(Estimate { input_tokens, output_tokens, cost, bound }));
        Some(Quote { entry: Some(id), cost, known: true, bill: plain.bill })
    }
}

#[cfg(test)]
pub(super) mod tests;
