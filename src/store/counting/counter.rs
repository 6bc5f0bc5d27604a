//! What one counter of one scope holds.
//!
//! Every window is the same thing here: **parts**, each with the time until which
//! it counts, in ascending order. A calendar period or a lifetime has one part, a
//! sliding sum one for each sub-bucket, an exact count of calls one for each time
//! of admission. [`Horizon`](super::Horizon) says which part an amount
//! belongs to; the rest of the store need not know what kind of window it is.
//!
//! Most counters belong to users who call now and then, so the newest part is
//! inline and takes 40 bytes; older ones live in a box that is made when needed.

use super::parts::{Part, Parts};

/// The parts of one counter, as totals and the parts behind the newest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counter {
    /// Settled plus reserved, of all parts.
    used: u64,
    /// The reserved share of `used`.
    open: u64,
    /// Until when the newest part counts.
    until: u64,
    /// When the oldest part leaves. Until then, nobody has to look at the past.
    leaves: u64,
    past: Option<Box<Past>>,
}

/// The parts that are not the newest.
#[derive(Clone, Debug, Default)]
struct Past {
    used: u64,
    open: u64,
    parts: Parts,
}

impl Counter {
    /// A counter as it was kept somewhere: its totals, until when its newest part counts,
    /// and the parts behind that, the oldest first.
    #[cfg(feature = "sqlite")]
    pub(crate) fn restored(totals: Part, past: impl IntoIterator<Item = Part>) -> Self {
        let Part { until, used, open } = totals;
        let mut counter = Self { used, open, until, leaves: until, past: None };
        for part in past {
            counter.past.get_or_insert_default().push(part);
        }
        counter.note_leaves();
        counter
    }

    /// Its totals, until when its newest part counts, and the parts behind that, as
    /// [`restored`](Self::restored) takes them.
    #[cfg(feature = "sqlite")]
    pub(crate) fn kept(&self) -> (Part, impl Iterator<Item = &Part>) {
        let totals = Part { until: self.until, used: self.used, open: self.open };
        (totals, self.past.iter().flat_map(|past| past.parts.iter()))
    }

    /// When the first part stops counting.
    #[cfg(feature = "sqlite")]
    pub(crate) fn leaves(&self) -> u64 {
        self.leaves
    }

    /// Settled plus reserved; right after [`roll`](Self::roll).
    #[inline]
    pub(crate) fn used(&self) -> u64 {
        self.used
    }

    /// What is reserved; right after [`roll`](Self::roll).
    pub(crate) fn open(&self) -> u64 {
        self.open
    }

    /// How many parts it has, the newest included.
    #[inline]
    pub(crate) fn parts(&self) -> usize {
        1 + self.past.as_ref().map_or(0, |past| past.parts.len())
    }

    /// Lets go of the parts that no longer count.
    #[inline]
    pub(crate) fn roll(&mut self, now: u64) {
        if self.leaves <= now {
            self.forget(now);
        }
    }

    #[cold]
    fn forget(&mut self, now: u64) {
        if self.until <= now {
            (self.used, self.open) = (0, 0);
            if let Some(past) = &mut self.past {
                past.clear();
            }
        } else if let Some(past) = &mut self.past {
            while let Some(part) = past.pop_until(now) {
                self.used = self.used.saturating_sub(part.used);
                self.open = self.open.saturating_sub(part.open);
            }
        }
        self.note_leaves();
    }

    fn note_leaves(&mut self) {
        let oldest = self.past.as_ref().and_then(|past| past.parts.oldest());
        self.leaves = oldest.map_or(self.until, |part| part.until);
    }

    /// Takes back what was booked last of all, in the newest part. An empty part that is
    /// left is no harm: the next one takes its place.
    #[cold]
    pub(crate) fn take_back(&mut self, open: u64, used: u64) {
        self.open = self.open.saturating_sub(open);
        self.used = self.used.saturating_sub(used);
    }

    /// Reserves `amount`, and returns the part it went to. Call [`roll`](Self::roll)
    /// before.
    #[inline]
    pub(crate) fn reserve(&mut self, until: u64, amount: u64) -> u64 {
        let part = self.add(until, amount);
        self.open = self.open.saturating_add(amount);
        part
    }

    /// Books `amount`, of which `open` is reserved, and returns the part it went to; `None`
    /// if more than `limit` would be used. Call [`roll`](Self::roll) before.
    #[inline]
    pub(crate) fn book(&mut self, until: u64, amount: u64, open: u64, limit: u64) -> Option<u64> {
        let used = self.used.checked_add(amount).filter(|used| *used <= limit)?;
        if until > self.until {
            self.start_part(until);
        }
        self.used = used;
        self.open = self.open.saturating_add(open);
        Some(self.until)
    }

    /// Adds to what is settled, and returns the part it went to. Call
    /// [`roll`](Self::roll) before.
    #[inline]
    pub(crate) fn add(&mut self, until: u64, amount: u64) -> u64 {
        // A part never counts for less long than an older one: when a window of
        // calls goes from buckets back to exact times, the bucket takes it.
        if until > self.until {
            self.start_part(until);
        }
        self.used = self.used.saturating_add(amount);
        self.until
    }

    #[inline(never)]
    fn start_part(&mut self, until: u64) {
        let newest = self.newest();
        self.until = until;
        if !newest.is_empty() {
            self.past.get_or_insert_default().push(newest);
        }
        self.note_leaves();
    }

    #[inline]
    fn newest(&self) -> Part {
        let (used, open) = self.past.as_ref().map_or((0, 0), |past| (past.used, past.open));
        Part {
            until: self.until,
            used: self.used.saturating_sub(used),
            open: self.open.saturating_sub(open),
        }
    }

    /// Ends a reservation of `amount` in the part `until`, before its deadline, and gives
    /// `refund` of it back.
    ///
    /// Until its deadline nobody else takes from what a reservation holds. So where that
    /// is the newest part, the others need not be asked how much of it is there.
    #[inline]
    pub(crate) fn end(&mut self, until: u64, now: u64, amount: u64, refund: u64) {
        if until != self.until || self.used == u64::MAX {
            self.close(until, now, amount, refund);
            return;
        }
        self.open = self.open.saturating_sub(amount);
        self.used = self.used.saturating_sub(refund);
    }

    /// Ends a reservation of `open` in the part `until`, if that still counts, and
    /// gives `refund` of it back, as far as that is there: what others reserved is never
    /// touched. Returns how much came back.
    #[inline(never)]
    pub(crate) fn close(&mut self, until: u64, now: u64, open: u64, refund: u64) -> u64 {
        if until <= now {
            return 0;
        }
        // A total that hit the ceiling no longer knows how far above it was.
        let refund = if self.used == u64::MAX { 0 } else { refund };
        let (open, refund) = if until == self.until {
            self.newest().close(open, refund)
        } else {
            self.close_older(until, open, refund)
        };
        self.open = self.open.saturating_sub(open);
        self.used = self.used.saturating_sub(refund);
        refund
    }

    fn close_older(&mut self, until: u64, open: u64, refund: u64) -> (u64, u64) {
        let closed = self.past.as_mut().map_or((0, 0), |past| past.close(until, open, refund));
        self.note_leaves();
        closed
    }

    /// Takes `amount` off what is settled, from the newest part to the oldest, as
    /// far as there is any, and returns how much there was. Call [`roll`](Self::roll)
    /// before.
    pub(crate) fn take_settled(&mut self, amount: u64) -> u64 {
        let (_, mut taken) = self.newest().close(0, amount);
        if let Some(past) = &mut self.past {
            taken += past.take_settled(amount - taken);
        }
        self.note_leaves();
        self.used = self.used.saturating_sub(taken);
        taken
    }

    /// The first time at which no more than `most` is used, if nothing is added.
    pub(crate) fn falls_to(&self, most: u64) -> u64 {
        let mut used = self.used;
        for part in self.past.iter().flat_map(|past| past.parts.iter()) {
            used = used.saturating_sub(part.used);
            if used <= most {
                return part.until;
            }
        }
        self.until
    }

    /// Whether nothing in it counts any more. Frees what it keeps for reuse.
    pub(crate) fn is_idle(&mut self, now: u64) -> bool {
        self.roll(now);
        if self.past.as_ref().is_some_and(|past| past.parts.len() == 0) {
            self.past = None;
        }
        self.used == 0 && self.open == 0
    }
}

impl Past {
    fn push(&mut self, part: Part) {
        self.used = self.used.saturating_add(part.used);
        self.open = self.open.saturating_add(part.open);
        self.parts.push(part);
    }

    /// Removes the oldest part, if it no longer counts.
    fn pop_until(&mut self, now: u64) -> Option<Part> {
        let part = self.parts.pop_until(now)?;
        self.subtract(part.used, part.open);
        Some(part)
    }

    fn clear(&mut self) {
        self.parts.clear();
        (self.used, self.open) = (0, 0);
    }

    fn close(&mut self, until: u64, open: u64, refund: u64) -> (u64, u64) {
        let Some(part) = self.parts.find(until) else { return (0, 0) };
        let (open, refund) = part.close(open, refund);
        if part.is_empty() {
            self.parts.prune();
        }
        self.subtract(refund, open);
        (open, refund)
    }

    fn take_settled(&mut self, amount: u64) -> u64 {
        let mut taken = 0;
        for part in self.parts.newest_first() {
            taken += part.close(0, amount - taken).1;
        }
        self.parts.prune();
        self.subtract(taken, 0);
        taken
    }

    fn subtract(&mut self, used: u64, open: u64) {
        self.used = self.used.saturating_sub(used);
        self.open = self.open.saturating_sub(open);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_are_given_back_vanish_and_the_next_to_leave_is_known() {
        let mut counter = Counter::default();
        for time in 1..=10 {
            counter.roll(time);
            counter.reserve(time + 100, 1);
        }
        assert_eq!((counter.used(), counter.open(), counter.parts()), (10, 10, 10));
        for time in 1..=4 {
            counter.close(time + 100, 10, 1, 1);
        }
        assert_eq!((counter.used(), counter.open(), counter.parts()), (6, 6, 6));
        counter.roll(104);
        assert_eq!((counter.used(), counter.falls_to(5)), (6, 105));
        counter.roll(105);
        assert_eq!((counter.used(), counter.open(), counter.parts()), (5, 5, 5));
        assert!(!counter.is_idle(109) && counter.is_idle(110));
        assert_eq!(counter.parts(), 1);
    }

    #[test]
    fn a_part_never_counts_for_less_long_than_an_older_one() {
        let mut counter = Counter::default();
        counter.add(161, 1);
        assert_eq!(counter.add(150, 1), 161);
        assert_eq!(counter.book(150, 1, 0, 3), Some(161));
        counter.roll(150);
        assert_eq!(counter.used(), 3);
    }
}
