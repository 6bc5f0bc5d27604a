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
//! From the outside in: `store` hashes and locks; `booking` books all and checks
//! all in the `state`, with the notes of `found`; `settling`, `refusal` and `sweep`
//! are what else can happen. What is kept are `scopes` with their `counter`s, whose amounts leave as
//! `horizon` says, and the reservations that are `held`.

mod booking;
mod counter;
mod found;
mod held;
mod horizon;
mod meaning;
mod refusal;
mod scopes;
mod settling;
mod slab;
mod state;
mod store;
mod sweep;
mod sync;

pub use store::{MemoryStore, MemoryStoreBuilder};
