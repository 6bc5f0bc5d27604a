//! How a reservation ends: settled, released or expired; and corrections by hand.

use super::{
    charges::Charges,
    held::Record,
    scopes::{NONE, Scopes},
    state::State,
};
use crate::{
    clock::Timestamp,
    store::contract::{Adjustment, Reservation},
};

impl State {
    /// Replaces what is reserved by what the call cost; calls stay counted.
    pub(super) fn settle(&mut self, reservation: Reservation, cost: u64, at: Timestamp) {
        let now = self.advance(at);
        let Self { held, plans, scopes, .. } = self;
        let Some(record) = held.close(reservation) else { return };
        let charges = plans.at(record.plan);
        let reserved = record.cost;
        if record.expired || cost > reserved {
            return settle_otherwise(record, charges, scopes, cost, now);
        }
        for (index, run) in charges.runs.iter().enumerate() {
            let counters = scopes.at(record.slots.get(index)).let_go();
            for one in &run.costs {
                let counter = counters.at(one.column);
                counter.end(one.horizon.until_of(record.at), now, reserved, reserved - cost);
            }
        }
    }

    /// Gives everything back, calls included.
    pub(super) fn release(&mut self, reservation: Reservation, at: Timestamp) {
        let now = self.advance(at);
        let Self { held, plans, scopes, .. } = self;
        let Some(record) = held.close(reservation) else { return };
        let open = if record.expired { 0 } else { record.cost };
        let mut calls = 0;
        for (index, run) in plans.at(record.plan).runs.iter().enumerate() {
            let counters = scopes.at(record.slots.get(index)).let_go();
            for one in &run.costs {
                let counter = counters.at(one.column);
                counter.close(one.horizon.until_of(record.at), now, open, record.cost);
            }
            for one in &run.calls {
                let counter = counters.at(one.column);
                counter.close(record.untils.get(calls), now, 0, 1);
                calls += 1;
            }
        }
    }

    /// Counts every reservation whose deadline is reached as settled.
    pub(super) fn expire(&mut self, now: u64) {
        let Self { held, plans, scopes, .. } = self;
        held.expire(now, |record: &Record| {
            for (index, run) in plans.at(record.plan).runs.iter().enumerate() {
                for one in &run.costs {
                    let until = one.horizon.until_of(record.at);
                    if let Some(counter) = scopes.counter(record.slots.get(index), one.column) {
                        counter.close(until, now, record.cost, 0);
                    }
                }
            }
        });
        while let Some(reservation) = held.surplus() {
            let Some(record) = held.close(reservation) else { continue };
            for index in 0..plans.at(record.plan).runs.len() {
                scopes.at(record.slots.get(index)).let_go();
            }
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
        let counter = self.scopes.at(slot).counters.at(meaning.column);
        counter.roll(now);
        if adjustment.delta < 0 {
            counter.take_settled(amount);
        } else {
            let until = meaning.until(now, counter);
            counter.add(until, amount);
        }
    }
}

/// Settles a call that cost more than was reserved, or whose deadline has passed.
#[inline(never)]
fn settle_otherwise(
    record: &Record,
    charges: &mut Charges,
    scopes: &mut Scopes,
    cost: u64,
    now: u64,
) {
    let reserved = record.cost;
    let (refund, over) = (reserved.saturating_sub(cost), cost.saturating_sub(reserved));
    let open = if record.expired { 0 } else { reserved };
    for (index, run) in charges.runs.iter_mut().enumerate() {
        let counters = scopes.at(record.slots.get(index)).let_go();
        for one in &mut run.costs {
            let counter = counters.at(one.column);
            let until = one.horizon.until_of(record.at);
            counter.close(until, now, open, refund);
            // A period is charged for the calls that began in it; a sliding window takes
            // an overrun when it becomes known.
            let until = if one.horizon.slides() { one.horizon.until(now) } else { until };
            if over > 0 && until > now {
                counter.roll(now);
                counter.add(until, over);
            }
        }
    }
}
