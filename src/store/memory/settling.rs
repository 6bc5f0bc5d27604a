//! How a reservation ends: settled, released or expired; and corrections by hand.

use super::{
    held::{Entry, Record},
    scopes::{NONE, Scopes},
    state::State,
};
use crate::{
    claim::Unit,
    clock::Timestamp,
    store::contract::{Adjustment, Reservation},
};

impl State {
    /// Replaces what is reserved by what the call cost; calls stay counted.
    pub(super) fn settle(&mut self, reservation: Reservation, cost: u64, at: Timestamp) {
        let now = self.advance(at);
        let Some(record) = self.held.find(reservation) else { return };
        for entries in record.entries.chunk_by(|one, other| one.slot == other.slot) {
            let scope = self.scopes.at(entries[0].slot);
            scope.held_by -= entries.len() as u32; // at most 255
            for entry in entries {
                let Some(meaning) = self.meanings.find(entry.counter) else { continue };
                let kept = if meaning.unit == Unit::Cost { cost } else { entry.amount };
                let refund = entry.amount.saturating_sub(kept);
                let open = if record.expired { 0 } else { entry.amount };
                let counter = scope.counter_or_new(meaning.column);
                counter.close(entry.until, now, open, refund);
                if kept > entry.amount {
                    let horizon = self.meanings.horizon(&meaning);
                    // A period is charged for the calls that began in it; a sliding
                    // window takes an overrun when it becomes known.
                    let until = if horizon.slides() { horizon.until(now) } else { entry.until };
                    if until > now {
                        counter.roll(now);
                        counter.add(until, kept - entry.amount);
                    }
                }
            }
        }
        self.held.close(reservation);
    }

    /// Gives everything back, calls included.
    pub(super) fn release(&mut self, reservation: Reservation, at: Timestamp) {
        let now = self.advance(at);
        let Some(record) = self.held.find(reservation) else { return };
        for entry in &record.entries {
            let Some(meaning) = self.meanings.find(entry.counter) else { continue };
            let open = if record.expired { 0 } else { entry.amount };
            let scope = self.scopes.at(entry.slot);
            scope.held_by -= 1;
            let counter = scope.counter_or_new(meaning.column);
            counter.close(entry.until, now, open, entry.amount);
        }
        self.held.close(reservation);
    }

    /// Counts every reservation whose deadline is reached as settled.
    pub(super) fn expire(&mut self, now: u64) {
        let (meanings, scopes) = (&self.meanings, &mut self.scopes);
        self.held.expire(now, |record: &Record| {
            for entry in &record.entries {
                let Some(meaning) = meanings.find(entry.counter) else { continue };
                let counter = scopes.at(entry.slot).counter_or_new(meaning.column);
                counter.close(entry.until, now, entry.amount, 0);
            }
        });
        while let Some(reservation) = self.held.surplus() {
            let Some(record) = self.held.find(reservation) else { continue };
            record.entries.iter().for_each(|entry| let_go(scopes, entry));
            self.held.close(reservation);
        }
    }

    /// Changes what is settled on one counter. The caller has checked the number.
    pub(super) fn adjust(&mut self, adjustment: &Adjustment<'_>, hash: u64) {
        let now = self.advance(adjustment.at);
        let Some(meaning) = self.meanings.find(adjustment.counter) else { return };
        let place = self.scopes.place(meaning.family, adjustment.value, hash, 0);
        if place.slot == NONE && adjustment.delta <= 0 {
            return; // there is nothing to take from
        }
        let amount = adjustment.delta.unsigned_abs();
        let slot = self.scopes.ensure(place, adjustment.value);
        let counter = self.scopes.at(slot).counter_or_new(meaning.column);
        counter.roll(now);
        if adjustment.delta < 0 {
            counter.take_settled(amount);
        } else {
            let until = self.meanings.until(&meaning, now, counter);
            counter.add(until, amount);
        }
    }
}

/// A reservation is forgotten: its scope may be reclaimed.
fn let_go(scopes: &mut Scopes, entry: &Entry) {
    scopes.at(entry.slot).held_by -= 1;
}
