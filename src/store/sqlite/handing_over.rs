//! The store as a policy sees it: everything is handed over to the writer.

use std::sync::Arc;

use smol_str::SmolStr;
use tokio::sync::oneshot;

use super::{
    SqliteStore,
    handle::Handle,
    op::{Ended, Line, Op, OwnedFacts, OwnedHold, What},
    store::ended,
    unclaimed::Unclaimed,
};
use crate::{
    clock::Timestamp,
    store::{
        Adjustment, Answer, CounterId, CounterKey, Ending, Facts, Hold, Raise, Reading,
        Reservation, ReserveError, Store, StoreError,
    },
    usd::Usd,
};

impl Store for SqliteStore {
    fn counter(&self, key: &CounterKey) -> CounterId {
        let (counter, is_new) = self.0.shared.registry.enter(key);
        if is_new {
            // So that a report knows of it before the first call.
            self.0.shared.queue.push(Op::Know(counter));
        }
        counter
    }

    fn knows(&self, key: &CounterKey) -> bool {
        self.0.shared.registry.knows(key)
    }

    fn reserve<'a>(&'a self, hold: Hold<'a>) -> Answer<'a, Result<Reservation, ReserveError>> {
        let Handle { shared, front, .. } = &*self.0;
        let now = shared.latest.note(hold.at.as_nanos());
        if !shared.expects_fall()
            && let Some((refusal, looks)) = front.refusal(&hold, now)
        {
            if looks {
                shared.queue.push(Op::Look);
            }
            return Answer::ready(Err(ReserveError::Refused(refusal)));
        }
        let (reply, answer) = oneshot::channel();
        let mut hold = OwnedHold::new(&hold);
        hold.at = now;
        shared.queue.push(Op::Reserve(Box::new(hold), reply));
        Answer::pending(async move {
            let unavailable = || Err(ReserveError::Unavailable(ended()));
            let unclaimed: Unclaimed = match answer.await {
                Ok(answer) => answer?,
                Err(_) => return unavailable(),
            };
            unclaimed.claim().map_or_else(unavailable, Ok)
        })
    }

    fn settle(&self, reservation: Reservation, cost: Usd, at: Timestamp) {
        self.hand_over_settle(reservation, cost, at, None);
    }

    fn conclude(&self, reservation: Reservation, cost: Usd, at: Timestamp, ending: &Ending<'_>) {
        self.hand_over_settle(reservation, cost, at, Some(Box::new(Ended::new(ending))));
    }

    fn release(&self, reservation: Reservation, at: Timestamp) {
        if self.is_own(reservation) {
            let shared = &self.0.shared;
            let (at, fall) = (shared.latest.note(at.as_nanos()), shared.expect_fall());
            shared.queue.push(Op::Release { id: reservation.key, at, _fall: fall });
            shared.end(reservation.key);
        }
    }

    fn extend(&self, reservation: Reservation, deadline: Timestamp) {
        if self.is_own(reservation) {
            let deadline = deadline.as_nanos();
            self.0.shared.extend(reservation.key, deadline);
            self.0.shared.queue.push(Op::Extend { id: reservation.key, deadline });
        }
    }

    fn unmetered(&self, facts: &Facts<'_>, estimate: Usd, at: Timestamp) {
        self.write(facts, None, estimate, at);
    }

    fn deny(&self, facts: &Facts<'_>, rule: &str, estimate: Option<Usd>, at: Timestamp) {
        self.write(facts, Some(rule.into()), estimate.unwrap_or(Usd::ZERO), at);
    }

    fn read<'a>(
        &'a self,
        counter: CounterId,
        value: &'a str,
        at: Timestamp,
    ) -> Answer<'a, Result<Reading, StoreError>> {
        let (value, at) = (SmolStr::new(value), self.0.shared.latest.note(at.as_nanos()));
        Answer::pending(self.ask(move |reply| Op::Read { counter, value, at, reply }))
    }

    fn adjust<'a>(&'a self, adjustment: Adjustment<'a>) -> Answer<'a, Result<Reading, StoreError>> {
        let Adjustment { counter, value, delta, reason, at } = adjustment;
        Answer::pending(self.change(counter, value, What::Add(delta), reason, at))
    }

    fn raise<'a>(&'a self, raise: Raise<'a>) -> Answer<'a, Result<Reading, StoreError>> {
        let Raise { counter, value, by, until, reason, at } = raise;
        let what = What::Raise { by, until: until.as_nanos() };
        Answer::pending(self.change(counter, value, what, reason, at))
    }

    fn flush(&self) -> Answer<'_, Result<(), StoreError>> {
        Answer::pending(self.ask(Op::Flush))
    }

    fn in_flight(&self, at: Timestamp) -> usize {
        let Handle { shared, .. } = &*self.0;
        shared.in_flight(shared.latest.note(at.as_nanos()))
    }

    fn is_durable(&self) -> bool {
        true
    }

    fn identity(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    fn keeps_ledger(&self) -> bool {
        true
    }
}

impl SqliteStore {
    fn is_own(&self, reservation: Reservation) -> bool {
        reservation.tag == self.0.shared.identity
    }

    fn write(&self, facts: &Facts<'_>, denied_by: Option<SmolStr>, estimate: Usd, at: Timestamp) {
        let at = self.0.shared.latest.note(at.as_nanos());
        let (facts, estimate) = (OwnedFacts::new(facts), estimate.as_nanos());
        let line = Line { facts, denied_by, estimate, at };
        self.0.shared.queue.push(Op::Write(Box::new(line)));
    }

    fn hand_over_settle(
        &self,
        reservation: Reservation,
        cost: Usd,
        at: Timestamp,
        ended: Option<Box<Ended>>,
    ) {
        if self.is_own(reservation) {
            let (id, cost, shared) = (reservation.key, cost.as_nanos(), &self.0.shared);
            let at = shared.latest.note(at.as_nanos());
            let fall = shared.is_late(id).then(|| shared.expect_fall());
            shared.queue.push(Op::Settle { id, cost, at, ended, _fall: fall });
            shared.end(id);
        }
    }
}
