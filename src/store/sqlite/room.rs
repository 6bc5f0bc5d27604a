//! Whether there is room on one counter, and when there will be.

use crate::{
    denial::Retry,
    store::{
        contract::Refusal,
        counting::{Counter, Horizon, retry_after},
    },
};

/// What is known of a counter of a scope. It is up to date.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    /// Nothing if nothing was ever booked there.
    pub(super) counter: Option<&'a Counter>,
    pub(super) horizon: Horizon,
    /// By how much every limit is raised, and until when.
    pub(super) raised: u64,
    pub(super) raised_until: u64,
}

impl View<'_> {
    /// Used, and the part of it that is reserved.
    fn used(&self) -> (u64, u64) {
        let counter = self.counter.map(|counter| (counter.used(), counter.open()));
        counter.map_or((0, 0), |(used, open)| (used, open.min(used)))
    }

    /// Why there is no room for what is asked; `ask` is nothing above the largest number.
    /// The refusal's limit is to be filled in.
    pub(super) fn shortage(&self, ask: Option<u64>, limit: u64, now: u64) -> Option<Refusal> {
        let (used, reserved) = self.used();
        let most = limit.saturating_add(self.raised);
        if ask.and_then(|ask| used.checked_add(ask)).is_some_and(|sum| sum <= most) {
            return None;
        }
        let room = |most: u64| ask.and_then(|ask| most.checked_sub(ask));
        let mut retry = retry_after(self.counter, self.horizon, room(most), now);
        if self.raised > 0
            && let Retry::At(time) = retry
            && time.as_nanos() >= self.raised_until
        {
            retry = retry_after(self.counter, self.horizon, room(limit), now);
        }
        Some(Refusal { limit: 0, used, reserved, raised: self.raised, retry })
    }

    /// Whether what has settled leaves no room, whatever becomes of calls in flight.
    pub(super) fn is_spent(&self, ask: Option<u64>, limit: u64) -> bool {
        let (used, reserved) = self.used();
        let most = limit.saturating_add(self.raised);
        ask.and_then(|ask| ask.checked_add(used - reserved)).is_none_or(|sum| sum > most)
    }
}
