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
                if let Some((_, booked)) = ask.plan.charges.at(limit.charge) {
                    state.meanings.widen(booked.counter, limit.limit);
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
        let plan = self
            .plans
            .of(hold.charges, &mut self.meanings, &self.scopes)
            .map_err(ReserveError::Unavailable)?;
        if plan.charges.values() > hold.values.len() {
            let what = "a charge for a value that is not there";
            return Err(ReserveError::Unavailable(senseless(what)));
        }
        let rooms = rooms(hold, plan.charges.len())?;
        let ask = Ask {
            plan: &plan,
            values: hold.values,
            rooms: rooms.as_deref().unwrap_or_default(),
            cost: hold.cost.as_nanos(),
            lasts: saturating_nanos(hold.deadline.since(hold.at)),
        };
        let hash = |value: u8| hashes.get(usize::from(value)).copied().unwrap_or_default();
        let mut places: Places =
            plan.charges.runs.iter().map(|run| Place::of(hash(run.value))).collect();
        self.enter(&ask, &mut places);
        if rooms.is_none() || !self.has_room(&ask, &places, now) {
            let refusal = self.refusal(hold, &plan.charges, &places, now);
            self.leave(&places, now);
            return Err(ReserveError::Refused(refusal));
        }
        Ok(then(self, &ask, &places, now))
    }
}

/// For each charge, the most that may have been used before; `None` if a limit is below
/// what is asked.
fn rooms(hold: &Hold<'_>, charges: usize) -> Result<Option<SmallVec<[u64; 8]>>, ReserveError> {
    let mut rooms = SmallVec::from_elem(u64::MAX, charges);
    let mut all = true;
    for limit in hold.limits {
        let Some(room) = rooms.get_mut(usize::from(limit.charge)) else {
            let what = "a limit on a charge that is not there";
            return Err(ReserveError::Unavailable(senseless(what)));
        };
        match limit.limit.checked_sub(limit.ask) {
            Some(most) => *room = most.min(*room),
            None => all = false,
        }
    }
    Ok(all.then_some(rooms))
}
