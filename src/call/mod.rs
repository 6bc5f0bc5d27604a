//! The facts of one outbound LLM call.
//!
//! A [`Call`] is what rules look at. A layer reads it from a request; code without
//! a layer builds it. The policy adds the time and an [`Estimate`] before rules run,
//! and may lend it the counters to look at.

mod counters;
mod deciding;
mod estimate;
mod facts;
mod open_ended;
mod provider;
mod size;

pub use counters::Used;
pub(crate) use counters::{BoxFuture, Counters};
pub(crate) use deciding::Terms;
pub use estimate::{Bound, Estimate};
pub use facts::Call;
pub(crate) use open_ended::SERVER_TOOLS;
pub use provider::{Operation, Provider};
pub use size::{Input, Needs};
