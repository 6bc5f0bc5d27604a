//! A queue of parts, of which the oldest is at hand.
//!
//! Most counters that have a past at all have one part of it: a user who called now and
//! called before. A queue of one takes no memory of its own.

use std::collections::VecDeque;

/// What was booked under one horizon.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) until: u64,
    pub(crate) used: u64,
    pub(crate) open: u64,
}

impl Part {
    /// Ends a reservation of `open`, and takes `refund` from what is settled then.
    /// Returns what it took of both.
    #[inline]
    pub(super) fn close(&mut self, open: u64, refund: u64) -> (u64, u64) {
        let open = open.min(self.open);
        self.open -= open;
        let refund = refund.min(self.used.saturating_sub(self.open));
        self.used -= refund;
        (open, refund)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.used == 0 && self.open == 0
    }
}

/// Parts in ascending order of the time until which they count.
#[derive(Clone, Debug, Default)]
pub(super) struct Parts {
    oldest: Option<Part>,
    /// The others. Empty if there is no oldest one.
    rest: VecDeque<Part>,
}

impl Parts {
    #[inline]
    pub(super) fn oldest(&self) -> Option<&Part> {
        self.oldest.as_ref()
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        usize::from(self.oldest.is_some()) + self.rest.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Part> {
        self.oldest.iter().chain(&self.rest)
    }

    /// From the newest to the oldest.
    pub(super) fn newest_first(&mut self) -> impl Iterator<Item = &mut Part> {
        self.rest.iter_mut().rev().chain(&mut self.oldest)
    }

    pub(super) fn push(&mut self, part: Part) {
        match self.oldest {
            None => self.oldest = Some(part),
            Some(_) => self.rest.push_back(part),
        }
    }

    /// Removes the oldest part, if it no longer counts.
    pub(super) fn pop_until(&mut self, now: u64) -> Option<Part> {
        let part = self.oldest.filter(|part| part.until <= now)?;
        self.oldest = self.rest.pop_front();
        Some(part)
    }

    /// The part that counts until then.
    pub(super) fn find(&mut self, until: u64) -> Option<&mut Part> {
        match &mut self.oldest {
            Some(oldest) if oldest.until == until => Some(oldest),
            _ => {
                let found = self.rest.binary_search_by_key(&until, |part| part.until).ok()?;
                self.rest.get_mut(found)
            }
        }
    }

    /// Removes the parts that are empty; else calls that are given back again and again
    /// would pile up.
    pub(super) fn prune(&mut self) {
        self.rest.retain(|part| !part.is_empty());
        if self.oldest.is_some_and(|part| part.is_empty()) {
            self.oldest = self.rest.pop_front();
        }
    }

    pub(super) fn clear(&mut self) {
        self.oldest = None;
        self.rest.clear();
    }
}
