//! What a hold charges, looked up: the notes a reserve takes on its stack.

use hashbrown::DefaultHashBuilder;
use smallvec::SmallVec;

use super::{
    counter::Before,
    scopes::{Place, hash_of},
};
use crate::store::contract::{Hold, Limit};

/// What a hold charges, looked up.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// By the hold's values.
    pub(super) places: SmallVec<[Place; 8]>,
    /// By its charges.
    pub(super) spots: SmallVec<[Spot; 16]>,
    /// Whether two values share a scope, as newcomers above the cap do.
    is_shared: bool,
}

/// The counter of one charge.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spot {
    /// What it was before this charge.
    pub(super) before: Before,
    /// The largest limit it is prepared for.
    pub(super) most: u64,
}

impl Found {
    /// Makes room and hashes the values, which needs no lock.
    #[inline]
    pub(super) fn prepare(&mut self, hold: &Hold<'_>, hasher: &DefaultHashBuilder) {
        self.places.extend(hold.values.iter().map(|value| Place::of(hash_of(hasher, value))));
        self.spots.resize(hold.charges.len(), Spot::default());
    }

    /// Finds out whether two values share a scope.
    #[inline]
    pub(super) fn look_for_sharers(&mut self) {
        let mut rest = self.places.as_slice();
        while let [first, others @ ..] = rest {
            self.is_shared |= others.iter().any(|other| other.slot == first.slot);
            rest = others;
        }
    }

    /// Whether a counter that had `used` before leaves room for what is asked.
    #[inline]
    pub(super) fn has_room(&self, hold: &Hold<'_>, limit: &Limit, used: u64) -> bool {
        if self.is_shared {
            return self.has_shared_room(hold, limit, used);
        }
        used.checked_add(limit.ask).is_some_and(|sum| sum <= limit.limit)
    }

    #[cold]
    fn has_shared_room(&self, hold: &Hold<'_>, limit: &Limit, used: u64) -> bool {
        let first = self.sharers(hold, limit).map(|(spot, _)| spot.before.used).min();
        let used = first.map_or(used, |first| first.min(used));
        let sum = self.asked(hold, limit).and_then(|ask| used.checked_add(ask));
        sum.is_some_and(|sum| sum <= limit.limit)
    }

    /// What a hold asks of the counter of a limit, or `None` above `u64::MAX`. What
    /// is charged there for values that share it comes on top.
    #[cold]
    pub(super) fn asked(&self, hold: &Hold<'_>, limit: &Limit) -> Option<u64> {
        self.sharers(hold, limit).map(|(_, amount)| amount).try_fold(limit.ask, u64::checked_add)
    }

    /// The other charges of the hold on the counter of a limit.
    fn sharers<'a>(
        &'a self,
        hold: &'a Hold<'_>,
        limit: &'a Limit,
    ) -> impl Iterator<Item = (&'a Spot, u64)> {
        let slot = |value: u8| self.places.get(usize::from(value)).map(|place| place.slot);
        let own = usize::from(limit.charge);
        let spots = hold.charges.iter().zip(&self.spots).enumerate();
        spots.filter_map(move |(index, (charge, spot))| {
            let of = hold.charges.get(own)?;
            let shares = charge.counter == of.counter && slot(charge.value) == slot(of.value);
            (index != own && shares).then_some((spot, charge.amount))
        })
    }
}
