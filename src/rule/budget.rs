//! Spending budgets of calendar periods.
//!
//! A budget is what one agrees on with finance: so much a month, starting again on
//! the first. To stop a runaway within minutes use a velocity limit beside it.
//!
//! # Example
//! ```
//! use driftlock::{Budget, MonthlyBudget, Policy, Usd, Zone};
//!
//! let policy = Policy::builder()
//!     .rule(MonthlyBudget::new(Usd::dollars(500)).time_zone(Zone::named("Europe/Berlin")?))
//!     .rule(Budget::daily(Usd::dollars(5)).per_label("team").named("team day"))
//!     .build()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::counted::{Counted, counted_rule, counting_options};
use crate::{
    claim::Unit,
    denial::DenialKind,
    usd::Usd,
    window::{Window, Zone},
};

/// Denies a call when what this month's calls have cost and hold reserved, plus
/// this call's estimate, exceeds the limit.
///
/// At the limit every call with a price is denied. The month is UTC's unless
/// [`time_zone`](Self::time_zone) says otherwise.
///
/// # Example
/// ```
/// use driftlock::{MonthlyBudget, Policy, Usd};
///
/// let policy = Policy::builder().rule(MonthlyBudget::new(Usd::dollars(100))).build()?;
/// # Ok::<(), driftlock::BuildError>(())
/// ```
#[doc(alias = "MonthlyBudgetRule")]
#[derive(Clone, Debug)]
pub struct MonthlyBudget(Counted);

impl MonthlyBudget {
    /// At most `limit` a calendar month.
    pub fn new(limit: Usd) -> Self {
        Self(budget("monthly_budget", Window::month(Zone::UTC), limit))
    }

    /// The zone in which months begin. Defaults to UTC.
    #[must_use]
    pub fn time_zone(mut self, zone: Zone) -> Self {
        self.0.window = in_zone(self.0.window, zone);
        self
    }

    counting_options!(Usd, Usd::as_nanos);
}

/// A budget of any calendar period, or of all time; otherwise like [`MonthlyBudget`].
///
/// # Example
/// See the [module](crate::rule#a-rule-of-your-own) and [`MonthlyBudget`].
#[derive(Clone, Debug)]
pub struct Budget(Counted);

impl Budget {
    /// At most `limit` a calendar day.
    pub fn daily(limit: Usd) -> Self {
        Self(budget("daily_budget", Window::day(Zone::UTC), limit))
    }

    /// At most `limit` a calendar week, from Monday.
    pub fn weekly(limit: Usd) -> Self {
        Self(budget("weekly_budget", Window::week(Zone::UTC), limit))
    }

    /// At most `limit` a calendar month.
    pub fn monthly(limit: Usd) -> Self {
        Self(budget("monthly_budget", Window::month(Zone::UTC), limit))
    }

    /// At most `limit` ever.
    pub fn lifetime(limit: Usd) -> Self {
        Self(budget("lifetime_budget", Window::Lifetime, limit))
    }

    /// The zone in which periods begin. Defaults to UTC; a lifetime has none.
    #[must_use]
    pub fn time_zone(mut self, zone: Zone) -> Self {
        self.0.window = in_zone(self.0.window, zone);
        self
    }

    counting_options!(Usd, Usd::as_nanos);
}

fn budget(name: &'static str, window: Window, limit: Usd) -> Counted {
    Counted::new(name, DenialKind::Budget, Unit::Cost, window, limit.as_nanos())
}

pub(super) fn in_zone(window: Window, zone: Zone) -> Window {
    match window {
        Window::Calendar(period, _) => Window::Calendar(period, zone),
        other @ (Window::Sliding(_) | Window::Lifetime) => other,
    }
}

counted_rule!(MonthlyBudget);
counted_rule!(Budget);
