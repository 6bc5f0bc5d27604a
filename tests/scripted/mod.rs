//! What the tests of settling share: services, bodies and a store that do exactly
//! what a script says, and an executor that polls by hand. No time passes but by a
//! `ManualClock`.
#![allow(dead_code, unused_imports, unreachable_pub, missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod body;
mod call;
mod drive;
mod service;
mod store;

pub use body::{BodyLog, ScriptedBody, Step};
pub use call::{
    DONE, Ledger, MODEL, USAGE_ONLY, book, chat, content, estimate, json, month, noon, policy,
    usage_cost,
};
pub use drive::{drive, poll_body, poll_once, read};
pub use service::{Client, Refused, Reply, client, layered};
pub use store::{AsyncStore, wait};
