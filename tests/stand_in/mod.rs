//! A provider to make calls to, and the calls.
//!
//! It answers from memory, remembers what it was sent, and may take its time: on a
//! paused clock in seconds, on threads in turns given up to others.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)] // no test file uses all of it

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use driftlock::{
    BoxError, Denial, DriftlockLayer, Error, ManualClock, Policy, PolicyBuilder, Price, PriceBook,
    Scope, Timestamp, Usd, Window, Zone,
};
use http::{Request, Response, request::Parts};
use http_body_util::{BodyExt, Full};
use tower::{Layer, Service, ServiceExt};

pub(crate) type Body = Full<Bytes>;
pub(crate) type Client = driftlock::Driftlock<StandIn>;

/// A Sunday.
pub(crate) const NOON: &str = "2026-11-22T12:00:00Z";
pub(crate) const OPENAI: &str = "https://api.openai.com/v1/chat/completions";
pub(crate) const FLAT: &str = "flat";

pub(crate) fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

pub(crate) fn noon() -> ManualClock {
    ManualClock::at(time(NOON))
}

/// Prices with a model `flat`, of which every call costs 6.5 cents, known before.
pub(crate) fn prices() -> PriceBook {
    let each = Price::free().per_request(Usd::nanos(65_000_000));
    PriceBook::bundled().overlay().model(FLAT, each).build().unwrap()
}

/// A policy at noon.
pub(crate) fn policy() -> PolicyBuilder {
    Policy::builder().prices(prices()).clock(noon()).ephemeral_ok()
}

pub(crate) fn client(policy: &Policy, provider: &StandIn) -> Client {
    DriftlockLayer::new(policy.clone()).layer(provider.clone())
}

/// A chat call with more members, as `,"n":2`.
pub(crate) fn chat_with(model: &str, members: &str) -> Request<Body> {
    post(format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"Hi"}}]{members}}}"#))
}

pub(crate) fn chat(model: &str) -> Request<Body> {
    chat_with(model, "")
}

pub(crate) fn post(body: impl Into<Bytes>) -> Request<Body> {
    post_to(OPENAI, body)
}

pub(crate) fn post_to(uri: &str, body: impl Into<Bytes>) -> Request<Body> {
    let body = body.into();
    Request::post(uri).header("content-length", body.len()).body(Full::from(body)).unwrap()
}

/// Makes a call and reads its answer to the end.
pub(crate) async fn send<S, R>(client: &S, request: Request<Body>) -> Result<Bytes, S::Error>
where
    S: Service<Request<Body>, Response = Response<R>> + Clone,
    R: http_body::Body<Data = Bytes>,
    R::Error: std::fmt::Debug,
{
    let response = client.clone().oneshot(request).await?;
    Ok(response.into_body().collect().await.unwrap().to_bytes())
}

/// As [`send`], of a call that is denied.
pub(crate) async fn denial(client: &Client, request: Request<Body>) -> Denial {
    match send(client, request).await.expect_err("the call was let through") {
        Error::Denied(denial) => denial,
        other => panic!("not a denial: {other}"),
    }
}

/// What the workspace has spent this month, in calls that settled; nothing is in flight.
pub(crate) async fn spent(policy: &Policy) -> Usd {
    let spend = policy.spend(&Scope::Workspace, Window::month(Zone::UTC)).await.unwrap();
    assert_eq!(spend.reserved, Usd::ZERO, "nothing is in flight any more");
    spend.settled
}

/// An answer with this usage.
pub(crate) fn answer(prompt: u64, completion: u64) -> String {
    format!(
        r#"{{"choices":[{{"message":{{"content":"Hello"}}}}],"usage":{{"prompt_tokens":{prompt},"completion_tokens":{completion}}}}}"#
    )
}

type Answer = dyn Fn(&[u8]) -> Result<Response<Body>, BoxError> + Send + Sync;

/// The provider.
#[derive(Clone)]
pub(crate) struct StandIn(Arc<Inside>);

struct Inside {
    answer: Box<Answer>,
    takes: Duration,
    calls: AtomicU64,
    received: Mutex<Vec<(Parts, Bytes)>>,
}

impl StandIn {
    /// Answers every call at once with a usage of 9 and 3 tokens.
    pub(crate) fn new() -> Self {
        Self::slow(Duration::ZERO)
    }

    /// Takes this long to answer, on a paused clock.
    pub(crate) fn slow(takes: Duration) -> Self {
        Self::with(takes, |_| Ok(Response::new(Full::from(answer(9, 3)))))
    }

    /// Answers with this body.
    pub(crate) fn saying(body: impl Into<Bytes>) -> Self {
        let body = body.into();
        Self::with(Duration::ZERO, move |_| Ok(Response::new(Full::from(body.clone()))))
    }

    /// Answers as `answer` does.
    pub(crate) fn with(
        takes: Duration,
        answer: impl Fn(&[u8]) -> Result<Response<Body>, BoxError> + Send + Sync + 'static,
    ) -> Self {
        let (calls, received) = Default::default();
        Self(Arc::new(Inside { answer: Box::new(answer), takes, calls, received }))
    }

    /// How many calls have reached it.
    pub(crate) fn calls(&self) -> u64 {
        self.0.calls.load(Ordering::SeqCst)
    }

    /// What it was sent, call by call; starts anew.
    pub(crate) fn received(&self) -> Vec<(Parts, Bytes)> {
        std::mem::take(&mut self.0.received.lock().unwrap())
    }

    /// The body of the one call it was sent.
    pub(crate) fn body(&self) -> String {
        let mut received = self.received();
        assert_eq!(received.len(), 1, "calls that reached the provider");
        String::from_utf8(received.remove(0).1.to_vec()).unwrap()
    }
}

impl Service<Request<Body>> for StandIn {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let this = Arc::clone(&self.0);
        this.calls.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let answer = (this.answer)(&body);
            this.received.lock().unwrap().push((head, body));
            match this.takes.is_zero() {
                true => tokio::task::yield_now().await,
                false => tokio::time::sleep(this.takes).await,
            }
            answer
        })
    }
}
