//! What a policy asks of a store, and what it may rely on.

use smol_str::SmolStr;

use super::{
    answer::{Answer, StoreError},
    facts::{Ending, Facts},
};
use crate::{
    claim::{Scope, Unit},
    clock::Timestamp,
    denial::Retry,
    usd::Usd,
    window::Window,
};

/// Where spend and calls are remembered.
///
/// # Contract
/// - [`reserve`](Self::reserve) books every charge of a [`Hold`] or none. After it
///   succeeds, every limit of the hold is kept. A refused hold changes nothing.
///   Dropping an unfinished answer gives back whatever it may have booked. A hold
///   that makes no sense is [`ReserveError::Unavailable`], never a panic.
/// - Calls stay counted once they were sent, so they count as settled from the
///   beginning; only [`release`](Self::release) takes them back.
/// - [`settle`](Self::settle) and [`release`](Self::release) return at once and
///   never fail; they are called from `Drop`, without a runtime. A second one for
///   the same reservation, in any order, changes nothing.
/// - From its deadline on, a reservation counts as settled at what it reserved. One
///   later settle or release corrects that, as long as the store remembers it.
/// - What no longer counts in its window is not changed by a refund.
/// - Amounts saturate: a sum above `u64::MAX` is above every limit, and a counter
///   that reached `u64::MAX` takes no refund.
/// - Time never runs backwards: a time before the latest one seen, by whatever
///   method, counts as the latest one seen.
pub trait Store: Send + Sync + 'static {
    /// The number under which this store knows a counter; one number per key.
    /// Called when a policy is built, and for claims of custom rules.
    fn counter(&self, key: &CounterKey) -> CounterId;

    /// Whether anybody ever asked for this counter, so that it has been counting.
    /// Defaults to yes.
    fn knows(&self, _key: &CounterKey) -> bool {
        true
    }

    /// Books all charges if every limit leaves room for them.
    fn reserve<'a>(&'a self, hold: Hold<'a>) -> Answer<'a, Result<Reservation, ReserveError>>;

    /// Replaces what was reserved by what the call cost; calls stay counted. A refund
    /// goes back to where it was taken. An overrun is booked too, whatever the
    /// limits: in a sliding window at `at`, else in the period of the reservation.
    fn settle(&self, reservation: Reservation, cost: Usd, at: Timestamp);

    /// Gives everything back, calls included: nothing was sent.
    fn release(&self, reservation: Reservation, at: Timestamp);

    /// Moves a deadline to a later time. Does nothing once the deadline is reached.
    fn extend(&self, reservation: Reservation, deadline: Timestamp);

    /// What a counter holds for one value of its label (`""` for the workspace).
    fn read<'a>(
        &'a self,
        counter: CounterId,
        value: &'a str,
        at: Timestamp,
    ) -> Answer<'a, Result<Reading, StoreError>>;

    /// Changes what is settled: an opening balance, a correction, a reset. What is
    /// reserved stays, and settled never falls below zero. A sliding window gives up
    /// its newest amounts first.
    fn adjust<'a>(&'a self, adjustment: Adjustment<'a>) -> Answer<'a, Result<Reading, StoreError>>;

    /// Raises every limit on one counter of a scope for a while, in place of what it was
    /// raised by before. Defaults to an error: not every store has means for that.
    fn raise<'a>(&'a self, _raise: Raise<'a>) -> Answer<'a, Result<Reading, StoreError>> {
        Answer::ready(Err(StoreError::new("this store cannot raise limits")))
    }

    /// Waits until everything handed over so far is applied.
    fn flush(&self) -> Answer<'_, Result<(), StoreError>>;

    /// How many reservations of this process are neither settled, released nor past
    /// their deadline.
    fn in_flight(&self, at: Timestamp) -> usize;

    /// Whether counters survive the end of the process.
    fn is_durable(&self) -> bool;

    /// Tells a store from others of this process. Defaults to its address; a store that
    /// is a handle should give the same number for all handles of one store.
    fn identity(&self) -> usize {
        std::ptr::from_ref(self).cast::<()>().addr()
    }

    /// Whether it writes calls down. Then it is told what there is to write: in the
    /// [`call`](Hold::call) of a hold, by [`conclude`](Self::conclude) and by
    /// [`deny`](Self::deny). Defaults to no.
    fn keeps_ledger(&self) -> bool {
        false
    }

    /// [`settle`](Self::settle), of a call of which more is known. Defaults to that.
    fn conclude(&self, reservation: Reservation, cost: Usd, at: Timestamp, _ending: &Ending<'_>) {
        self.settle(reservation, cost, at);
    }

    /// A call was denied by this rule; `estimate` is what it might have cost, where that
    /// is known. Must return at once and never fail. Defaults to nothing.
    fn deny(&self, _facts: &Facts<'_>, _rule: &str, _estimate: Option<Usd>, _at: Timestamp) {}

    /// A call was sent without being counted, because this store did not answer. Must
    /// return at once and never fail. Defaults to nothing.
    fn unmetered(&self, _facts: &Facts<'_>, _estimate: Usd, _at: Timestamp) {}
}

/// What a counter means. Two rules that mean the same share one counter.
///
/// For an example see [`MemoryStore`](crate::MemoryStore).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CounterKey {
    /// The workspace of the policy.
    pub workspace: SmolStr,
    /// The label whose values are counted apart; `None` counts the whole workspace.
    pub label: Option<SmolStr>,
    /// What is counted.
    pub unit: Unit,
    /// Over which time.
    pub window: Window,
}

impl CounterKey {
    /// The scope of one value of this counter.
    pub fn scope(&self, value: &str) -> Scope {
        match &self.label {
            None => Scope::Workspace,
            Some(key) => Scope::label(key.clone(), value),
        }
    }
}

/// A store's own number for a [`CounterKey`].
///
/// For an example see [`MemoryStore`](crate::MemoryStore).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CounterId(pub u32);

/// All charges and limits of one call.
///
/// For an example see [`MemoryStore`](crate::MemoryStore).
#[derive(Clone, Copy, Debug)]
pub struct Hold<'a> {
    /// Label values, one for each scope charged; `""` for the workspace.
    pub values: &'a [&'a str],
    /// What to book, at most once per counter and value. Charges with the same
    /// `value` are of counters with the same workspace and label.
    pub charges: &'a [Charge],
    /// What to book on counters of money. Counters of calls get one call each.
    pub cost: Usd,
    /// What must hold, in the order of the rules.
    pub limits: &'a [Limit],
    /// The time of the decision.
    pub at: Timestamp,
    /// When the reservation counts as settled if nothing more is heard of it. It
    /// lasts as long from the store's time as from `at`.
    pub deadline: Timestamp,
    /// What to write down of the call, for stores that keep a ledger.
    pub call: Option<&'a Facts<'a>>,
}

/// One counter to book on, and for whom.
///
/// For an example see [`MemoryStore`](crate::MemoryStore).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Charge {
    /// The counter.
    pub counter: CounterId,
    /// Which of the hold's values it is charged for.
    pub value: u8,
}

/// `used + ask ≤ limit` on the counter of one charge.
///
/// For an example see [`MemoryStore`](crate::MemoryStore).
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// Which of the hold's charges it is about.
    pub charge: u8,
    /// What is asked for, in nano-dollars or calls; not less than is booked.
    pub ask: u64,
    /// The most that may be used afterwards.
    pub limit: u64,
}

/// A store's handle for what one hold booked.
///
/// For an example see [`MemoryStore`](crate::MemoryStore).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reservation {
    /// Where or under which number the store keeps it.
    pub key: u64,
    /// What tells it from others under the same key.
    pub tag: u64,
}

/// A hold found no room.
///
/// For an example see [`MemoryStore`](crate::MemoryStore).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The first of the hold's limits, in their order, that has no room.
    pub limit: usize,
    /// What its counter has used, reserved included.
    pub used: u64,
    /// The part of `used` that is reserved; of calls, none.
    pub reserved: u64,
    /// By how much the limit was raised by hand, for which only some stores have means.
    pub raised: u64,
    /// When every limit of the hold would have room, if nobody else takes it: never,
    /// if one of them never will; else the latest of the times that are known; else
    /// when calls in flight settle. A sliding window always knows the time.
    pub retry: Retry,
}

/// Why nothing was reserved.
///
/// For an example see [`MemoryStore`](crate::MemoryStore).
#[derive(Debug)]
pub enum ReserveError {
    /// A limit has no room.
    Refused(Refusal),
    /// The store did not answer.
    Unavailable(StoreError),
}

/// What a counter holds.
///
/// For an example see [`MemoryStore`](crate::MemoryStore).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// What calls that ended have used, in nano-dollars or calls.
    pub settled: u64,
    /// The money calls in flight hold. Calls themselves count as settled from the
    /// beginning, because they stay counted.
    pub reserved: u64,
    /// By how much its limits are raised by hand now.
    pub raised: u64,
    /// When a calendar window starts again at zero.
    pub resets_at: Option<Timestamp>,
}

impl Reading {
    /// Settled plus reserved.
    pub fn used(&self) -> u64 {
        self.settled.saturating_add(self.reserved)
    }
}

/// A change of what a counter has settled.
///
/// For an example see [`MemoryStore`](crate::MemoryStore).
#[derive(Clone, Copy, Debug)]
pub struct Adjustment<'a> {
    /// The counter.
    pub counter: CounterId,
    /// The label's value, `""` for the workspace.
    pub value: &'a str,
    /// What to add, in nano-dollars or calls.
    pub delta: i64,
    /// Why, for whoever audits it.
    pub reason: &'a str,
    /// When.
    pub at: Timestamp,
}

/// A limit is raised by hand.
///
/// For an example see [`Policy::raise_limit`](crate::Policy::raise_limit).
#[derive(Clone, Copy, Debug)]
pub struct Raise<'a> {
    /// The counter.
    pub counter: CounterId,
    /// The label's value, `""` for the workspace.
    pub value: &'a str,
    /// By how much, in nano-dollars or calls; zero ends what was raised before.
    pub by: u64,
    /// Until when.
    pub until: Timestamp,
    /// Why, for whoever audits it.
    pub reason: &'a str,
    /// When.
    pub at: Timestamp,
}
