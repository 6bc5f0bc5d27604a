//! All that is behind the lock: check everything, book everything.

use hashbrown::DefaultHashBuilder;

use super::{
    found::{Found, Spot},
    held::{Entry, Held},
    meaning::Meanings,
    scopes::{NONE, Place, Scopes},
    sweep::Sweep,
};
use crate::{
    clock::Timestamp,
    store::contract::{
        CounterId, CounterKey, Hold, Reading, Refusal, Reservation, ReserveError, StoreError,
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
        for limit in hold.limits {
            let Some(spot) = found.spots.get(usize::from(limit.charge)) else {
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
        Ok(self.book(hold, found, now))
    }

    /// The refusal a hold would get now, if any. Books nothing.
    pub(super) fn peek(&mut self, hold: &Hold<'_>, found: &mut Found) -> Option<Refusal> {
        let now = self.advance(hold.at);
        self.find(hold, found, now).ok()?;
        let is_full = hold.limits.iter().any(|limit| {
            let spot = found.spots.get(usize::from(limit.charge));
            spot.is_some_and(|spot| !found.has_room(hold, limit, spot.used))
        });
        is_full.then(|| self.refusal(hold, found, now))
    }

    /// Looks up every counter that is charged, and checks that the hold makes sense.
    #[inline]
    fn find(&mut self, hold: &Hold<'_>, found: &mut Found, now: u64) -> Result<(), &'static str> {
        let mut newcomers = 0;
        for run in hold.charges.chunk_by(|one, next| one.value == next.value) {
            let mut scope = None;
            let mut family = NONE;
            for charge in run {
                let Some(meaning) = self.meanings.find(charge.counter) else {
                    return Err("a charge on a counter of another store");
                };
                if meaning.family != family {
                    let at = usize::from(charge.value);
                    let (Some(place), Some(value)) =
                        (found.places.get_mut(at), hold.values.get(at))
                    else {
                        return Err("a charge for a value that is not there");
                    };
                    family = meaning.family;
                    if place.family == NONE {
                        self.scopes.locate(place, family, value, newcomers);
                        newcomers += usize::from(place.is_new());
                    }
                    if place.family != family {
                        return Err("one value for counters of different labels");
                    }
                    scope = self.scopes.get(place.slot);
                }
                let counter = scope.as_mut().and_then(|scope| scope.counter(meaning.column));
                let (used, parts) = counter.map_or((0, 1), |counter| {
                    counter.roll(now);
                    (counter.used(), counter.parts())
                });
                let until = self.meanings.until(&meaning, now, parts);
                let column = meaning.column;
                found.spots.push(Spot { used, most: meaning.most(), until, column });
            }
        }
        found.is_shared = found.has_sharers();
        Ok(())
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
            let place = found.places.get(usize::from(charge.value));
            let scope = place.and_then(|place| self.scopes.get(place.slot));
            let counter = scope.and_then(|scope| scope.counter(meaning.column));
            let parts = counter.map_or(1, |counter| counter.parts());
            spot.until = self.meanings.until(&meaning, now, parts);
        }
    }

    /// Books what [`find`](Self::find) found.
    #[inline]
    fn book(&mut self, hold: &Hold<'_>, found: &Found, now: u64) -> Reservation {
        // After a step back of the clock the hold's own times are past already.
        let lasts = hold.deadline.since(hold.at);
        let deadline = before_the_end(Timestamp::from_nanos(now).saturating_add(lasts));
        self.next_chore = self.next_chore.min(deadline.max(self.next_look));
        let (reservation, record) = self.held.open(deadline);
        let mut spots = found.spots.iter();
        for run in hold.charges.chunk_by(|one, next| one.value == next.value) {
            let at = run.first().map_or(0, |charge| usize::from(charge.value));
            let (Some(place), Some(value)) = (found.places.get(at), hold.values.get(at)) else {
                continue; // `find` would have refused it
            };
            let slot = self.scopes.ensure(place, value);
            let scope = self.scopes.at(slot);
            for (charge, spot) in run.iter().zip(&mut spots) {
                scope.held_by += 1;
                let counter = scope.counter_or_new(spot.column);
                let until = counter.reserve(spot.until, charge.amount);
                let (counter, amount) = (charge.counter, charge.amount);
                record.entries.push(Entry { slot, counter, amount, until });
            }
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
        let horizon = self.meanings.horizon(&meaning);
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
