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
        let (routes, rare) = (settings.routes(), Rare::of(self.headers));
        let route = match rare.upgrade {
            true => routes.classify(self.method, self.uri, self.headers),
            false => routes.classify_plain(self.method, self.uri, self.headers),
        };
        let endpoint = match route {
            Route::Metered(endpoint) => endpoint,
            Route::Free => return Judged::Free,
            Route::Unmeterable(why) => return Judged::Unmeterable(self.unmeterable(why)),
        };
        let encoding = if rare.encoding { encoding(self.headers) } else { None };
        let (why, error) = match (encoding, settings.body_cap()) {
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

/// Which headers may be there that few requests have.
struct Rare {
    upgrade: bool,
    encoding: bool,
}

impl Rare {
    #[inline]
    fn of(headers: &HeaderMap) -> Self {
        /// To look for both takes less than to pass over so many names.
        const MANY: usize = 20;
        let are_many = headers.keys_len() >= MANY;
        let mut rare = Self { upgrade: are_many, encoding: are_many };
        if !are_many {
            for name in headers.keys() {
                rare.upgrade |= *name == header::UPGRADE;
                rare.encoding |= *name == header::CONTENT_ENCODING;
            }
        }
        rare
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_rare_header_is_missed_among_however_many() {
        for others in 0..40 {
            for rare in [&[][..], &["upgrade"], &["content-encoding"], &["Upgrade", "upgrade"]] {
                let mut headers = HeaderMap::new();
                let names = (0..others).map(|other| format!("x-{other}"));
                let half = others / 2;
                let names: Vec<_> = names.chain(["accept".into(), "host".into()]).collect();
                let (before, after) = names.split_at(half);
                let all = before.iter().map(String::as_str).chain(rare.iter().copied());
                for name in all.chain(after.iter().map(String::as_str)) {
                    let name: header::HeaderName = name.parse().unwrap();
                    headers.append(name, HeaderValue::from_static("x"));
                }
                let has = |name| headers.contains_key(name);
                let Rare { upgrade, encoding } = Rare::of(&headers);
                assert!(upgrade >= has(header::UPGRADE), "{headers:?}");
                assert!(encoding >= has(header::CONTENT_ENCODING), "{headers:?}");
                assert!(others > 15 || upgrade == has(header::UPGRADE), "{headers:?}");
            }
        }
    }
}
