//! A budget that stops before it is exhausted.

use std::time::Duration;

use super::counted::{Counted, counted_rule, counting_options};
use crate::{claim::Unit, denial::DenialKind, usd::Usd, window::Window};

/// Denies a call when the spend of the last days, this call included, projected
/// to 30 days exceeds the budget.
///
/// `spend(lookback) / lookback_days × 30 ≤ budget` is the same as spend in any
/// `lookback` ≤ `budget × lookback_days / 30`, which is how it is enforced: as a
/// hard limit on a sliding window. With the default of 7 days and $30, at most $7
/// are spent in any 7 days.
///
/// # Example
/// ```
/// use driftlock::{ForecastBudget, Policy, Usd};
///
/// let policy = Policy::builder().rule(ForecastBudget::new(Usd::dollars(50)).lookback_days(7)).build()?;
/// # Ok::<(), driftlock::BuildError>(())
/// ```
#[doc(alias = "ForecastBudgetRule")]
#[derive(Clone, Debug)]
pub struct ForecastBudget(Counted, Usd);

/// The days of a forecast's month.
const MONTH_DAYS: u128 = 30;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl ForecastBudget {
    /// At most `monthly` in 30 days, as projected from the last 7.
    pub fn new(monthly: Usd) -> Self {
        let window = Window::Sliding(DAY);
        Self(Counted::new("forecast_budget", DenialKind::Budget, Unit::Cost, window, 0), monthly)
            .lookback_days(7)
    }

    /// How many days are projected from. Defaults to 7; zero is refused when the
    /// policy is built.
    #[must_use]
    pub fn lookback_days(mut self, days: u32) -> Self {
        self.0.window = Window::Sliding(DAY.saturating_mul(days));
        let share = u128::from(self.1.as_nanos()) * u128::from(days) / MONTH_DAYS;
        self.0.limit = super::LimitSource::Fixed(u64::try_from(share).unwrap_or(u64::MAX));
        self
    }

    counting_options!(Usd, Usd::as_nanos);
}

counted_rule!(ForecastBudget);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_scaled_to_the_lookback() {
        let ForecastBudget(counted, _) = ForecastBudget::new(Usd::dollars(30)).lookback_days(7);
        assert_eq!(format!("{:?}", counted.limit), Usd::dollars(7).as_nanos().to_string());
        let ForecastBudget(counted, _) = ForecastBudget::new(Usd::MAX).lookback_days(u32::MAX);
        assert_eq!(format!("{:?}", counted.limit), u64::MAX.to_string());
    }
}
