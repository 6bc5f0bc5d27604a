//! Deciding: the rules of a policy.
//!
//! A rule looks at a [`Call`](crate::Call) and says one thing, a [`Verdict`]:
//! allow, deny, use another model, or charge this amount to that counter, never
//! past this limit. It touches no counter itself; the policy gathers what all
//! rules claim and books it in one step.
//!
//! # A rule of your own
//! Implement [`Rule`] with a plain `async fn`, or pass a closure to [`rule_fn`].
//!
//! ```
//! use driftlock::{Call, Deny, Policy, Rule, Verdict};
//!
//! #[derive(Debug)]
//! struct BlockWeekends;
//!
//! impl Rule for BlockWeekends {
//!     async fn evaluate(&self, call: &Call) -> Verdict {
//!         // 1970-01-01, day 0, was a Thursday.
//!         let day = call.at().as_nanos() / 86_400_000_000_000;
//!         match (day + 3) % 7 {
//!             5 | 6 => Deny::new("no weekend spend").into(),
//!             _ => Verdict::Allow,
//!         }
//!     }
//! }
//!
//! use driftlock::{ManualClock, Operation, Provider};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let sunday = ManualClock::at("2026-11-22T12:00:00Z".parse()?);
//! let policy = Policy::builder().rule(BlockWeekends).clock(sunday.clone()).build()?;
//!
//! let mut call = Call::new(Provider::OPENAI, Operation::Chat, "gpt-4o-mini");
//! let denied = policy.admit(&mut call).await.unwrap_err();
//! assert_eq!(denied.denial().unwrap().rule(), "block_weekends");
//!
//! sunday.set("2026-11-23T12:00:00Z".parse()?); // Monday
//! assert!(policy.admit(&mut call).await.is_ok());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod budget;
mod condition;
mod cost_velocity;
mod counted;
mod custom;
mod forecast_budget;
mod max_cost_per_request;
mod pattern;
mod per_user_budget;
mod restrict_model;
mod rule_fn;
mod step;
mod tag_based_model_downgrade;
mod velocity_limit;
mod verdict;

pub use budget::{Budget, MonthlyBudget};
pub use condition::{Condition, LabelCondition, all, any, label, model, not};
pub use cost_velocity::CostVelocity;
pub(crate) use counted::{Counted, LimitSource};
pub(crate) use custom::ErasedRule;
pub use custom::Rule;
pub use forecast_budget::ForecastBudget;
pub use max_cost_per_request::MaxCostPerRequest;
pub use per_user_budget::PerUserBudget;
pub use restrict_model::RestrictModel;
pub use rule_fn::{RuleFn, rule_fn};
pub use step::IntoRule;
pub(crate) use step::{Step, Token, View};
pub use tag_based_model_downgrade::{Otherwise, TagBasedModelDowngrade};
pub use velocity_limit::VelocityLimit;
pub use verdict::Verdict;
