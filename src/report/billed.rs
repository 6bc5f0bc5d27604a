//! What a line of an invoice is for.

use std::fmt;

use serde::{Serialize, Serializer};

use super::{Day, rollup::Days};

/// A day of UTC or a whole month, whichever an invoice bills by.
///
/// For an example see [`Invoice`](crate::report::Invoice).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Billed {
    /// A day.
    Day(Day),
    /// The month that begins with this day.
    Month(Day),
}

impl Billed {
    /// Reads `2026-11-22`, a time of that day, seconds since 1970, and, as a month,
    /// `2026-11`.
    pub(super) fn read(text: &str) -> Option<Self> {
        // As many digits as seconds have had since 1973; fewer are no time.
        if text.len() >= 9 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            let nanos = text.parse::<u64>().ok()?.checked_mul(1_000_000_000)?;
            return Some(Self::Day(Day::of(crate::Timestamp::from_nanos(nanos))));
        }
        if text.len() == 7 {
            return format!("{text}-01").parse().ok().map(Self::Month);
        }
        let time = text.trim_end_matches(" UTC");
        let day = time.parse().or_else(|_| {
            // A time that does not say where it is told is one of UTC.
            format!("{time}Z").parse()
        });
        day.ok().map(Self::Day)
    }

    pub(super) fn is_day(self) -> bool {
        matches!(self, Self::Day(_))
    }

    /// The days it is for.
    pub(super) fn days(self) -> Days {
        match self {
            Self::Day(day) => Days { first: day, last: day },
            Self::Month(first) => {
                Days { first, last: first.next_month().map_or(Day::MAX, |next| next.back(1)) }
            }
        }
    }

    /// The one after it.
    pub(super) fn next(self) -> Option<Self> {
        match self {
            Self::Day(day) => Some(day.next()).filter(|next| *next > day).map(Self::Day),
            Self::Month(first) => first.next_month().map(Self::Month),
        }
    }
}

/// As `2026-11-22` or `2026-11`.
impl fmt::Display for Billed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day(day) => day.fmt(f),
            Self::Month(first) => f.pad(first.to_string().get(..7).unwrap_or_default()),
        }
    }
}

impl Serialize for Billed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_however_consoles_write_them() {
        for text in [
            "2026-11-22",
            "2026-11-22T00:00:00Z",
            "2026-11-22T00:00:00+00:00",
            "2026-11-23T01:00:00+02:00",
            "2026-11-22 00:00:00",
            "2026-11-22T13:30:00.5",
            "2026-11-22 00:00:00 UTC",
            "1795305600",
        ] {
            assert_eq!(
                Billed::read(text).map(|billed| billed.to_string()).as_deref(),
                Some("2026-11-22"),
                "{text}"
            );
        }
        for bad in [
            "",
            "22.11.2026",
            "11/22/2026",
            "2026-13",
            "2026-1",
            "20261122",
            "99999999999999999999",
        ] {
            assert_eq!(Billed::read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_month_has_all_of_its_days() {
        for (text, last, next) in [
            ("2026-11", "2026-11-30", "2026-12"),
            ("2026-12", "2026-12-31", "2027-01"),
            ("2028-02", "2028-02-29", "2028-03"),
        ] {
            let month = Billed::read(text).unwrap();
            assert_eq!(month.to_string(), text);
            let Days { first, last: end } = month.days();
            assert_eq!((first.to_string(), end.to_string()), (format!("{text}-01"), last.into()));
            assert_eq!(month.next().unwrap().to_string(), next);
        }
        let last = Billed::read("2554-07").unwrap();
        assert_eq!((last.days().last, last.next()), (Day::MAX, None));
        let last = Billed::Day(Day::MAX);
        assert_eq!((last.days().last.end(), last.next()), (crate::Timestamp::MAX, None));
    }
}
