//! The policy of the replay: all eight rules, each with a limit that the conversations
//! trace runs into.

use std::time::Duration;

use driftlock::{
    BuildError, CostVelocity, ForecastBudget, ManualClock, MaxCostPerRequest, MonthlyBudget,
    PerUserBudget, Policy, RestrictModel, TagBasedModelDowngrade, Usd, VelocityLimit, rule::label,
};

pub(crate) const RESTRICTED: &str = "gpt-4";
pub(crate) const CHEAPER: &str = "gpt-4o-mini";
pub(crate) const ONE_CALL: Usd = Usd::cents(5);
pub(crate) const CALLS: (u64, Duration) = (12, Duration::from_secs(1));
pub(crate) const BURN: (Usd, Duration) = (Usd::cents(80), Duration::from_secs(60));
pub(crate) const POWER_USER: (&str, Usd) = ("u-00", Usd::dollars(3));
pub(crate) const OTHER_USERS: Usd = Usd::dollars(1);
/// For each team. Projected from one day, a thirtieth of it can be spent within a day.
pub(crate) const TEAM_MONTH: Usd = Usd::dollars(300);
pub(crate) const LOOKBACK_DAYS: u32 = 1;
pub(crate) const MONTH: Usd = Usd::dollars(18);

/// The policy, on the trace's own time.
pub(crate) fn policy(clock: ManualClock) -> Result<Policy, BuildError> {
    Policy::builder()
        .rule(RestrictModel::new([RESTRICTED]))
        .rule(TagBasedModelDowngrade::new(label("plan").eq("free"), CHEAPER))
        .rule(MaxCostPerRequest::new(ONE_CALL))
        .rule(VelocityLimit::new(CALLS.0, CALLS.1))
        .rule(CostVelocity::new(BURN.0, BURN.1))
        .rule(PerUserBudget::new().user(POWER_USER.0, POWER_USER.1).default_limit(OTHER_USERS))
        .rule(ForecastBudget::new(TEAM_MONTH).lookback_days(LOOKBACK_DAYS).per_label("team"))
        .rule(MonthlyBudget::new(MONTH))
        .clock(clock)
        .ephemeral_ok() // counters in memory are all that a replay needs
        .receipts(true)
        .build()
}

/// The month's budget of a user.
pub(crate) fn user_limit(user: &str) -> Usd {
    if user == POWER_USER.0 { POWER_USER.1 } else { OTHER_USERS }
}

/// What a team may spend within the days that its forecast looks back to.
pub(crate) fn team_limit() -> Usd {
    Usd::nanos(TEAM_MONTH.as_nanos() * u64::from(LOOKBACK_DAYS) / 30)
}
