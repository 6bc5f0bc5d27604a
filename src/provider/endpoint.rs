//! Where a metered call goes.

use std::borrow::Cow;

use http::{Uri, uri::PathAndQuery};

use super::{format::Format, gemini_path::GeminiModel, path};
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
    /// Whether the path names the model, as Gemini's and Azure's deployments do.
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
    /// not asked for usage and has the model where the format has it: Gemini's in the
    /// path, all others' in the body.
    pub fn new(format: Format, provider: Provider) -> Self {
        Self {
            format,
            provider,
            asks_usage: false,
            output_key: OutputKey::MaxTokens,
            model_in_path: format == Format::GeminiGenerate,
        }
    }

    /// Whether a call cannot be read without its address.
    pub(crate) fn needs_uri(&self) -> bool {
        self.model_in_path
    }

    /// The model that the path names.
    #[inline]
    pub(crate) fn model_in<'a>(&self, uri: &'a Uri) -> Option<Cow<'a, str>> {
        // Few paths have one.
        if self.model_in_path { self.model_at(uri.path()) } else { None }
    }

    fn model_at<'a>(&self, path: &'a str) -> Option<Cow<'a, str>> {
        match self.format {
            Format::GeminiGenerate => GeminiModel::of(path).map(GeminiModel::full_name),
            _ => path::deployment(path).map(Cow::from),
        }
    }

    /// The address for another model; `None` if it does not depend on the model.
    pub(crate) fn uri_for(&self, uri: &Uri, model: &str) -> Result<Option<Uri>, http::Error> {
        if self.model_in(uri).is_none_or(|old| old == model) {
            return Ok(None);
        }
        let path = match self.format {
            Format::GeminiGenerate => GeminiModel::of(uri.path()).map(|old| old.path_to(model)),
            _ => path::to_deployment(uri.path(), model),
        };
        let Some(mut changed) = path else { return Ok(None) };
        if let Some(query) = uri.query() {
            changed.push('?');
            changed.push_str(query);
        }
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = Some(PathAndQuery::try_from(changed)?);
        Ok(Some(Uri::from_parts(parts)?))
    }
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
        assert_eq!(azure().model_in(&uri).as_deref(), Some("gpt-4o"));
        assert_eq!(azure().uri_for(&uri, "gpt-4o").unwrap(), None);
        assert_eq!(
            azure().uri_for(&uri, "a/b mini").unwrap().unwrap(),
            "https://x.openai.azure.com/openai/deployments/a%2Fb%20mini/chat/completions?v=1"
        );
        assert!(azure().uri_for(&uri, &"x".repeat(70_000)).is_err());
    }

    #[test]
    fn another_model_of_geminis_is_another_address() {
        let gemini = Endpoint::new(Format::GeminiGenerate, Provider::GOOGLE);
        let uri = Uri::from_static(
            "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse&key=k",
        );
        assert!(gemini.needs_uri());
        assert_eq!(gemini.model_in(&uri).as_deref(), Some("gemini-2.5-pro"));
        assert_eq!(gemini.uri_for(&uri, "gemini-2.5-pro").unwrap(), None);
        assert_eq!(
            gemini.uri_for(&uri, "gemini-2.5-flash").unwrap().unwrap(),
            "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse&key=k"
        );
        assert!(gemini.uri_for(&uri, &"x".repeat(70_000)).is_err());
    }

    #[test]
    fn elsewhere_the_address_does_not_depend_on_the_model() {
        let uri = Uri::from_static("/openai/deployments/gpt-4o/chat/completions");
        let elsewhere = Endpoint { model_in_path: false, ..azure() };
        assert_eq!(elsewhere.uri_for(&uri, "gpt-4o-mini").unwrap(), None);
    }
}
