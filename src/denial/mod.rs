//! Why a call was denied, with the numbers a person needs.
//!
//! A rule says [`Deny`]; with the rule's name on it that is a [`Denial`], which is
//! what the caller gets.

#[allow(clippy::module_inception, reason = "it is the denial itself")]
mod denial;
mod deny;
mod exceeded;
mod kind;

pub use denial::Denial;
pub use deny::Deny;
pub use exceeded::Exceeded;
pub use kind::{DenialKind, Retry};
