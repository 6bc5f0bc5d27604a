//! Governing: rules, prices, a store and settings, as one thing that admits calls.
//!
//! A [`Policy`] is what a [`DriftlockLayer`](crate::DriftlockLayer) runs, and works
//! without one: a batch job admits its calls itself.
//!
//! # Example
//! ```
//! use driftlock::{Call, Input, MonthlyBudget, Operation, Policy, Provider, Usage, Usd};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let policy = Policy::builder().rule(MonthlyBudget::new(Usd::dollars(100))).build()?;
//!
//! let mut call = Call::new(Provider::OPENAI, Operation::Chat, "gpt-4o-mini")
//!     .with_input(Input { text_bytes: 3_000, messages: 1, ..Input::default() })
//!     .with_max_output_tokens(500);
//! let mut permit = policy.admit(&mut call).await?;
//! assert!(permit.reserved() > Usd::ZERO);
//!
//! permit.sent(); // from here on, dropping the permit charges the estimate
//! // … make the call …
//! permit.settle(&Usage::tokens(700, 120));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod actual;
mod admit;
mod answer;
mod answered;
mod booking;
mod build_error;
mod builder;
mod decide;
mod drain;
mod guard;
mod held;
mod outage;
mod permit;
mod place;
mod plain;
mod plan;
mod pricing;
mod receipt;
mod reserve;
mod settings;
mod settle;
mod shortcut;
mod stats;
mod status;
mod twins;

pub use admit::Policy;
pub(crate) use admit::{Admission, Inner};
pub use answer::Answer;
pub use build_error::BuildError;
pub use builder::PolicyBuilder;
pub use permit::Permit;
pub use receipt::Receipt;
pub use settings::{
    InputBound, Mode, OnAbandoned, OnAmbiguous, OnOutage, OnUnreadable, Settings, UnknownPrice,
};
pub use stats::Stats;
pub use status::{Spend, SpendError};
