//! Where spending leads if it goes on like this.

use hashbrown::HashMap;
use serde::Serialize;

use super::{
    Day, Key, Report, ReportError, Span,
    budgets::resets_at,
    by_label::value_of,
    held::Held,
    rollup::{self, Family},
};
use crate::{claim::Unit, clock::Timestamp, usd::Usd, window::Window};

/// Where spending leads if it goes on as in the last days.
///
/// For an example see [`report`](crate::report).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Forecast {
    /// The first day that was looked at: that of the first call, if there were none before.
    pub from: Day,
    /// When it was made. The day of this moment counts as far as it has come.
    pub at: Timestamp,
    /// What was spent in between.
    pub spent: Usd,
    /// What that is in a day.
    pub per_day: Usd,
    /// What that is in 30 days.
    pub in_30_days: Usd,
    /// When budgets will be gone.
    pub budgets: Vec<Outlook>,
}

/// When one budget of money will be gone.
///
/// For an example see [`report`](crate::report).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Outlook {
    /// The workspace it belongs to.
    pub workspace: String,
    /// What the command calls it.
    pub key: Key,
    /// What is left of the limit, as raised.
    pub remaining: Usd,
    /// What its scope spends in a day.
    pub per_day: Usd,
    /// When nothing will be left, if it did not reset; `None` if nothing is spent.
    pub gone_at: Option<Timestamp>,
    /// Whole days until then.
    pub days_left: Option<u64>,
    /// When it starts again at zero.
    pub resets_at: Option<Timestamp>,
    /// Whether it lasts until it resets, or for ever.
    pub lasts: bool,
}

const DAY: u128 = 86_400 * 1_000_000_000;

/// Spend within a time.
#[derive(Clone, Copy, Debug)]
struct Rate {
    spent: Usd,
    /// Nanoseconds, at least a day: what was spent in the first minutes says little.
    time: u128,
}

impl Rate {
    /// What is spent in so many nanoseconds.
    fn within(self, time: u128) -> Usd {
        let nanos = u128::from(self.spent.as_nanos()).saturating_mul(time) / self.time;
        Usd::nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// In how many nanoseconds so much is spent.
    fn reaches(self, amount: u64) -> Option<u64> {
        let nanos = u128::from(amount).saturating_mul(self.time);
        u64::try_from(nanos.checked_div(u128::from(self.spent.as_nanos()))?).ok()
    }
}

impl Report {
    /// Projects what was spent in the last days, today included, on the next 30, and on
    /// every budget of money that is of a calendar period or for ever. Of budgets, at most
    /// so many: of workspaces first, then those that will be gone first.
    ///
    /// # Errors
    /// [`ReportError`] if the file cannot be read.
    pub fn forecast(&self, days: u32, most: usize) -> Result<Forecast, ReportError> {
        self.look(|db| {
            let at = self.time(db)?;
            let days = self.covered(db, Span::days(days.max(1)))?;
            let time = u128::from(at.as_nanos() - days.first.start().as_nanos().min(at.as_nanos()));
            let rate = |spent| Rate { spent, time: time.max(DAY) };

            let families: Vec<Family> = self.families(db)?;
            let mut spent: HashMap<i64, HashMap<i64, Usd>> = HashMap::new();
            for family in &families {
                spent.insert(family.id, rollup::costs(db, family, days)?);
            }
            let workspaces = families.iter().filter(|family| family.label.is_none());
            let scopes = workspaces.filter_map(|family| spent.get(&family.id));
            let total = rate(scopes.flat_map(HashMap::values).copied().sum());

            let counters = self.counted(db)?;
            let of_budgets = counters.iter().enumerate().filter(|(_, counted)| {
                counted.key.unit == Unit::Cost && !matches!(counted.key.window, Window::Sliding(_))
            });
            let of_budgets: HashMap<i64, usize> =
                of_budgets.map(|(place, counted)| (counted.id, place)).collect();
            // The rank, the counter, and what the outlook is made of.
            let mut list = Vec::new();
            Held::each(db, at, |counter, held| {
                let found = of_budgets.get(&counter).and_then(|place| counters.get(*place));
                let (Some(counted), Some(remaining)) = (found, held.remaining()) else { return };
                let scope = spent.get(&counted.family).and_then(|scopes| scopes.get(&held.scope));
                let rate = rate(scope.copied().unwrap_or_default());
                let gone = rate.reaches(remaining);
                let rank = (counted.key.label.is_some(), gone.is_none(), gone, held.scope);
                list.push((rank, counted, held.scope, remaining, rate));
                if list.len() > most.saturating_mul(2).max(1_000) {
                    list.select_nth_unstable_by_key(most, |(rank, ..)| *rank);
                    list.truncate(most);
                }
            })?;
            list.sort_by_key(|(rank, ..)| *rank);
            list.truncate(most);

            let mut budgets = Vec::with_capacity(list.len());
            for (_, counted, scope, remaining, rate) in list {
                let value = value_of(db, scope)?;
                let gone = rate.reaches(remaining);
                let gone_at = gone.map(|gone| at.as_nanos().saturating_add(gone));
                let resets_at = resets_at(counted.key.window, at);
                let resets = resets_at.map_or(u64::MAX, Timestamp::as_nanos);
                budgets.push(Outlook {
                    workspace: counted.key.workspace.to_string(),
                    key: Key::cost(counted.key.scope(&value), counted.key.window),
                    remaining: Usd::nanos(remaining),
                    per_day: rate.within(DAY),
                    gone_at: gone_at.map(Timestamp::from_nanos),
                    days_left: gone.map(|gone| (u128::from(gone) / DAY) as u64),
                    resets_at,
                    lasts: gone_at.is_none_or(|gone| gone >= resets),
                });
            }
            Ok(Forecast {
                from: days.first,
                at,
                spent: total.spent,
                per_day: total.within(DAY),
                in_30_days: total.within(30 * DAY),
                budgets,
            })
        })
    }
}
