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
use crate::usd::Usd;

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
            let families: Vec<_> = families.iter().filter(of_it).collect();
            let mut values: HashMap<String, Spent> = HashMap::new();
            for family in &families {
                // Of several workspaces, those who spent most may be others than of each.
                let most = if families.len() == 1 { most } else { usize::MAX };
                let scopes = dearest_scopes(db, family, days, most)?.into_iter();
                // A call that was corrected may leave nothing behind.
                for (scope, spent) in scopes.filter(|(_, spent)| *spent != Spent::default()) {
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

/// What the scopes of a family spent that spent most.
fn dearest_scopes(
    db: &Connection,
    family: &Family,
    days: Days,
    most: usize,
) -> rusqlite::Result<Vec<(i64, Spent)>> {
    /// To look so many scopes up takes no longer than to read all of the others.
    const FEW: usize = 20;
    if most > FEW {
        let mut scopes: HashMap<i64, Spent> = HashMap::new();
        rollup::each(db, Column::Scope, family, days, |scope, spent| {
            scopes.entry(scope.as_i64().map_err(nonsense)?).or_default().add(&spent);
            Ok(())
        })?;
        return Ok(scopes.into_iter().collect());
    }
    let mut costs: Vec<_> = rollup::costs(db, family, days)?.into_iter().collect();
    let key = |(scope, cost): &(i64, Usd)| (Reverse(*cost), *scope);
    if most < costs.len() {
        costs.select_nth_unstable_by_key(most, key);
        costs.truncate(most);
    }
    let look_up = |(scope, _)| Ok((scope, rollup::of_scope(db, family, days, scope)?));
    costs.into_iter().map(look_up).collect()
}

/// A label's value.
pub(super) fn value_of(db: &Connection, scope: i64) -> rusqlite::Result<String> {
    let mut statement = db.prepare_cached("SELECT value FROM scope WHERE id = ?1")?;
    statement.query_row([scope], |row| row.get(0))
}
