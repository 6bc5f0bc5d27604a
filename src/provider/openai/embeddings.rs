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
    json::{Nest, Token, Walker},
    provider::{endpoint::Endpoint, format::Reading, governed::Governed, layout::Layout},
    unreadable::Unreadable,
};

/// The governed keys of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Model,
    Input,
    Fallbacks,
}

const KEYS: &[(&str, Key)] =
    &[("model", Key::Model), ("input", Key::Input), ("models", Key::Fallbacks)];

/// Reads the body of a request.
pub(in crate::provider) fn read(
    endpoint: &Endpoint,
    uri: &Uri,
    body: &[u8],
) -> Result<Reading, Unreadable> {
    let mut walk = Walker::new(body)?;
    if walk.token()? != Token::Open(Nest::Object) {
        return Err(Unreadable::NotAnObject);
    }
    let (mut named, mut input, mut fallbacks) = (None, None, Vec::new());
    let mut governed = Governed::new(KEYS);
    while let Some(key) = walk.key()? {
        match governed.find(key)? {
            Some((name, Key::Model)) => named = Some(Model::read(&mut walk, name)?),
            Some((name, Key::Input)) => input = numbered::read(&mut walk, name)?,
            Some((name, Key::Fallbacks)) => fallbacks = model::read_all(&mut walk, name)?,
            None => {
                walk.skip()?;
            }
        }
    }
    walk.finish()?;
    let texts = input.ok_or(Unreadable::Missing { key: "input" })?;
    let layout = Layout { model: named.as_ref().map(Model::slot), ..Layout::default() };
    let model = model::answering(endpoint, uri, named.map(|model| model.name))?;
    let call = Call::new(endpoint.provider.clone(), Operation::Embeddings, model)
        .with_input(Input { text_bytes: texts.bytes, messages: texts.count, ..Input::default() })
        .with_fallback_models(fallbacks);
    Ok(Reading { call, layout, ask_usage: false })
}

#[cfg(test)]
mod tests;
