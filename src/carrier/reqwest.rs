//! The carrier of reqwest's requests.

use reqwest::{Body, Request, Response, ResponseBuilderExt, Url};

use super::{
    Auto, Carrier, Changes, Intake, ReadBody,
    head::Judged,
    http::{self as carry, judge},
};
use crate::{
    by_http::Parts,
    error::Error,
    labels::Labels,
    policy::{Permit, Policy},
};

/// For `reqwest::Client` and whatever stands in for it.
///
/// A request's labels are those in the extensions of the `http::Request` it was made
/// of; [`labels::scope`](crate::labels::scope) is often simpler. Behind a `Buffer` they
/// come along if the stack is called with `http` requests:
/// ```text
/// CaptureLayer > map_request(reqwest::Request::try_from(http)) > Buffer > DriftlockLayer > reqwest::Client
/// ```
///
/// # Example
/// ```
/// use driftlock::{DriftlockLayer, MaxCostPerRequest, Policy, Usd};
/// use tower::ServiceBuilder;
///
/// let policy = Policy::builder().rule(MaxCostPerRequest::new(Usd::cents(10))).build()?;
/// let client = ServiceBuilder::new()
///     .layer(DriftlockLayer::new(policy))
///     .service(reqwest::Client::new());
/// # fn assert<S>(_: S) where S: tower::Service<reqwest::Request, Response = reqwest::Response> {}
/// # assert(client);
/// # Ok::<(), driftlock::BuildError>(())
/// ```
impl Carrier<Request, Response> for Auto {
    type Response = Response;
    type Read = ReadBody<Body, Request>;

    fn read(&self, request: Request, policy: &Policy) -> Self::Read {
        read(request, policy).unwrap_or_else(|error| ReadBody::known(Err(Error::inner(error))))
    }

    fn change(&self, request: &mut Request, changes: Changes<'_>) -> Result<(), Error> {
        if let Some(uri) = &changes.uri {
            *request.url_mut() = Url::parse(&uri.to_string()).map_err(Error::inner)?;
        }
        if changes.is_body_changed {
            carry::set_length(request.headers_mut(), changes.body.len());
        }
        *request.body_mut() = Some(changes.body.into());
        Ok(())
    }

    fn meter(&self, response: Response, permit: Permit) -> Response {
        meter(response, permit)
    }

    fn pass(&self, response: Response) -> Response {
        response
    }
}

/// Starts reading a request: only what is metered has its body polled.
pub(super) fn read(
    request: Request,
    policy: &Policy,
) -> Result<ReadBody<Body, Request>, reqwest::Error> {
    let mut parts = Parts::of(request)?;
    let intake = match judge(&parts.request, policy) {
        Judged::Call(endpoint) => {
            let uri = endpoint.needs_uri().then(|| Box::new(parts.request.uri().clone()));
            let labels = parts.request.extensions().get::<Labels>().cloned().unwrap_or_default();
            let body = parts.take_body();
            let (request, nothing) = (parts.together()?, bytes::Bytes::new());
            let call = Intake::Call { endpoint, uri, body: nothing, request, labels };
            return Ok(ReadBody::reading(call, body, policy.settings().body_cap()));
        }
        Judged::Free => Ok(Intake::Free(parts.together()?)),
        Judged::Unmeterable(why) => Ok(Intake::Unmeterable { why, request: parts.together()? }),
        Judged::Refused(error) => Err(error),
    };
    Ok(ReadBody::known(intake))
}

/// Puts a body into a request that was made with one of its own, whose length it may state.
#[cfg(feature = "async-openai")]
pub(super) fn put_body(request: &mut Request, body: bytes::Bytes) {
    carry::set_length(request.headers_mut(), body.len());
    *request.body_mut() = Some(body.into());
}

/// Wraps a response's body; its URL stays.
pub(super) fn meter(response: Response, permit: Permit) -> Response {
    let url = response.url().clone();
    let metered = carry::meter(http::Response::<Body>::from(response), permit);
    let (mut head, body) = metered.into_parts();
    let mut with_url = http::Response::builder().url(url);
    if let Some(extensions) = with_url.extensions_mut() {
        head.extensions.extend(std::mem::take(extensions));
    }
    http::Response::from_parts(head, Body::wrap(body)).into()
}
