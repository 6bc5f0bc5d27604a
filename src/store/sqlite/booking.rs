//! A reserve: find everything, check everything, book everything.
//!
//! All of it happens in one transaction that nobody else can write in, on amounts of
//! which it is known that nobody else has changed them.

use rusqlite::Connection;
use smallvec::SmallVec;
use smol_str::SmolStr;

use super::{
    blob::{Booked, Bookings},
    calls::OpenCall,
    op::{OwnedHold, before_the_end},
    room::View,
    shared::Registry,
    state::{Failed, State},
};
use crate::{
    denial::Retry,
    store::{
        contract::{Charge, CounterId, Limit, Refusal},
        counting::later,
    },
};

/// Where a charge is booked.
#[derive(Clone, Debug)]
struct Place {
    counter: CounterId,
    row: i64,
    family: i64,
    value: SmolStr,
    /// Nothing while the file has no such scope.
    scope: Option<i64>,
    amount: u64,
}

impl Place {
    fn is_beside(&self, other: &Self) -> bool {
        (self.row, &self.value) == (other.row, &other.value)
    }
}

type Places = SmallVec<[Place; 8]>;

/// What became of a hold.
pub(super) enum Reserved {
    /// The number of the call, and its deadline.
    Booked(u64, u64),
    /// And whether that is because of what has settled.
    Refused(Refusal, bool),
}

impl State {
    /// Books every charge of a hold if each of its limits has room.
    pub(super) fn reserve(
        &mut self,
        hold: &OwnedHold,
        conn: &Connection,
        registry: &Registry,
    ) -> Result<Reserved, Failed> {
        let now = self.advance(hold.at, conn, registry)?;
        let places = self.places(hold, conn, registry)?;
        if let Some((refusal, is_spent)) = self.refusal(hold, &places, now) {
            self.note_caps(hold, &places);
            return Ok(Reserved::Refused(refusal, is_spent));
        }
        for limit in &hold.limits {
            if let Some(place) = places.get(usize::from(limit.charge))
                && let Some(meaning) = self.meanings.at(place.counter)
            {
                meaning.times.widen(limit.limit);
            }
        }
        let mut bookings = Bookings::new();
        for (index, place) in places.iter().enumerate() {
            let scope = self.scopes.enter(place.family, &place.value, conn)?;
            let Some(meaning) = self.meanings.at(place.counter) else { continue };
            let amount = self.scopes.change(scope, place.row);
            amount.amounts.roll(now);
            let until = match meaning.is_cost {
                true => amount.amounts.reserve(meaning.horizon.until(now), place.amount),
                false => {
                    let until = meaning.until(now, &amount.amounts);
                    amount.amounts.add(until, place.amount)
                }
            };
            amount.cap = cap_of(hold, index).or(amount.cap);
            bookings.push(Booked { counter: place.row, scope, lasts: until.wrapping_sub(now) });
        }
        let id = self.next_call();
        let deadline = before_the_end(now.saturating_add(hold.lasts));
        let facts = hold.call.as_ref();
        let model = facts.map(|facts| facts.model.clone()).unwrap_or_default();
        let (estimate, is_expired) = (hold.cost, false);
        let call = OpenCall { at: now, estimate, bookings, model, is_expired };
        self.calls.open(id, call, deadline, facts, conn)?;
        self.due = self.due.min(deadline);
        Ok(Reserved::Booked(id, deadline))
    }

    /// Keeps the limits of a call that is refused, as those of one that is not: whoever
    /// looks at a budget that is spent wants to see the limit that says so.
    fn note_caps(&mut self, hold: &OwnedHold, places: &Places) {
        for (index, place) in places.iter().enumerate() {
            let (Some(cap), Some(scope)) = (cap_of(hold, index), place.scope) else { continue };
            let known = self.scopes.amount(scope, place.row).map(|amount| amount.cap);
            if known.is_some_and(|known| known != Some(cap)) {
                self.scopes.change(scope, place.row).cap = Some(cap);
                self.note_change();
            }
        }
    }

    /// Finds the counter and the scope of every charge, and has their amounts at hand.
    fn places(
        &mut self,
        hold: &OwnedHold,
        conn: &Connection,
        registry: &Registry,
    ) -> Result<Places, Failed> {
        let mut places = Places::new();
        for (index, charge) in hold.charges.iter().enumerate() {
            if hold.charges.iter().take(index).any(|before| before == charge) {
                return Err(Failed::Senseless("one charge twice"));
            }
            let Some(meaning) = self.meanings.find(charge.counter, registry) else {
                return Err(Failed::Senseless("a charge on a counter of another store"));
            };
            let amount = if meaning.is_cost { hold.cost } else { 1 };
            let Some(value) = hold.values.get(usize::from(charge.value)) else {
                return Err(Failed::Senseless("a charge for a value that is not there"));
            };
            let row = self.meanings.row(charge.counter, conn)?;
            let mut before = hold.charges.iter().zip(&places);
            let differs = |(other, place): (&Charge, &Place)| {
                other.value == charge.value && place.family != row.family
            };
            if before.any(differs) {
                return Err(Failed::Senseless("one value for counters of different labels"));
            }
            let scope = self.scopes.find(row.family, value, conn)?;
            if let Some(scope) = scope {
                self.scopes.load(scope, conn)?;
            }
            places.push(Place {
                counter: charge.counter,
                row: row.id,
                family: row.family,
                value: value.clone(),
                scope,
                amount,
            });
        }
        match hold.limits.iter().all(|limit| usize::from(limit.charge) < places.len()) {
            true => Ok(places),
            false => Err(Failed::Senseless("a limit on a charge that is not there")),
        }
    }

    /// Names the first limit without room, and when all of them would have it.
    fn refusal(&mut self, hold: &OwnedHold, places: &Places, now: u64) -> Option<(Refusal, bool)> {
        let mut is_spent = false;
        let mut first: Option<Refusal> = None;
        let mut retry = Retry::WhenInFlightSettles;
        for (index, limit) in hold.limits.iter().enumerate() {
            let Some(place) = places.get(usize::from(limit.charge)) else { continue };
            let Some(meaning) = self.meanings.at(place.counter) else { continue };
            let horizon = meaning.horizon;
            // What the call books there for the same value given twice comes on top.
            let beside =
                places.iter().enumerate().filter(|(other, _)| *other != usize::from(limit.charge));
            let beside = beside.filter(|(_, other)| other.is_beside(place));
            let ask = beside.map(|(_, other)| other.amount).try_fold(limit.ask, u64::checked_add);
            let amount = place.scope.and_then(|scope| self.scopes.amount(scope, place.row));
            let view = match amount {
                Some(amount) => {
                    amount.amounts.roll(now);
                    let (raised, raised_until) = (amount.raised(now), amount.raised_until());
                    View { counter: Some(&amount.amounts), horizon, raised, raised_until }
                }
                None => View { counter: None, horizon, raised: 0, raised_until: 0 },
            };
            is_spent |= view.is_spent(ask, limit.limit);
            let Some(shortage) = view.shortage(ask, limit.limit, now) else { continue };
            retry = later(retry, shortage.retry);
            first.get_or_insert(Refusal { limit: index, ..shortage });
        }
        first.map(|first| (Refusal { retry, ..first }, is_spent))
    }
}

/// The smallest limit on one charge.
fn cap_of(hold: &OwnedHold, charge: usize) -> Option<u64> {
    let of_this = |limit: &&Limit| usize::from(limit.charge) == charge;
    hold.limits.iter().filter(of_this).map(|limit| limit.limit).min()
}
