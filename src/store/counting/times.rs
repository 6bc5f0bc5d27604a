//! How many calls of a sliding window are kept one by one.

use super::{Counter, Horizon};

/// Up to this limit, a sliding window of calls keeps the time of every call.
const EXACT: u64 = 1_024;

/// As many times are kept apart as the largest limit that was ever asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// None if there is no limit so far, or too large a one.
    exact: u16,
    /// A claim above this limit changes what is kept.
    most: u64,
}

impl Times {
    /// For a counter that counts calls in a sliding window, or another one.
    pub(crate) fn new(counts_calls: bool, horizon: &Horizon) -> Self {
        let most = if counts_calls && horizon.slides() { 0 } else { u64::MAX };
        Self { exact: 0, most }
    }

    /// Until when an amount booked at `now` on this counter counts.
    ///
    /// The time of every call is kept while there are no more of them than the
    /// largest limit. There can be more only where nothing enforces it; then calls
    /// fall into sub-buckets, which keeps the number of parts bounded.
    #[inline]
    pub(crate) fn until(&self, horizon: &mut Horizon, now: u64, counter: &Counter) -> u64 {
        match self.exact > 0 && counter.parts() <= usize::from(self.exact) {
            true => horizon.exact(now),
            false => horizon.until(now),
        }
    }

    /// Notes a limit, and says whether that changes what is kept.
    pub(crate) fn widen(&mut self, limit: u64) -> bool {
        if limit <= self.most {
            return false;
        }
        let is_exact = limit <= EXACT;
        self.exact = if is_exact { limit as u16 } else { 0 };
        self.most = if is_exact { limit } else { u64::MAX };
        true
    }
}
