//! What a store that keeps a ledger is told of a call, beside what it costs.
//!
//! Counters need none of this. A ledger does: money that is spent should be found
//! again under a model, a user, a day.

use crate::{labels::Labels, settled::SettledHow, usage::Usage};

/// What is known of a call when it is decided.
///
/// For an example see [`MemoryStore`](crate::MemoryStore).
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The workspace of the policy.
    pub workspace: &'a str,
    /// Whose API it goes to, as `openai`.
    pub provider: &'a str,
    /// What it does, as `chat`.
    pub operation: &'a str,
    /// The model the caller asked for.
    pub requested_model: &'a str,
    /// The model that is sent.
    pub model: &'a str,
    /// For whom it is.
    pub labels: &'a Labels,
    /// The day of the price list it is priced by, as `2026-11-20`.
    pub prices: &'a str,
    /// While observing: the rule that would have denied it.
    pub would_deny: Option<&'a str>,
}

/// What is known of a call once it has ended.
///
/// For an example see [`MemoryStore`](crate::MemoryStore).
#[derive(Clone, Copy, Debug)]
pub struct Ending<'a> {
    /// Where its cost comes from.
    pub how: SettledHow,
    /// The model that answered, where the answer told.
    pub model: Option<&'a str>,
    /// The usage that was reported.
    pub usage: Option<&'a Usage>,
}
