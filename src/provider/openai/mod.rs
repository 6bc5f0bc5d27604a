//! OpenAI's formats, which many providers speak as well.
//!
//! Each has a file that reads requests and one that reads usage; what their requests
//! have in common is beside them: what goes into a prompt, media, tools, and the
//! places of the output maximum and of the ask for usage.

pub(super) mod chat;
pub(super) mod chat_usage;
pub(super) mod completions;
pub(super) mod embeddings;
pub(super) mod embeddings_usage;
pub(super) mod responses;
pub(super) mod responses_usage;

mod ask;
mod maximum;
mod media;
mod model;
mod numbered;
mod prompt;
mod tools;
mod totals;
