//! Carriers: how a call travels, as opposed to what it says.
//!
//! A *provider* is a wire format: JSON in, facts out. A *carrier* is a request
//! type: it yields the head and the bytes of a request, puts other bytes back, and
//! wraps the response so that its end is seen. Keeping the two apart makes n + m
//! files of n × m.
//!
//! [`Auto`] is what a [`DriftlockLayer`](crate::DriftlockLayer) uses unless told
//! otherwise. It carries `http::Request<B>`, and with a feature what the clients of
//! others take: `reqwest::Request` (`reqwest`), what async-openai's client sends, and
//! its typed requests (`async-openai`). For types of your own see [`Carrier`], which has
//! a complete example.

mod auto;
mod changes;
#[cfg(feature = "async-openai")]
mod factory;
mod head;
mod http;
mod intake;
mod read_body;
#[cfg(feature = "reqwest")]
mod reqwest;
#[cfg(feature = "async-openai")]
mod spoken;
#[cfg(feature = "async-openai")]
mod typed;
#[cfg(feature = "async-openai")]
mod typed_stream;

pub use auto::{Auto, Rebuild};
pub use changes::Changes;
#[cfg(feature = "async-openai")]
pub use factory::ReadFactory;
pub use intake::{Carrier, Intake};
pub use read_body::ReadBody;
#[cfg(feature = "async-openai")]
pub use typed::Typed;
