//! Reading and wrapping `http` requests and responses.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Response, Uri, header};
use http_body::{Body, Frame};
use pin_project_lite::pin_project;
use smol_str::SmolStr;

use super::Intake;
use crate::{
    body::{MeteredBody, Mode},
    error::{BoxError, Error},
    labels::Labels,
    policy::{Permit, Policy},
    provider::{Endpoint, Route},
    unreadable::Unreadable,
};

pin_project! {
    /// Reads the body of an http request, up to a cap. Resolves to an [`Intake`].
    ///
    /// For an example see [`Carrier`](crate::carrier::Carrier).
    #[derive(Debug)]
    pub struct ReadBody<B> {
        #[pin]
        state: State<B>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = StateProjection]
    enum State<B> {
        Known { intake: Option<Result<Intake<Request<B>>, Error>> },
        Reading {
            head: Option<(http::request::Parts, Endpoint)>,
            #[pin]
            body: B,
            collected: Collected,
            rebuild: fn(Bytes) -> B,
        },
    }
}

/// What has been read of a body. Most arrive in one piece, which is kept as it is.
#[derive(Debug)]
struct Collected {
    first: Option<Bytes>,
    joined: BytesMut,
    length: u64,
    cap: u64,
}

impl Collected {
    fn push(&mut self, piece: Bytes) -> Result<(), Unreadable> {
        self.length = self.length.saturating_add(piece.len() as u64);
        if self.length > self.cap {
            return Err(Unreadable::TooLarge { cap: self.cap });
        }
        match (&self.first, self.joined.is_empty()) {
            (None, true) => self.first = Some(piece),
            (Some(first), true) if first.is_empty() => self.first = Some(piece),
            (first, _) => {
                if let Some(first) = first {
                    self.joined.extend_from_slice(first);
                    self.first = None;
                }
                self.joined.extend_from_slice(&piece);
            }
        }
        Ok(())
    }

    fn take(&mut self) -> Bytes {
        self.first.take().unwrap_or_else(|| std::mem::take(&mut self.joined).freeze())
    }
}

/// Starts reading a request: only what is metered has its body polled.
pub(super) fn read<B: Body>(
    request: Request<B>,
    policy: &Policy,
    rebuild: fn(Bytes) -> B,
) -> ReadBody<B> {
    let settings = policy.settings();
    let route = settings.routes().classify(request.method(), request.uri(), request.headers());
    let known = |intake| ReadBody { state: State::Known { intake: Some(intake) } };
    let endpoint = match route {
        Route::Metered(endpoint) => endpoint,
        Route::Free => return known(Ok(Intake::Free(request))),
        Route::Unmeterable(why) => {
            let why = unmeterable(&request, why);
            return known(Ok(Intake::Unmeterable { why, request }));
        }
    };
    if let Some(encoding) = encoding(request.headers()) {
        return known(match settings.passes_unreadable() {
            true => {
                let why = unmeterable(&request, "the request body is compressed");
                Ok(Intake::Unmeterable { why, request })
            }
            false => Err(Unreadable::Encoded { encoding }.into()),
        });
    }
    let cap = settings.body_cap();
    if request.body().size_hint().lower() > cap {
        return known(match settings.passes_unreadable() {
            true => {
                let why = unmeterable(&request, "the request body is too large");
                Ok(Intake::Unmeterable { why, request })
            }
            false => Err(Unreadable::TooLarge { cap }.into()),
        });
    }
    let (head, body) = request.into_parts();
    let collected = Collected { first: None, joined: BytesMut::new(), length: 0, cap };
    ReadBody { state: State::Reading { head: Some((head, endpoint)), body, collected, rebuild } }
}

impl<B> Future for ReadBody<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    type Output = Result<Intake<Request<B>>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Known { intake } => intake.take().map_or(Poll::Pending, Poll::Ready),
            StateProjection::Reading { head, mut body, collected, rebuild } => {
                let read = ready!(collect(body.as_mut(), collected, cx));
                let Some((head, endpoint)) = head.take() else { return Poll::Pending };
                let uri = endpoint.needs_uri().then(|| head.uri.clone());
                let request = Request::from_parts(head, rebuild(Bytes::new()));
                Poll::Ready(match read {
                    Ok(()) => Ok(Intake::Call { endpoint, uri, body: collected.take(), request }),
                    Err(error) => Err(error.into()),
                })
            }
        }
    }
}

fn collect<B>(
    mut body: Pin<&mut B>,
    collected: &mut Collected,
    cx: &mut Context<'_>,
) -> Poll<Result<(), Unreadable>>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    loop {
        if body.is_end_stream() {
            return Poll::Ready(Ok(()));
        }
        let frame = match ready!(body.as_mut().poll_frame(cx)) {
            None => return Poll::Ready(Ok(())),
            Some(Err(error)) => {
                let error: BoxError = error.into();
                return Poll::Ready(Err(Unreadable::Body(error.to_string())));
            }
            Some(Ok(frame)) => frame,
        };
        match frame.into_data().map_err(Frame::into_trailers) {
            Ok(mut data) => {
                use bytes::Buf;
                let piece = data.copy_to_bytes(data.remaining());
                if let Err(error) = collected.push(piece) {
                    return Poll::Ready(Err(error));
                }
            }
            Err(Ok(trailers)) if trailers.is_empty() => {}
            Err(_) => return Poll::Ready(Err(Unreadable::Trailers)),
        }
    }
}

/// Says where a request was going, but not with which query, which may hold a key.
fn unmeterable<B>(request: &Request<B>, why: &str) -> String {
    let (method, uri) = (request.method(), request.uri());
    format!("{method} {}{} cannot be metered: {why}", uri.host().unwrap_or_default(), uri.path())
}

/// The labels that travel with a request.
pub(super) fn labels<B>(request: &Request<B>) -> Labels {
    request.extensions().get::<Labels>().cloned().unwrap_or_default()
}

/// Puts a body back, with the length it now has.
pub(super) fn replace<B>(
    mut request: Request<B>,
    body: Bytes,
    uri: Option<Uri>,
    rebuild: fn(Bytes) -> B,
) -> Request<B> {
    if let Some(length) = request.headers_mut().get_mut(header::CONTENT_LENGTH)
        && !is_number(length, body.len())
    {
        *length = body.len().into();
    }
    if let Some(uri) = uri {
        *request.uri_mut() = uri;
    }
    *request.body_mut() = rebuild(body);
    request
}

/// Whether a header says this number already; to make a new one takes an allocation.
fn is_number(value: &HeaderValue, number: usize) -> bool {
    value.to_str().is_ok_and(|text| text.parse() == Ok(number))
}

/// Wraps a response's body, by what its head says the body is.
pub(super) fn meter<B: Body<Data = Bytes>>(
    response: Response<B>,
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
    let hides = matches!(mode, Mode::Sse { hide: true, .. });
    let mut response = response.map(|body| MeteredBody::new(body, mode, Some(permit)));
    if hides {
        // The length counts the event that will be missing.
        response.headers_mut().remove(header::CONTENT_LENGTH);
    }
    if let Some(receipt) = receipt {
        response.extensions_mut().insert(receipt);
    }
    response
}

/// Wraps a response that is not metered.
pub(super) fn pass<B: Body<Data = Bytes>>(response: Response<B>) -> Response<MeteredBody<B>> {
    response.map(|body| MeteredBody::new(body, Mode::Unobserved, None))
}

/// The content encoding, if it is one that hides the content.
fn encoding(headers: &HeaderMap) -> Option<SmolStr> {
    let value = headers.get(header::CONTENT_ENCODING)?;
    let name = value.to_str().unwrap_or("unknown").trim();
    (!name.is_empty() && !name.eq_ignore_ascii_case("identity"))
        .then(|| name.chars().take(64).collect())
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    const EVENT_STREAM: &[u8] = b"text/event-stream";
    let value = headers.get(header::CONTENT_TYPE).map(|value| value.as_bytes().trim_ascii_start());
    value
        .and_then(|value| value.get(..EVENT_STREAM.len()))
        .is_some_and(|start| start.eq_ignore_ascii_case(EVENT_STREAM))
}
