//! Spend by user, and by whatever else calls are counted by.

use std::cmp::Reverse;

use hashbrown::HashMap;
use rusqlite::Connection;
use serde::Serialize;

use super::{
    Report, ReportError, Span, Spent,
    error::nonsense,
    rollup::{self, Column, Days, Family},
    spend::dearest,
};

/// What the calls with one value of a label cost.
///
/// For an example see [`report`](crate::report).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LabelSpend {
    /// The label's value; `(none)` of calls without it.
    pub value: String,
    /// What they cost.
    #[serde(flatten)]
    pub spent: Spent,
}

impl Report {
    /// What each user spent, the dearest first.
    ///
    /// # Errors
    /// [`ReportError`] if the file cannot be read, or nothing is counted by user.
    pub fn by_user(&self, span: Span) -> Result<Vec<LabelSpend>, ReportError> {
        self.by_label("user", span)
    }

    /// The users who spent most.
    ///
    /// # Errors
    /// [`ReportError`] if the file cannot be read, or nothing is counted by user.
    pub fn top_users(&self, span: Span, most: usize) -> Result<Vec<LabelSpend>, ReportError> {
        self.top("user", span, most)
    }

    /// What was spent for each value of a label, the dearest first. Calls are counted by
    /// user, and by the labels that the policy tracks or has rules for.
    ///
    /// # Errors
    /// [`ReportError`] if the file cannot be read, or nothing is counted by this label.
    pub fn by_label(&self, label: &str, span: Span) -> Result<Vec<LabelSpend>, ReportError> {
        self.top(label, span, usize::MAX)
    }

    /// The values of a label for which most was spent.
    ///
    /// # Errors
    /// As of [`by_label`](Self::by_label).
    pub fn top(
        &self,
        label: &str,
        span: Span,
        most: usize,
    ) -> Result<Vec<LabelSpend>, ReportError> {
        let label = if label == "user_id" { "user" } else { label };
        let found = self.look(|db| {
            let families = self.families(db)?;
            let of_it = |family: &&Family| family.label.as_deref() == Some(label);
            if !families.iter().any(|family| of_it(&family)) {
                let labels = families.into_iter().filter_map(|family| family.label);
                let mut known: Vec<_> = labels.collect();
                known.sort();
                known.dedup();
                return Ok(Err(ReportError::UnknownLabel { label: label.into(), known }));
            }
            let days = self.covered(db, span)?;
            let mut values: HashMap<String, Spent> = HashMap::new();
            for family in families.iter().filter(of_it) {
                let scopes = by_scope(db, family, days)?;
                // Where there is one workspace, only the names that are asked for are read.
                let most =
                    if families.iter().filter(of_it).count() == 1 { most } else { usize::MAX };
                for (scope, spent) in dearest_scopes(scopes, most) {
                    values.entry(value_of(db, scope)?).or_default().add(&spent);
                }
            }
            let list = values.into_iter().map(|(value, spent)| LabelSpend { value, spent });
            let mut list: Vec<_> = list.collect();
            list.sort_by(|one, other| dearest(&one.spent, &one.value, &other.spent, &other.value));
            list.truncate(most);
            Ok(Ok(list))
        });
        found?
    }
}

/// What each scope of a family spent.
pub(super) fn by_scope(
    db: &Connection,
    family: &Family,
    days: Days,
) -> rusqlite::Result<HashMap<i64, Spent>> {
    let mut scopes: HashMap<i64, Spent> = HashMap::new();
    rollup::each(db, Column::Scope, family, days, |scope, spent| {
        scopes.entry(scope.as_i64().map_err(nonsense)?).or_default().add(&spent);
        Ok(())
    })?;
    Ok(scopes)
}

fn dearest_scopes(scopes: HashMap<i64, Spent>, most: usize) -> Vec<(i64, Spent)> {
    let mut list: Vec<_> = scopes.into_iter().collect();
    if most < list.len() {
        let key = |(scope, spent): &(i64, Spent)| (Reverse((spent.cost, spent.calls)), *scope);
        list.select_nth_unstable_by_key(most, key);
        list.truncate(most);
    }
    list
}

/// A label's value.
pub(super) fn value_of(db: &Connection, scope: i64) -> rusqlite::Result<String> {
    let mut statement = db.prepare_cached("SELECT value FROM scope WHERE id = ?1")?;
    statement.query_row([scope], |row| row.get(0))
}
