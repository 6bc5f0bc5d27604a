//! Carriers: how a call travels, as opposed to what it says.
//!
//! A *provider* is a wire format: JSON in, facts out. A *carrier* is a request
//! type: it yields the head and the bytes of a request, puts other bytes back, and
//! wraps the response so that its end is seen. Keeping the two apart makes n + m
//! files of n × m.
//!
//! [`Auto`] carries `http::Request<B>` and is what a
//! [`DriftlockLayer`](crate::DriftlockLayer) uses unless told otherwise.

mod auto;
mod http;
mod intake;

pub use auto::{Auto, Rebuild};
pub use http::ReadBody;
pub use intake::{Carrier, Intake};
