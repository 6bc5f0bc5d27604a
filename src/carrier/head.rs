//! What the head of a request tells, before its body is polled.

use http::{HeaderMap, HeaderValue, Method, Uri, header};
use smol_str::SmolStr;

use crate::{
    error::Error,
    policy::Policy,
    provider::{Endpoint, Route},
    unreadable::Unreadable,
};

/// A request as its head shows it.
pub(super) struct Head<'r> {
    pub(super) method: &'r Method,
    pub(super) uri: &'r Uri,
    pub(super) headers: &'r HeaderMap,
    /// The body has at least so many bytes.
    pub(super) least: u64,
}

/// What is to be done with a request.
pub(super) enum Judged {
    /// It is a call, and its body is to be read.
    Call(Endpoint),
    /// It costs nothing.
    Free,
    /// It cannot be metered, for this reason.
    Unmeterable(String),
    /// It cannot be read.
    Refused(Error),
}

impl Head<'_> {
    pub(super) fn judge(&self, policy: &Policy) -> Judged {
        let settings = policy.settings();
        let endpoint = match settings.routes().classify(self.method, self.uri, self.headers) {
            Route::Metered(endpoint) => endpoint,
            Route::Free => return Judged::Free,
            Route::Unmeterable(why) => return Judged::Unmeterable(self.unmeterable(why)),
        };
        let (why, error) = match (encoding(self.headers), settings.body_cap()) {
            (Some(encoding), _) => {
                ("the request body is compressed", Unreadable::Encoded { encoding })
            }
            (None, cap) if self.least > cap => {
                ("the request body is too large", Unreadable::TooLarge { cap })
            }
            (None, _) => return Judged::Call(endpoint),
        };
        match settings.passes_unreadable() {
            true => Judged::Unmeterable(self.unmeterable(why)),
            false => Judged::Refused(error.into()),
        }
    }

    /// Says where a request was going, but not with which query, which may hold a key.
    fn unmeterable(&self, why: &str) -> String {
        let (host, path) = (self.uri.host().unwrap_or_default(), self.uri.path());
        format!("{} {host}{path} cannot be metered: {why}", self.method)
    }
}

/// The content encoding, if it is one that hides the content.
#[inline]
pub(super) fn encoding(headers: &HeaderMap) -> Option<SmolStr> {
    headers.get(&header::CONTENT_ENCODING).and_then(hiding)
}

fn hiding(value: &HeaderValue) -> Option<SmolStr> {
    let name = value.to_str().unwrap_or("unknown").trim();
    (!name.is_empty() && !name.eq_ignore_ascii_case("identity"))
        .then(|| name.chars().take(64).collect())
}
