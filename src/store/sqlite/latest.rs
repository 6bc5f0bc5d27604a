//! The latest time that anybody told: time runs backwards for nobody.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use crate::telemetry::{self, guarded};

/// A clock that is further behind than this is not merely late.
pub(crate) const BEHIND: Duration = Duration::from_secs(300);

#[derive(Debug, Default)]
pub(super) struct Latest {
    time: AtomicU64,
    /// Whether the clock was far behind that when it was read last.
    is_behind: AtomicBool,
}

impl Latest {
    /// Takes note of a time, and returns the latest one.
    pub(super) fn note(&self, at: u64) -> u64 {
        let latest = self.time.fetch_max(at, Ordering::Relaxed).max(at);
        let by = latest - at;
        // Who settles for less than was reserved does not read the clock.
        if at > 0 && is_behind(by) != self.is_behind.load(Ordering::Relaxed) {
            self.tell(by);
        }
        latest
    }

    #[cold]
    fn tell(&self, by: u64) {
        let is_behind = is_behind(by);
        if !self.is_behind.swap(is_behind, Ordering::Relaxed) && is_behind {
            // Calls settle by way of this.
            guarded(|| telemetry::clock_behind(Duration::from_nanos(by)));
        }
    }

    pub(super) fn get(&self) -> u64 {
        self.time.load(Ordering::Relaxed)
    }

    /// Takes note of the time that a file has seen.
    pub(super) fn learn(&self, time: u64) {
        self.time.fetch_max(time, Ordering::Relaxed);
    }
}

fn is_behind(nanos: u64) -> bool {
    Duration::from_nanos(nanos) > BEHIND
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEHIND: u64 = 300_000_000_000;

    #[test]
    fn a_clock_that_is_far_behind_is_noticed_until_it_has_caught_up() {
        let latest = Latest::default();
        latest.learn(10 * BEHIND);
        let mut is_behind = |at| {
            assert!(latest.note(at) >= at.max(10 * BEHIND));
            latest.is_behind.load(Ordering::Relaxed)
        };
        assert_eq!([9 * BEHIND - 1, 0, 9 * BEHIND].map(&mut is_behind), [true, true, false]);
        assert_eq!([BEHIND, 11 * BEHIND, 0].map(&mut is_behind), [true, false, false]);
    }
}
