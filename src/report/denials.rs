//! What was denied, and by which rules.

use std::{cmp::Reverse, collections::BTreeMap};

use rusqlite::Connection;
use serde::Serialize;

use super::{Report, ReportError, Span, rollup::Days};
use crate::{store::sqlite::words::from_sql, usd::Usd};

/// The calls that one rule denied.
///
/// For an example see [`report`](crate::report).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Denials {
    /// The rule.
    pub rule: String,
    /// How many.
    pub calls: u64,
    /// What they might have cost.
    pub estimate: Usd,
}

impl Report {
    /// What each rule denied, the busiest rule first.
    ///
    /// # Errors
    /// [`ReportError`] if the file cannot be read.
    pub fn denials(&self, span: Span) -> Result<Vec<Denials>, ReportError> {
        self.look(|db| {
            let days = self.covered(db, span)?;
            self.denied(db, days)
        })
    }

    pub(super) fn denied(&self, db: &Connection, days: Days) -> rusqlite::Result<Vec<Denials>> {
        let sql = "SELECT rule, calls, estimate FROM denied \
                   WHERE (?1 IS NULL OR workspace = ?1) AND day BETWEEN ?2 AND ?3";
        let mut statement = db.prepare_cached(sql)?;
        let mut rows = statement.query((self.only(), days.first.number(), days.last.number()))?;
        let mut rules: BTreeMap<String, (u64, Usd)> = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let (calls, estimate) = (from_sql(row.get(1)?), Usd::nanos(from_sql(row.get(2)?)));
            let sums = rules.entry(row.get(0)?).or_default();
            sums.0 = sums.0.saturating_add(calls);
            sums.1 = sums.1.saturating_add(estimate);
        }
        let rules = rules.into_iter();
        let mut list: Vec<_> =
            rules.map(|(rule, (calls, estimate))| Denials { rule, calls, estimate }).collect();
        list.sort_by_key(|denials| Reverse(denials.calls));
        Ok(list)
    }
}
