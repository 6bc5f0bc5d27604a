//! Names of models.

use http::Uri;
use smol_str::SmolStr;

use crate::{
    json::{Span, Text, Walker},
    provider::{endpoint::Endpoint, layout::Slot, value},
    unreadable::Unreadable,
};

/// The longest name of a model, in bytes.
const MOST: usize = 256;

/// A model that a request names, and where.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) name: SmolStr,
    at: Span,
}

impl Model {
    /// Reads the value of `model`.
    pub(super) fn read(walk: &mut Walker<'_>, key: &'static str) -> Result<Self, Unreadable> {
        let text = value::string(walk, key)?;
        Ok(Self { name: name(key, text)?, at: walk.span() })
    }

    /// Where another one goes.
    pub(super) fn slot(&self) -> Slot {
        Slot::new(self.at, "\"", "\"")
    }
}

/// Models that a request may name to fall back to; each is priced and judged by the rules.
const MOST_FALLBACKS: usize = 256;

/// Reads a list of models that may be fallen back to.
pub(super) fn read_all(
    walk: &mut Walker<'_>,
    key: &'static str,
) -> Result<Vec<SmolStr>, Unreadable> {
    let mut names = Vec::new();
    if value::enter_array(walk, key)? {
        while let Some(text) = value::item(walk, key)? {
            if names.len() == MOST_FALLBACKS {
                return Err(Unreadable::Invalid { key, expected: "a list of at most 256 models" });
            }
            names.push(name(key, Some(text))?);
        }
    }
    Ok(names)
}

/// The model that a request goes to. Azure serves the deployment in the path, whatever
/// the body says.
#[inline]
pub(super) fn answering(
    endpoint: &Endpoint,
    uri: &Uri,
    named: Option<SmolStr>,
) -> Result<SmolStr, Unreadable> {
    match endpoint.model_in(uri) {
        Some(deployment) => Ok(deployment.into()),
        None => named.ok_or(Unreadable::Missing { key: "model" }),
    }
}

fn name(key: &'static str, text: Option<Text<'_>>) -> Result<SmolStr, Unreadable> {
    text.filter(|text| (1..=MOST).contains(&text.len()))
        .map(|text| text.read().into())
        .ok_or(Unreadable::Invalid { key, expected: "a name of 1 to 256 bytes" })
}
