//! The ledger: every call, one by one.

use std::{collections::BTreeMap, ops::Range};

use rusqlite::{Connection, OptionalExtension, Row, types::FromSql};
use serde::Serialize;

use super::{Filter, Report, ReportError, Span, error::nonsense};
use crate::{clock::Timestamp, store::sqlite::words::from_sql, usd::Usd};

/// One call, as it was written down. What nobody told is `None`.
///
/// For an example see [`report`](crate::report).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Recorded {
    /// Its number; later calls have larger ones.
    pub id: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// `open` while it is in flight, `expired` if nothing was heard of it by its deadline,
    /// `denied`, `unmetered` if it was sent while the file did not answer, `unreadable` if
    /// its row was damaged while it was in flight, so that it stays counted at its estimate,
    /// or how it settled, as in [`SettledHow`](crate::SettledHow).
    pub outcome: String,
    /// The policy's workspace.
    pub workspace: Option<String>,
    /// Whose API it went to.
    pub provider: Option<String>,
    /// What it was to do.
    pub operation: Option<String>,
    /// The model the caller asked for.
    pub requested_model: Option<String>,
    /// The model that was sent.
    pub model: Option<String>,
    /// The model that answered.
    pub answered_model: Option<String>,
    /// For whom it was.
    pub labels: BTreeMap<String, String>,
    /// What was reserved for it; of a denied call, what it might have cost.
    pub estimate: Usd,
    /// What it cost; zero while it is open.
    pub cost: Usd,
    /// The rule that denied it, or, while observing, would have.
    pub rule: Option<String>,
    /// The day of the price list.
    pub prices: Option<String>,
    /// Tokens in, all of them.
    pub input_tokens: Option<u64>,
    /// Of these, read from a cache.
    pub cached_input_tokens: Option<u64>,
    /// Of these, written to a cache.
    pub cache_write_tokens: Option<u64>,
    /// Of those written, to be kept for an hour.
    pub cache_write_1h_tokens: Option<u64>,
    /// Of those in, audio.
    pub input_audio_tokens: Option<u64>,
    /// Of the audio, read from a cache.
    pub cached_audio_tokens: Option<u64>,
    /// Tokens out, all of them.
    pub output_tokens: Option<u64>,
    /// Of these, reasoning.
    pub reasoning_tokens: Option<u64>,
    /// Of these, audio.
    pub output_audio_tokens: Option<u64>,
    /// Searches of the web.
    pub web_searches: Option<u64>,
}

pub(super) const COLUMNS: &str = "id, at, outcome, workspace, provider, operation, requested_model, model, \
    answered_model, labels, estimate, cost, rule, prices, input_tokens, cached_input_tokens, \
    cache_write_tokens, cache_write_1h_tokens, input_audio_tokens, cached_audio_tokens, \
    output_tokens, reasoning_tokens, output_audio_tokens, web_searches";

impl Recorded {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let mut columns = Columns { row, next: 0 };
        Ok(Self {
            id: from_sql(columns.next()?),
            at: Timestamp::from_nanos(from_sql(columns.next()?)),
            outcome: columns.next()?,
            workspace: columns.next()?,
            provider: columns.next()?,
            operation: columns.next()?,
            requested_model: columns.next()?,
            model: columns.next()?,
            answered_model: columns.next()?,
            labels: labels(columns.next()?)?,
            estimate: Usd::nanos(from_sql(columns.next()?)),
            cost: Usd::nanos(from_sql(columns.next()?)),
            rule: columns.next()?,
            prices: columns.next()?,
            input_tokens: columns.tokens()?,
            cached_input_tokens: columns.tokens()?,
            cache_write_tokens: columns.tokens()?,
            cache_write_1h_tokens: columns.tokens()?,
            input_audio_tokens: columns.tokens()?,
            cached_audio_tokens: columns.tokens()?,
            output_tokens: columns.tokens()?,
            reasoning_tokens: columns.tokens()?,
            output_audio_tokens: columns.tokens()?,
            web_searches: columns.tokens()?,
        })
    }
}

/// The columns of a row, one after the other.
struct Columns<'a> {
    row: &'a Row<'a>,
    next: usize,
}

impl Columns<'_> {
    fn next<T: FromSql>(&mut self) -> rusqlite::Result<T> {
        self.next += 1;
        self.row.get(self.next - 1)
    }

    fn tokens(&mut self) -> rusqlite::Result<Option<u64>> {
        Ok(self.next::<Option<i64>>()?.map(from_sql))
    }
}

fn labels(text: Option<String>) -> rusqlite::Result<BTreeMap<String, String>> {
    text.map_or_else(|| Ok(BTreeMap::new()), |text| serde_json::from_str(&text).map_err(nonsense))
}

impl Report {
    /// The calls decided last, the latest first; denied ones are among them.
    ///
    /// # Errors
    /// [`ReportError`] if the file cannot be read.
    pub fn recent(&self, most: usize) -> Result<Vec<Recorded>, ReportError> {
        self.recent_of(&Filter::new(), most)
    }

    /// Every call that was decided within a span, in the order of time, up to now.
    ///
    /// It reads some at a time, so it takes no memory to speak of, and does not hold the
    /// store up however long it is at it. A call that ends meanwhile may be told either
    /// way.
    ///
    /// # Errors
    /// [`ReportError`] if the file cannot be read, here and for each call.
    pub fn calls(&self, span: Span) -> Result<Calls<'_>, ReportError> {
        let ids = self.look(|db| {
            let (start, end) = span.bounds(self.time(db)?);
            numbers(db, start, end)
        })?;
        let next = (!ids.is_empty()).then_some(ids.start);
        Ok(Calls { report: self, next, end: ids.end, page: Vec::new().into_iter() })
    }
}

/// Iterates over calls; made by [`Report::calls`].
#[derive(Debug)]
pub struct Calls<'a> {
    report: &'a Report,
    /// The number of the next call that was not read, `None` if there is none.
    next: Option<i64>,
    /// The number of the first call that is not wanted.
    end: i64,
    page: std::vec::IntoIter<Recorded>,
}

/// How many calls to read at a time.
const PAGE: i64 = 1_000;

impl Calls<'_> {
    fn read(&mut self, first: i64) -> Result<(), ReportError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM call WHERE id >= ?1 AND id < ?2 \
             AND (?3 IS NULL OR workspace = ?3) ORDER BY id LIMIT ?4"
        );
        let page: Vec<_> = self.report.look(|db| {
            let mut statement = db.prepare_cached(&sql)?;
            let bounds = (first, self.end, self.report.only(), PAGE);
            statement.query_map(bounds, Recorded::read)?.collect()
        })?;
        let is_full = page.len() as i64 == PAGE;
        let last = page.last().map(|call| call.id.cast_signed());
        self.next = last.filter(|_| is_full).and_then(|last| last.checked_add(1));
        self.page = page.into_iter();
        Ok(())
    }
}

impl Iterator for Calls<'_> {
    type Item = Result<Recorded, ReportError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.len() == 0
            && let Some(first) = self.next.take()
            && let Err(error) = self.read(first)
        {
            return Some(Err(error));
        }
        self.page.next().map(Ok)
    }
}

/// The numbers of the calls from one moment to before another, as far as there are now.
pub(super) fn numbers(
    db: &Connection,
    start: Timestamp,
    end: Timestamp,
) -> rusqlite::Result<Range<i64>> {
    // What is decided from now on is left out, or it might never end.
    let last = "SELECT ifnull(max(id), 0) FROM call";
    let after: i64 =
        db.query_row(last, [], |row| row.get(0)).map(|last: i64| last.saturating_add(1))?;
    Ok(first_at(db, start)?.unwrap_or(after)..first_at(db, end)?.unwrap_or(after))
}

/// The number of the first call at or after a moment. Numbers ascend with time, so it is
/// found by halving; an index of the times would cost every call.
fn first_at(db: &Connection, time: Timestamp) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT id, at FROM call WHERE id >= ?1 ORDER BY id LIMIT 1";
    let mut statement = db.prepare_cached(sql)?;
    let mut at_or_after = |id: i64| {
        let found = statement.query_row([id], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)));
        Ok::<_, rusqlite::Error>(found.optional()?.map(|(id, at)| (id, from_sql(at))))
    };
    let ends = "SELECT min(id), max(id) FROM call";
    let ends = db.query_row(ends, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (Some(mut low), Some(last)): (Option<i64>, Option<i64>) = ends else { return Ok(None) };
    // The answer is in `low..high`, or there is none if `high` is returned.
    let mut high = last.saturating_add(1);
    while low < high {
        let middle = low.saturating_add_unsigned(high.abs_diff(low) / 2);
        match at_or_after(middle)? {
            Some((id, at)) if at < time.as_nanos() => low = id.saturating_add(1),
            _ => high = middle,
        }
    }
    Ok(at_or_after(low)?.map(|(id, _)| id))
}
