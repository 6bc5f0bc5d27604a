//! Which days a report is about.

use std::{fmt, str::FromStr, time::Duration};

use super::Day;
use crate::clock::Timestamp;

/// A stretch of time to report on.
///
/// Reports of spend answer by whole days of UTC, those that the span touches. The
/// ledger has the time of every call, and an export ends where the span does.
///
/// # Example
/// ```
/// use driftlock::report::Span;
///
/// let week: Span = "7d".parse()?;
/// assert_eq!(week, Span::days(7));
/// let november = Span::since("2026-11-01T00:00:00Z".parse()?).until("2026-12-01T00:00:00Z".parse()?);
/// # let _ = november;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    start: Start,
    until: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Start {
    #[default]
    Ever,
    At(Timestamp),
    /// So many days, today included.
    Days(u32),
    Ago(Duration),
}

impl Span {
    /// All there is; the default.
    pub const fn all() -> Self {
        Self { start: Start::Ever, until: None }
    }

    /// So many days of UTC, of which the last one is today.
    pub const fn days(days: u32) -> Self {
        Self { start: Start::Days(days), until: None }
    }

    /// This long until now.
    pub const fn last(length: Duration) -> Self {
        Self { start: Start::Ago(length), until: None }
    }

    /// From a moment until now.
    pub const fn since(start: Timestamp) -> Self {
        Self { start: Start::At(start), until: None }
    }

    /// Ends before a moment. Defaults to now.
    #[must_use]
    pub const fn until(self, end: Timestamp) -> Self {
        Self { until: Some(end), ..self }
    }

    /// Its first moment, and the first after it, at a time. A span without an end has
    /// [`Timestamp::MAX`].
    pub fn bounds(self, now: Timestamp) -> (Timestamp, Timestamp) {
        let start = match self.start {
            Start::Ever => Timestamp::EPOCH,
            Start::At(time) => time,
            Start::Days(days) => Day::of(now).back(days.saturating_sub(1)).start(),
            Start::Ago(length) => {
                let nanos = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
                Timestamp::from_nanos(now.as_nanos().saturating_sub(nanos))
            }
        };
        (start, self.until.unwrap_or(Timestamp::MAX))
    }
}

/// Reads `7d` and `2w` as so many days, `24h` and `90m` as so long until now,
/// `2026-11-01` and `2026-11-01T12:00:00Z` as since then, and `all`.
impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let error = || SpanError(text.chars().take(40).collect());
        if text == "all" {
            return Ok(Self::all());
        }
        if let Ok(day) = text.parse::<Day>() {
            let time = text.parse().unwrap_or(day.start());
            return Ok(Self::since(time));
        }
        let span: jiff::Span = text.parse().map_err(|_| error())?;
        if span.is_negative() || span.is_zero() || span.get_months() != 0 || span.get_years() != 0 {
            return Err(error());
        }
        let days = i64::from(span.get_weeks()) * 7 + i64::from(span.get_days());
        let time = jiff::SignedDuration::try_from(span.weeks(0).days(0)).map_err(|_| error())?;
        if time.is_zero() {
            return u32::try_from(days).map(Self::days).map_err(|_| error());
        }
        let whole = u64::try_from(days).map_err(|_| error())?.saturating_mul(86_400);
        let part = Duration::try_from(time).map_err(|_| error())?;
        Ok(Self::last(part.saturating_add(Duration::from_secs(whole))))
    }
}

/// The text is not a span; see [`Span`]'s `FromStr`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanError(String);

impl fmt::Display for SpanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no span of time: expected 7d, 2w, 24h, 2026-11-01 or all", self.0)
    }
}

impl std::error::Error for SpanError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(text: &str) -> String {
        let now = "2026-11-22T12:00:00Z".parse().unwrap();
        text.parse::<Span>().unwrap().bounds(now).0.to_string()
    }

    #[test]
    fn days_include_today_and_hours_go_back_from_now() {
        assert_eq!(start("1d"), "2026-11-22T00:00:00Z");
        assert_eq!(start("7d"), "2026-11-16T00:00:00Z");
        assert_eq!(start("2w"), "2026-11-09T00:00:00Z");
        assert_eq!(start("24h"), "2026-11-21T12:00:00Z");
        assert_eq!(start("1d 12h"), "2026-11-21T00:00:00Z");
        assert_eq!(start("2026-11-01"), "2026-11-01T00:00:00Z");
        assert_eq!(start("2026-11-01T10:00:00+02:00"), "2026-11-01T08:00:00Z");
        assert_eq!(start("all"), "1970-01-01T00:00:00Z");
        assert_eq!(start("99999d"), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn what_is_no_span_is_refused_with_what_is() {
        for bad in ["", "7", "-7d", "0d", "1mo", "1y", "week", "2026-13-01", "9999999999999d"] {
            let error = bad.parse::<Span>().expect_err(bad).to_string();
            assert!(error.contains("expected 7d"), "{error}");
        }
    }
}
