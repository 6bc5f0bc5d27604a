//! The providers' wire formats: JSON in, facts out, and nothing else.
//!
//! [`Routes`] says from the head of a request what it is: a call whose usage can be
//! read, something free, or something whose cost cannot be known. A metered call has
//! an [`Endpoint`], whose [`Format`] reads the body into a [`Call`](crate::Call) and
//! a layout, the places where a policy may have to write: the model, the output
//! maximum, the ask for usage. What is written goes there and leaves every other byte
//! alone.
//!
//! A format is a file with one function `read` for requests and one that reads usage;
//! it appears in [`Format`], in the table of paths and nowhere else.

mod anthropic;
mod anthropic_usage;
#[cfg(test)]
mod any_bytes;
mod endpoint;
mod format;
mod gemini;
mod gemini_path;
mod gemini_usage;
mod governed;
mod host;
mod layout;
mod list;
mod observe;
mod openai;
mod path;
mod place;
mod route;
mod short;
#[cfg(test)]
mod tests;
mod value;
mod written;

pub use endpoint::Endpoint;
pub use format::Format;
pub use observe::Observed;
pub use route::{Route, Routes};

pub(crate) use format::{Reading, read};
pub(crate) use layout::{Edits, Layout, prepare};
pub(crate) use observe::{Dialect, EventKind, Observer, Told};
