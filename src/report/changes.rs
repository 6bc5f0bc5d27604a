//! What was changed by hand: who looks at a budget that does not fit its calls finds why.

use rusqlite::{Connection, Row};
use serde::{Serialize, Serializer};

use super::{Key, Report, ReportError, SignedUsd, counted::Counted};
use crate::{claim::Unit, clock::Timestamp, store::sqlite::words::from_sql, window::Window};

/// A budget that was changed otherwise than by calls.
///
/// For an example see [`Report::changes`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// The workspace it belongs to.
    pub workspace: String,
    /// What the command calls it.
    pub key: Key,
    /// What was done.
    pub what: Changed,
    /// By how much.
    pub amount: ChangedBy,
    /// Until when a raise counts, or when the calendar period ends whose spend was adjusted;
    /// `None` of all time and of a sliding window, which moves on.
    pub until: Option<Timestamp>,
    /// Why, as it was given.
    pub reason: String,
}

/// What was done to a budget.
///
/// For an example see [`Report::changes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Changed {
    /// What is settled was made more or less: an opening balance, a correction, a reset.
    Adjusted,
    /// Its limits were raised; by zero, a raise was ended.
    Raised,
}

/// By how much a budget was changed. Money serializes as text, calls as a number.
///
/// For an example see [`Report::changes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangedBy {
    /// So many dollars.
    Cost(SignedUsd),
    /// So many calls.
    Calls(i128),
}

impl Serialize for ChangedBy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Cost(usd) => usd.serialize(serializer),
            Self::Calls(calls) => serializer.serialize_i128(*calls),
        }
    }
}

impl Report {
    /// Adjustments and raises, the latest first, at most so many.
    ///
    /// # Errors
    /// [`ReportError`] if the file cannot be read.
    ///
    /// # Example
    /// ```no_run
    /// use driftlock::report::{Changed, Report};
    ///
    /// let report = Report::open("driftlock.db")?;
    /// for change in report.changes(20)?.iter().filter(|change| change.what == Changed::Raised) {
    ///     println!("{} {}: {:?}, {}", change.at, change.key, change.amount, change.reason);
    /// }
    /// # Ok::<(), driftlock::report::ReportError>(())
    /// ```
    pub fn changes(&self, most: usize) -> Result<Vec<Change>, ReportError> {
        self.look(|db| {
            let counters = self.counted(db)?;
            let adjusted = "SELECT at, counter, value, until, reason, delta \
                            FROM adjustment AS change JOIN scope ON scope.id = scope ORDER BY change.id DESC";
            let delta = |row: &Row<'_>| row.get(5).map(|delta: i64| i128::from(delta));
            let mut list = read(db, adjusted, Changed::Adjusted, &counters, most, delta)?;
            let raised = "SELECT at, counter, value, until, reason, amount \
                          FROM \"raise\" AS change JOIN scope ON scope.id = scope ORDER BY change.id DESC";
            let amount = |row: &Row<'_>| row.get(5).map(from_sql).map(i128::from);
            list.extend(read(db, raised, Changed::Raised, &counters, most, amount)?);
            // Stable, so that those of one moment stay in their order.
            list.sort_by_key(|change| std::cmp::Reverse(change.at));
            list.truncate(most);
            Ok(list)
        })
    }
}

fn read(
    db: &Connection,
    sql: &str,
    what: Changed,
    counters: &[Counted],
    most: usize,
    amount: impl Fn(&Row<'_>) -> rusqlite::Result<i128>,
) -> rusqlite::Result<Vec<Change>> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let mut list = Vec::new();
    while list.len() < most
        && let Some(row) = rows.next()?
    {
        let counter: i64 = row.get(1)?;
        // Of other workspaces, or of what only a later version counts.
        let Some(counted) = counters.iter().find(|counted| counted.id == counter) else { continue };
        let Counted { key, .. } = counted;
        let value: String = row.get(2)?;
        let number = amount(row)?;
        let until = Timestamp::from_nanos(row.get(3).map(from_sql)?);
        let has_end = what == Changed::Raised || matches!(key.window, Window::Calendar(..));
        list.push(Change {
            at: Timestamp::from_nanos(row.get(0).map(from_sql)?),
            workspace: key.workspace.to_string(),
            key: Key { scope: key.scope(&value), window: key.window, unit: key.unit },
            what,
            amount: match key.unit {
                Unit::Cost => ChangedBy::Cost(SignedUsd::nanos(number)),
                Unit::Calls => ChangedBy::Calls(number),
            },
            until: has_end.then_some(until),
            reason: row.get(4)?,
        });
    }
    Ok(list)
}
