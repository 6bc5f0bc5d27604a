//! All that is behind the lock: check everything, book everything.

use hashbrown::DefaultHashBuilder;

use super::{
    counter::Counter,
    found::{Found, Spot},
    held::{Entry, Held},
    meaning::Meanings,
    scopes::{NONE, Place, Scopes},
    sweep::Sweep,
};
use crate::{
    clock::Timestamp,
    store::contract::{
        CounterId, CounterKey, Hold, Reading, Reservation, ReserveError, StoreError,
    },
};

/// An expired reservation does not change what is used, only how much of that is
/// reserved. So calls that are admitted look for deadlines this seldom; who reads
/// a counter or is refused sees all of them.
const LOOK: u64 = 1_000_000_000;

/// The counters, the scopes that have them, and the reservations on them.
#[derive(Debug)]
pub(super) struct State {
    pub(super) meanings: Meanings,
    pub(super) scopes: Scopes,
    pub(super) held: Held,
    pub(super) sweep: Sweep,
    /// The latest time seen.
    now: u64,
    /// Before this time, nobody looks for deadlines without need.
    next_look: u64,
    /// When to look for deadlines or to sweep again.
    next_chore: u64,
}

impl State {
    pub(super) fn new(hasher: DefaultHashBuilder, most_scopes: usize) -> Self {
        Self {
            meanings: Meanings::default(),
            scopes: Scopes::new(hasher, most_scopes),
            held: Held::default(),
            sweep: Sweep::default(),
            now: 0,
            next_look: 0,
            next_chore: 0,
        }
    }

    pub(super) fn counter(&mut self, key: &CounterKey) -> CounterId {
        if let Some(known) = self.meanings.number(key) {
            return known;
        }
        let family = self.scopes.family(&key.workspace, &key.label);
        self.meanings.add(key, family)
    }

    /// Takes note of a time and does what is due by then. Returns the store's time,
    /// which never runs backwards and never reaches the end of time, so that what
    /// counts until then counts for ever.
    #[inline]
    pub(super) fn advance(&mut self, at: Timestamp) -> u64 {
        let now = before_the_end(at).max(self.now);
        self.now = now;
        if now >= self.next_chore {
            self.do_chores(now);
        }
        now
    }

    #[cold]
    fn do_chores(&mut self, now: u64) {
        if now >= self.held.next_deadline().max(self.next_look) {
            self.expire(now);
            self.next_look = now.saturating_add(LOOK);
        }
        self.sweep.run(&mut self.scopes, now);
        self.next_chore = self.sweep.next().min(self.held.next_deadline().max(self.next_look));
    }

    /// Brings what is reserved up to date, for whoever is going to look at it.
    pub(super) fn expire_due(&mut self) {
        if self.now >= self.held.next_deadline() {
            self.expire(self.now);
        }
    }

    pub(super) fn reserve(
        &mut self,
        hold: &Hold<'_>,
        found: &mut Found,
    ) -> Result<Reservation, ReserveError> {
        let now = self.advance(hold.at);
        self.find(hold, found, now).map_err(senseless)?;
        let mut widens = false;
        let spots = found.spots.as_slice();
        for limit in hold.limits {
            let Some(spot) = spots.get(usize::from(limit.charge)) else {
                return Err(senseless("a limit on a charge that is not there"));
            };
            if !found.has_room(hold, limit, spot.used) {
                return Err(ReserveError::Refused(self.refusal(hold, found, now)));
            }
            widens |= limit.limit > spot.most;
        }
        if widens {
            self.widen(hold, found, now);
        }
        Ok(self.book(hold, found))
    }

    /// Looks up every counter that is charged, and checks that the hold makes sense.
    #[inline]
    fn find(&mut self, hold: &Hold<'_>, found: &mut Found, now: u64) -> Result<(), &'static str> {
        let mut counters: &mut [Counter] = &mut [];
        let (mut value, mut family) = (NONE, NONE);
        for (charge, spot) in hold.charges.iter().zip(found.spots.iter_mut()) {
            let Some(meaning) = self.meanings.find(charge.counter) else {
                return Err("a charge on a counter of another store");
            };
            if value != u32::from(charge.value) || family != meaning.family {
                (value, family) = (u32::from(charge.value), meaning.family);
                let slot = self.enter(hold, &mut found.places, charge.value, family)?;
                counters = self.scopes.counters(slot);
            }
            let counter = counters.get_mut(meaning.column as usize);
            let (used, parts) = counter.map_or((0, 1), |counter| {
                counter.roll(now);
                (counter.used(), if meaning.exact > 0 { counter.parts() } else { 1 })
            });
            let until = self.meanings.until(meaning, now, parts);
            let (column, most) = (meaning.column, meaning.most);
            *spot = Spot { used, most, until, column, is_cost: meaning.is_cost };
        }
        found.is_shared = found.has_sharers();
        Ok(())
    }

    /// Looks up one value, unless that is done, and returns the slot of its scope.
    // Out of line, because the loop above needs the registers.
    #[inline(never)]
    fn enter(
        &self,
        hold: &Hold<'_>,
        places: &mut [Place],
        value: u8,
        family: u32,
    ) -> Result<u32, &'static str> {
        let newcomers = places.iter().filter(|place| place.is_newcomer()).count();
        let at = usize::from(value);
        let (Some(place), Some(text)) = (places.get_mut(at), hold.values.get(at)) else {
            return Err("a charge for a value that is not there");
        };
        if place.family == NONE {
            self.scopes.locate(place, family, text, newcomers);
        }
        if place.family != family {
            return Err("one value for counters of different labels");
        }
        Ok(place.slot)
    }

    /// Prepares counters for limits larger than any before.
    #[cold]
    fn widen(&mut self, hold: &Hold<'_>, found: &mut Found, now: u64) {
        for limit in hold.limits {
            if let Some(charge) = hold.charges.get(usize::from(limit.charge)) {
                self.meanings.widen(charge.counter, limit.limit);
            }
        }
        for (charge, spot) in hold.charges.iter().zip(&mut found.spots) {
            let Some(meaning) = self.meanings.find(charge.counter) else { continue };
            let Some(place) = found.places.get(usize::from(charge.value)) else { continue };
            let counter = self.scopes.counter(place.slot, meaning.column);
            let parts = counter.map_or(1, |counter| counter.parts());
            spot.until = self.meanings.until(meaning, now, parts);
        }
    }

    /// Books what [`find`](Self::find) found.
    #[inline]
    fn book(&mut self, hold: &Hold<'_>, found: &Found) -> Reservation {
        let deadline = before_the_end(hold.deadline);
        self.next_chore = self.next_chore.min(deadline.max(self.next_look));
        let (reservation, record) = self.held.open(deadline);
        let mut counters: &mut [Counter] = &mut [];
        let (mut value, mut slot) = (NONE, NONE);
        record.entries.reserve(hold.charges.len());
        let spots = hold.charges.iter().zip(found.spots.as_slice());
        for (charge, spot) in spots {
            if value != u32::from(charge.value) {
                value = u32::from(charge.value);
                let at = usize::from(charge.value);
                if let (Some(place), Some(text)) = (found.places.get(at), hold.values.get(at)) {
                    let previous = std::mem::replace(&mut slot, self.scopes.ensure(place, text));
                    let columns = self.meanings.columns(place.family);
                    let scope = self.scopes.at(slot);
                    scope.held_by += u32::from(slot != previous);
                    counters = scope.counters_up_to(columns);
                }
            }
            let counter = counters.get_mut(spot.column as usize);
            let until = counter.map_or(0, |counter| counter.reserve(spot.until, charge.amount));
            let (counter, column, is_cost) = (charge.counter.0, spot.column, spot.is_cost);
            let amount = charge.amount;
            record.entries.push(Entry { slot, column, counter, is_cost, amount, until });
        }
        reservation
    }
}

impl State {
    /// What a counter holds for one value.
    pub(super) fn read(
        &mut self,
        counter: CounterId,
        value: &str,
        hash: u64,
        at: Timestamp,
    ) -> Result<Reading, StoreError> {
        let now = self.advance(at);
        self.expire_due();
        let unknown = || StoreError::new("a counter of another store");
        let meaning = self.meanings.find(counter).ok_or_else(unknown)?;
        let mut place = Place::unused(hash);
        self.scopes.locate(&mut place, meaning.family, value, 0);
        let (used, open) = self.scopes.used(place.slot, meaning.column, now);
        let reserved = open.min(used);
        let horizon = self.meanings.horizon(meaning);
        let resets_at = horizon.is_calendar().then(|| Timestamp::from_nanos(horizon.until(now)));
        Ok(Reading { settled: used - reserved, reserved, resets_at })
    }

    /// Moves a deadline to a later time, unless it has passed already.
    pub(super) fn extend(&mut self, reservation: Reservation, deadline: Timestamp) {
        self.held.extend(reservation, before_the_end(deadline), self.now);
    }
}

/// A time at which "for ever" has not come yet.
pub(super) fn before_the_end(time: Timestamp) -> u64 {
    time.as_nanos().min(u64::MAX - 1)
}

fn senseless(what: &str) -> ReserveError {
    ReserveError::Unavailable(StoreError::new(format!("the hold has {what}")))
}
