//! All that is behind the lock: check everything, book everything.

use hashbrown::DefaultHashBuilder;

use super::{
    held::{Entry, Held},
    meaning::{Meaning, Meanings},
    scopes::{NONE, Place, Scopes},
    sweep::Sweep,
};
use crate::{
    clock::Timestamp,
    store::contract::{
        Charge, CounterId, CounterKey, Hold, Limit, Reading, Refusal, Reservation, ReserveError,
        StoreError,
    },
};

/// The counters, the scopes that have them, and the reservations on them.
#[derive(Debug)]
pub(super) struct State {
    pub(super) meanings: Meanings,
    pub(super) scopes: Scopes,
    pub(super) held: Held,
    pub(super) sweep: Sweep,
    /// The latest time seen.
    now: u64,
    /// When the next deadline or the next sweep is due.
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
        if now >= self.held.next_deadline() {
            self.expire(now);
        }
        self.sweep.run(&mut self.scopes, now);
        self.next_chore = self.sweep.next().min(self.held.next_deadline());
    }

    pub(super) fn reserve(
        &mut self,
        hold: &Hold<'_>,
        hashes: &[u64],
    ) -> Result<Reservation, ReserveError> {
        let now = self.advance(hold.at);
        let (mut few, mut many) = Default::default();
        let places = filled(Place::UNUSED, hold.values.len(), &mut few, &mut many);
        self.find_places(hold, hashes, places)?;
        let (mut few, mut many) = Default::default();
        let rooms = filled(u64::MAX, hold.charges.len(), &mut few, &mut many);
        let (may_fit, widens) = self.find_rooms(hold, places, rooms)?;
        if !(may_fit && self.fits(hold, places, rooms, now)) {
            return Err(ReserveError::Refused(self.refusal(hold, places, now)));
        }
        if widens {
            self.widen(hold);
        }
        Ok(self.book(hold, places, now))
    }

    /// The refusal a hold would get now, if any. Books nothing.
    pub(super) fn peek(&mut self, hold: &Hold<'_>, hashes: &[u64]) -> Option<Refusal> {
        let now = self.advance(hold.at);
        let (mut few, mut many) = Default::default();
        let places = filled(Place::UNUSED, hold.values.len(), &mut few, &mut many);
        self.find_places(hold, hashes, places).ok()?;
        let (mut few, mut many) = Default::default();
        let rooms = filled(u64::MAX, hold.charges.len(), &mut few, &mut many);
        let (may_fit, _) = self.find_rooms(hold, places, rooms).ok()?;
        let fits = may_fit && self.fits(hold, places, rooms, now);
        (!fits).then(|| self.refusal(hold, places, now))
    }

    /// Finds every value that is charged for, and checks that the hold makes sense.
    #[inline]
    fn find_places(
        &self,
        hold: &Hold<'_>,
        hashes: &[u64],
        places: &mut [Place],
    ) -> Result<(), ReserveError> {
        let mut newcomers = 0;
        for charge in hold.charges {
            let Some(meaning) = self.meanings.get(charge.counter) else {
                return Err(senseless("a charge on a counter of another store"));
            };
            let at = usize::from(charge.value);
            let (Some(place), Some(hash)) = (places.get_mut(at), hashes.get(at)) else {
                return Err(senseless("a charge for a value that is not there"));
            };
            if place.family == meaning.family {
                continue;
            }
            if place.family != NONE {
                return Err(senseless("one value for counters of different labels"));
            }
            *place = self.scopes.place(meaning.family, hold.values[at], *hash, newcomers);
            newcomers += usize::from(place.slot == NONE && !place.other);
        }
        Ok(())
    }

    /// How much the counter of each charge may have used, by the tightest of its
    /// limits. Returns whether all of them have room when nothing is used, and whether
    /// one of them changes what is kept.
    #[inline]
    fn find_rooms(
        &self,
        hold: &Hold<'_>,
        places: &[Place],
        rooms: &mut [u64],
    ) -> Result<(bool, bool), ReserveError> {
        let shared = is_shared(places);
        let mut widens = false;
        let mut may_fit = true;
        for limit in hold.limits {
            let index = usize::from(limit.charge);
            let (Some(charge), Some(room)) = (hold.charges.get(index), rooms.get_mut(index)) else {
                return Err(senseless("a limit on a charge that is not there"));
            };
            widens |=
                self.meanings.get(charge.counter).is_some_and(|m| m.is_widened_by(limit.limit));
            let ask = if shared { asked(hold, places, limit) } else { Some(limit.ask) };
            match ask.and_then(|ask| limit.limit.checked_sub(ask)) {
                Some(left) => *room = left.min(*room),
                None => may_fit = false,
            }
        }
        Ok((may_fit, widens))
    }

    /// Whether no counter has used more than it may.
    #[inline]
    fn fits(&mut self, hold: &Hold<'_>, places: &[Place], rooms: &[u64], now: u64) -> bool {
        let mut rooms = rooms.iter();
        for charges in hold.charges.chunk_by(is_for_same_value) {
            let place = places[usize::from(charges[0].value)];
            let rooms = rooms.by_ref().take(charges.len());
            if place.slot == NONE {
                rooms.for_each(drop); // nothing is used
                continue;
            }
            let scope = self.scopes.at(place.slot);
            for (charge, room) in charges.iter().zip(rooms) {
                let column = self.meanings.get(charge.counter).map_or(NONE, |m| m.column);
                let Some(counter) = scope.counter(column) else { continue };
                counter.roll(now);
                if counter.used() > *room {
                    return false;
                }
            }
        }
        true
    }

    /// The counter and the place a limit is about.
    #[inline]
    pub(super) fn limited(
        &self,
        hold: &Hold<'_>,
        places: &[Place],
        limit: &Limit,
    ) -> Result<(Meaning, Place), ReserveError> {
        let charge = hold.charges.get(usize::from(limit.charge));
        let found = charge.and_then(|charge| {
            let meaning = self.meanings.find(charge.counter)?;
            Some((meaning, *places.get(usize::from(charge.value))?))
        });
        found.ok_or_else(|| senseless("a limit on a charge that is not there"))
    }

    /// What a counter has used, and the part of it that is reserved.
    #[inline]
    pub(super) fn used(&mut self, place: Place, meaning: &Meaning, now: u64) -> (u64, u64) {
        if place.slot == NONE {
            return (0, 0);
        }
        self.scopes.at(place.slot).counter(meaning.column).map_or((0, 0), |counter| {
            counter.roll(now);
            (counter.used(), counter.open())
        })
    }

    #[cold]
    fn widen(&mut self, hold: &Hold<'_>) {
        for limit in hold.limits {
            let Some(charge) = hold.charges.get(usize::from(limit.charge)) else { continue };
            if self.meanings.find(charge.counter).is_some_and(|one| one.is_widened_by(limit.limit))
            {
                self.meanings.widen(charge.counter, limit.limit);
            }
        }
    }

    #[inline]
    fn book(&mut self, hold: &Hold<'_>, places: &[Place], now: u64) -> Reservation {
        let deadline = before_the_end(hold.deadline);
        self.next_chore = self.next_chore.min(deadline);
        let (reservation, record) = self.held.open(deadline);
        for charges in hold.charges.chunk_by(is_for_same_value) {
            let at = usize::from(charges[0].value);
            let slot = self.scopes.ensure(places[at], hold.values[at]);
            let scope = self.scopes.at(slot);
            scope.held_by += charges.len() as u32; // at most 255
            for &Charge { counter: id, amount, .. } in charges {
                // `places` has found it before.
                let Some(meaning) = self.meanings.find(id) else { continue };
                let counter = scope.counter_or_new(meaning.column);
                counter.roll(now);
                let until = self.meanings.until(&meaning, now, counter);
                let until = counter.reserve(until, amount);
                record.entries.push(Entry { slot, counter: id, amount, until });
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
        let unknown = || StoreError::new("a counter of another store");
        let meaning = self.meanings.find(counter).ok_or_else(unknown)?;
        let place = self.scopes.place(meaning.family, value, hash, 0);
        let (used, open) = self.used(place, &meaning, now);
        let reserved = open.min(used);
        let horizon = self.meanings.horizon(&meaning);
        let resets_at = horizon.is_calendar().then(|| Timestamp::from_nanos(horizon.until(now)));
        Ok(Reading { settled: used - reserved, reserved, resets_at })
    }

    /// Moves a deadline to a later time, unless it has passed already.
    pub(super) fn extend(&mut self, reservation: Reservation, deadline: Timestamp) {
        self.held.extend(reservation, before_the_end(deadline));
    }
}

/// A time at which "for ever" has not come yet.
pub(super) fn before_the_end(time: Timestamp) -> u64 {
    time.as_nanos().min(u64::MAX - 1)
}

/// What a hold asks of the counter of a limit, or `None` above `u64::MAX`.
///
/// Two values that share a scope, as newcomers above the cap do, share its counters
/// as well: then what the other one is charged comes on top.
#[cold]
pub(super) fn asked(hold: &Hold<'_>, places: &[Place], limit: &Limit) -> Option<u64> {
    let own = hold.charges.get(usize::from(limit.charge))?;
    let place = *places.get(usize::from(own.value))?;
    let value = |index: u8| hold.values.get(usize::from(index));
    let others = hold.charges.iter().enumerate().filter(|(index, charge)| {
        *index != usize::from(limit.charge)
            && charge.counter == own.counter
            && places.get(usize::from(charge.value)) == Some(&place)
            && (place.slot != NONE || place.other || value(charge.value) == value(own.value))
    });
    others.map(|(_, charge)| charge.amount).try_fold(limit.ask, u64::checked_add)
}

/// Whether two values share a scope, which makes the limits of each depend on both.
#[inline]
fn is_shared(places: &[Place]) -> bool {
    places.iter().enumerate().any(|(index, place)| places[..index].contains(place))
}

/// The same value so many times. The usual few are on the stack, and stay where they
/// are: to move what was written just now makes the processor wait for the writes.
#[inline]
fn filled<'a, T: Copy>(
    value: T,
    count: usize,
    few: &'a mut [T; 8],
    many: &'a mut Vec<T>,
) -> &'a mut [T] {
    if let Some(few) = few.get_mut(..count) {
        few.fill(value);
        return few;
    }
    many.resize(count, value);
    many
}

fn is_for_same_value(one: &Charge, other: &Charge) -> bool {
    one.value == other.value
}

#[cold]
fn senseless(what: &str) -> ReserveError {
    ReserveError::Unavailable(StoreError::new(format!("the hold has {what}")))
}
