//! How calls ended, which tells how certain the money is.
//!
//! A sum of costs may be what the provider reported, or what was guessed because it
//! reported nothing. The sums by day do not tell the one from the other.

use std::{cmp::Reverse, collections::BTreeMap};

use rusqlite::Connection;
use serde::Serialize;

use super::{Report, ReportError, Span, error::nonsense, ledger::numbers};
use crate::{store::sqlite::words::from_sql, usd::Usd};

/// The calls that ended in one way.
///
/// For an example see [`Report::outcomes`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Outcome {
    /// As of [`Recorded`](super::Recorded): `actual`, `estimated`, `open`, `denied` …
    pub outcome: String,
    /// How many.
    pub calls: u64,
    /// What they cost; nothing while they are open.
    pub cost: Usd,
    /// What was reserved for them, or of denied ones, what they might have cost.
    pub estimate: Usd,
}

impl Report {
    /// How the calls ended that were decided within a span, the dearest outcome first:
    /// how much of what was spent is known and how much is estimated.
    ///
    /// It reads the ledger, about a second for a million calls, and so does not know of
    /// those that were [`pruned`](Self::pruned).
    ///
    /// # Errors
    /// [`ReportError`] if the file cannot be read.
    ///
    /// # Example
    /// ```no_run
    /// use driftlock::report::{Report, Span};
    ///
    /// for one in Report::open("driftlock.db")?.outcomes(Span::days(7))? {
    ///     println!("{}: {} for {} calls", one.outcome, one.cost, one.calls);
    /// }
    /// # Ok::<(), driftlock::report::ReportError>(())
    /// ```
    pub fn outcomes(&self, span: Span) -> Result<Vec<Outcome>, ReportError> {
        self.look(|db| {
            let (start, end) = span.bounds(self.time(db)?);
            let sums = sums(db, numbers(db, start, end)?, self.only())?.into_iter();
            let mut list: Vec<_> = sums
                .map(|(outcome, (calls, cost, estimate))| Outcome {
                    outcome,
                    calls,
                    cost,
                    estimate,
                })
                .collect();
            list.sort_by_key(|one| Reverse((one.cost, one.calls)));
            Ok(list)
        })
    }
}

type Sums = BTreeMap<String, (u64, Usd, Usd)>;

fn sums(db: &Connection, ids: std::ops::Range<i64>, only: Option<&str>) -> rusqlite::Result<Sums> {
    let sql = "SELECT outcome, cost, estimate FROM call \
               WHERE id >= ?1 AND id < ?2 AND (?3 IS NULL OR workspace = ?3)";
    let mut statement = db.prepare(sql)?;
    let mut rows = statement.query((ids.start, ids.end, only))?;
    let mut sums = Sums::new();
    while let Some(row) = rows.next()? {
        let outcome = row.get_ref(0)?.as_str().map_err(nonsense)?;
        if !sums.contains_key(outcome) {
            sums.insert(outcome.to_owned(), Default::default());
        }
        if let Some((calls, cost, estimate)) = sums.get_mut(outcome) {
            *calls += 1;
            *cost = cost.saturating_add(Usd::nanos(from_sql(row.get(1)?)));
            *estimate = estimate.saturating_add(Usd::nanos(from_sql(row.get(2)?)));
        }
    }
    Ok(sums)
}
