//! Which calls of the ledger.

use rusqlite::ToSql;

use super::{Recorded, Report, ReportError, ledger::COLUMNS};
use crate::claim::Scope;

/// Calls with certain labels, or that ended in a certain way. Calls have to fit all that is
/// said.
///
/// # Example
/// ```no_run
/// use driftlock::report::{Filter, Report};
///
/// let report = Report::open("driftlock.db")?;
/// let estimated = Filter::new().label("user", "u-17").outcome("estimated");
/// for call in report.recent_of(&estimated, 20)? {
///     println!("{} {}", call.at, call.cost);
/// }
/// # Ok::<(), driftlock::report::ReportError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "it is for `Report::recent_of`"]
pub struct Filter {
    labels: Vec<(String, String)>,
    outcome: Option<String>,
}

impl Filter {
    /// All calls.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only those with this label; with the value `(none)`, those without it.
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let name = name.into();
        let name = if name == "user_id" { "user".into() } else { name };
        self.labels.push((name, value.into()));
        self
    }

    /// Only those with this outcome, as of [`Recorded`].
    pub fn outcome(self, outcome: impl Into<String>) -> Self {
        Self { outcome: Some(outcome.into()), ..self }
    }
}

impl Report {
    /// Like [`recent`](Self::recent), of certain calls only. It goes back through the ledger
    /// until it has found so many, which takes about a second for a million calls.
    ///
    /// # Errors
    /// [`ReportError`] if the file cannot be read.
    pub fn recent_of(&self, filter: &Filter, most: usize) -> Result<Vec<Recorded>, ReportError> {
        let (only, most) = (self.only(), i64::try_from(most).unwrap_or(i64::MAX));
        let mut values: Vec<&dyn ToSql> = vec![&only, &filter.outcome, &most];
        let mut labels = String::new();
        for (name, value) in &filter.labels {
            values.push(name);
            let of_it = format!("SELECT 1 FROM json_each(labels) WHERE key = ?{}", values.len());
            if value == Scope::NONE {
                labels.push_str(&format!(" AND NOT EXISTS ({of_it})"));
            } else {
                values.push(value);
                labels.push_str(&format!(" AND EXISTS ({of_it} AND value = ?{})", values.len()));
            }
        }
        let sql = format!(
            "SELECT {COLUMNS} FROM call WHERE (?1 IS NULL OR workspace = ?1) \
             AND (?2 IS NULL OR outcome = ?2){labels} ORDER BY id DESC LIMIT ?3"
        );
        self.look(|db| {
            let mut statement = db.prepare_cached(&sql)?;
            statement.query_map(values.as_slice(), Recorded::read)?.collect()
        })
    }
}
