//! Why there is no room, and when there will be: off the hot path.

use super::{
    meaning::Meaning,
    scopes::{NONE, Place},
    state::{State, asked},
};
use crate::{
    clock::Timestamp,
    denial::Retry,
    store::contract::{Hold, Refusal},
};

impl State {
    /// Names the first limit without room, and when all of them would have it.
    #[cold]
    pub(super) fn refusal(&mut self, hold: &Hold<'_>, places: &[Place], now: u64) -> Refusal {
        let mut refusal =
            Refusal { limit: 0, used: 0, reserved: 0, retry: Retry::WhenInFlightSettles };
        let mut is_first = true;
        for (index, limit) in hold.limits.iter().enumerate() {
            let Ok((meaning, place)) = self.limited(hold, places, limit) else { continue };
            let (used, reserved) = self.used(place, &meaning, now);
            let ask = asked(hold, places, limit);
            if ask.and_then(|ask| used.checked_add(ask)).is_some_and(|sum| sum <= limit.limit) {
                continue;
            }
            if is_first {
                (refusal.limit, refusal.used, refusal.reserved) = (index, used, reserved);
                is_first = false;
            }
            let most = ask.and_then(|ask| limit.limit.checked_sub(ask));
            refusal.retry = later(refusal.retry, self.retry(most, &meaning, place, now));
        }
        refusal
    }

    /// When no more than `most` will be used.
    fn retry(&mut self, most: Option<u64>, meaning: &Meaning, place: Place, now: u64) -> Retry {
        let Some(most) = most else { return Retry::Never };
        let (used, open) = self.used(place, meaning, now);
        let horizon = self.meanings.horizon(meaning);
        if !horizon.slides() {
            return match used - open.min(used) <= most {
                true => Retry::WhenInFlightSettles,
                false if horizon.is_calendar() => at(horizon.until(now)),
                false => Retry::Never,
            };
        }
        if place.slot == NONE {
            return Retry::Never; // there is nothing that could leave
        }
        let counter = self.scopes.at(place.slot).counter(meaning.column);
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
