//! When an amount booked now stops counting.
//!
//! That one time is all a counter needs to know of its window:
//!
//! | window | counts until |
//! |---|---|
//! | lifetime | for ever |
//! | calendar period | the period ends |
//! | sliding, of calls, few | exactly its length later |
//! | sliding, otherwise | between 60 and 61 sixtieths of its length later |
//!
//! The last row groups amounts into sub-buckets of a sixtieth of the window and
//! keeps the oldest bucket whole, so it never forgets too early. Both calendar
//! periods and sub-buckets are worked out once and then hold for many calls, so
//! that the hot path neither divides nor looks at a calendar.

use crate::{clock::Timestamp, window::Window};

/// Sub-buckets of a sliding window.
const BUCKETS: u64 = 60;

/// A window, and the current answer to "until when would it count?".
#[derive(Clone, Copy, Debug)]
pub(crate) struct Horizon {
    window: Window,
    /// The length of a sliding window, else 0.
    length: u64,
    current: Stretch,
}

/// Amounts booked between two times count until the same one.
#[derive(Clone, Copy, Debug, Default)]
struct Stretch {
    from: u64,
    to: u64,
    until: u64,
}

impl Horizon {
    pub(crate) fn new(window: Window) -> Self {
        let length = window.sliding_nanos().unwrap_or(0);
        Self { window, length, current: Stretch::default() }
    }

    /// Until when an amount booked at `now` counts.
    #[inline]
    pub(crate) fn until(&mut self, now: u64) -> u64 {
        if now >= self.current.to {
            self.current = self.stretch(now);
        }
        self.current.until
    }

    /// Until when an amount counts that was booked here at some time before.
    #[inline]
    pub(crate) fn until_of(&self, at: u64) -> u64 {
        if at >= self.current.from { self.current.until } else { self.stretch(at).until }
    }

    /// The same for a window of calls whose times are kept one by one.
    #[inline]
    pub(crate) fn exact(&self, now: u64) -> u64 {
        now.saturating_add(self.length)
    }

    /// Whether amounts leave one by one rather than all at once.
    pub(crate) fn slides(&self) -> bool {
        self.length != 0
    }

    /// Whether there is a period that ends.
    pub(crate) fn is_calendar(&self) -> bool {
        matches!(self.window, Window::Calendar(..))
    }

    #[cold]
    fn stretch(&self, at: u64) -> Stretch {
        if self.slides() {
            let width = self.length.div_ceil(BUCKETS);
            let from = at / width * width;
            let to = from.saturating_add(width);
            return Stretch { from, to, until: to.saturating_add(BUCKETS.saturating_mul(width)) };
        }
        let (start, end) = self.window.period(Timestamp::from_nanos(at));
        let to = end.as_nanos().max(at.saturating_add(1));
        Stretch { from: start.as_nanos().min(at), to, until: to }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::window::Zone;

    #[test]
    fn a_bucket_counts_for_60_to_61_sixtieths() {
        let mut minute = Horizon::new(Window::sliding(Duration::from_secs(60)));
        let second = 1_000_000_000;
        assert_eq!(minute.until(5 * second), 66 * second);
        assert_eq!(minute.until(6 * second - 1), 66 * second);
        assert_eq!(minute.until(6 * second), 67 * second);
        assert_eq!(minute.exact(5 * second + 1), 65 * second + 1);
    }

    #[test]
    fn a_period_counts_until_its_end_and_a_lifetime_for_ever() {
        let mut month = Horizon::new(Window::month(Zone::UTC));
        let last: Timestamp = "2026-11-30T23:59:59.999999999Z".parse().unwrap();
        assert_eq!(month.until(last.as_nanos()), last.as_nanos() + 1);
        let next: Timestamp = "2027-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(month.until(last.as_nanos() + 1), next.as_nanos());
        assert_eq!(Horizon::new(Window::Lifetime).until(0), u64::MAX);
    }

    #[test]
    fn the_end_of_time_saturates() {
        let mut ages = Horizon::new(Window::sliding(Duration::MAX));
        assert_eq!(ages.until(u64::MAX - 1), u64::MAX);
        assert!(Horizon::new(Window::month(Zone::UTC)).until(u64::MAX - 1) > u64::MAX - 1);
    }
}
