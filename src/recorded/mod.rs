//! Recorded exchanges with providers, and what every format is held to on them.
//!
//! The recordings lie beside the project; where they are absent, tests say so and
//! pass. What is checked of all of them alike:
//!
//! - the usage read from a response is the one that was reported, however the
//!   response is cut into frames, or the row of its kind says why it is not;
//! - the cost it settles at is that of an independent calculator;
//! - how the estimate before the call compares with what was reported after it.
//!
//! A format takes part by a row in `kind::KINDS`, and a file beside `openai.rs`.

mod anthropic;
mod estimates;
mod exchange;
mod frames;
mod gemini;
mod kind;
mod openai;
mod prices;
mod usages;
