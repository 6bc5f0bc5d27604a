//! The span of time a limit looks at.
//!
//! A budget "per month" looks at a calendar period and starts again at zero; a
//! velocity limit "60 a minute" looks back from now, always. Mixing the two up is
//! how a "60 a minute" limit lets 120 through around the full minute.

use std::{
    fmt,
    sync::{OnceLock, RwLock},
    time::Duration,
};

use jiff::{ToSpan, civil, tz::TimeZone};

use crate::clock::{Timestamp, saturating_nanos};

/// The span of time over which spend or calls are counted.
///
/// # Example
/// ```
/// use std::time::Duration;
/// use driftlock::{Window, Zone};
///
/// assert_eq!(Window::sliding(Duration::from_secs(60)).to_string(), "in any 60s");
/// assert_eq!(Window::month(Zone::UTC).to_string(), "this month");
/// let berlin = Zone::named("Europe/Berlin")?;
/// assert_eq!(Window::day(berlin).to_string(), "this day (Europe/Berlin)");
/// # Ok::<(), driftlock::ZoneError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Window {
    /// Any span of this length. Shorter than a millisecond counts as one millisecond.
    Sliding(Duration),
    /// The current calendar period of a time zone.
    Calendar(Period, Zone),
    /// All time: never resets.
    Lifetime,
}

/// The shortest sliding window: below it, a clock's own steps would decide.
const SHORTEST: Duration = Duration::from_millis(1);

impl Window {
    /// Any span of `length`, at least a millisecond.
    pub fn sliding(length: Duration) -> Self {
        Self::Sliding(length.max(SHORTEST))
    }

    /// The calendar day.
    pub const fn day(zone: Zone) -> Self {
        Self::Calendar(Period::Day, zone)
    }

    /// The calendar week, from Monday (ISO 8601).
    pub const fn week(zone: Zone) -> Self {
        Self::Calendar(Period::Week, zone)
    }

    /// The calendar month.
    pub const fn month(zone: Zone) -> Self {
        Self::Calendar(Period::Month, zone)
    }

    /// The length of a sliding window in nanoseconds.
    pub(crate) fn sliding_nanos(self) -> Option<u64> {
        match self {
            Self::Sliding(length) => Some(saturating_nanos(length.max(SHORTEST))),
            Self::Calendar(..) | Self::Lifetime => None,
        }
    }

    /// The calendar period that contains `at`: its start, and its end which is
    /// the start of the next. `Lifetime` and sliding windows have one, endless.
    pub(crate) fn period(self, at: Timestamp) -> (Timestamp, Timestamp) {
        match self {
            Self::Calendar(period, zone) => zone.period(period, at),
            Self::Sliding(_) | Self::Lifetime => (Timestamp::EPOCH, Timestamp::MAX),
        }
    }
}

/// As it reads after an amount: `$3.00 of $5.00 spent this month`.
impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sliding(length) => write_length(f, *length),
            Self::Calendar(period, Zone::UTC) => write!(f, "this {period}"),
            Self::Calendar(period, zone) => write!(f, "this {period} ({zone})"),
            Self::Lifetime => f.write_str("in all time"),
        }
    }
}

/// `in any 90s`, `in any 2 hours`, `in any 7 days`: the largest unit that fits.
fn write_length(f: &mut fmt::Formatter<'_>, length: Duration) -> fmt::Result {
    const HOUR: u64 = 3_600;
    const DAY: u64 = 24 * HOUR;
    match (length.as_secs(), length.subsec_nanos()) {
        (DAY, 0) => f.write_str("in any day"),
        (HOUR, 0) => f.write_str("in any hour"),
        (seconds, 0) if seconds > 0 && seconds % DAY == 0 => {
            write!(f, "in any {} days", seconds / DAY)
        }
        (seconds, 0) if seconds > 0 && seconds % HOUR == 0 => {
            write!(f, "in any {} hours", seconds / HOUR)
        }
        _ => write!(f, "in any {length:?}"),
    }
}

/// A calendar period.
///
/// For an example see [`Window`](crate::Window).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Period {
    /// From midnight to midnight.
    Day,
    /// From Monday to Monday.
    Week,
    /// From the first to the first.
    Month,
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        })
    }
}

/// A time zone of the IANA database, in which calendar periods begin.
///
/// The database of the machine is used where there is one, else a bundled copy.
///
/// For an example see [`Window`](crate::Window).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Zone(u16);

/// Zones in use, by number, so that a [`Window`] is small and copied freely. Only
/// names the database knows get in, so the table is bounded by its size.
fn zones() -> &'static RwLock<Vec<(String, TimeZone)>> {
    static ZONES: OnceLock<RwLock<Vec<(String, TimeZone)>>> = OnceLock::new();
    ZONES.get_or_init(|| RwLock::new(vec![("UTC".into(), TimeZone::UTC)]))
}

impl Zone {
    /// Coordinated universal time, the default everywhere.
    pub const UTC: Self = Self(0);

    /// The zone with an IANA name, for example `"Europe/Berlin"`.
    ///
    /// # Errors
    /// [`ZoneError`] if the database has no zone of this name.
    pub fn named(name: &str) -> Result<Self, ZoneError> {
        let zone = TimeZone::get(name).map_err(|_| ZoneError(name.chars().take(64).collect()))?;
        let canonical = zone.iana_name().unwrap_or(name).to_owned();
        let mut zones = zones().write().unwrap_or_else(|poisoned| poisoned.into_inner());
        let found = zones.iter().position(|(known, _)| *known == canonical);
        let index = found.unwrap_or_else(|| {
            zones.push((canonical, zone));
            zones.len() - 1
        });
        u16::try_from(index).map(Self).map_err(|_| ZoneError(name.into()))
    }

    /// Its IANA name.
    pub fn name(self) -> String {
        self.entry().0
    }

    fn entry(self) -> (String, TimeZone) {
        let zones = zones().read().unwrap_or_else(|poisoned| poisoned.into_inner());
        zones.get(usize::from(self.0)).cloned().unwrap_or_else(|| ("UTC".into(), TimeZone::UTC))
    }

    fn period(self, period: Period, at: Timestamp) -> (Timestamp, Timestamp) {
        let zone = self.entry().1;
        let date = at.to_jiff().to_zoned(zone.clone()).date();
        let (first, length) = match period {
            Period::Day => (date, 1.day()),
            Period::Week => {
                let since_monday = i64::from(date.weekday().to_monday_zero_offset());
                (date.saturating_sub(since_monday.days()), 7.days())
            }
            Period::Month => (date.first_of_month(), 1.month()),
        };
        (midnight(first, &zone), midnight(first.saturating_add(length), &zone))
    }
}

/// The first moment of a date; where daylight saving skips midnight, the moment after.
fn midnight(date: civil::Date, zone: &TimeZone) -> Timestamp {
    date.to_zoned(zone.clone())
        .map_or(Timestamp::MAX, |start| Timestamp::from_jiff(start.timestamp()))
}

impl Default for Zone {
    fn default() -> Self {
        Self::UTC
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The time zone database has no zone of this name.
///
/// For an example see [`Window`](crate::Window).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneError(String);

impl fmt::Display for ZoneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no time zone named `{}`; expected an IANA name like \"Europe/Berlin\"", self.0)
    }
}

impl std::error::Error for ZoneError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn period(window: Window, at: &str) -> (String, String) {
        let (start, end) = window.period(at.parse().unwrap());
        (start.to_string(), end.to_string())
    }

    #[test]
    fn a_month_ends_at_the_zones_midnight_on_either_side_of_daylight_saving() {
        let berlin = Zone::named("Europe/Berlin").unwrap();
        let october = period(Window::month(berlin), "2026-10-15T12:00:00Z");
        assert_eq!(october, ("2026-09-30T22:00:00Z".into(), "2026-10-31T23:00:00Z".into()));
        let utc = period(Window::month(Zone::UTC), "2026-12-31T23:59:59.999999999Z");
        assert_eq!(utc, ("2026-12-01T00:00:00Z".into(), "2027-01-01T00:00:00Z".into()));
    }

    #[test]
    fn a_day_with_a_clock_change_is_23_or_25_hours_long() {
        let berlin = Zone::named("Europe/Berlin").unwrap();
        let spring = Window::day(berlin).period("2026-03-29T12:00:00Z".parse().unwrap());
        assert_eq!(spring.1.since(spring.0), Duration::from_secs(23 * 3600));
        let autumn = Window::day(berlin).period("2026-10-25T12:00:00Z".parse().unwrap());
        assert_eq!(autumn.1.since(autumn.0), Duration::from_secs(25 * 3600));
    }

    #[test]
    fn a_week_starts_on_monday() {
        let sunday = period(Window::week(Zone::UTC), "2026-11-22T12:00:00Z");
        assert_eq!(sunday, ("2026-11-16T00:00:00Z".into(), "2026-11-23T00:00:00Z".into()));
    }

    #[test]
    fn the_end_of_time_does_not_panic() {
        for window in [Window::day(Zone::UTC), Window::week(Zone::UTC), Window::month(Zone::UTC)] {
            let (start, end) = window.period(Timestamp::MAX);
            assert!(start <= end);
            window.period(Timestamp::EPOCH);
        }
    }

    #[test]
    fn lengths_read_in_the_largest_unit_that_fits() {
        let words = |seconds| Window::sliding(Duration::from_secs(seconds)).to_string();
        assert_eq!(
            [60, 90, 3_600, 5_400, 7_200].map(words),
            ["in any 60s", "in any 90s", "in any hour", "in any 5400s", "in any 2 hours",]
        );
        assert_eq!([86_400, 604_800].map(words), ["in any day", "in any 7 days"]);
    }

    #[test]
    fn zones_are_one_value_per_name() {
        assert_eq!(Zone::named("Europe/Berlin"), Zone::named("Europe/Berlin"));
        assert_eq!(Zone::named("UTC").unwrap(), Zone::UTC);
        assert!(Zone::named("Atlantis/Capital").is_err());
    }
}
