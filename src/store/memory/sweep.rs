//! Reclaims the scopes of users who are gone, a few at a time.

use super::scopes::Scopes;

/// Scopes looked at in one go, under the lock.
const BATCH: u32 = 64;
/// Between two batches.
const PAUSE: u64 = 1_000_000;
/// Between the beginnings of two rounds through all scopes.
const ROUND: u64 = 600_000_000_000;

/// Where the sweep is.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    next: u64,
    slot: u32,
    round_began: u64,
}

impl Sweep {
    /// When the next batch is due.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Looks at the next batch, if it is due.
    pub(super) fn run(&mut self, scopes: &mut Scopes, now: u64) {
        if now < self.next {
            return;
        }
        if self.slot == 0 {
            self.round_began = now;
        }
        let end = self.slot.saturating_add(BATCH).min(scopes.slots());
        for slot in self.slot..end {
            scopes.reclaim(slot, now);
        }
        let is_done = end == scopes.slots();
        self.slot = if is_done { 0 } else { end };
        let rest = if is_done { self.round_began.saturating_add(ROUND) } else { 0 };
        self.next = now.saturating_add(PAUSE).max(rest);
    }
}
