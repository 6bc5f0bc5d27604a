//! A reserve: find everything, check everything, book everything.
//!
//! All of it happens behind the lock, so nobody can look in between, and a call that
//! has no room has changed nothing.

use super::{
    charges::{Charges, Kind, Place},
    state::{State, before_the_end},
};
use crate::{clock::Timestamp, store::contract::Reservation};

/// What is asked for a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask<'a> {
    /// The number of its charges.
    pub(super) plan: u32,
    /// One for each scope, `""` for the workspace.
    pub(super) values: &'a [&'a str],
    /// For each charge, the most that may have been used before.
    pub(super) rooms: &'a [u64],
    pub(super) cost: u64,
    /// How long it is open, in nanoseconds.
    pub(super) lasts: u64,
}

impl State {
    /// Reserves what is asked for; `None` if there is no room.
    #[inline]
    pub(super) fn reserve(
        &mut self,
        ask: &Ask<'_>,
        places: &mut [Place],
        at: Timestamp,
    ) -> Option<Reservation> {
        let now = self.advance(at);
        self.enter(ask, places);
        let reserved = match has_sharers(places) {
            false => self.book_at_once(ask, places, now),
            true => self.has_room(ask, places, now).then(|| self.book(ask, places, now)),
        };
        if reserved.is_none() {
            self.leave(places, now);
        }
        reserved
    }

    /// Finds the scope of every run, making those of newcomers.
    #[inline]
    pub(super) fn enter(&mut self, ask: &Ask<'_>, places: &mut [Place]) {
        let Self { scopes, plans, .. } = self;
        for (run, place) in plans.at(ask.plan).runs.iter().zip(places.iter_mut()) {
            place.enter(scopes, run, ask.values);
        }
    }

    /// Books each charge as soon as it has room, and takes everything back if one has
    /// none. Most calls are admitted, so this is the quickest way: each counter is
    /// visited once. No two of the places may be one, and a room leaves at least what is
    /// booked below the largest number, so that what is taken back was all added.
    #[inline]
    fn book_at_once(&mut self, ask: &Ask<'_>, places: &[Place], now: u64) -> Option<Reservation> {
        let Self { scopes, meanings, held, plans, .. } = self;
        let deadline = before_the_end(Timestamp::from_nanos(now.saturating_add(ask.lasts)));
        let (cost, mut rooms) = (ask.cost, ask.rooms.iter());
        let (reservation, record) = held.open(deadline);
        (record.plan, record.cost, record.at) = (ask.plan, cost, now);
        let (mut calls, mut booked) = (0, 0);
        let mut has_room = true;
        'all: for (run, place) in plans.at(ask.plan).runs.iter_mut().zip(places) {
            let scope = scopes.at(place.slot);
            scope.held_by += 1;
            scope.ensure(run.columns);
            record.slots.push(place.slot);
            let counters = scope.counters();
            for one in &mut run.booked {
                let Some(counter) = counters.get_mut(one.column as usize) else { continue };
                counter.roll(now);
                has_room = rooms.next().is_some_and(|room| counter.used() <= *room);
                if !has_room {
                    break 'all;
                }
                booked += 1;
                if one.kind == Kind::Cost {
                    counter.reserve(one.horizon.until(now), cost);
                    continue;
                }
                let until = match one.kind {
                    Kind::Times => meanings.at(one.counter).until(now, counter),
                    Kind::Calls | Kind::Cost => one.horizon.until(now),
                };
                let until = counter.add(until, 1);
                match record.untils.get_mut(calls) {
                    Some(place) => *place = until,
                    None => record.more_untils.push(until),
                }
                calls += 1;
            }
        }
        if !has_room {
            self.take_back(reservation, booked);
            return None;
        }
        self.look_at(deadline);
        Some(reservation)
    }

    /// Takes back the first charges of a call that had no room for the next one.
    #[cold]
    fn take_back(&mut self, reservation: Reservation, mut booked: usize) {
        let Self { scopes, held, plans, .. } = self;
        let Some(record) = held.find(reservation) else { return };
        for (run, slot) in plans.at(record.plan).runs.iter().zip(&record.slots) {
            let scope = scopes.at(*slot);
            scope.held_by -= 1;
            for one in run.booked.iter().take(booked) {
                if let Some(counter) = scope.counters().get_mut(one.column as usize) {
                    let is_cost = one.kind == Kind::Cost;
                    counter
                        .take_back(if is_cost { record.cost } else { 0 }, one.amount(record.cost));
                }
            }
            booked = booked.saturating_sub(run.booked.len());
        }
        held.close(reservation);
    }

    /// Whether every counter has room.
    pub(super) fn has_room(&mut self, ask: &Ask<'_>, places: &[Place], now: u64) -> bool {
        let Self { scopes, plans, .. } = self;
        let mut rooms = ask.rooms.iter();
        let mut has_room = true;
        for (run, place) in plans.at(ask.plan).runs.iter().zip(places) {
            let counters = scopes.at(place.slot).counters();
            for one in &run.booked {
                let Some(room) = rooms.next() else { return false };
                // A counter that is not there yet has all the room there is.
                let Some(counter) = counters.get_mut(one.column as usize) else { continue };
                counter.roll(now);
                has_room &= counter.used() <= *room;
            }
        }
        if has_sharers(places) { self.has_shared_room(ask, places, now) } else { has_room }
    }

    /// The same where two of the call's values have one scope: each has to leave room
    /// for what the other books there.
    #[cold]
    fn has_shared_room(&mut self, ask: &Ask<'_>, places: &[Place], now: u64) -> bool {
        let Self { scopes, plans, .. } = self;
        let charges = &*plans.at(ask.plan);
        (0..charges.len()).zip(ask.rooms).all(|(charge, room)| {
            let charge = charge as u8; // there are no more than 256
            let Some((run, one)) = charges.at(charge) else { return false };
            let Some(place) = places.get(run) else { return false };
            let (used, _) = scopes.used(place.slot, one.column, now);
            let beside = beside(charges, places, charge, ask.cost);
            beside.and_then(|beside| used.checked_add(beside)).is_some_and(|used| used <= *room)
        })
    }

    /// Books what has room. The counters are up to date.
    pub(super) fn book(&mut self, ask: &Ask<'_>, places: &[Place], now: u64) -> Reservation {
        let Self { scopes, meanings, held, plans, .. } = self;
        let deadline = before_the_end(Timestamp::from_nanos(now.saturating_add(ask.lasts)));
        let cost = ask.cost;
        let (reservation, record) = held.open(deadline);
        (record.plan, record.cost, record.at) = (ask.plan, cost, now);
        let mut calls = 0;
        for (run, place) in plans.at(ask.plan).runs.iter_mut().zip(places) {
            let scope = scopes.at(place.slot);
            scope.held_by += 1;
            scope.ensure(run.columns);
            record.slots.push(place.slot);
            let counters = scope.counters();
            for one in &mut run.booked {
                let Some(counter) = counters.get_mut(one.column as usize) else { continue };
                let until = match one.kind {
                    Kind::Cost => {
                        counter.reserve(one.horizon.until(now), cost);
                        continue;
                    }
                    Kind::Calls => one.horizon.until(now),
                    Kind::Times => meanings.at(one.counter).until(now, counter),
                };
                let until = counter.add(until, 1);
                match record.untils.get_mut(calls) {
                    Some(place) => *place = until,
                    None => record.more_untils.push(until),
                }
                calls += 1;
            }
        }
        self.look_at(deadline);
        reservation
    }

    /// Forgets the scopes that were made for a call that is not admitted.
    #[cold]
    pub(super) fn leave(&mut self, places: &[Place], now: u64) {
        for place in places.iter().filter(|place| place.is_created) {
            self.scopes.reclaim(place.slot, now);
        }
    }
}

/// Whether two runs are of one scope: newcomers above the cap share one, and a call may
/// give one value twice.
#[inline]
fn has_sharers(places: &[Place]) -> bool {
    let mut rest = places;
    while let [first, others @ ..] = rest {
        if others.iter().any(|other| other.slot == first.slot) {
            return true;
        }
        rest = others;
    }
    false
}

/// What a call books on the counter of one charge by its other charges; `None` above
/// `u64::MAX`.
#[cold]
pub(super) fn beside(charges: &Charges, places: &[Place], charge: u8, cost: u64) -> Option<u64> {
    let slot = |run: usize| places.get(run).map(|place| place.slot);
    let (own_run, own) = charges.at(charge)?;
    let others = (0..charges.len()).filter(|other| *other != usize::from(charge));
    let sharers = others
        .filter_map(|other| charges.at(other as u8))
        .filter(|(run, other)| other.counter == own.counter && slot(*run) == slot(own_run));
    sharers.map(|(_, other)| other.amount(cost)).try_fold(0, u64::checked_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        claim::Unit,
        store::{Charge, CounterKey, MemoryStore, Store},
        window::{Window, Zone},
    };

    #[test]
    fn a_planned_call_that_charges_one_scope_twice_needs_room_for_both() {
        let store = MemoryStore::builder().max_scopes(0).build();
        let window = Window::month(Zone::UTC);
        let label = Some("user".into());
        let counter =
            store.counter(&CounterKey { workspace: "w".into(), label, unit: Unit::Cost, window });
        let charges = [0, 1].map(|value| Charge { counter, value });
        let plan = store.plan(&charges, &[]).expect("two charges");
        let reserve = |limit: u64| {
            // Only the first has a limit, which the second must not pass for it.
            let rooms = [limit - 1, 99];
            store.reserve_planned(&plan, &["ann", "bo"], &rooms, 1, Timestamp::EPOCH, 1)
        };
        assert_eq!((reserve(1), store.scopes()), (None, 0));
        assert!(reserve(2).is_some());
        assert_eq!((reserve(3), store.scopes()), (None, 1));
        assert!(reserve(4).is_some());
    }
}
