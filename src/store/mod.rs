//! Remembering: the counters behind every stateful rule.
//!
//! A store is asked two things: to **reserve** the estimated cost of a call on
//! all its counters at once, or not at all, and later to **settle** it to the real
//! cost, exactly once. Rules never touch a counter, so there is nothing to race
//! with and nothing to roll back.
//!
//! [`MemoryStore`] is the default. A policy that must survive a restart needs a durable
//! one: `SqliteStore` (feature `sqlite`) keeps its counters, and a ledger of all calls, in
//! a file that several processes may share.

mod answer;
mod contract;
mod counting;
mod facts;
mod memory;
mod shared;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;

pub use answer::{Answer, StoreError};
pub use contract::{
    Adjustment, Charge, CounterId, CounterKey, Hold, Limit, Raise, Reading, Refusal, Reservation,
    ReserveError, Store,
};
pub use facts::{Ending, Facts};
pub(crate) use memory::Plan;
pub use memory::{MemoryStore, MemoryStoreBuilder};
#[cfg(feature = "sqlite")]
#[cfg_attr(docsrs, doc(cfg(feature = "sqlite")))]
pub use sqlite::{Durability, OpenError, SqliteStore, SqliteStoreBuilder};
