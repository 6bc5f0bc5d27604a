//! Who and what a call is for: `user`, `team`, `plan`, whatever rules look at.
//!
//! Labels reach a policy in three ways, strongest first, key by key: on the
//! request (an [`http::Extensions`] entry), from the task's [`scope()`], from the
//! policy's defaults. A task-local does not cross `tower::buffer::Buffer`:
//! [`CaptureLayer`], put outermost, carries it along with the request, be it one of
//! `http` or, with the feature `async-openai`, of its client. Nor does it
//! cross `tokio::spawn`: there hand it on, with
//! `tokio::spawn(labels::scope(labels::current(), task))`.
//!
//! Labels from a caller's headers are only as true as the caller: take them
//! behind authentication.
//!
//! # Example
//! ```
//! use driftlock::{Labels, labels};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! labels::scope(Labels::new().with("user", "u-17"), async {
//!     assert_eq!(labels::current().user(), Some("u-17"));
//! })
//! .await;
//! # });
//! # Ok::<(), std::io::Error>(())
//! ```

mod capture;
mod scope;
mod set;
mod word;

pub use capture::{Capture, CaptureLayer};
pub use scope::{current, scope};
pub use set::{LabelError, Labels};
pub(crate) use word::{Word, canonical};
