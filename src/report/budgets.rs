//! What is left of every budget.

use std::{cmp::Reverse, collections::BTreeSet};

use hashbrown::HashMap;
use rusqlite::Connection;
use serde::{Serialize, Serializer};

use super::{Key, Report, ReportError, by_label::value_of, counted::Counted, held::Held};
use crate::{
    claim::{Amount, Scope, Unit},
    clock::Timestamp,
    store::CounterKey,
    window::Window,
};

/// What one counter holds of one scope, and what limits it.
///
/// Amounts serialize as text for money, as a number for calls.
///
/// For an example see [`report`](crate::report).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Budget {
    /// The workspace it belongs to.
    pub workspace: String,
    /// What the command calls it.
    pub key: Key,
    /// The smallest limit that the last call was held to; `None` if no rule limits it.
    #[serde(serialize_with = "plain_or_null")]
    pub limit: Option<Amount>,
    /// What calls that ended have used, and, of calls, those in flight.
    #[serde(serialize_with = "plain")]
    pub settled: Amount,
    /// What calls in flight hold.
    #[serde(serialize_with = "plain")]
    pub reserved: Amount,
    /// What is left of the limit, as raised.
    #[serde(serialize_with = "plain_or_null")]
    pub remaining: Option<Amount>,
    /// By how much limits are raised by hand now.
    #[serde(serialize_with = "plain_or_null")]
    pub raised: Option<Amount>,
    /// Until when they are.
    pub raised_until: Option<Timestamp>,
    /// When a calendar window starts again at zero.
    pub resets_at: Option<Timestamp>,
}

impl Budget {
    pub(super) fn new(counted: &Counted, value: &str, held: &Held, now: Timestamp) -> Self {
        let CounterKey { workspace, unit, window, .. } = &counted.key;
        let amount = |number| Amount::of(*unit, number);
        let is_raised = held.raised > 0;
        Self {
            workspace: workspace.to_string(),
            key: Key { scope: counted.key.scope(value), window: *window, unit: *unit },
            limit: held.cap.map(amount),
            settled: amount(held.settled),
            reserved: amount(held.reserved),
            remaining: held.remaining().map(amount),
            raised: is_raised.then(|| amount(held.raised)),
            raised_until: is_raised.then(|| Timestamp::from_nanos(held.raised_until)),
            resets_at: resets_at(*window, now),
        }
    }
}

impl Report {
    /// What is left of budgets: those of money first, and of these first those of workspaces,
    /// then those that are used up most; at most so many. Those that nobody limits come
    /// last.
    ///
    /// # Errors
    /// [`ReportError`] if the file cannot be read.
    pub fn budgets(&self, most: usize) -> Result<Vec<Budget>, ReportError> {
        self.look(|db| self.fullest(db, &self.counted(db)?, most))
    }

    /// What is left of the budgets of one label's values, in the same order.
    ///
    /// # Errors
    /// [`ReportError`] if the file cannot be read, or nothing is counted by this label.
    pub fn budgets_by(&self, label: &str, most: usize) -> Result<Vec<Budget>, ReportError> {
        let label = if label == "user_id" { "user" } else { label };
        let found = self.look(|db| {
            let mut counters = self.counted(db)?;
            let labels = counters.iter().filter_map(|counted| counted.key.label.as_deref());
            let known: BTreeSet<_> = labels.map(str::to_owned).collect();
            if !known.contains(label) {
                let known = known.into_iter().collect();
                return Ok(Err(ReportError::UnknownLabel { label: label.into(), known }));
            }
            counters.retain(|counted| counted.key.label.as_deref() == Some(label));
            self.fullest(db, &counters, most).map(Ok)
        });
        found?
    }

    fn fullest(
        &self,
        db: &Connection,
        counters: &[Counted],
        most: usize,
    ) -> rusqlite::Result<Vec<Budget>> {
        let now = self.time(db)?;
        let places: HashMap<i64, usize> =
            counters.iter().enumerate().map(|(place, counted)| (counted.id, place)).collect();
        let rank = |(place, held): &(usize, Held)| {
            let key = counters.get(*place).map(|counted| &counted.key);
            let is_calls = key.is_some_and(|key| key.unit == Unit::Calls);
            let is_label = key.is_some_and(|key| key.label.is_some());
            (is_calls, is_label, Reverse(held.share()), *place, held.scope)
        };
        let mut list: Vec<(usize, Held)> = Vec::new();
        Held::each(db, now, |counter, held| {
            let Some(place) = places.get(&counter) else { return };
            list.push((*place, held));
            // Few are wanted of what may be millions.
            if list.len() > most.saturating_mul(2).max(1_000) {
                list.select_nth_unstable_by_key(most, rank);
                list.truncate(most);
            }
        })?;
        list.sort_unstable_by_key(rank);
        list.truncate(most);
        let mut budgets = Vec::with_capacity(list.len());
        for (place, held) in list {
            if let Some(counted) = counters.get(place) {
                budgets.push(Budget::new(counted, &value_of(db, held.scope)?, &held, now));
            }
        }
        Ok(budgets)
    }

    /// What one counter holds of one scope.
    ///
    /// # Errors
    /// [`ReportError`] if the file cannot be read; [`ReportError::NotCounted`] and
    /// [`ReportError::UnknownScope`] with what is known.
    pub fn budget(&self, key: &Key) -> Result<Budget, ReportError> {
        let found = self.look(|db| {
            let counted = match self.counted_as(db, key)? {
                Ok(counted) => counted,
                Err(error) => return Ok(Err(error)),
            };
            let scope = match self.scope_of(db, &counted, key)? {
                Ok(scope) => scope,
                // A workspace need not have called to be known.
                Err(_) if key.scope == Scope::Workspace => {
                    let (now, held) = (self.time(db)?, Held::default());
                    return Ok(Ok(Budget::new(&counted, "", &held, now)));
                }
                Err(error) => return Ok(Err(error)),
            };
            let now = self.time(db)?;
            let held = Held::of(db, scope, counted.id, now)?;
            Ok(Ok(Budget::new(&counted, key.value(), &held, now)))
        });
        found?
    }
}

/// When a calendar window starts again at zero.
pub(super) fn resets_at(window: Window, now: Timestamp) -> Option<Timestamp> {
    matches!(window, Window::Calendar(..)).then(|| window.period(now).1)
}

/// An amount as text if it is money, as a number if it is calls.
fn plain<S: Serializer>(amount: &Amount, serializer: S) -> Result<S::Ok, S::Error> {
    match amount {
        Amount::Cost(usd) => usd.serialize(serializer),
        Amount::Calls(calls) => calls.serialize(serializer),
    }
}

#[allow(clippy::ref_option)] // as serde calls it
fn plain_or_null<S: Serializer>(amount: &Option<Amount>, serializer: S) -> Result<S::Ok, S::Error> {
    match amount {
        Some(amount) => plain(amount, serializer),
        None => serializer.serialize_none(),
    }
}
