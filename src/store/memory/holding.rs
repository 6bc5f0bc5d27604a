//! Holds of any make: those of calls with claims of their own, those that are refused
//! and must be told why, and those of other code.

use smallvec::SmallVec;

use super::{
    booking::Ask,
    charges::{Place, Places, senseless},
    state::State,
};
use crate::{
    clock::saturating_nanos,
    store::contract::{Hold, Refusal, Reservation, ReserveError},
};

impl State {
    /// Books every charge of a hold if each of its limits has room. `hashes` are those of
    /// its values.
    pub(super) fn reserve_hold(
        &mut self,
        hold: &Hold<'_>,
        hashes: &[u64],
    ) -> Result<Reservation, ReserveError> {
        self.with_room(hold, hashes, |state, ask, places, now| {
            for limit in hold.limits {
                if let Some(charge) = hold.charges.get(usize::from(limit.charge)) {
                    state.widen(charge.counter, limit.limit);
                }
            }
            state.book(ask, places, now)
        })
    }

    /// The refusal a hold would get now, if any. Books nothing.
    pub(super) fn peek(&mut self, hold: &Hold<'_>, hashes: &[u64]) -> Option<Refusal> {
        let peeked = self.with_room(hold, hashes, |state, _, places, now| state.leave(places, now));
        match peeked {
            Err(ReserveError::Refused(refusal)) => Some(refusal),
            Ok(()) | Err(ReserveError::Unavailable(_)) => None,
        }
    }

    fn with_room<T>(
        &mut self,
        hold: &Hold<'_>,
        hashes: &[u64],
        then: impl FnOnce(&mut Self, &Ask<'_>, &[Place], u64) -> T,
    ) -> Result<T, ReserveError> {
        let now = self.advance(hold.at);
        let Self { plans, meanings, scopes, .. } = self;
        let plan = plans.of(hold.charges, meanings, scopes).map_err(ReserveError::Unavailable)?;
        let charges = &*plans.at(plan);
        if charges.values() > hold.values.len() {
            let what = "a charge for a value that is not there";
            return Err(ReserveError::Unavailable(senseless(what)));
        }
        let rooms = rooms(hold, charges.len())?;
        let ask = Ask {
            plan,
            values: hold.values,
            rooms: &rooms,
            cost: hold.cost.as_nanos(),
            lasts: saturating_nanos(hold.deadline.since(hold.at)),
        };
        let hash = |value: u8| hashes.get(usize::from(value)).copied().unwrap_or_default();
        let mut places: Places =
            charges.runs.iter().map(|run| Place::of(hash(run.value))).collect();
        self.enter(&ask, &mut places);
        if !self.has_room(&ask, &places, now) || !is_possible(hold) {
            let refusal = self.refusal(hold, plan, &places, now);
            self.leave(&places, now);
            return Err(ReserveError::Refused(refusal));
        }
        Ok(then(self, &ask, &places, now))
    }
}

/// For each charge, the most that may have been used before, as far as its limits are
/// not below what is asked.
fn rooms(hold: &Hold<'_>, charges: usize) -> Result<SmallVec<[u64; 8]>, ReserveError> {
    let mut rooms = SmallVec::from_elem(u64::MAX, charges);
    for limit in hold.limits {
        let Some(room) = rooms.get_mut(usize::from(limit.charge)) else {
            let what = "a limit on a charge that is not there";
            return Err(ReserveError::Unavailable(senseless(what)));
        };
        *room = limit.limit.saturating_sub(limit.ask).min(*room);
    }
    Ok(rooms)
}

/// Whether no limit is below what is asked.
fn is_possible(hold: &Hold<'_>) -> bool {
    hold.limits.iter().all(|limit| limit.ask <= limit.limit)
}
