//! How the file spells what the program has types for.

use std::time::Duration;

use crate::{
    claim::Unit,
    window::{Period, Window, Zone},
};

/// A number of the program, in the same 64 bits: what is above 2^63 reads as negative.
pub(crate) fn to_sql(number: u64) -> i64 {
    number.cast_signed()
}

/// The number behind the 64 bits of the file.
pub(crate) fn from_sql(number: i64) -> u64 {
    number.cast_unsigned()
}

/// `cost` or `calls`.
pub(crate) fn unit_name(unit: Unit) -> &'static str {
    match unit {
        Unit::Cost => "cost",
        Unit::Calls => "calls",
    }
}

pub(crate) fn unit_named(name: &str) -> Option<Unit> {
    match name {
        "cost" => Some(Unit::Cost),
        "calls" => Some(Unit::Calls),
        _ => None,
    }
}

/// `month UTC`, `day Europe/Berlin`, `lifetime`, `sliding 60000000000` (nanoseconds).
pub(crate) fn window_name(window: Window) -> String {
    match window {
        Window::Calendar(period, zone) => format!("{period} {zone}"),
        Window::Sliding(_) => format!("sliding {}", window.sliding_nanos().unwrap_or(0)),
        Window::Lifetime => "lifetime".into(),
    }
}

pub(crate) fn window_named(name: &str) -> Option<Window> {
    if name == "lifetime" {
        return Some(Window::Lifetime);
    }
    let (kind, rest) = name.split_once(' ')?;
    let period = match kind {
        "day" => Period::Day,
        "week" => Period::Week,
        "month" => Period::Month,
        "sliding" => return Some(Window::sliding(Duration::from_nanos(rest.parse().ok()?))),
        _ => return None,
    };
    Some(Window::Calendar(period, Zone::named(rest).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_window_and_number_comes_back_as_it_was() {
        let berlin = Zone::named("Europe/Berlin").unwrap();
        for window in [
            Window::Lifetime,
            Window::month(Zone::UTC),
            Window::day(berlin),
            Window::week(berlin),
            Window::sliding(Duration::from_millis(1)),
            Window::sliding(Duration::from_secs(7 * 86_400)),
        ] {
            assert_eq!(window_named(&window_name(window)), Some(window));
        }
        for nonsense in ["", "month", "month Atlantis/Capital", "sliding x", "year UTC"] {
            assert_eq!(window_named(nonsense), None);
        }
        for number in [0, 1, u64::MAX, 1 << 63] {
            assert_eq!(from_sql(to_sql(number)), number);
        }
    }
}
