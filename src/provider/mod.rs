//! The providers' wire formats.

mod observe;
mod openai_chat_usage;

pub use observe::Observed;
pub(crate) use observe::{EventKind, Observer};
