//! The quickest reserve: that of a policy's calls, whose charges are looked up before.
//!
//! Most calls are admitted, so each counter is visited once: a charge is booked as soon
//! as it has room, and everything is taken back if one has none. Whether there is none,
//! and why, a hold tells, which goes another way.

use smallvec::SmallVec;

use super::{
    booking::Ask,
    charges::{Kind, Place, Places},
    scopes::NONE,
    state::{State, before_the_end},
    store::MemoryStore,
};
use crate::{clock::Timestamp, store::contract::Reservation};

/// What is asked for a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish<'a> {
    /// The number of its charges.
    pub(super) plan: u32,
    /// One for each run of the plan, `""` for the workspace, and their hashes.
    pub(super) values: &'a [&'a str],
    pub(super) hashes: &'a [u64],
    /// For each charge.
    pub(super) limits: &'a [u64],
    pub(super) cost: u64,
    /// How long it is open, in nanoseconds.
    pub(super) lasts: u64,
}

/// The scopes that were made for a call.
type Newcomers = SmallVec<[u32; MemoryStore::MOST_RUNS]>;

impl State {
    /// Reserves what is asked for; `None` if there is no room.
    #[inline]
    pub(super) fn reserve(&mut self, wish: &Wish<'_>, at: Timestamp) -> Option<Reservation> {
        let now = self.advance(at);
        let Self { scopes, meanings, held, plans, .. } = self;
        let charges = plans.at(wish.plan);
        if charges.may_share {
            return self.reserve_shared(wish, now);
        }
        let deadline = before_the_end(Timestamp::from_nanos(now.saturating_add(wish.lasts)));
        let (reservation, record) = held.open(deadline);
        (record.plan, record.cost, record.at) = (wish.plan, wish.cost, now);
        let (mut limits, mut calls, mut booked) = (wish.limits, 0, 0);
        let mut newcomers = Newcomers::new();
        let values = wish.values.iter().zip(wish.hashes);
        for (run, (value, hash)) in charges.runs.iter_mut().zip(values) {
            let (slot, is_created) = match run.slot {
                NONE => scopes.enter(run.family, value, *hash),
                workspace => (workspace, false),
            };
            if is_created {
                newcomers.push(slot);
            }
            let scope = scopes.at(slot);
            scope.held_by += 1;
            scope.ensure(run.columns);
            record.slots.push(slot);
            let counters = scope.counters();
            let own = limits.split_at_checked(run.booked.len());
            let (own, others) = own.unwrap_or_default();
            limits = others;
            for (one, limit) in run.booked.iter_mut().zip(own) {
                let Some(counter) = counters.get_mut(one.column as usize) else { continue };
                counter.roll(now);
                let sum = counter.used().checked_add(one.amount(wish.cost));
                if sum.is_none_or(|sum| sum > *limit) {
                    self.take_back(reservation, booked, &newcomers);
                    return None;
                }
                booked += 1;
                let until = match one.kind {
                    Kind::Cost => {
                        counter.reserve(one.horizon.until(now), wish.cost);
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
        Some(reservation)
    }

    /// Takes back the first charges of a call that had no room for the next one, and
    /// forgets the scopes that were made for it.
    #[cold]
    fn take_back(&mut self, reservation: Reservation, mut booked: usize, newcomers: &[u32]) {
        let now = self.now();
        let Self { scopes, held, plans, .. } = self;
        let Some(record) = held.close(reservation) else { return };
        for (run, slot) in plans.at(record.plan).runs.iter().zip(&record.slots) {
            let scope = scopes.at(*slot);
            scope.held_by -= 1;
            for one in run.booked.iter().take(booked) {
                if let Some(counter) = scope.counters().get_mut(one.column as usize) {
                    let open = if one.kind == Kind::Cost { record.cost } else { 0 };
                    counter.take_back(open, one.amount(record.cost));
                }
            }
            booked = booked.saturating_sub(run.booked.len());
        }
        newcomers.iter().for_each(|slot| scopes.reclaim(*slot, now));
    }

    /// The same where two of the call's values may have one scope: nothing is booked
    /// before everything is known to have room.
    #[cold]
    fn reserve_shared(&mut self, wish: &Wish<'_>, now: u64) -> Option<Reservation> {
        let charges = &*self.plans.at(wish.plan);
        let booked = charges.runs.iter().flat_map(|run| &run.booked);
        let rooms =
            booked.zip(wish.limits).map(|(one, limit)| limit.checked_sub(one.amount(wish.cost)));
        let rooms: Vec<_> = rooms.collect::<Option<_>>()?;
        let mut places: Places = wish.hashes.iter().map(|hash| Place::of(*hash)).collect();
        let Wish { plan, values, cost, lasts, .. } = *wish;
        let ask = Ask { plan, values, rooms: &rooms, cost, lasts };
        self.enter(&ask, &mut places);
        if self.has_room(&ask, &places, now) {
            return Some(self.book(&ask, &places, now));
        }
        self.leave(&places, now);
        None
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        claim::Unit,
        clock::Timestamp,
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
            let limits = [limit, 100];
            store.reserve_planned(&plan, &["ann", "bo"], &limits, 1, Timestamp::EPOCH, 1)
        };
        assert_eq!((reserve(1), store.scopes()), (None, 0));
        assert!(reserve(2).is_some());
        assert_eq!((reserve(3), store.scopes()), (None, 1));
        assert!(reserve(4).is_some());
    }
}
