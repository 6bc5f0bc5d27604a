//! How a reservation ends: settled, released or expired; and corrections by hand.

use super::{
    counter::Counter,
    held::{Entry, Record},
    meaning::Meanings,
    scopes::NONE,
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
        let Some(record) = self.held.find(reservation) else { return };
        let (over, refund) = (cost.saturating_sub(record.cost), record.cost.saturating_sub(cost));
        for (slot, run) in record.runs() {
            let scope = self.scopes.at(slot);
            scope.held_by -= 1;
            let counters = scope.counters();
            for entry in run {
                let Some(counter) = counters.get_mut(entry.column as usize) else { continue };
                let amount = entry.amount(record.cost);
                let refund = if entry.is_cost { refund } else { 0 };
                match record.expired {
                    false => counter.end(entry.until, now, amount, refund),
                    true => counter.close(entry.until, now, 0, refund),
                }
                if over > 0 && entry.is_cost {
                    book_overrun(&mut self.meanings, counter, entry, over, now);
                }
            }
        }
        self.held.close(reservation);
    }

    /// Gives everything back, calls included.
    pub(super) fn release(&mut self, reservation: Reservation, at: Timestamp) {
        let now = self.advance(at);
        let Some(record) = self.held.find(reservation) else { return };
        for (slot, run) in record.runs() {
            self.scopes.at(slot).held_by -= 1;
            for entry in run {
                let amount = entry.amount(record.cost);
                let open = if record.expired { 0 } else { amount };
                if let Some(counter) = self.scopes.counter(entry.slot, entry.column) {
                    counter.close(entry.until, now, open, amount);
                }
            }
        }
        self.held.close(reservation);
    }

    /// Counts every reservation whose deadline is reached as settled.
    pub(super) fn expire(&mut self, now: u64) {
        let scopes = &mut self.scopes;
        self.held.expire(now, |record: &Record| {
            for entry in &record.entries {
                if let Some(counter) = scopes.counter(entry.slot, entry.column) {
                    counter.close(entry.until, now, entry.amount(record.cost), 0);
                }
            }
        });
        while let Some(reservation) = self.held.surplus() {
            let Some(record) = self.held.find(reservation) else { continue };
            record.runs().for_each(|(slot, _)| scopes.at(slot).held_by -= 1);
            self.held.close(reservation);
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
fn book_overrun(
    meanings: &mut Meanings,
    counter: &mut Counter,
    entry: &Entry,
    over: u64,
    now: u64,
) {
    let Some(meaning) = meanings.find(entry.counter) else { return };
    let horizon = &mut meaning.horizon;
    let until = if horizon.slides() { horizon.until(now) } else { entry.until };
    if until > now {
        counter.roll(now);
        counter.add(until, over);
    }
}
