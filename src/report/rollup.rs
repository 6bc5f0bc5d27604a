//! Reading the rollup.
//!
//! A report over millions of calls has to come from sums that were kept, never from
//! the ledger. Adding them up further is done here and not by SQLite, whose `SUM` fails
//! above 2⁶³ and takes numbers above that for negative ones.

use hashbrown::HashMap;
use rusqlite::{Connection, Row, types::ValueRef};

use super::{Day, Report, Spent, error::nonsense};
use crate::{store::sqlite::words::from_sql, usd::Usd};

/// Days, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Days {
    pub(super) first: Day,
    pub(super) last: Day,
}

/// A workspace, or one of its labels.
#[derive(Clone, Debug)]
pub(super) struct Family {
    pub(super) id: i64,
    pub(super) label: Option<String>,
}

/// The key of a sum.
#[derive(Clone, Copy, Debug)]
pub(super) enum Column {
    Day,
    Scope,
    Model,
}

impl Column {
    fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Scope => "scope",
            Self::Model => "model",
        }
    }
}

/// What a family spent within some days, row by row: several may have the same key.
pub(super) fn each(
    db: &Connection,
    column: Column,
    family: &Family,
    days: Days,
    mut each: impl FnMut(ValueRef<'_>, Spent) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let sql = format!(
        "SELECT {}, calls, cost, estimate, input_tokens, cached_input_tokens, output_tokens \
         FROM daily WHERE family = ?1 AND day BETWEEN ?2 AND ?3",
        column.name()
    );
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query((family.id, days.first.number(), days.last.number()))?;
    while let Some(row) = rows.next()? {
        let spent = spent(row)?;
        // A call that was corrected may leave nothing behind.
        if spent != Spent::default() {
            each(row.get_ref(0)?, spent)?;
        }
    }
    Ok(())
}

/// What each scope of a family cost within some days. To read nothing else takes half as
/// long, which matters where there are many scopes.
pub(super) fn costs(
    db: &Connection,
    family: &Family,
    days: Days,
) -> rusqlite::Result<HashMap<i64, Usd>> {
    let sql = "SELECT scope, cost FROM daily WHERE family = ?1 AND day BETWEEN ?2 AND ?3";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query((family.id, days.first.number(), days.last.number()))?;
    let mut scopes: HashMap<i64, Usd> = HashMap::new();
    while let Some(row) = rows.next()? {
        let sum = scopes.entry(row.get(0)?).or_default();
        *sum = sum.saturating_add(Usd::nanos(from_sql(row.get(1)?)));
    }
    Ok(scopes)
}

/// What one scope of a family spent within some days, looked up day by day.
pub(super) fn of_scope(
    db: &Connection,
    family: &Family,
    days: Days,
    scope: i64,
) -> rusqlite::Result<Spent> {
    let sql = "SELECT scope, calls, cost, estimate, input_tokens, cached_input_tokens, output_tokens \
               FROM daily WHERE family = ?1 AND day = ?2 AND scope = ?3";
    let mut statement = db.prepare_cached(sql)?;
    let mut total = Spent::default();
    for day in days.first.to(days.last) {
        let mut rows = statement.query((family.id, day.number(), scope))?;
        while let Some(row) = rows.next()? {
            total.add(&spent(row)?);
        }
    }
    Ok(total)
}

fn spent(row: &Row<'_>) -> rusqlite::Result<Spent> {
    let number = |at| row.get(at).map(from_sql);
    Ok(Spent {
        calls: number(1)?,
        cost: Usd::nanos(number(2)?),
        estimate: Usd::nanos(number(3)?),
        input_tokens: number(4)?,
        cached_input_tokens: number(5)?,
        output_tokens: number(6)?,
    })
}

/// The day in a column.
pub(super) fn day(value: ValueRef<'_>) -> rusqlite::Result<Day> {
    let number = value.as_i64().map_err(nonsense)?;
    Day::numbered(number).ok_or_else(|| nonsense(format!("a day numbered {number}")))
}

impl Report {
    /// The workspace's families, or those of all workspaces.
    pub(super) fn families(&self, db: &Connection) -> rusqlite::Result<Vec<Family>> {
        let sql = "SELECT id, label FROM family WHERE ?1 IS NULL OR workspace = ?1 \
                   ORDER BY workspace, label";
        let mut statement = db.prepare_cached(sql)?;
        let rows = statement
            .query_map([self.only()], |row| Ok(Family { id: row.get(0)?, label: row.get(1)? }))?;
        rows.collect()
    }
}
