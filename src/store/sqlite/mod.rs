//! Counters in a file: budgets that survive.
//!
//! A month's budget that forgets at every deploy is no budget. Here every reservation is
//! in the file before the call is sent, and what a call cost soon after.
//!
//! From the outside in: `store` is opened by a `builder`; `handing_over` puts into a `queue` what there is to do;
//! `front` refuses what needs no asking. The `writer` does all that is there in one
//! transaction: `booking`, `settling`, `set_aside` and `prune` on a `state` of `scopes` with their
//! amounts, of `calls` and of `daily` sums, which is as much of the `file` as is at
//! hand. `room` says whether a counter has some.

mod answering;
pub(crate) mod blob;
mod booking;
mod builder;
mod calls;
mod daily;
mod durability;
mod fault;
mod file;
mod front;
mod going_by;
mod handing_over;
mod handle;
pub(crate) mod latest;
mod mark;
mod meanings;
mod op;
mod open_error;
mod prune;
mod queue;
mod room;
pub(crate) mod schema;
mod scopes;
mod set_aside;
mod settling;
mod shared;
pub(crate) mod standing;
mod state;
mod store;
#[cfg(test)]
mod tests;
mod unclaimed;
pub(crate) mod words;
mod writer;

pub use builder::SqliteStoreBuilder;
pub use durability::Durability;
pub use open_error::OpenError;
pub use store::SqliteStore;
