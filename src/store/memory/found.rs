//! What a hold charges, looked up: the notes a reserve takes on its stack.

use hashbrown::DefaultHashBuilder;
use smallvec::SmallVec;

use super::scopes::{Place, hash_of};
use crate::store::contract::{Charge, Hold, Limit};

/// What a hold charges, looked up.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// By the hold's values.
    pub(super) places: SmallVec<[Place; 8]>,
    /// By its charges.
    pub(super) spots: SmallVec<[Spot; 16]>,
    /// Whether two values may share a scope, as newcomers above the cap do.
    pub(super) is_shared: bool,
}

/// The counter of one charge.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spot {
    pub(super) used: u64,
    /// The largest limit it is prepared for.
    pub(super) most: u64,
    /// Until when what is booked now counts.
    pub(super) until: u64,
    pub(super) column: u32,
    pub(super) is_cost: bool,
}

impl Found {
    /// Makes room and hashes the values, which needs no lock.
    #[inline]
    pub(super) fn prepare(&mut self, hold: &Hold<'_>, hasher: &DefaultHashBuilder) {
        self.places.extend(hold.values.iter().map(|value| Place::unused(hash_of(hasher, value))));
        self.spots.resize(hold.charges.len(), Spot::default());
    }

    /// Whether two values may share a scope.
    #[inline]
    pub(super) fn has_sharers(&self) -> bool {
        let mut rest = self.places.as_slice();
        while let [first, others @ ..] = rest {
            if others.iter().any(|other| first.may_be(other)) {
                return true;
            }
            rest = others;
        }
        false
    }

    /// Whether `used` leaves room for what is asked.
    #[inline]
    pub(super) fn has_room(&self, hold: &Hold<'_>, limit: &Limit, used: u64) -> bool {
        let sum = self.asked(hold, limit).and_then(|ask| used.checked_add(ask));
        sum.is_some_and(|sum| sum <= limit.limit)
    }

    /// What a hold asks of the counter of a limit, or `None` above `u64::MAX`.
    #[inline]
    pub(super) fn asked(&self, hold: &Hold<'_>, limit: &Limit) -> Option<u64> {
        if self.is_shared { self.asked_by_all(hold, limit) } else { Some(limit.ask) }
    }

    /// Values that share a scope share its counters: what the others are charged
    /// comes on top.
    #[cold]
    fn asked_by_all(&self, hold: &Hold<'_>, limit: &Limit) -> Option<u64> {
        let own = hold.charges.get(usize::from(limit.charge))?;
        let place = self.places.get(usize::from(own.value))?;
        let value = |charge: &Charge| hold.values.get(usize::from(charge.value));
        let others = hold.charges.iter().enumerate().filter(|(index, charge)| {
            *index != usize::from(limit.charge)
                && charge.counter == own.counter
                && self.places.get(usize::from(charge.value)).is_some_and(|at| at.may_be(place))
                && (!place.is_new() || value(charge) == value(own))
        });
        others.map(|(_, charge)| charge.amount).try_fold(limit.ask, u64::checked_add)
    }
}
