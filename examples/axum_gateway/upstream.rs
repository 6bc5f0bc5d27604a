//! Where requests go: the real API of a format, or the provider on this machine.

use http::{
    HeaderMap, HeaderName, HeaderValue, Uri,
    header::{self, AUTHORIZATION},
    uri::PathAndQuery,
};

/// A provider's address and key.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    base: String,
    credentials: Option<(HeaderName, HeaderValue)>,
}

impl Upstream {
    /// One without a key, as the provider on this machine.
    pub(crate) fn open(base: impl Into<String>) -> Self {
        Self { base: trimmed(&base.into()), credentials: None }
    }

    /// One that takes a key as OpenAI does.
    pub(crate) fn openai(base: &str, key: &str) -> Result<Self, http::header::InvalidHeaderValue> {
        let key = secret(&format!("Bearer {key}"))?;
        Ok(Self { base: trimmed(base), credentials: Some((AUTHORIZATION, key)) })
    }

    /// One that takes a key as Anthropic does.
    pub(crate) fn anthropic(
        base: &str,
        key: &str,
    ) -> Result<Self, http::header::InvalidHeaderValue> {
        let name = HeaderName::from_static("x-api-key");
        Ok(Self { base: trimmed(base), credentials: Some((name, secret(key)?)) })
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// The same path and query here.
    pub(crate) fn uri(&self, path: Option<&PathAndQuery>) -> Result<Uri, http::uri::InvalidUri> {
        let path = path.map_or("/", PathAndQuery::as_str);
        format!("{}{path}", self.base).parse()
    }

    /// Takes out what is between the client and the gateway only, and puts in the key.
    pub(crate) fn address(&self, headers: &mut HeaderMap) {
        drop_hop_headers(headers);
        for name in [header::HOST, AUTHORIZATION, header::COOKIE, header::ACCEPT_ENCODING] {
            // A compressed answer could not be metered.
            headers.remove(name);
        }
        headers.remove("x-api-key");
        if let Some((name, key)) = &self.credentials {
            headers.insert(name, key.clone());
        }
    }
}

/// Clients of OpenAI have `/v1` in their base, and paths of requests have it too.
fn trimmed(base: &str) -> String {
    let base = base.trim_end_matches('/');
    base.strip_suffix("/v1").unwrap_or(base).to_owned()
}

fn secret(text: &str) -> Result<HeaderValue, http::header::InvalidHeaderValue> {
    let mut value = HeaderValue::from_str(text)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Takes out the headers that are about one connection.
pub(crate) fn drop_hop_headers(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|names| names.to_str().ok())
        .flat_map(|names| names.split(','))
        .filter_map(|name| name.trim().parse().ok())
        // An upgrade stays for the policy to see, which lets none through.
        .filter(|name| *name != header::UPGRADE)
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in [
        header::CONNECTION,
        header::PROXY_AUTHENTICATE,
        header::PROXY_AUTHORIZATION,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        HeaderName::from_static("keep-alive"),
    ] {
        headers.remove(name);
    }
}
