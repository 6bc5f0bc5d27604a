//! The quickest reserve: that of a policy's calls, whose charges are looked up before.
//!
//! Most calls are admitted, so each counter is visited once: a charge is booked as soon
//! as it has room, and everything is taken back if one has none. Whether there is none,
//! and why, a hold tells, which goes another way.

use super::{
    booking::Ask,
    charges::{Booked, Place, Places},
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
    /// One for each run of the plan, in their order.
    pub(super) names: &'a [Name<'a>; MemoryStore::MOST_RUNS],
    /// For each charge.
    pub(super) limits: &'a [u64],
    pub(super) cost: u64,
    /// How long it is open, in nanoseconds.
    pub(super) lasts: u64,
}

/// The value of a label, `""` for the workspace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name<'a> {
    pub(super) text: &'a str,
    pub(super) hash: u64,
}

impl Wish<'_> {
    /// That of a charge; what has none has no room.
    #[inline]
    fn limit(&self, one: &Booked) -> u64 {
        self.limits.get(one.charge).copied().unwrap_or(0)
    }
}

impl State {
    /// Reserves what is asked for; `None` if there is no room.
    // On its own, it has all registers to itself.
    #[inline(never)]
    pub(super) fn reserve(&mut self, wish: &Wish<'_>, at: Timestamp) -> Option<Reservation> {
        let now = self.advance(at);
        let Self { scopes, held, plans, .. } = self;
        let charges = plans.at(wish.plan);
        if charges.may_share {
            return self.reserve_shared(wish, now);
        }
        let cost = wish.cost;
        let deadline = before_the_end(Timestamp::from_nanos(now.saturating_add(wish.lasts)));
        let (reservation, record) = held.open(deadline);
        (record.plan, record.cost, record.at) = (wish.plan, cost, now);
        let (mut calls, mut newcomers) = (0, 0);
        for (index, (run, name)) in charges.runs.iter_mut().zip(wish.names).enumerate() {
            let mut slot = run.slot;
            if slot == NONE {
                let is_created;
                (slot, is_created) = scopes.enter(run.family, name.text, name.hash);
                newcomers |= u32::from(is_created) << index;
            }
            record.slots.set(index, slot);
            let counters = scopes.at(slot).hold();
            for one in &mut run.costs {
                let counter = counters.at(one.column);
                counter.roll(now);
                let until = one.horizon.until(now);
                if counter.book(until, cost, cost, wish.limit(one)).is_none() {
                    let failed = one.charge;
                    self.take_back(reservation, failed, newcomers);
                    return None;
                }
            }
            for one in &mut run.calls {
                let counter = counters.at(one.column);
                counter.roll(now);
                let until = one.times.until(&mut one.horizon, now, counter);
                let Some(until) = counter.book(until, 1, 0, wish.limit(one)) else {
                    let failed = one.charge;
                    self.take_back(reservation, failed, newcomers);
                    return None;
                };
                record.untils.set(calls, until);
                calls += 1;
            }
        }
        self.look_at(deadline);
        Some(reservation)
    }

    /// Takes back the first charges of a call, up to the one that had no room, and forgets
    /// the scopes that were made for it: one bit for each run.
    #[cold]
    fn take_back(&mut self, reservation: Reservation, failed: usize, newcomers: u32) {
        let now = self.now();
        let Self { scopes, held, plans, .. } = self;
        let Some(record) = held.close(reservation) else { return };
        for (index, run) in plans.at(record.plan).runs.iter().enumerate() {
            let slot = record.slots.get(index);
            let counters = scopes.at(slot).let_go();
            let costs = run.costs.iter().map(|one| (one, record.cost, record.cost));
            let calls = run.calls.iter().map(|one| (one, 0, 1));
            let mut booked = costs.chain(calls);
            let is_last = booked.any(|(one, open, amount)| {
                if one.charge != failed
                    && let Some(counter) = counters.get_mut(one.column)
                {
                    counter.take_back(open, amount);
                }
                one.charge == failed
            });
            if newcomers & 1 << index != 0 {
                scopes.reclaim(slot, now);
            }
            if is_last {
                return;
            }
        }
    }

    /// The same where two of the call's values may have one scope: nothing is booked
    /// before everything is known to have room.
    #[cold]
    fn reserve_shared(&mut self, wish: &Wish<'_>, now: u64) -> Option<Reservation> {
        let charges = &*self.plans.at(wish.plan);
        let rooms = wish.limits.iter().take(charges.len()).enumerate().map(|(charge, limit)| {
            let (_, _, amount) = charges.at(charge, wish.cost)?;
            limit.checked_sub(amount)
        });
        let rooms: Vec<_> = rooms.collect::<Option<_>>()?;
        let names = charges.runs.iter().zip(wish.names);
        let mut places: Places = names.map(|(_, name)| Place::of(name.hash)).collect();
        let values = wish.names.map(|name| name.text);
        let Wish { plan, cost, lasts, .. } = *wish;
        let ask = Ask { plan, values: &values, rooms: &rooms, cost, lasts };
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
    use std::time::Duration;

    use crate::{
        claim::Unit,
        clock::Timestamp,
        store::{Charge, CounterKey, Hold, MemoryStore, Store},
        usd::Usd,
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
            store.reserve_planned(&plan, ["ann", "bo", "", ""], &limits, 1, Timestamp::EPOCH, 1)
        };
        assert_eq!((reserve(1), store.scopes()), (None, 0));
        assert!(reserve(2).is_some());
        assert_eq!((reserve(3), store.scopes()), (None, 1));
        assert!(reserve(4).is_some());
    }

    #[test]
    fn a_planned_call_is_kept_by_itself_once_a_limit_asks_for_that() {
        let store = MemoryStore::new();
        let window = Window::sliding(Duration::from_secs(60));
        let key = CounterKey { workspace: "w".into(), label: None, unit: Unit::Calls, window };
        let charges = [Charge { counter: store.counter(&key), value: 0 }];
        let plan = store.plan(&charges, &[]).expect("one charge");
        let at = |millis: u64| Timestamp::from_nanos(millis * 1_000_000);
        let reserve =
            |millis| store.reserve_planned(&plan, [""; 4], &[u64::MAX], 0, at(millis), 1).is_some();
        let counted = |millis| {
            let read = store.read_now(charges[0].counter, "", at(millis));
            read.map(|reading| reading.settled + reading.reserved)
        };
        assert!(reserve(500));
        assert_eq!((counted(60_500), counted(61_000)), (Ok(1), Ok(0)), "its bucket counts");
        // Another policy, on the same store, limits these calls.
        assert!(store.plan(&charges, &[(charges[0].counter, 5)]).is_some());
        assert!(reserve(70_500));
        assert_eq!((counted(130_499), counted(130_500)), (Ok(1), Ok(0)));
    }

    #[test]
    fn a_planned_call_has_room_as_soon_as_a_window_has_ended() {
        let store = MemoryStore::new();
        let charges = [Unit::Cost, Unit::Calls].map(|unit| {
            let window = Window::day(Zone::UTC);
            let key = CounterKey { workspace: "w".into(), label: None, unit, window };
            Charge { counter: store.counter(&key), value: 0 }
        });
        for charge in charges {
            let plan = store.plan(&[charge], &[]).expect("one charge");
            let reserve = |nanos| {
                let at = Timestamp::from_nanos(nanos);
                store.reserve_planned(&plan, [""; 4], &[1], 1, at, 1).is_some()
            };
            let day = 86_400_000_000_000 * (1 + u64::from(charge == charges[1]));
            assert!(reserve(day - 1) && !reserve(day - 1) && reserve(day));
        }
    }

    #[test]
    fn calls_that_are_lost_expire_while_nobody_looks_at_them() {
        const MILLI: u64 = 1_000_000;
        let [planned, held] = [(); 2].map(|()| MemoryStore::new());
        let window = Window::month(Zone::UTC);
        let key = CounterKey { workspace: "w".into(), label: None, unit: Unit::Cost, window };
        let [charge, _] =
            [&planned, &held].map(|store| Charge { counter: store.counter(&key), value: 0 });
        let (plan, cost) = (planned.plan(&[charge], &[]).expect("one charge"), Usd::nanos(1));
        for (at, lasts) in [(0, 2_000 * MILLI), (500 * MILLI, u64::MAX), (3_000 * MILLI, u64::MAX)]
        {
            let (at, deadline) = [at, at.saturating_add(lasts)].map(Timestamp::from_nanos).into();
            assert!(planned.reserve_planned(&plan, [""; 4], &[100], 1, at, lasts).is_some());
            let (values, charges, limits) = (&[""], &[charge], &[]);
            let hold = Hold { values, charges, cost, limits, at, deadline, call: None };
            assert!(held.reserve_now(&hold).is_ok());
        }
        assert_eq!([planned, held].map(|store| store.lock().held.open_count()), [2, 2]);
    }

    #[test]
    fn a_plan_has_few_values_in_order() {
        let store = MemoryStore::new();
        let charges = [0, 1, 2, 3, 4].map(|value| {
            let label = (value > 0).then(|| format!("label {value}").into());
            let (unit, window) = (Unit::Cost, Window::Lifetime);
            let key = CounterKey { workspace: "w".into(), label, unit, window };
            Charge { counter: store.counter(&key), value }
        });
        let [first, second, ..] = charges;
        assert!(store.plan(&charges[..4], &[]).is_some());
        assert!(store.plan(&charges, &[]).is_none());
        assert!(store.plan(&[second, first], &[]).is_none());
        assert!(store.plan(&[second], &[]).is_none());
    }
}
