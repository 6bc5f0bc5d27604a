//! Reading and wrapping `http` requests and responses.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body::Body;

use super::{
    Changes, Intake, ReadBody,
    head::{Head, Judged, encoding},
};
use crate::{
    body::{MeteredBody, Mode},
    labels::Labels,
    policy::{Permit, Policy},
};

/// Starts reading a request: only what is metered has its body polled.
#[inline(always)] // a request is large, and is to be written where it is going
pub(super) fn read<B: Body>(
    mut request: Request<B>,
    policy: &Policy,
    rebuild: fn(Bytes) -> B,
) -> ReadBody<B> {
    match judge(&request, policy) {
        Judged::Call(endpoint) => {
            let uri = endpoint.needs_uri().then(|| Box::new(request.uri().clone()));
            let labels = request.extensions().get::<Labels>().cloned().unwrap_or_default();
            // Not by taking it apart: its head is large, and is to stay where it is.
            let body = std::mem::replace(request.body_mut(), rebuild(Bytes::new()));
            let call = Intake::Call { endpoint, uri, body: Bytes::new(), request, labels };
            ReadBody::reading(call, body, policy.settings().body_cap())
        }
        Judged::Free => ReadBody::known(Ok(Intake::Free(request))),
        Judged::Unmeterable(why) => ReadBody::known(Ok(Intake::Unmeterable { why, request })),
        Judged::Refused(error) => ReadBody::known(Err(error)),
    }
}

/// What is to be done with a request.
pub(super) fn judge<B: Body>(request: &Request<B>, policy: &Policy) -> Judged {
    let (method, uri, headers) = (request.method(), request.uri(), request.headers());
    Head { method, uri, headers, least: request.body().size_hint().lower() }.judge(policy)
}

/// Puts a body back, with the length it has if that was changed.
#[inline(always)] // what was changed is large, and mostly nothing
pub(super) fn change<B>(request: &mut Request<B>, changes: Changes<'_>, rebuild: fn(Bytes) -> B) {
    if changes.is_body_changed {
        set_length(request.headers_mut(), changes.body.len());
    }
    if let Some(uri) = changes.uri {
        *request.uri_mut() = uri;
    }
    *request.body_mut() = rebuild(changes.body);
}

/// Makes a stated length that of the body, also where it is stated more than once.
pub(super) fn set_length(headers: &mut HeaderMap, bytes: usize) {
    let mut stated = headers.get_all(&header::CONTENT_LENGTH).iter();
    if stated.any(|stated| !is_number(stated, bytes)) {
        headers.insert(header::CONTENT_LENGTH, bytes.into());
    }
}

/// Whether a header says this number already; to make a new one takes an allocation.
fn is_number(value: &HeaderValue, number: usize) -> bool {
    value.to_str().is_ok_and(|text| text.parse() == Ok(number))
}

/// Wraps a response's body, by what its head says the body is.
#[inline(always)] // so is a response
pub(super) fn meter<B: Body<Data = Bytes>>(
    mut response: Response<B>,
    mut permit: Permit,
) -> Response<MeteredBody<B>> {
    permit.answered(response.status().as_u16());
    let receipt = permit.sent_receipt().cloned();
    let reply = permit.reply();
    let mode = if encoding(response.headers()).is_some() {
        crate::telemetry::encoded_response();
        Mode::Unobserved
    } else if is_event_stream(response.headers()) {
        Mode::Sse { format: reply.format, hide: reply.hides_usage }
    } else {
        Mode::Json(reply.format)
    };
    if matches!(mode, Mode::Sse { hide: true, .. }) {
        // The length counts the event that will be missing.
        response.headers_mut().remove(header::CONTENT_LENGTH);
    }
    if let Some(receipt) = receipt {
        response.extensions_mut().insert(receipt);
    }
    // Last, so that it is written where it is going.
    response.map(|body| MeteredBody::new(body, mode, Some(permit)))
}

/// Wraps a response that is not metered.
pub(super) fn pass<B: Body<Data = Bytes>>(response: Response<B>) -> Response<MeteredBody<B>> {
    response.map(|body| MeteredBody::new(body, Mode::Unobserved, None))
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    const EVENT_STREAM: &[u8] = b"text/event-stream";
    let value = headers.get(&header::CONTENT_TYPE).map(|value| value.as_bytes().trim_ascii_start());
    value
        .and_then(|value| value.get(..EVENT_STREAM.len()))
        .is_some_and(|start| start.eq_ignore_ascii_case(EVENT_STREAM))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stated_length_is_changed_with_the_body_and_only_then() {
        for (is_body_changed, stated) in [(false, "3"), (true, "5")] {
            let mut request =
                Request::post("/").header("content-length", "3").body(Bytes::new()).unwrap();
            let changes = Changes { is_body_changed, ..Changes::none("abcde".into()) };
            change(&mut request, changes, |body| body);
            assert_eq!(
                (request.headers()["content-length"].as_bytes(), &**request.body()),
                (stated.as_bytes(), b"abcde".as_slice())
            );
        }
    }

    #[test]
    fn a_length_that_is_stated_twice_is_not_half_changed() {
        for stated in [["3", "3"], ["3", "5"], ["5", "3"]] {
            let mut headers = HeaderMap::new();
            for stated in stated {
                headers.append(header::CONTENT_LENGTH, HeaderValue::from_static(stated));
            }
            set_length(&mut headers, 5);
            let set: Vec<_> = headers.get_all(header::CONTENT_LENGTH).iter().collect();
            assert_eq!(set, ["5"], "{stated:?}");
        }
    }
}
