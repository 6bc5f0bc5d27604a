//! OpenAI's chat completions, also as other providers speak them.
//!
//! What is read, and what follows from it:
//!
//! | key | |
//! |---|---|
//! | `model`, `models` | the model, and those the provider may fall back to |
//! | `stream`, `stream_options` | whether usage has to be asked for, and where |
//! | `max_tokens`, `max_completion_tokens` | the output maximum: the larger, where both are stated |
//! | `n` | choices, 1 to 128 |
//! | `messages` | count, bytes of text, media |
//! | `tools`, `functions`, `response_format` | needs, and bytes that the provider adds to the prompt |
//! | `modalities`, `audio` | whether media come back |
//! | `prediction` | see below |
//! | `service_tier` | the tier |
//! | `web_search_options`, `search_parameters`, `plugins`, `data_sources`, `background` | an open end: input that is not in the request |
//!
//! Predicted output that the model rejects is billed as output. So its bytes, of which
//! a token has at least one, are added to a stated maximum; a call that predicts and
//! states none is open-ended.

mod facts;
mod messages;

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

/// The governed keys of a chat request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Model,
    Messages,
    Stream,
    StreamOptions,
    MaxTokens,
    MaxCompletionTokens,
    Tools,
    ResponseFormat,
    Choices,
    ServiceTier,
    Fallbacks,
    Modalities,
    Prediction,
    Audio,
    Search,
    DataSources,
    Background,
}

// The common ones first.
const KEYS: Keys<Key> = &keys([
    ("model", Key::Model),
    ("messages", Key::Messages),
    ("stream", Key::Stream),
    ("stream_options", Key::StreamOptions),
    ("max_tokens", Key::MaxTokens),
    ("max_completion_tokens", Key::MaxCompletionTokens),
    ("tools", Key::Tools),
    ("response_format", Key::ResponseFormat),
    ("n", Key::Choices),
    ("service_tier", Key::ServiceTier),
    ("functions", Key::Tools),
    ("models", Key::Fallbacks),
    ("modalities", Key::Modalities),
    ("prediction", Key::Prediction),
    ("audio", Key::Audio),
    ("web_search_options", Key::Search),
    ("search_parameters", Key::Search),
    ("plugins", Key::Search),
    ("data_sources", Key::DataSources),
    ("dataSources", Key::DataSources),
    ("background", Key::Background),
]);

/// Reads the body of a chat request.
pub(in crate::provider) fn read(
    endpoint: &Endpoint,
    uri: &Uri,
    body: &[u8],
) -> Result<Reading, Unreadable> {
    let (mut facts, mut governed) = (Facts::default(), const { Governed::new(KEYS) });
    let end =
        members(body, |key| governed.find(key), |walk, name, key| facts.read(walk, name, key))?;
    facts.reading(endpoint, uri, end)
}

#[cfg(test)]
mod tests;
