//! Counters in memory: the default store.
//!
//! Every call charges its workspace, so locks per user would buy nothing: all calls
//! meet at the workspace anyway. There is **one short lock**. Behind it every limit
//! is checked, then every charge is booked, and nothing else happens: hashing,
//! pricing and rules are done before. A decision allocates nothing once its users
//! are known.
//!
//! It **forgets at restart and counts one process**. For a budget that must hold
//! longer or wider, take a durable store.
//!
//! # Example
//! ```
//! use driftlock::{
//!     Timestamp, Unit, Usd, Window, Zone,
//!     store::{Charge, CounterKey, Hold, Limit, MemoryStore, ReserveError, Store},
//! };
//!
//! let store = MemoryStore::new();
//! let window = Window::month(Zone::UTC);
//! let key = CounterKey { workspace: "app".into(), label: None, unit: Unit::Cost, window };
//! let counter = store.counter(&key);
//!
//! let at: Timestamp = "2026-11-22T12:00:00Z".parse()?;
//! let deadline = "2026-11-22T12:15:00Z".parse()?;
//! let ask = Usd::cents(60).as_nanos();
//! let hold = Hold {
//!     values: &[""],
//!     charges: &[Charge { counter, value: 0, amount: ask }],
//!     limits: &[Limit { charge: 0, ask, limit: Usd::dollars(1).as_nanos() }],
//!     at,
//!     deadline,
//! };
//! let call = store.reserve_now(&hold).expect("room for 60 cents");
//! assert!(matches!(store.reserve_now(&hold), Err(ReserveError::Refused(_))));
//!
//! store.settle(call, Usd::cents(10), at);
//! assert!(store.reserve_now(&hold).is_ok());
//! # Ok::<(), driftlock::ParseTimeError>(())
//! ```

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
