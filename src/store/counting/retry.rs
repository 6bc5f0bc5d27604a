//! When there will be room.

use super::{Counter, Horizon};
use crate::{clock::Timestamp, denial::Retry};

/// When no more than `most` will be used; `None` if that can never be. The counter is
/// up to date.
pub(crate) fn retry_after(
    counter: Option<&Counter>,
    mut horizon: Horizon,
    most: Option<u64>,
    now: u64,
) -> Retry {
    let Some(most) = most else { return Retry::Never };
    if horizon.slides() {
        // Without a counter, there is nothing that could leave.
        return counter.map_or(Retry::Never, |counter| at(counter.falls_to(most)));
    }
    let settled = counter.map_or(0, |counter| counter.used() - counter.open().min(counter.used()));
    match settled <= most {
        true => Retry::WhenInFlightSettles,
        false if horizon.is_calendar() => at(horizon.until(now)),
        false => Retry::Never,
    }
}

fn at(nanos: u64) -> Retry {
    Retry::At(Timestamp::from_nanos(nanos))
}

/// The one that must be waited for.
pub(crate) fn later(one: Retry, other: Retry) -> Retry {
    match (one, other) {
        (Retry::Never, _) | (_, Retry::Never) => Retry::Never,
        (Retry::At(one), Retry::At(other)) => Retry::At(one.max(other)),
        (Retry::At(time), _) | (_, Retry::At(time)) => Retry::At(time),
        (Retry::WhenInFlightSettles, Retry::WhenInFlightSettles) => Retry::WhenInFlightSettles,
    }
}
