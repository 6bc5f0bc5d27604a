//! What calls cost together.

use serde::Serialize;

use crate::usd::Usd;

/// What some calls cost together, and the tokens they took. Sums stop at the largest
/// number there is.
///
/// For an example see [`report`](crate::report).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Spent {
    /// How many ended.
    pub calls: u64,
    /// What they cost.
    pub cost: Usd,
    /// What was reserved for them.
    pub estimate: Usd,
    /// Tokens in, cached ones included.
    pub input_tokens: u64,
    /// Tokens in that were read from a cache.
    pub cached_input_tokens: u64,
    /// Tokens out, reasoning included.
    pub output_tokens: u64,
}

impl Spent {
    pub(super) fn add(&mut self, other: &Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.cost = self.cost.saturating_add(other.cost);
        self.estimate = self.estimate.saturating_add(other.estimate);
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.cached_input_tokens =
            self.cached_input_tokens.saturating_add(other.cached_input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
    }
}
