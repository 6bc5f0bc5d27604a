//! The providers' wire formats.

mod observe;
mod openai_chat_usage;

pub(crate) use observe::{EventKind, Observed, Observer};
