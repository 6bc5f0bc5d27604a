//! The counters of one scope, by column.

use crate::store::counting::Counter;

/// As many as most users have. They lie in the scope itself, which a call looks at anyway.
const FIRST: usize = 3;

/// As many counters as anything was ever booked on.
#[derive(Debug, Default)]
pub(super) struct Counters {
    first: [Counter; FIRST],
    #[allow(clippy::box_collection)] // most scopes have none, and so spend one word on it
    more: Option<Box<Vec<Counter>>>,
}

impl Counters {
    /// A counter on which nothing may have been booked so far.
    #[inline]
    pub(super) fn at(&mut self, column: u32) -> &mut Counter {
        match column as usize {
            column @ ..FIRST => &mut self.first[column],
            column => self.behind(column - FIRST),
        }
    }

    #[inline(never)]
    fn behind(&mut self, place: usize) -> &mut Counter {
        let more = self.more.get_or_insert_default();
        if place >= more.len() {
            more.resize_with(place + 1, Counter::default);
        }
        &mut more[place]
    }

    /// A counter, if anything can have been booked on it.
    #[inline]
    pub(super) fn get_mut(&mut self, column: u32) -> Option<&mut Counter> {
        match column as usize {
            column @ ..FIRST => Some(&mut self.first[column]),
            column => self.more.as_mut()?.get_mut(column - FIRST),
        }
    }

    /// Whether nothing in them counts any more.
    pub(super) fn are_idle(&mut self, now: u64) -> bool {
        // Every one is asked, because that frees what it keeps for reuse.
        let more = self.more.iter_mut().flat_map(|more| more.iter_mut());
        let all = self.first.iter_mut().chain(more);
        let busy: usize = all.map(|counter| usize::from(!counter.is_idle(now))).sum();
        busy == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_for_each_column_however_many() {
        let mut counters = Counters::default();
        for column in [9, 0, 4, 2, 3] {
            counters.at(column).add(u64::MAX, column.into());
        }
        for column in 0..10 {
            let used = counters.get_mut(column).map(|counter| counter.used());
            let booked = [9, 0, 4, 2, 3].contains(&column);
            assert_eq!(used, Some(if booked { column.into() } else { 0 }));
        }
        assert!(counters.get_mut(10).is_none() && !counters.are_idle(0));
        assert!(Counters::default().are_idle(0));
    }
}
