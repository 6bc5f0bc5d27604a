//! Eight rules, none of which denies anything.

use std::time::Duration;

use driftlock::{
    CostVelocity, ForecastBudget, MaxCostPerRequest, MonthlyBudget, PerUserBudget, Policy,
    RestrictModel, TagBasedModelDowngrade, Usd, VelocityLimit, rule::label,
};

/// The eight rules, with limits that are looked at and not reached.
pub fn policy() -> Policy {
    let hour = Duration::from_secs(3_600);
    let many = 1 << 40;
    Policy::builder()
        .rule(MonthlyBudget::new(Usd::dollars(1_000_000_000)))
        .rule(PerUserBudget::new().default_limit(Usd::dollars(100_000_000)))
        .rule(ForecastBudget::new(Usd::dollars(1_000_000_000)))
        .rule(MaxCostPerRequest::new(Usd::dollars(1)))
        .rule(VelocityLimit::new(many, hour))
        .rule(VelocityLimit::new(many, hour).per_user().named("user_velocity"))
        .rule(CostVelocity::new(Usd::dollars(100_000_000), hour).per_user())
        .rule(RestrictModel::new(["gpt-4o", "gpt-4"]).when(label("plan").eq("free")))
        .rule(TagBasedModelDowngrade::new(label("plan").eq("trial"), "gpt-4.1-nano"))
        .ephemeral_ok()
        .build()
        .expect("the policy is sound")
}
