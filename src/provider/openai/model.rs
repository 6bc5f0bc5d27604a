//! Names of models.

use http::Uri;
use smol_str::SmolStr;

use crate::{
    json::{Span, Text, Walker},
    provider::{endpoint::Endpoint, layout::Slot, value},
    unreadable::Unreadable,
};

/// A model that a request names, and where.
#[derive(Debug)]
pub(super) struct Model<'a> {
    // Made a name of its own once, where that is going.
    name: Text<'a>,
    at: Span,
}

impl<'a> Model<'a> {
    /// Reads the value of `model`.
    pub(super) fn read(walk: &mut Walker<'a>, key: &'static str) -> Result<Self, Unreadable> {
        let text = value::string(walk, key)?;
        Ok(Self { name: value::model_text(key, text)?, at: walk.span() })
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
            names.push(value::model(key, Some(text))?);
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
    named: Option<&Model<'_>>,
) -> Result<SmolStr, Unreadable> {
    match (endpoint.model_in(uri), named) {
        (Some(deployment), _) => Ok(deployment.into()),
        (None, Some(model)) => Ok(model.name.read().into()),
        (None, None) => Err(Unreadable::Missing { key: "model" }),
    }
}
