//! How a reservation ends: settled, released or expired; and corrections by hand.

use super::{charges::Kind, held::Record, scopes::NONE, state::State};
use crate::{
    clock::Timestamp,
    store::{
        contract::{Adjustment, Reservation},
        counting::Counter,
    },
};

impl State {
    /// Replaces what is reserved by what the call cost; calls stay counted.
    pub(super) fn settle(&mut self, reservation: Reservation, cost: u64, at: Timestamp) {
        let now = self.advance(at);
        let Self { held, plans, scopes, .. } = self;
        let Some(record) = held.close(reservation) else { return };
        let reserved = record.cost;
        let (refund, over) = (reserved.saturating_sub(cost), cost.saturating_sub(reserved));
        for (run, slot) in plans.at(record.plan).runs.iter_mut().zip(&record.slots) {
            let scope = scopes.at(*slot);
            scope.held_by -= 1;
            let counters = scope.counters();
            for one in run.booked.iter_mut().filter(|one| one.kind == Kind::Cost) {
                let Some(counter) = counters.get_mut(one.column as usize) else { continue };
                let until = one.horizon.until_of(record.at);
                match record.expired {
                    false => counter.end(until, now, reserved, refund),
                    true => {
                        counter.close(until, now, 0, refund);
                    }
                }
                if over > 0 {
                    let until = if one.horizon.slides() { one.horizon.until(now) } else { until };
                    book_overrun(counter, until, over, now);
                }
            }
        }
    }

    /// Gives everything back, calls included.
    pub(super) fn release(&mut self, reservation: Reservation, at: Timestamp) {
        let now = self.advance(at);
        let Self { held, plans, scopes, .. } = self;
        let Some(record) = held.close(reservation) else { return };
        let mut untils = record.untils.iter().chain(&record.more_untils);
        for (run, slot) in plans.at(record.plan).runs.iter().zip(&record.slots) {
            let scope = scopes.at(*slot);
            scope.held_by -= 1;
            let counters = scope.counters();
            for one in &run.booked {
                let Some(counter) = counters.get_mut(one.column as usize) else { continue };
                if one.kind == Kind::Cost {
                    let until = one.horizon.until_of(record.at);
                    let open = if record.expired { 0 } else { record.cost };
                    counter.close(until, now, open, record.cost);
                } else if let Some(until) = untils.next() {
                    counter.close(*until, now, 0, 1);
                }
            }
        }
    }

    /// Counts every reservation whose deadline is reached as settled.
    pub(super) fn expire(&mut self, now: u64) {
        let Self { held, plans, scopes, .. } = self;
        held.expire(now, |record: &Record| {
            for (run, slot) in plans.at(record.plan).runs.iter().zip(&record.slots) {
                for one in run.booked.iter().filter(|one| one.kind == Kind::Cost) {
                    let until = one.horizon.until_of(record.at);
                    if let Some(counter) = scopes.counter(*slot, one.column) {
                        counter.close(until, now, record.cost, 0);
                    }
                }
            }
        });
        while let Some(reservation) = held.surplus() {
            let Some(record) = held.close(reservation) else { continue };
            record.slots.iter().for_each(|slot| scopes.at(*slot).held_by -= 1);
        }
    }

    /// Changes what is settled on one counter. The caller has checked the number.
    pub(super) fn adjust(&mut self, adjustment: &Adjustment<'_>, hash: u64) {
        let now = self.advance(adjustment.at);
        self.expire_due();
        let Some(meaning) = self.meanings.find(adjustment.counter) else { return };
        let (family, value) = (meaning.family, adjustment.value);
        if adjustment.delta <= 0 && self.scopes.locate(family, value, hash).0 == NONE {
            return; // there is nothing to take from
        }
        let (slot, _) = self.scopes.enter(family, value, hash);
        let amount = adjustment.delta.unsigned_abs();
        self.scopes.at(slot).ensure(meaning.column + 1);
        let Some(counter) = self.scopes.counter(slot, meaning.column) else { return };
        counter.roll(now);
        if adjustment.delta < 0 {
            counter.take_settled(amount);
        } else {
            let until = meaning.until(now, counter);
            counter.add(until, amount);
        }
    }
}

/// A period is charged for the calls that began in it; a sliding window takes an
/// overrun when it becomes known.
#[cold]
fn book_overrun(counter: &mut Counter, until: u64, over: u64, now: u64) {
    if until > now {
        counter.roll(now);
        counter.add(until, over);
    }
}
