//! Anthropic's messages.
//!
//! What is read, and what follows from it:
//!
//! | key | |
//! |---|---|
//! | `model` | the model |
//! | `max_tokens` | the output maximum, thinking included |
//! | `stream` | whether the answer is streamed; its usage always comes |
//! | `messages`, `system` | count, bytes of text, media |
//! | `tools` | needs, and bytes that the provider adds to the prompt |
//! | `output_config`, `output_format` | whether the answer follows a schema |
//! | `service_tier`, `speed`, `inference_geo` | tier and region |
//! | `mcp_servers`, `container`, tools of the provider's | an open end: input that is not in the request |
//! | `context_management` | an open end if it may have the conversation compacted, which is billed on top |

mod blocks;
mod facts;
mod tools;

use http::Uri;

use self::facts::Facts;
use super::{
    endpoint::Endpoint,
    format::Reading,
    governed::{Governed, Keys, keys, members},
};
use crate::unreadable::Unreadable;

/// The governed keys of a messages request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Model,
    Messages,
    MaxTokens,
    System,
    Stream,
    Tools,
    OutputConfig,
    OutputFormat,
    ServiceTier,
    Speed,
    InferenceGeo,
    McpServers,
    Container,
    ContextManagement,
}

// The common ones first.
const KEYS: Keys<Key> = &keys([
    ("model", Key::Model),
    ("messages", Key::Messages),
    ("max_tokens", Key::MaxTokens),
    ("system", Key::System),
    ("stream", Key::Stream),
    ("tools", Key::Tools),
    ("output_config", Key::OutputConfig),
    ("output_format", Key::OutputFormat),
    ("service_tier", Key::ServiceTier),
    ("speed", Key::Speed),
    ("inference_geo", Key::InferenceGeo),
    ("mcp_servers", Key::McpServers),
    ("container", Key::Container),
    ("context_management", Key::ContextManagement),
]);

/// Reads the body of a messages request.
pub(super) fn read(endpoint: &Endpoint, _: &Uri, body: &[u8]) -> Result<Reading, Unreadable> {
    let (mut facts, mut governed) = (Facts::default(), const { Governed::new(KEYS) });
    let end =
        members(body, |key| governed.find(key), |walk, name, key| facts.read(walk, name, key))?;
    facts.into_reading(endpoint, end)
}

#[cfg(test)]
mod tests;
