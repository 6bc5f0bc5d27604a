//! Why there is no room, and when there will be: off the hot path.

use super::{
    booking::beside,
    charges::{Booked, Charges, Place},
    scopes::Scopes,
    state::State,
};
use crate::{
    clock::Timestamp,
    denial::Retry,
    store::contract::{Hold, Limit, Refusal},
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
            let Some((booked, slot)) = limited(charges, places, limit) else { continue };
            let (used, reserved) = self.scopes.used(slot, booked.column, now);
            // What the call books there for a value that shares the scope comes on top.
            let beside = beside(charges, places, limit.charge, hold.cost.as_nanos());
            let ask = beside.and_then(|beside| limit.ask.checked_add(beside));
            if ask.and_then(|ask| used.checked_add(ask)).is_some_and(|sum| sum <= limit.limit) {
                continue;
            }
            first.get_or_insert(Refusal { limit: index, used, reserved, retry });
            let most = ask.and_then(|ask| limit.limit.checked_sub(ask));
            retry = later(retry, retry_after(&mut self.scopes, most, booked, slot, now));
        }
        let nothing = Refusal { limit: 0, used: 0, reserved: 0, retry };
        Refusal { retry, ..first.unwrap_or(nothing) }
    }
}

/// When no more than `most` will be used.
fn retry_after(
    scopes: &mut Scopes,
    most: Option<u64>,
    mut booked: Booked,
    slot: u32,
    now: u64,
) -> Retry {
    let Some(most) = most else { return Retry::Never };
    let (used, open) = scopes.used(slot, booked.column, now);
    if !booked.horizon.slides() {
        return match used - open.min(used) <= most {
            true => Retry::WhenInFlightSettles,
            false if booked.horizon.is_calendar() => at(booked.horizon.until(now)),
            false => Retry::Never,
        };
    }
    // Without a counter, there is nothing that could leave.
    let counter = scopes.counter(slot, booked.column);
    counter.map_or(Retry::Never, |counter| at(counter.falls_to(most)))
}

/// The counter and the slot a limit is about.
fn limited(charges: &Charges, places: &[Place], limit: &Limit) -> Option<(Booked, u32)> {
    let (run, booked) = charges.at(limit.charge)?;
    Some((booked, places.get(run)?.slot))
}

fn at(nanos: u64) -> Retry {
    Retry::At(Timestamp::from_nanos(nanos))
}

/// The one that must be waited for.
fn later(one: Retry, other: Retry) -> Retry {
    match (one, other) {
        (Retry::Never, _) | (_, Retry::Never) => Retry::Never,
        (Retry::At(one), Retry::At(other)) => Retry::At(one.max(other)),
        (Retry::At(time), _) | (_, Retry::At(time)) => Retry::At(time),
        (Retry::WhenInFlightSettles, Retry::WhenInFlightSettles) => Retry::WhenInFlightSettles,
    }
}
