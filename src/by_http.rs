//! `reqwest::Request` by way of `http::Request`.
//!
//! What travels with a reqwest request beside its head, labels among it, is out of
//! reach but for a conversion to and from `http`, which writes the address anew. Here
//! the address is kept aside, so that a request comes out as it went in.

use http::Uri;
use reqwest::{Body, Request, Url};

/// A reqwest request taken apart.
pub(crate) struct Parts {
    pub(crate) request: http::Request<Body>,
    url: Url,
    has_body: bool,
}

impl Parts {
    /// Takes a request apart.
    ///
    /// # Errors
    /// As of a client that is to send it: if its URL is none of HTTP.
    pub(crate) fn of(request: Request) -> Result<Self, reqwest::Error> {
        let (url, has_body) = (request.url().clone(), request.body().is_some());
        Ok(Self { request: request.try_into()?, url, has_body })
    }

    /// Takes the body out.
    pub(crate) fn take_body(&mut self) -> Body {
        self.has_body = false;
        std::mem::take(self.request.body_mut())
    }

    /// Puts the request together again.
    ///
    /// # Errors
    /// None that is known of.
    pub(crate) fn together(self) -> Result<Request, reqwest::Error> {
        let Self { mut request, url, has_body } = self;
        // Any address will do, the shorter the better: it is parsed, and replaced.
        *request.uri_mut() = Uri::from_static("http://x/");
        let mut request = Request::try_from(request)?;
        *request.url_mut() = url;
        if !has_body {
            *request.body_mut() = None;
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reqwest::Method;

    use super::*;
    use crate::labels::Labels;

    #[test]
    fn a_request_comes_out_as_it_went_in() {
        let url = "https://me:pw@example.com/a%20b/?q=%7B1%7D#part";
        let mut request = Request::new(Method::POST, Url::parse(url).unwrap());
        *request.timeout_mut() = Some(Duration::from_secs(7));
        *request.version_mut() = http::Version::HTTP_2;
        request.headers_mut().insert("x-a", "1".parse().unwrap());
        let mut parts = Parts::of(request).unwrap();
        Labels::new().with("user", "u-1").add_to(parts.request.extensions_mut());
        let request = parts.together().unwrap();
        assert_eq!(request.url().as_str(), url);
        assert_eq!(request.timeout(), Some(&Duration::from_secs(7)));
        assert_eq!((request.method(), request.version()), (&Method::POST, http::Version::HTTP_2));
        assert_eq!(request.headers()["x-a"], "1");
        assert!(request.body().is_none());
        let request = http::Request::<Body>::try_from(request).unwrap();
        assert_eq!(request.extensions().get::<Labels>().and_then(Labels::user), Some("u-1"));
    }

    #[test]
    fn what_no_client_could_send_is_its_error() {
        // A URL, but no address that HTTP knows.
        let request = Request::new(Method::POST, Url::parse("https://{{host}}/").unwrap());
        let error = Parts::of(request).err();
        assert!(error.is_some_and(|error| error.is_builder()));
    }
}
