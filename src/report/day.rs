//! A day, which is what the rollup counts by.

use std::{fmt, str::FromStr};

use serde::{Serialize, Serializer};

use crate::clock::{ParseTimeError, Timestamp};

const NANOS: u64 = 86_400 * 1_000_000_000;

/// A day of UTC, from 1970 to 2554.
///
/// # Example
/// ```
/// use driftlock::{Timestamp, report::Day};
///
/// let day: Day = "2026-11-22".parse()?;
/// assert_eq!(day, Day::of("2026-11-22T12:00:00Z".parse()?));
/// assert_eq!(day.start().to_string(), "2026-11-22T00:00:00Z");
/// # Ok::<(), driftlock::ParseTimeError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(u32);

impl Day {
    /// The last one.
    pub(super) const MAX: Self = Self((u64::MAX / NANOS) as u32);

    /// The day of a moment.
    pub const fn of(time: Timestamp) -> Self {
        // The largest quotient is 213,503.
        Self((time.as_nanos() / NANOS) as u32)
    }

    /// Its first moment.
    pub const fn start(self) -> Timestamp {
        Timestamp::from_nanos(self.0 as u64 * NANOS)
    }

    /// The day as the file has it: a number since 1970-01-01.
    pub(super) fn numbered(number: i64) -> Option<Self> {
        u32::try_from(number).ok().map(Self).filter(|day| *day <= Self::MAX)
    }

    pub(super) fn number(self) -> i64 {
        self.0.into()
    }

    /// So many days earlier, at the earliest 1970-01-01.
    pub(super) fn back(self, days: u32) -> Self {
        Self(self.0.saturating_sub(days))
    }

    /// The first moment after it, or the last there is.
    pub(super) fn end(self) -> Timestamp {
        Timestamp::from_nanos((u64::from(self.0) + 1).saturating_mul(NANOS))
    }

    /// The day after it; after the last, the last.
    pub(super) fn next(self) -> Self {
        Self(self.0 + 1).min(Self::MAX)
    }

    /// The first day of the month after that of this one.
    pub(super) fn next_month(self) -> Option<Self> {
        // The next first is within the 31 days after any day.
        let next = (1..=31).map(|days| Self(self.0 + days)).take_while(|day| *day <= Self::MAX);
        next.into_iter().find(|day| day.to_string().ends_with("-01"))
    }

    /// Every day from this one to `last`, both included.
    pub(super) fn to(self, last: Self) -> impl ExactSizeIterator<Item = Self> {
        (self.0..self.0.max(last.0 + 1)).map(Self)
    }
}

/// As `2026-11-22`.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = jiff::tz::Offset::UTC.to_datetime(self.start().to_jiff()).date();
        f.pad(&date.to_string())
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Reads `2026-11-22`.
impl FromStr for Day {
    type Err = ParseTimeError;

    fn from_str(text: &str) -> Result<Self, ParseTimeError> {
        // A date of jiff's may have a time behind it, which is not a day.
        let of_a_day = text.len() == 10;
        let midnight = if of_a_day { format!("{text}T00:00:00Z") } else { text.into() };
        midnight.parse().map(Self::of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_read_back_as_they_are_written() {
        for number in [0, 20_779, 213_503] {
            let day = Day::numbered(number).unwrap();
            assert_eq!(day.to_string().parse::<Day>().unwrap(), day);
            assert_eq!(Day::of(day.start()), day);
        }
        assert_eq!(Day::numbered(213_504), None);
        assert_eq!(Day::numbered(-1), None);
        assert!("2026-02-30".parse::<Day>().is_err());
        assert!("22.11.2026".parse::<Day>().is_err());
    }
}
