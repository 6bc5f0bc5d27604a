//! How many calls a policy has seen.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Policy;
use crate::{call::Bound, settled::SettledHow};

/// How many calls a policy has seen since it was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Admitted with a reservation that is a ceiling.
    pub admitted_hard: u64,
    /// Admitted with a reservation that is an assumption.
    pub admitted_assumed: u64,
    /// Denied, unreadable, or without an answer of the store.
    pub denied: u64,
    /// How often a rule met a call without the label it counts by.
    pub unlabelled: u64,
    /// Settled at the estimate because no usage was reported.
    pub estimated: u64,
    /// Settled without the answer having been read to its end.
    pub abandoned: u64,
    /// Settled after a failure that leaves open whether the call was billed.
    pub ambiguous: u64,
    /// While observing: admitted although a rule would have denied it.
    pub would_deny: u64,
    /// Admitted and not counted, because the store did not answer.
    pub unmetered: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Tally {
    hard: AtomicU64,
    assumed: AtomicU64,
    denied: AtomicU64,
    unlabelled: AtomicU64,
    estimated: AtomicU64,
    abandoned: AtomicU64,
    ambiguous: AtomicU64,
    would_deny: AtomicU64,
    unmetered: AtomicU64,
}

impl Tally {
    pub(super) fn count_admitted(&self, bound: Bound) {
        let count = match bound {
            Bound::Hard => &self.hard,
            Bound::Assumed => &self.assumed,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_denied(&self) {
        self.denied.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_would_deny(&self) {
        self.would_deny.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_unmetered(&self) {
        self.unmetered.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts the ends that a person may want to look at.
    pub(super) fn count_settled(&self, how: SettledHow) {
        let count = match how {
            SettledHow::Estimated => &self.estimated,
            SettledHow::Abandoned => &self.abandoned,
            SettledHow::Ambiguous => &self.ambiguous,
            SettledHow::Actual | SettledHow::Refused | SettledHow::NotSent => return,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_unlabelled(&self) {
        self.unlabelled.fetch_add(1, Ordering::Relaxed);
    }
}

impl Policy {
    /// How many calls it has seen.
    pub fn stats(&self) -> Stats {
        let tally = &self.0.tally;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Stats {
            admitted_hard: read(&tally.hard),
            admitted_assumed: read(&tally.assumed),
            denied: read(&tally.denied),
            unlabelled: read(&tally.unlabelled),
            estimated: read(&tally.estimated),
            abandoned: read(&tally.abandoned),
            ambiguous: read(&tally.ambiguous),
            would_deny: read(&tally.would_deny),
            unmetered: read(&tally.unmetered),
        }
    }
}
