//! The router: every path goes on to the provider, through one governed client.

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use driftlock::{
    Driftlock, DriftlockLayer, Error, Labels, Policy, Usd, Window, Zone,
    axum::{LabelsLayer, Remaining, RemainingLayer, Responder},
};
use http::{HeaderMap, HeaderName, StatusCode, Uri, header::CONTENT_TYPE, request::Parts};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use tower::{Layer, ServiceExt};

use super::{
    upstream::{Upstream, drop_hop_headers},
    users::{User, Users},
};

/// An HTTP client for any address.
pub(crate) type Http = Client<HttpsConnector<HttpConnector>, Body>;

/// What is left of the caller's month, in dollars.
pub(crate) const REMAINING: HeaderName = HeaderName::from_static("x-driftlock-remaining-user");

/// What a gateway is made of.
pub(crate) struct Gateway {
    pub(crate) policy: Policy,
    pub(crate) users: Users,
    pub(crate) http: Http,
    pub(crate) openai: Upstream,
    pub(crate) anthropic: Upstream,
}

impl Gateway {
    pub(crate) fn router(self) -> Router {
        let Self { policy, users, http, openai, anthropic } = self;
        let client = DriftlockLayer::new(policy.clone()).layer(http);
        let month = Window::month(Zone::UTC);
        let limits = users.clone();
        let remaining = Remaining::of(Usd::ZERO, month).per_user().limit_from(move |labels| {
            labels.user().and_then(|name| limits.named(name)).map(|user| user.month)
        });
        Router::new()
            .fallback(forward)
            .with_state(Forward { client, openai, anthropic })
            // The last one is the outermost: first it is told who asks.
            .layer(RemainingLayer::new(policy).header(REMAINING, remaining))
            .layer(LabelsLayer::from_fn(move |parts: &Parts| labels(&users, parts)))
    }
}

/// For whom a request is, by its key.
fn labels(users: &Users, parts: &Parts) -> Result<Labels, UnknownKey> {
    let user = users.find(&parts.headers);
    user.map(User::labels).ok_or_else(|| UnknownKey(Dialect::of(&parts.uri, &parts.headers)))
}

#[derive(Clone)]
struct Forward {
    client: Driftlock<Http>,
    openai: Upstream,
    anthropic: Upstream,
}

async fn forward(State(to): State<Forward>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let dialect = Dialect::of(&parts.uri, &parts.headers);
    let upstream = match dialect {
        Dialect::OpenAi => &to.openai,
        Dialect::Anthropic => &to.anthropic,
    };
    match upstream.uri(parts.uri.path_and_query()) {
        Ok(uri) => parts.uri = uri,
        Err(error) => return dialect.responder().respond(&Error::inner(error)),
    }
    parts.version = http::Version::HTTP_11;
    upstream.address(&mut parts.headers);
    match to.client.oneshot(Request::from_parts(parts, body)).await {
        Ok(response) => {
            let mut response = response.map(Body::new);
            drop_hop_headers(response.headers_mut());
            response
        }
        Err(error) => {
            eprintln!("gateway: {error}");
            dialect.responder().respond(&error)
        }
    }
}

/// Whose client is asking.
#[derive(Clone, Copy, Debug)]
enum Dialect {
    OpenAi,
    Anthropic,
}

impl Dialect {
    fn of(uri: &Uri, headers: &HeaderMap) -> Self {
        if headers.contains_key("anthropic-version") || uri.path().starts_with("/v1/messages") {
            Self::Anthropic
        } else {
            Self::OpenAi
        }
    }

    /// What the libraries are prepared for: a spent budget is a rate limit to OpenAI's,
    /// and a matter of billing (402) to Anthropic's.
    fn responder(self) -> Responder {
        match self {
            Self::OpenAi => Responder::new().openai_compatible(),
            Self::Anthropic => Responder::new().anthropic(),
        }
    }
}

/// What a caller is told who has no key, or a wrong one.
struct UnknownKey(Dialect);

impl IntoResponse for UnknownKey {
    fn into_response(self) -> Response {
        let message = "This gateway does not know the API key.";
        let body = match self.0 {
            Dialect::OpenAi => serde_json::json!({ "error": {
                "message": message, "type": "invalid_request_error", "param": null,
                "code": "invalid_api_key",
            } }),
            Dialect::Anthropic => serde_json::json!({
                "type": "error", "error": { "type": "authentication_error", "message": message },
            }),
        };
        let json = [(CONTENT_TYPE, "application/json")];
        (StatusCode::UNAUTHORIZED, json, body.to_string()).into_response()
    }
}
