//! Counting within a window, the same for every store that does it itself.
//!
//! A [`Counter`] holds amounts, and knows until when each of them counts; a
//! [`Horizon`] says until when a new one will, and [`Times`] whether calls are kept
//! one by one; [`retry_after`] says when there will be room. Nobody in here knows of
//! scopes, reservations, or where a counter is kept.

mod counter;
mod horizon;
mod parts;
mod retry;
mod times;

pub(crate) use counter::Counter;
pub(crate) use horizon::Horizon;
#[cfg(feature = "sqlite")]
pub(crate) use parts::Part;
pub(crate) use retry::{later, retry_after};
pub(crate) use times::Times;
