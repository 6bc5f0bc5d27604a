//! What a request is, from its head alone.

use http::{HeaderMap, Method, Uri, header::UPGRADE};

use super::{
    endpoint::{Endpoint, OutputKey},
    format::Format,
    host::Host,
    path::{self, Kind},
    place::{Place, is_devious},
};
use crate::call::Provider;

/// What a request is.
///
/// For an example see [`Endpoint`](crate::Endpoint).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Route {
    /// A call that costs, whose usage can be read.
    Metered(Endpoint),
    /// Something that costs nothing: it passes with its body unread.
    Free,
    /// Something that may cost, but no one can tell from it how much; and why.
    Unmeterable(&'static str),
}

/// Which requests are metered, free or unmeterable.
///
/// Out of the box, these are metered on every host when they are a `POST`:
///
/// | path ends in | format |
/// |---|---|
/// | `/chat/completions` | [`OpenAiChat`](Format::OpenAiChat) |
/// | `/responses`, `/responses/compact` | [`OpenAiResponses`](Format::OpenAiResponses) |
/// | `/embeddings` | [`OpenAiEmbeddings`](Format::OpenAiEmbeddings) |
/// | `/completions` | [`OpenAiCompletions`](Format::OpenAiCompletions) |
/// | `/v1/messages` | [`AnthropicMessages`](Format::AnthropicMessages) |
/// | `/models/{model}:generateContent`, `:streamGenerateContent`, also with `tunedModels` or `endpoints` | [`GeminiGenerate`](Format::GeminiGenerate) |
///
/// The provider is known by the host's name; for hosts that are not known, and for
/// those of this machine, it is the one that made the format. `GET`, `HEAD`, `OPTIONS`
/// and `DELETE` are free, as are moderation, token counting, file uploads and
/// cancelling. All else is unmeterable: sound, images and films, whose price no request
/// shows, batches, and any path that is not known, which may well cost.
///
/// [`Format::GeminiGenerate`] has the model in the path; at a place of another form it
/// is looked for in the body.
///
/// Places are written `host`, `host:port`, `/path` or `host/path`; a path stands for
/// all below it, a host for its every port. Of several that hold, the one given last
/// wins.
///
/// # Example
/// ```
/// use driftlock::{Format, Provider, Route, Routes};
/// use http::{HeaderMap, Method, Uri};
///
/// let routes = Routes::new()
///     .metered_at("llm.example.com", Format::OpenAiChat, Provider::named("mistral"))
///     .free_at("llm.example.com/v1/feedback")
///     .deny_at("/v1/moderations");
/// let post = |uri| routes.classify(&Method::POST, &Uri::from_static(uri), &HeaderMap::new());
///
/// let Route::Metered(chat) = post("https://llm.example.com/v1/chat/completions") else {
///     panic!("chat is metered");
/// };
/// assert_eq!(chat.provider.name(), "mistral");
/// assert_eq!(post("https://llm.example.com/v1/feedback/17"), Route::Free);
/// assert!(matches!(post("https://api.openai.com/v1/moderations"), Route::Unmeterable(_)));
/// assert!(matches!(post("https://api.openai.com/v1/batches"), Route::Unmeterable(_)));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Routes {
    overrides: Vec<(Place, Instead)>,
    asks: Vec<(Place, bool)>,
}

#[derive(Clone, Debug)]
enum Instead {
    Meter(Format, Provider),
    Free,
    Deny,
}

impl Routes {
    /// The routes described above.
    pub fn new() -> Self {
        Self::default()
    }

    /// Meters what is sent to a place.
    ///
    /// A place with a path is metered whatever the path is called. A host alone only
    /// says whose prices apply there: its paths are judged as everywhere.
    #[must_use]
    pub fn metered_at(self, place: impl AsRef<str>, format: Format, provider: Provider) -> Self {
        self.with(place.as_ref(), Instead::Meter(format, provider))
    }

    /// Lets pass what is sent to a place, unread.
    #[must_use]
    pub fn free_at(self, place: impl AsRef<str>) -> Self {
        self.with(place.as_ref(), Instead::Free)
    }

    /// Takes what is sent to a place for unmeterable, which a policy denies unless
    /// told otherwise.
    #[must_use]
    pub fn deny_at(self, place: impl AsRef<str>) -> Self {
        self.with(place.as_ref(), Instead::Deny)
    }

    /// Whether streams from a place are asked for their usage. Defaults to yes for
    /// hosts known to understand the ask and for those of this machine, to no for
    /// all others.
    #[must_use]
    pub fn ask_usage(mut self, place: impl AsRef<str>, ask: bool) -> Self {
        self.asks.push((Place::parse(place.as_ref()), ask));
        self
    }

    fn with(mut self, place: &str, instead: Instead) -> Self {
        self.overrides.push((Place::parse(place), instead));
        self
    }

    /// What a request is.
    pub fn classify(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Route {
        if is_websocket(headers) {
            return Route::Unmeterable("a websocket cannot be metered");
        }
        self.classify_plain(method, uri, headers)
    }

    /// The same for a head that asks for no upgrade.
    pub(crate) fn classify_plain(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Route {
        match *method {
            Method::GET | Method::HEAD | Method::OPTIONS | Method::DELETE
                if is_overridden(headers) =>
            {
                return Route::Unmeterable("a header says that its method is another one");
            }
            Method::GET | Method::HEAD | Method::OPTIONS | Method::DELETE => return Route::Free,
            Method::CONNECT => return Route::Unmeterable("a tunnel cannot be metered"),
            _ => {}
        }
        let (host, path) = (Host::of(uri, headers), uri.path());
        let kind = path::kind(path);
        let place = |(place, _): &&(Place, Instead)| place.holds(host, path);
        let (kind, provider) = match self.overrides.iter().rev().find(place) {
            None => (kind, None),
            Some((_, Instead::Deny)) => {
                return Route::Unmeterable("the policy's routes deny this path");
            }
            Some((place, _)) if place.has_path() && is_devious(path) => {
                return Route::Unmeterable(path::DEVIOUS);
            }
            Some((_, Instead::Free)) => return Route::Free,
            Some((place, Instead::Meter(format, provider))) => {
                let kind = if place.has_path() { Kind::Metered(*format) } else { kind };
                (kind, Some(provider))
            }
        };
        match kind {
            Kind::Free => Route::Free,
            Kind::Unmeterable(why) => Route::Unmeterable(why),
            Kind::Metered(format) => match path::sure_deployment(path) {
                Ok(deployment) => {
                    let goal = Goal { uri, host, path, deployment };
                    Route::Metered(self.endpoint(format, goal, provider))
                }
                Err(why) => Route::Unmeterable(why),
            },
        }
    }

    fn endpoint(&self, format: Format, goal: Goal<'_>, provider: Option<&Provider>) -> Endpoint {
        let Goal { uri, host, path, deployment } = goal;
        let known = host.known();
        // In these the usage always comes, and the output maximum has one place.
        if matches!(format, Format::AnthropicMessages | Format::GeminiGenerate) {
            let maker = known.maker_of(format);
            return Endpoint::new(format, provider.cloned().unwrap_or(maker));
        }
        let asks = self.asks.iter().rev().find(|(place, _)| place.holds(host, path));
        // Only Azure has deployments, also behind a gateway of another name.
        let model_in_path = deployment.is_some();
        let (name, output_key) = match model_in_path {
            true => (Provider::AZURE, OutputKey::MaxCompletionTokens),
            false => (known.provider.clone(), known.output_key),
        };
        let understands = known.asks_usage && !(name == Provider::AZURE && is_of_old(uri));
        let is_without = format == Format::OpenAiResponses && path::has_no_maximum(path);
        let output_key = if is_without { OutputKey::None } else { output_key };
        Endpoint {
            format,
            provider: provider.cloned().unwrap_or(name),
            asks_usage: asks.map_or(understands, |(_, ask)| *ask),
            output_key,
            model_in_path,
        }
    }
}

/// Where a request goes.
#[derive(Clone, Copy)]
struct Goal<'a> {
    uri: &'a Uri,
    host: Host<'a>,
    path: &'a str,
    /// What the path names, if it does.
    deployment: Option<&'a str>,
}

/// Whether an address names a version of Azure's API that refuses the ask for usage.
fn is_of_old(uri: &Uri) -> bool {
    const UNDERSTANDS: &str = "2024-09-01";
    let mut query = uri.query().unwrap_or_default().split('&');
    let version = query.find_map(|pair| pair.strip_prefix("api-version="));
    // Its newest API has words instead of dates, or nothing.
    version.is_some_and(|version| {
        version.starts_with(|first: char| first.is_ascii_digit()) && version < UNDERSTANDS
    })
}

/// Whether a header asks to take the request for one of another method, as Google's and
/// other servers do: what reads would write.
fn is_overridden(headers: &HeaderMap) -> bool {
    ["x-http-method-override", "x-http-method", "x-method-override"]
        .iter()
        .any(|name| headers.contains_key(*name))
}

fn is_websocket(headers: &HeaderMap) -> bool {
    headers.get_all(&UPGRADE).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').any(|protocol| protocol.trim().eq_ignore_ascii_case("websocket"))
    })
}

#[cfg(test)]
mod tests;
