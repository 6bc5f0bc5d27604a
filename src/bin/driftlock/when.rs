//! Times on the command line.

use std::{str::FromStr, time::Duration};

use driftlock::{
    Timestamp,
    report::{Day, Report, Span},
};

use crate::failure::Failure;

/// Since when.
pub(crate) type Since = Span;

#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Until {
    /// Until before this date, 00:00 UTC, or time
    #[arg(long, value_name = "DATE", value_parser = moment)]
    pub(crate) until: Option<Timestamp>,
}

/// A stretch of time; of a week, unless said.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct During {
    /// Since when: 7d and 2w are so many days with today, 24h is so long ago, 2026-11-01 since
    /// then, all; 7d unless said
    #[arg(long, value_name = "SPAN")]
    since: Option<Since>,
    #[command(flatten)]
    until: Until,
}

const DAY: u64 = 86_400 * 1_000_000_000;

impl During {
    pub(crate) fn span(self, report: &Report) -> Result<Span, Failure> {
        span(self.since.unwrap_or(Span::days(7)), self.until, report)
    }

    /// For what is kept by whole days: the span, and whether it begins or ends within one.
    pub(crate) fn days(self, report: &Report) -> Result<(Span, bool), Failure> {
        let span = self.span(report)?;
        let now = report.now()?;
        let (start, end) = span.bounds(now);
        let is_cut = |time: Timestamp| !time.as_nanos().is_multiple_of(DAY);
        let cuts = is_cut(start) || (end < now && is_cut(end));
        if cuts && end.min(now).since(start) < Duration::from_nanos(DAY) {
            return Err(Failure::Usage(
                "sums are kept by whole days of UTC: say 1d for today, 2d with yesterday; \
                 `outcomes`, `export` and `recent` look at calls one by one"
                    .into(),
            ));
        }
        Ok((span, cuts))
    }
}

/// From one moment to another that is later.
pub(crate) fn span(since: Since, until: Until, report: &Report) -> Result<Span, Failure> {
    let Some(end) = until.until else { return Ok(since) };
    let span = since.until(end);
    let (start, end) = span.bounds(report.now()?);
    if start >= end {
        return Err(Failure::Usage(format!(
            "--until {end} is not after --since, which is {start}"
        )));
    }
    Ok(span)
}

/// How long: `24h`, `7d`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Length(pub(crate) Duration);

impl FromStr for Length {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let days = jiff::SpanRelativeTo::days_are_24_hours();
        let length = text.parse::<jiff::Span>().and_then(|span| span.to_duration(days));
        let length = length.ok().and_then(|length| Duration::try_from(length).ok());
        let length = length.filter(|length| !length.is_zero());
        length.map(Self).ok_or_else(|| "expected a length like 24h, 7d or 2w".into())
    }
}

/// Up to when to delete: a date, or all but some days.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Before {
    Moment(Timestamp),
    Days(Span),
}

impl Before {
    pub(crate) fn moment(self, now: Timestamp) -> Result<Timestamp, Failure> {
        let before = match self {
            Self::Moment(moment) => moment,
            Self::Days(span) => span.bounds(now).0,
        };
        if before > now {
            return Err(Failure::Usage(format!("--before {before} is in the future; it is {now}")));
        }
        // Whoever writes `1m` may mean a month.
        let is_day = before.as_nanos().is_multiple_of(DAY);
        if matches!(self, Self::Days(_)) && !is_day && now.since(before).as_secs() < 86_400 {
            return Err(Failure::Usage(
                "--before keeps whole days, like 30d; to delete calls of today, say a time".into(),
            ));
        }
        Ok(before)
    }
}

impl FromStr for Before {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let days = || text.parse().map(Self::Days);
        moment(text)
            .map(Self::Moment)
            .or_else(|error| days().map_err(|_| format!("{error}, or 30d")))
    }
}

/// A time, or the beginning of a day.
fn moment(text: &str) -> Result<Timestamp, String> {
    let time = text.parse().or_else(|_| text.parse().map(Day::start));
    time.map_err(|_| "expected a date like 2026-12-01 or a time like 2026-12-01T12:00:00Z".into())
}
