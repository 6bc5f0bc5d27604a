//! A store that several share.

use std::sync::Arc;

use super::{
    Adjustment, Answer, CounterId, CounterKey, Ending, Facts, Hold, Raise, Reading, Reservation,
    ReserveError, Store, StoreError,
};
use crate::{clock::Timestamp, usd::Usd};

/// So that a policy takes a store that somebody else goes on using.
impl<S: Store + ?Sized> Store for Arc<S> {
    fn counter(&self, key: &CounterKey) -> CounterId {
        (**self).counter(key)
    }

    fn knows(&self, key: &CounterKey) -> bool {
        (**self).knows(key)
    }

    fn reserve<'a>(&'a self, hold: Hold<'a>) -> Answer<'a, Result<Reservation, ReserveError>> {
        (**self).reserve(hold)
    }

    fn settle(&self, reservation: Reservation, cost: Usd, at: Timestamp) {
        (**self).settle(reservation, cost, at);
    }

    fn release(&self, reservation: Reservation, at: Timestamp) {
        (**self).release(reservation, at);
    }

    fn extend(&self, reservation: Reservation, deadline: Timestamp) {
        (**self).extend(reservation, deadline);
    }

    fn read<'a>(
        &'a self,
        counter: CounterId,
        value: &'a str,
        at: Timestamp,
    ) -> Answer<'a, Result<Reading, StoreError>> {
        (**self).read(counter, value, at)
    }

    fn adjust<'a>(&'a self, adjustment: Adjustment<'a>) -> Answer<'a, Result<Reading, StoreError>> {
        (**self).adjust(adjustment)
    }

    fn raise<'a>(&'a self, raise: Raise<'a>) -> Answer<'a, Result<Reading, StoreError>> {
        (**self).raise(raise)
    }

    fn flush(&self) -> Answer<'_, Result<(), StoreError>> {
        (**self).flush()
    }

    fn in_flight(&self, at: Timestamp) -> usize {
        (**self).in_flight(at)
    }

    fn is_durable(&self) -> bool {
        (**self).is_durable()
    }

    fn identity(&self) -> usize {
        (**self).identity()
    }

    fn keeps_ledger(&self) -> bool {
        (**self).keeps_ledger()
    }

    fn conclude(&self, reservation: Reservation, cost: Usd, at: Timestamp, ending: &Ending<'_>) {
        (**self).conclude(reservation, cost, at, ending);
    }

    fn deny(&self, facts: &Facts<'_>, rule: &str, estimate: Option<Usd>, at: Timestamp) {
        (**self).deny(facts, rule, estimate, at);
    }

    fn unmetered(&self, facts: &Facts<'_>, estimate: Usd, at: Timestamp) {
        (**self).unmetered(facts, estimate, at);
    }
}
