//! A reserve: find everything, check everything, book everything.
//!
//! All of it happens behind the lock, so nobody can look in between, and a call that
//! has no room has changed nothing.

use super::{
    charges::{Charges, Place},
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
    /// Finds the scope of every run, making those of newcomers.
    pub(super) fn enter(&mut self, ask: &Ask<'_>, places: &mut [Place]) {
        let Self { scopes, plans, .. } = self;
        for (run, place) in plans.at(ask.plan).runs.iter().zip(places.iter_mut()) {
            place.enter(scopes, run, ask.values);
        }
    }

    /// Whether every counter has room.
    pub(super) fn has_room(&mut self, ask: &Ask<'_>, places: &[Place], now: u64) -> bool {
        let Self { scopes, plans, .. } = self;
        let mut has_room = true;
        for (run, place) in plans.at(ask.plan).runs.iter().zip(places) {
            let counters = &mut scopes.at(place.slot).counters;
            for one in run.booked() {
                let Some(room) = ask.rooms.get(one.charge) else { return false };
                // A counter that is not there yet has all the room there is.
                let Some(counter) = counters.get_mut(one.column) else { continue };
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
        ask.rooms.iter().enumerate().all(|(charge, room)| {
            let Some((run, one, _)) = charges.at(charge, ask.cost) else { return false };
            let Some(place) = places.get(run) else { return false };
            let (used, _) = scopes.used(place.slot, one.column, now);
            let beside = beside(charges, places, charge, ask.cost);
            beside.and_then(|beside| used.checked_add(beside)).is_some_and(|used| used <= *room)
        })
    }

    /// Books what has room. The counters are up to date.
    pub(super) fn book(&mut self, ask: &Ask<'_>, places: &[Place], now: u64) -> Reservation {
        let Self { scopes, held, plans, .. } = self;
        let deadline = before_the_end(Timestamp::from_nanos(now.saturating_add(ask.lasts)));
        let cost = ask.cost;
        let (reservation, record) = held.open(deadline);
        (record.plan, record.cost, record.at) = (ask.plan, cost, now);
        let mut calls = 0;
        for (index, (run, place)) in plans.at(ask.plan).runs.iter_mut().zip(places).enumerate() {
            record.slots.set(index, place.slot);
            let counters = scopes.at(place.slot).hold();
            for one in &mut run.costs {
                let counter = counters.at(one.column);
                counter.reserve(one.horizon.until(now), cost);
            }
            for one in &mut run.calls {
                let counter = counters.at(one.column);
                let until = one.times.until(&mut one.horizon, now, counter);
                record.untils.set(calls, counter.add(until, 1));
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
pub(super) fn beside(charges: &Charges, places: &[Place], charge: usize, cost: u64) -> Option<u64> {
    let slot = |run: usize| places.get(run).map(|place| place.slot);
    let (own_run, own, _) = charges.at(charge, cost)?;
    let others = (0..charges.len()).filter(|other| *other != charge);
    let sharers = others
        .filter_map(|other| charges.at(other, cost))
        .filter(|(run, other, _)| other.counter == own.counter && slot(*run) == slot(own_run));
    sharers.map(|(_, _, amount)| amount).try_fold(0, u64::checked_add)
}
