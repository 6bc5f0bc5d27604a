//! Why there is no room, and when there will be: off the hot path.

use super::{booking::beside, charges::Place, state::State};
use crate::{
    denial::Retry,
    store::{
        contract::{Hold, Refusal},
        counting::{later, retry_after},
    },
};

impl State {
    /// Names the first limit without room, and when all of them would have it.
    #[cold]
    pub(super) fn refusal(
        &mut self,
        hold: &Hold<'_>,
        plan: u32,
        places: &[Place],
        now: u64,
    ) -> Refusal {
        self.expire_due();
        let charges = &*self.plans.at(plan);
        let mut first: Option<Refusal> = None;
        let mut retry = Retry::WhenInFlightSettles;
        for (index, limit) in hold.limits.iter().enumerate() {
            let charge = usize::from(limit.charge);
            let Some((run, booked, _)) = charges.at(charge, 0) else { continue };
            let Some(Place { slot, .. }) = places.get(run).copied() else { continue };
            let (used, reserved) = self.scopes.used(slot, booked.column, now);
            // What the call books there for a value that shares the scope comes on top.
            let beside = beside(charges, places, charge, hold.cost.as_nanos());
            let ask = beside.and_then(|beside| limit.ask.checked_add(beside));
            if ask.and_then(|ask| used.checked_add(ask)).is_some_and(|sum| sum <= limit.limit) {
                continue;
            }
            first.get_or_insert(Refusal { limit: index, used, reserved, raised: 0, retry });
            let most = ask.and_then(|ask| limit.limit.checked_sub(ask));
            let counter = self.scopes.counter(slot, booked.column);
            retry = later(retry, retry_after(counter.as_deref(), booked.horizon, most, now));
        }
        let nothing = Refusal { limit: 0, used: 0, reserved: 0, raised: 0, retry };
        Refusal { retry, ..first.unwrap_or(nothing) }
    }
}
