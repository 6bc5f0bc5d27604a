//! Counters in memory: the default store.
//!
//! Every call charges its workspace, so locks per user would buy nothing: all calls
//! meet at the workspace anyway. There is **one short lock**. Behind it all
//! charges are booked and all limits checked, and nothing else happens: hashing,
//! pricing and rules are done before. A decision allocates nothing once its users
//! are known.
//!
//! It **forgets at restart and counts one process**. For a budget that must hold
//! longer or wider, take a durable store.
//!
//! From the outside in: `store` hashes and locks; `charges` are what a call books,
//! looked up once for a policy; `planned` checks and books them in the `state` in one go,
//! `holding` and `booking` those of calls that no policy has planned; `settling`,
//! `refusal` and `sweep` are what else can happen. What is kept are `scopes` with their
//! `counters`, found by their `index`, and the reservations that are `held`.

mod booking;
mod charges;
mod counters;
mod few;
mod held;
mod holding;
mod index;
mod meaning;
mod planned;
mod refusal;
mod scopes;
mod settling;
mod slab;
mod state;
mod store;
mod sweep;
mod sync;

pub(crate) use charges::Plan;
pub use store::{MemoryStore, MemoryStoreBuilder};
