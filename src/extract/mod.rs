//! Takes a few values out of a JSON document while it passes by.
//!
//! A response is seen in pieces that end anywhere, must not be held back, and may
//! be long; of all of it only a few values matter. [`Extractor`] remembers where in
//! the document it is (a state, a depth), copies what was asked for, and skips the
//! rest, most of it sixty-four bytes at a time. It does not recurse, and its memory
//! is bounded by the sum of what the wanted values may measure, however long or deep
//! the document is. Most documents, and nearly all events of a stream, do come in one
//! piece: [`whole`] reads those where they are.
//!
//! Values are found by their **exact path** of one or two keys from the root, the
//! second of which may stand in the objects of an array. The
//! word `usage` in a string, in a tool call's arguments or anywhere deeper is never
//! taken: an answer's text must not be able to change what the answer costs.
//!
//! It is tolerant where a mistake cannot mislead (inside skipped values nothing is
//! checked but strings and brackets) and stops where it would have to guess.

mod counts;
mod finds;
mod keep;
mod keys;
mod nest;
mod scanner;
mod whole;

pub(crate) use counts::Counts;
pub(crate) use finds::{Finds, Found};
pub(crate) use keys::{Key, Role};
pub(crate) use scanner::Extractor;
pub(crate) use whole::whole;

#[cfg(test)]
mod tests;
