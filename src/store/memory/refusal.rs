//! Why there is no room, and when there will be: off the hot path.

use super::{found::Found, meaning::Meaning, state::State};
use crate::{
    clock::Timestamp,
    denial::Retry,
    store::contract::{Hold, Limit, Refusal},
};

impl State {
    /// Names the first limit without room, and when all of them would have it.
    #[cold]
    pub(super) fn refusal(&mut self, hold: &Hold<'_>, found: &Found, now: u64) -> Refusal {
        self.expire_due();
        let mut first: Option<Refusal> = None;
        let mut retry = Retry::WhenInFlightSettles;
        for (index, limit) in hold.limits.iter().enumerate() {
            let Some((meaning, slot)) = self.limited(hold, found, limit) else { continue };
            let (used, reserved) = self.scopes.used(slot, meaning.column, now);
            if found.has_room(hold, limit, used) {
                continue;
            }
            first.get_or_insert(Refusal { limit: index, used, reserved, retry });
            let most = found.asked(hold, limit).and_then(|ask| limit.limit.checked_sub(ask));
            retry = later(retry, self.retry(most, meaning, slot, now));
        }
        let nothing = Refusal { limit: 0, used: 0, reserved: 0, retry };
        Refusal { retry, ..first.unwrap_or(nothing) }
    }

    /// The counter and the slot a limit is about.
    fn limited(&self, hold: &Hold<'_>, found: &Found, limit: &Limit) -> Option<(Meaning, u32)> {
        let charge = hold.charges.get(usize::from(limit.charge))?;
        let meaning = self.meanings.find(charge.counter)?;
        Some((meaning, found.places.get(usize::from(charge.value))?.slot))
    }

    /// When no more than `most` will be used.
    fn retry(&mut self, most: Option<u64>, meaning: Meaning, slot: u32, now: u64) -> Retry {
        let Some(most) = most else { return Retry::Never };
        let (used, open) = self.scopes.used(slot, meaning.column, now);
        let horizon = self.meanings.horizon(meaning);
        if !horizon.slides() {
            return match used - open.min(used) <= most {
                true => Retry::WhenInFlightSettles,
                false if horizon.is_calendar() => at(horizon.until(now)),
                false => Retry::Never,
            };
        }
        // Without a counter, there is nothing that could leave.
        let counter = self.scopes.counter(slot, meaning.column);
        counter.map_or(Retry::Never, |counter| at(counter.falls_to(most)))
    }
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
