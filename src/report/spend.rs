//! Spend in all, by day and by model.

use std::cmp::Reverse;

use hashbrown::HashMap;
use rusqlite::Connection;
use serde::Serialize;

use super::{
    Day, Report, ReportError, Span, Spent,
    error::nonsense,
    rollup::{self, Column, Days},
};
use crate::usd::Usd;

/// What was spent in all, and what was denied.
///
/// For an example see [`report`](crate::report).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Totals {
    /// The first day that is in it: the span's, or that of the first call if that is later.
    pub from: Day,
    /// The last day that is in it, at most today.
    pub to: Day,
    /// What was spent.
    #[serde(flatten)]
    pub spent: Spent,
    /// How many calls were denied.
    pub denied: u64,
    /// What those might have cost.
    pub denied_estimate: Usd,
}

/// What a day's calls cost.
///
/// For an example see [`report`](crate::report).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DaySpend {
    /// The day of UTC on which the calls were decided.
    pub day: Day,
    /// What they cost.
    #[serde(flatten)]
    pub spent: Spent,
}

/// What a model's calls cost.
///
/// For an example see [`report`](crate::report).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ModelSpend {
    /// The model that answered, by the name it gave itself; where it gave none, as sent.
    pub model: String,
    /// What they cost.
    #[serde(flatten)]
    pub spent: Spent,
}

impl Report {
    /// What was spent, and what was denied.
    ///
    /// # Errors
    /// [`ReportError`] if the file cannot be read.
    pub fn totals(&self, span: Span) -> Result<Totals, ReportError> {
        self.look(|db| {
            let days = self.covered(db, span)?;
            let mut total = Spent::default();
            for family in self.families(db)?.iter().filter(|family| family.label.is_none()) {
                rollup::each(db, Column::Day, family, days, |_, spent| {
                    total.add(&spent);
                    Ok(())
                })?;
            }
            let (mut denied, mut denied_estimate) = (0u64, Usd::ZERO);
            for denials in self.denied(db, days)? {
                denied = denied.saturating_add(denials.calls);
                denied_estimate = denied_estimate.saturating_add(denials.estimate);
            }
            Ok(Totals { from: days.first, to: days.last, spent: total, denied, denied_estimate })
        })
    }

    /// What was spent on each day, in their order; days without calls are among them.
    ///
    /// # Errors
    /// [`ReportError`] if the file cannot be read.
    pub fn by_day(&self, span: Span) -> Result<Vec<DaySpend>, ReportError> {
        self.look(|db| {
            let days = self.covered(db, span)?;
            let empty = |day| DaySpend { day, spent: Spent::default() };
            let mut list: Vec<_> = days.first.to(days.last).map(empty).collect();
            for family in self.families(db)?.iter().filter(|family| family.label.is_none()) {
                rollup::each(db, Column::Day, family, days, |day, spent| {
                    let day = rollup::day(day)?.number() - days.first.number();
                    let entry = usize::try_from(day).ok().and_then(|day| list.get_mut(day));
                    if let Some(entry) = entry {
                        entry.spent.add(&spent);
                    }
                    Ok(())
                })?;
            }
            Ok(list)
        })
    }

    /// What was spent on each model, the dearest first.
    ///
    /// # Errors
    /// [`ReportError`] if the file cannot be read.
    pub fn by_model(&self, span: Span) -> Result<Vec<ModelSpend>, ReportError> {
        self.look(|db| {
            let days = self.covered(db, span)?;
            let mut models: HashMap<String, Spent> = HashMap::new();
            for family in self.families(db)?.iter().filter(|family| family.label.is_none()) {
                rollup::each(db, Column::Model, family, days, |model, spent| {
                    let model = model.as_str().map_err(nonsense)?;
                    models.entry_ref(model).or_default().add(&spent);
                    Ok(())
                })?;
            }
            let list = models.into_iter().map(|(model, spent)| ModelSpend { model, spent });
            let mut list: Vec<_> = list.collect();
            list.sort_by(|one, other| dearest(&one.spent, &one.model, &other.spent, &other.model));
            Ok(list)
        })
    }

    /// The days of a span on which there may be something: from the first call on, and up
    /// to today.
    pub(super) fn covered(&self, db: &Connection, span: Span) -> rusqlite::Result<Days> {
        let now = self.time(db)?;
        let (start, end) = span.bounds(now);
        let mut recorded: Vec<Option<i64>> = Vec::new();
        for family in self.families(db)?.iter().filter(|family| family.label.is_none()) {
            let sql = "SELECT min(day) FROM daily WHERE family = ?1";
            recorded.push(db.prepare_cached(sql)?.query_row([family.id], |row| row.get(0))?);
        }
        let sql = "SELECT min(day) FROM denied WHERE ?1 IS NULL OR workspace = ?1";
        recorded.push(db.prepare_cached(sql)?.query_row([self.only()], |row| row.get(0))?);
        let recorded: Option<i64> = recorded.into_iter().flatten().min();
        let recorded = recorded.and_then(Day::numbered).unwrap_or(Day::of(now));
        let last = match end.as_nanos() {
            0 => Day::default(),
            end => Day::of(crate::clock::Timestamp::from_nanos(end - 1)),
        };
        Ok(Days { first: Day::of(start).max(recorded), last: last.min(Day::of(now)) })
    }
}

/// The dearest first, then those with more calls, then by name.
pub(super) fn dearest(one: &Spent, name: &str, other: &Spent, others: &str) -> std::cmp::Ordering {
    let key = |spent: &Spent| Reverse((spent.cost, spent.calls));
    key(one).cmp(&key(other)).then_with(|| name.cmp(others))
}
