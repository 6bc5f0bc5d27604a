//! Where a metered call goes.

use http::{Uri, uri::PathAndQuery};

use super::{format::Format, path};
use crate::call::Provider;

/// Where a metered call goes, and how it is to be read.
///
/// # Example
/// ```
/// use driftlock::{Format, Provider, Route, Routes};
/// use http::{HeaderMap, Method, Uri};
///
/// let uri = Uri::from_static("https://api.groq.com/openai/v1/chat/completions");
/// let Route::Metered(endpoint) = Routes::new().classify(&Method::POST, &uri, &HeaderMap::new())
/// else {
///     panic!("chat is metered");
/// };
/// assert_eq!(endpoint.format, Format::OpenAiChat);
/// assert_eq!(endpoint.provider, Provider::named("groq"));
/// assert!(endpoint.asks_usage);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Endpoint {
    /// How request and response are written.
    pub format: Format,
    /// Under whose name the price book has the model.
    pub provider: Provider,
    /// Whether a stream carries usage only when asked, and the host understands the
    /// ask (`stream_options.include_usage`).
    pub asks_usage: bool,
    /// Which key limits the output here, for requests that have none yet.
    pub(crate) output_key: OutputKey,
    /// Whether the path names the model, as in Azure's deployments.
    pub(crate) model_in_path: bool,
}

/// The key by which the output is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutputKey {
    /// What OpenAI's reasoning models insist on; others may ignore it.
    MaxCompletionTokens,
    /// What everyone else understands.
    MaxTokens,
    /// None: what is asked for here has no maximum.
    None,
}

impl Endpoint {
    /// An endpoint in this format, with models priced as this provider's, that is
    /// not asked for usage and has the model in the body.
    pub fn new(format: Format, provider: Provider) -> Self {
        Self {
            format,
            provider,
            asks_usage: false,
            output_key: OutputKey::MaxTokens,
            model_in_path: false,
        }
    }

    /// Whether a call cannot be read without its address.
    pub(crate) fn needs_uri(&self) -> bool {
        self.model_in_path
    }

    /// The model that the path names.
    pub(crate) fn model_in<'a>(&self, uri: &'a Uri) -> Option<&'a str> {
        if self.model_in_path { path::deployment(uri.path()) } else { None }
    }

    /// The address for another model; `None` if it does not depend on the model.
    pub(crate) fn uri_for(&self, uri: &Uri, model: &str) -> Result<Option<Uri>, http::Error> {
        let Some(old) = self.model_in(uri).filter(|old| *old != model) else { return Ok(None) };
        // The deployment is a part of the path, so it has a place in it.
        let Some((before, after)) = uri.path().split_once(&format!("/deployments/{old}/")) else {
            return Ok(None);
        };
        let mut changed = format!("{before}/deployments/{}/{after}", segment(model));
        if let Some(query) = uri.query() {
            changed.push('?');
            changed.push_str(query);
        }
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = Some(PathAndQuery::try_from(changed)?);
        Ok(Some(Uri::from_parts(parts)?))
    }
}

/// A model's name as one segment of a path.
fn segment(name: &str) -> String {
    name.bytes().fold(String::with_capacity(name.len()), |mut out, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(byte.into())
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn azure() -> Endpoint {
        Endpoint {
            format: Format::OpenAiChat,
            provider: Provider::AZURE,
            asks_usage: true,
            output_key: OutputKey::MaxCompletionTokens,
            model_in_path: true,
        }
    }

    #[test]
    fn another_model_is_another_deployment() {
        let uri: Uri = "https://x.openai.azure.com/openai/deployments/gpt-4o/chat/completions?v=1"
            .parse()
            .unwrap();
        assert_eq!(azure().model_in(&uri), Some("gpt-4o"));
        assert_eq!(azure().uri_for(&uri, "gpt-4o").unwrap(), None);
        assert_eq!(
            azure().uri_for(&uri, "a/b mini").unwrap().unwrap(),
            "https://x.openai.azure.com/openai/deployments/a%2Fb%20mini/chat/completions?v=1"
        );
        assert!(azure().uri_for(&uri, &"x".repeat(70_000)).is_err());
    }

    #[test]
    fn elsewhere_the_address_does_not_depend_on_the_model() {
        let uri = Uri::from_static("/openai/deployments/gpt-4o/chat/completions");
        let elsewhere = Endpoint { model_in_path: false, ..azure() };
        assert_eq!(elsewhere.uri_for(&uri, "gpt-4o-mini").unwrap(), None);
    }
}
