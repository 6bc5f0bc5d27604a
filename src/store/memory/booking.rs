//! A reserve: book everything, check everything, take it all back if one limit
//! has no room.
//!
//! Nobody can look in between, for all of it happens behind the lock. It is the
//! quickest order: most calls are admitted, and every counter is visited once.

use super::{
    counter::Counter,
    found::{Found, Spot},
    held::Entry,
    scopes::{NONE, Place, Scopes},
    state::{State, before_the_end},
};
use crate::{
    clock::Timestamp,
    store::contract::{Hold, Refusal, Reservation, ReserveError, StoreError},
};

/// Why a hold is taken back.
enum Failure {
    Senseless(&'static str),
    NoRoom,
    /// There is room, but a limit is larger than any before, and its counter must
    /// prepare for it first.
    Widens,
}

impl State {
    pub(super) fn reserve(
        &mut self,
        hold: &Hold<'_>,
        found: &mut Found,
    ) -> Result<Reservation, ReserveError> {
        let now = self.advance(hold.at);
        // After a step back of the clock the hold's own times are past already.
        let lasts = hold.deadline.since(hold.at);
        let deadline = before_the_end(Timestamp::from_nanos(now).saturating_add(lasts));
        let reservation = self.held.open(deadline);
        let booked = self.book(hold, found, reservation, now);
        match booked.and_then(|()| check(hold, found)) {
            Ok(()) => {
                self.look_at(deadline);
                Ok(reservation)
            }
            Err(failure) => self.take_back(hold, found, reservation, &failure, now),
        }
    }

    /// The refusal a hold would get now, if any. What a reserve books is taken back.
    pub(super) fn peek(&mut self, hold: &Hold<'_>, found: &mut Found) -> Option<Refusal> {
        let now = self.advance(hold.at);
        match self.reserve(hold, found) {
            Err(ReserveError::Refused(refusal)) => Some(refusal),
            Err(ReserveError::Unavailable(_)) => None,
            Ok(reservation) => {
                let peeked = Failure::Senseless("only been peeked at");
                let _ = self.take_back(hold, found, reservation, &peeked, now);
                None
            }
        }
    }

    /// Books all charges, as far as the hold makes sense.
    #[inline]
    fn book(
        &mut self,
        hold: &Hold<'_>,
        found: &mut Found,
        reservation: Reservation,
        now: u64,
    ) -> Result<(), Failure> {
        let Some(record) = self.held.find(reservation) else { return Ok(()) };
        record.entries.reserve(hold.charges.len());
        let mut counters: &mut [Counter] = &mut [];
        let (mut value, mut family, mut slot) = (NONE, NONE, NONE);
        for (charge, spot) in hold.charges.iter().zip(found.spots.iter_mut()) {
            let Some(meaning) = self.meanings.find(charge.counter) else {
                return Err(Failure::Senseless("a charge on a counter of another store"));
            };
            if value != u32::from(charge.value) || family != meaning.family {
                (value, family) = (u32::from(charge.value), meaning.family);
                let columns = self.meanings.columns(family);
                let place = enter(&mut self.scopes, hold, &mut found.places, charge.value, family)?;
                let scope = self.scopes.at(place);
                scope.held_by += u32::from(slot != place);
                slot = place;
                counters = scope.counters_up_to(columns);
            }
            let column = meaning.column;
            let Some(counter) = counters.get_mut(column as usize) else { continue };
            counter.roll(now);
            let parts = if meaning.exact > 0 { counter.parts() } else { 1 };
            let until = self.meanings.until(meaning, now, parts);
            *spot = Spot { before: counter.before(), most: meaning.most };
            let until = counter.reserve(until, charge.amount);
            let (counter, is_cost, amount) = (charge.counter.0, meaning.is_cost, charge.amount);
            record.entries.push(Entry { slot, column, counter, is_cost, amount, until });
        }
        Ok(())
    }

    /// Puts every counter back to what it was, and says why.
    #[cold]
    fn take_back(
        &mut self,
        hold: &Hold<'_>,
        found: &mut Found,
        reservation: Reservation,
        failure: &Failure,
        now: u64,
    ) -> Result<Reservation, ReserveError> {
        if let Some(record) = self.held.find(reservation) {
            for (entry, spot) in record.entries.iter().zip(&found.spots).rev() {
                if let Some(counter) = self.scopes.counter(entry.slot, entry.column) {
                    counter.restore(spot.before);
                }
            }
            record.runs().for_each(|(slot, _)| self.scopes.at(slot).held_by -= 1);
        }
        self.held.close(reservation);
        let why = match failure {
            Failure::Senseless(what) => senseless(what),
            Failure::NoRoom => ReserveError::Refused(self.refusal(hold, found, now)),
            Failure::Widens => {
                self.widen(hold);
                return self.reserve(hold, found);
            }
        };
        for place in found.places.iter().filter(|place| place.is_created) {
            self.scopes.reclaim(place.slot, now);
        }
        Err(why)
    }

    fn widen(&mut self, hold: &Hold<'_>) {
        for limit in hold.limits {
            if let Some(charge) = hold.charges.get(usize::from(limit.charge)) {
                self.meanings.widen(charge.counter, limit.limit);
            }
        }
    }
}

/// The slot of the scope of one value, made if there is none.
// Out of line, because the loop that calls it needs the registers.
#[inline(never)]
fn enter(
    scopes: &mut Scopes,
    hold: &Hold<'_>,
    places: &mut [Place],
    value: u8,
    family: u32,
) -> Result<u32, Failure> {
    let at = usize::from(value);
    let (Some(place), Some(text)) = (places.get_mut(at), hold.values.get(at)) else {
        return Err(Failure::Senseless("a charge for a value that is not there"));
    };
    if place.family == NONE {
        scopes.ensure(place, family, text);
    }
    if place.family != family {
        return Err(Failure::Senseless("one value for counters of different labels"));
    }
    Ok(place.slot)
}

/// Whether every limit is kept.
#[inline]
fn check(hold: &Hold<'_>, found: &mut Found) -> Result<(), Failure> {
    found.look_for_sharers();
    let mut widens = false;
    let spots = found.spots.as_slice();
    for limit in hold.limits {
        let Some(spot) = spots.get(usize::from(limit.charge)) else {
            return Err(Failure::Senseless("a limit on a charge that is not there"));
        };
        if !found.has_room(hold, limit, spot.before.used) {
            return Err(Failure::NoRoom);
        }
        widens |= limit.limit > spot.most;
    }
    if widens { Err(Failure::Widens) } else { Ok(()) }
}

fn senseless(what: &str) -> ReserveError {
    ReserveError::Unavailable(StoreError::new(format!("the hold has {what}")))
}
