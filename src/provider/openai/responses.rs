//! OpenAI's responses.
//!
//! What is read, and what follows from it:
//!
//! | key | |
//! |---|---|
//! | `model`, `models` | the model, and those the provider may fall back to |
//! | `input`, `instructions` | count, bytes of text, media; references to stored items are an open end |
//! | `max_output_tokens` | the output maximum, for everything that is generated |
//! | `stream` | whether the answer is streamed; usage comes unasked |
//! | `tools`, `text.format` | needs, and bytes that the provider adds to the prompt |
//! | `service_tier` | the tier |
//! | `previous_response_id`, `conversation`, `prompt` | an open end: what they stand for is stored |
//! | `context_management`, `reasoning.mode`, `plugins`, `search_parameters` | an open end: more is read than the request holds |
//! | `background` | cannot be metered: the answer comes to somebody else's question |
//!
//! Without `max_output_tokens` the output is bounded as everywhere, except for the
//! compaction of a conversation (`/responses/compact`), which cannot be given one: it
//! is open-ended.

mod facts;
mod items;

use http::Uri;

use self::facts::Facts;
use crate::{
    provider::{
        endpoint::Endpoint,
        format::Reading,
        governed::{Governed, Keys, keys, members},
    },
    unreadable::Unreadable,
};

/// The governed keys of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Model,
    Input,
    Instructions,
    Stream,
    MaxOutputTokens,
    Tools,
    Text,
    ServiceTier,
    Reasoning,
    Stored,
    Prompt,
    Background,
    Compaction,
    Fallbacks,
    Search,
}

// The common ones first.
const KEYS: Keys<Key> = &keys([
    ("model", Key::Model),
    ("input", Key::Input),
    ("instructions", Key::Instructions),
    ("stream", Key::Stream),
    ("max_output_tokens", Key::MaxOutputTokens),
    ("tools", Key::Tools),
    ("text", Key::Text),
    ("reasoning", Key::Reasoning),
    ("service_tier", Key::ServiceTier),
    ("previous_response_id", Key::Stored),
    ("conversation", Key::Stored),
    ("prompt", Key::Prompt),
    ("background", Key::Background),
    ("context_management", Key::Compaction),
    ("models", Key::Fallbacks),
    ("plugins", Key::Search),
    ("search_parameters", Key::Search),
]);

/// Reads the body of a request.
pub(in crate::provider) fn read(
    endpoint: &Endpoint,
    uri: &Uri,
    body: &[u8],
) -> Result<Reading, Unreadable> {
    let (mut facts, mut governed) = (Facts::default(), const { Governed::new(KEYS) });
    let end =
        members(body, |key| governed.find(key), |walk, name, key| facts.read(walk, name, key))?;
    facts.into_reading(endpoint, uri, end)
}

#[cfg(test)]
mod tests;
