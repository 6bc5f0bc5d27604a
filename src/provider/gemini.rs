//! Gemini's content generation, at Google's API and at Vertex AI.
//!
//! The model is named by the path, as is whether the answer is streamed. What is read
//! of the body, and what follows from it:
//!
//! | key | |
//! |---|---|
//! | `contents`, `systemInstruction` | count, bytes of text, media |
//! | `generationConfig` | the output maximum, thinking included; candidates, 1 to 128; schema; whether media come back |
//! | `tools` | needs, and bytes that the provider adds to the prompt |
//! | `serviceTier` | the tier |
//! | `cachedContent`, files, tools of the provider's | an open end: input that is not in the request |
//! | `model` | has to be the one that the path names, if it names one |
//!
//! Google reads every key in camel case and in snake case, and takes a single object
//! for an array of one. So both are read here; a key that is there in both spellings
//! is a key given twice.

mod facts;
mod keys;
mod parts;
mod tools;

use http::Uri;

use self::{
    facts::Facts,
    keys::{REQUEST, Spellings},
};
use super::{endpoint::Endpoint, format::Reading, governed::members};
use crate::unreadable::Unreadable;

/// Reads the body of a request for content.
pub(super) fn read(endpoint: &Endpoint, uri: &Uri, body: &[u8]) -> Result<Reading, Unreadable> {
    let (mut facts, mut spellings) = (Facts::default(), Spellings::new(REQUEST));
    let end =
        members(body, |key| spellings.find(key), |walk, name, key| facts.read(walk, name, key))?;
    facts.into_reading(endpoint, uri, end)
}

#[cfg(test)]
mod tests;
