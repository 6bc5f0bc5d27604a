//! OpenAI's embeddings.
//!
//! Read are `model`, `models` and `input`: a text, texts, or the numbers of their
//! tokens. A number counts as three bytes, which to an estimate from bytes are one
//! token; of anything else in the input every string counts as text. Nothing is
//! written, so there is no output to bound.

use http::Uri;

use super::{
    model::{self, Model},
    numbered,
};
use crate::{
    call::{Call, Input, Operation},
    provider::{
        endpoint::Endpoint,
        format::Reading,
        governed::{Governed, Keys, keys, members},
        layout::Layout,
    },
    unreadable::Unreadable,
};

/// The governed keys of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Model,
    Input,
    Fallbacks,
}

const KEYS: Keys<Key> =
    &keys([("model", Key::Model), ("input", Key::Input), ("models", Key::Fallbacks)]);

/// Reads the body of a request.
pub(in crate::provider) fn read(
    endpoint: &Endpoint,
    uri: &Uri,
    body: &[u8],
) -> Result<Reading, Unreadable> {
    let (mut named, mut input, mut fallbacks) = (None, None, Vec::new());
    let mut governed = const { Governed::new(KEYS) };
    members(
        body,
        |key| governed.find(key),
        |walk, name, key| {
            match key {
                Key::Model => named = Some(Model::read(walk, name)?),
                Key::Input => input = numbered::read(walk, name)?,
                Key::Fallbacks => fallbacks = model::read_all(walk, name)?,
            }
            Ok(())
        },
    )?;
    let texts = input.ok_or(Unreadable::Missing { key: "input" })?;
    let layout = Layout { model: named.as_ref().map(Model::slot), ..Layout::default() };
    let model = model::answering(endpoint, uri, named.as_ref())?;
    let call = Call::new(endpoint.provider.clone(), Operation::Embeddings, model)
        .with_input(Input { text_bytes: texts.bytes, messages: texts.count, ..Input::default() })
        .with_fallback_models(fallbacks);
    Ok(Reading { call, layout, ask_usage: false })
}

#[cfg(test)]
mod tests;
