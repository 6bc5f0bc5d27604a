//! Neighbours of other crates, above and below the layer, and Tower's own around the
//! clients of others.
#![allow(clippy::unwrap_used)] // in helpers too

mod stand_in;

use std::{
    future::{Ready, ready},
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_openai::{
    Client as OpenAi, config::OpenAIConfig, error::OpenAIError, middleware::HttpRequestFactory,
    types::chat::CreateChatCompletionRequest,
};
use bytes::Bytes;
use driftlock::{
    BoxError, Denial, DriftlockLayer, Error, Policy, PolicyBuilder, RestrictModel, Usd,
    VelocityLimit,
    retry::{MayBeDenied, RespectDenials},
};
use flate2::{Compression, write::GzEncoder};
use http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client as HyperClient, rt::TokioExecutor};
use serde_json::json;
use stand_in::*;
use tower::{
    Layer, Service, ServiceBuilder, ServiceExt,
    filter::FilterLayer,
    hedge::{self, Hedge},
    load_shed::error::Overloaded,
    retry, service_fn,
    util::BoxCloneSyncService,
};
use tower_http::{
    decompression::DecompressionLayer,
    set_header::{SetRequestHeaderLayer, SetResponseHeaderLayer},
    trace::TraceLayer,
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const EACH: Usd = Usd::nanos(65_000_000);

fn layer(policy: &Policy) -> DriftlockLayer {
    DriftlockLayer::new(policy.clone())
}

fn two_calls() -> PolicyBuilder {
    policy().rule(VelocityLimit::new(2, MINUTE))
}

/// Two calls pass and are charged, and the third is denied, by these names.
async fn governs<S, R>(policy: &Policy, client: &S)
where
    S: Service<Request<Body>, Response = Response<R>> + Clone,
    S::Error: Into<BoxError>,
    R: http_body::Body<Data = Bytes>,
    R::Error: std::fmt::Debug,
{
    for _ in 0..2 {
        assert!(send(client, chat(FLAT)).await.is_ok());
    }
    let error: BoxError = send(client, chat(FLAT)).await.err().unwrap().into();
    assert_eq!(Denial::find(error.as_ref()).unwrap().rule(), "velocity_limit");
    assert_eq!(spent(policy).await, EACH.saturating_mul(2));
}

// ── tower-http ──

#[tokio::test]
async fn traced_on_either_side() {
    let policy = two_calls().build().unwrap();
    let provider = StandIn::new();
    let client = ServiceBuilder::new()
        .layer(TraceLayer::new_for_http())
        .layer(layer(&policy))
        .layer(TraceLayer::new_for_http())
        .service(provider.clone());
    governs(&policy, &client).await;
    assert_eq!(provider.calls(), 2);
}

#[tokio::test]
async fn headers_are_set_on_either_side_and_the_length_stays_right() {
    let policy = two_calls().build().unwrap();
    let provider = StandIn::new();
    let value = HeaderValue::from_static;
    let client = ServiceBuilder::new()
        .layer(SetRequestHeaderLayer::overriding(header::AUTHORIZATION, value("outer")))
        .layer(SetResponseHeaderLayer::overriding(header::SERVER, value("outer")))
        .layer(layer(&policy))
        .layer(SetRequestHeaderLayer::if_not_present(header::AUTHORIZATION, value("inner")))
        .layer(SetRequestHeaderLayer::appending(header::USER_AGENT, value("inner")))
        .layer(SetResponseHeaderLayer::if_not_present(header::SERVER, value("inner")))
        .service(provider.clone());
    governs(&policy, &client).await;
    for (head, body) in provider.received() {
        assert_eq!(head.headers[header::AUTHORIZATION], "outer");
        assert_eq!(head.headers[header::USER_AGENT], "inner");
        assert_eq!(head.headers[header::CONTENT_LENGTH], body.len().to_string().as_str());
    }
}

/// Answers compressed with a usage of 1,000 and 100 tokens.
fn compressing() -> StandIn {
    StandIn::with(Duration::ZERO, |_| {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(answer(1_000, 100).as_bytes())?;
        let response = Response::builder().header(header::CONTENT_ENCODING, "gzip");
        Ok(response.body(Full::from(gzip.finish()?))?)
    })
}

#[tokio::test]
async fn decompression_below_lets_usage_be_read_and_above_it_is_estimated() {
    let below = policy().build().unwrap();
    let client = ServiceBuilder::new()
        .layer(layer(&below))
        .layer(DecompressionLayer::new())
        .service(compressing());
    let body = send(&client, chat("gpt-4o")).await.unwrap();
    assert_eq!(body, answer(1_000, 100));
    assert_eq!(spent(&below).await, usd("0.0035"));

    let above = policy().build().unwrap();
    let client = ServiceBuilder::new()
        .layer(DecompressionLayer::new())
        .layer(layer(&above))
        .service(compressing());
    let body = send(&client, chat("gpt-4o")).await.unwrap();
    assert_eq!(body, answer(1_000, 100));
    assert_eq!((below.stats().estimated, above.stats().estimated), (0, 1));
    assert!(spent(&above).await > usd("0.0035"));
}

// ── hyper ──

#[tokio::test]
async fn a_connection_that_could_not_be_made_costs_nothing() {
    let policy = policy().rule(VelocityLimit::new(1, MINUTE)).build().unwrap();
    // Of what hyper says, and not of a refused connection below it.
    type Connection = hyper_util::rt::TokioIo<tokio::net::TcpStream>;
    let connector = service_fn(|_: http::Uri| {
        ready(Err::<Connection, _>(std::io::Error::other("there is no route")))
    });
    let http = HyperClient::builder(TokioExecutor::new()).build::<_, Body>(connector);
    let client = layer(&policy).layer(http);
    for _ in 0..3 {
        let error = send(&client, chat(FLAT)).await.unwrap_err();
        let error = error.downcast_inner::<hyper_util::client::legacy::Error>().unwrap();
        assert!(error.is_connect());
    }
    assert_eq!(spent(&policy).await, Usd::ZERO);
}

// ── retries and hedges ──

/// Tries again whatever failed.
#[derive(Clone)]
struct Attempts(u64);

impl<Req: Clone, Res, E> retry::Policy<Req, Res, E> for Attempts {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut Req, result: &mut Result<Res, E>) -> Option<Ready<()>> {
        self.0 = self.0.checked_sub(u64::from(result.is_err()))?;
        result.is_err().then(|| ready(()))
    }

    fn clone_request(&mut self, request: &Req) -> Option<Req> {
        Some(request.clone())
    }
}

fn failing() -> StandIn {
    StandIn::with(Duration::ZERO, |_| Err("the line is dead".into()))
}

#[tokio::test]
async fn a_denial_is_not_tried_again_and_everything_else_is() {
    let policy = policy().rule(VelocityLimit::new(3, MINUTE)).build().unwrap();
    let provider = failing();
    let client = ServiceBuilder::new()
        .retry(RespectDenials::new(Attempts(100)))
        .layer(layer(&policy))
        .service(provider.clone());
    let error = send(&client, chat(FLAT)).await.unwrap_err();
    assert_eq!(error.denial().unwrap().rule(), "velocity_limit");
    // Three attempts, each a call, and one denial on which nobody insists.
    assert_eq!((provider.calls(), policy.stats().denied), (3, 1));
    assert_eq!(spent(&policy).await, EACH.saturating_mul(3));

    // Without it, the denial is insisted on.
    let client =
        ServiceBuilder::new().retry(Attempts(100)).layer(layer(&policy)).service(provider.clone());
    send(&client, chat(FLAT)).await.unwrap_err();
    assert_eq!((provider.calls(), policy.stats().denied), (3, 102));
}

#[tokio::test]
async fn a_denial_is_known_in_a_boxed_error_and_in_one_of_the_users() {
    let policy = policy().rule(RestrictModel::new([FLAT])).build().unwrap();
    let boxed = ServiceBuilder::new()
        .retry(RespectDenials::new(Attempts(100)))
        .timeout(SECOND)
        .buffer(4)
        .layer(layer(&policy))
        .service(StandIn::new());
    send(&boxed, chat(FLAT)).await.unwrap_err();
    assert_eq!(policy.stats().denied, 1);

    #[derive(Debug)]
    struct Mine(Error);
    impl MayBeDenied for Mine {
        fn denial(&self) -> Option<&Denial> {
            self.0.denial()
        }
    }
    let own = ServiceBuilder::new()
        .retry(RespectDenials::new(Attempts(100)))
        .map_err(Mine)
        .layer(layer(&policy))
        .service(StandIn::new());
    send(&own, chat(FLAT)).await.unwrap_err();
    assert_eq!(policy.stats().denied, 2);
}

#[tokio::test]
async fn attempts_below_are_one_call() {
    let policy = policy().hidden_retries().build().unwrap();
    let provider = failing();
    let client = ServiceBuilder::new()
        .layer(layer(&policy))
        .layer_fn(|inner| retry::Retry::new(Attempts(4), inner))
        .service(provider.clone());
    send(&client, chat(FLAT)).await.unwrap_err();
    assert_eq!((provider.calls(), spent(&policy).await), (5, EACH));
}

/// Every call may be made twice.
#[derive(Clone)]
struct Twice;

impl hedge::Policy<Request<Body>> for Twice {
    fn clone_request(&self, request: &Request<Body>) -> Option<Request<Body>> {
        Some(request.clone())
    }

    fn can_retry(&self, _: &Request<Body>) -> bool {
        true
    }
}

/// Makes a call a second time when the first takes longer than a tenth of a second.
fn hedge<S>(inner: S) -> Hedge<S, Twice>
where
    S: Service<Request<Body>, Error: Into<BoxError>> + Clone,
{
    Hedge::new_with_mock_latencies(inner, Twice, 1, 0.9, 60 * SECOND, &[100; 10])
}

#[tokio::test(start_paused = true)]
async fn hedges_above_are_the_calls_they_are_and_below_they_are_one() {
    let policy = two_calls().build().unwrap();
    let provider = StandIn::slow(10 * SECOND);
    let mut above = hedge(layer(&policy).layer(provider.clone()));
    let response = above.ready().await.unwrap().call(chat(FLAT)).await.unwrap();
    response.into_body().collect().await.unwrap();
    // The slower one was dropped on its way, and may be billed.
    assert_eq!((provider.calls(), spent(&policy).await), (2, EACH.saturating_mul(2)));
    assert_eq!(policy.stats().abandoned, 1);
    let denied = above.ready().await.unwrap().call(chat(FLAT)).await.err().unwrap();
    assert!(Denial::find(denied.as_ref()).is_some());

    let policy = two_calls().build().unwrap();
    let provider = StandIn::slow(10 * SECOND);
    let below =
        ServiceBuilder::new().layer(layer(&policy)).buffer(4).service(hedge(provider.clone()));
    send(&below, chat(FLAT)).await.unwrap();
    assert_eq!((provider.calls(), spent(&policy).await), (2, EACH));
}

// ── shed load ──

#[tokio::test(start_paused = true)]
async fn what_is_shed_below_costs_nothing() {
    let policy = policy().build().unwrap();
    let client = ServiceBuilder::new()
        .layer(layer(&policy))
        .load_shed()
        .concurrency_limit(1)
        .service(StandIn::slow(SECOND));
    let first = tokio::spawn({
        let client = client.clone();
        async move { send(&client, chat(FLAT)).await }
    });
    tokio::task::yield_now().await;
    for _ in 0..1_000 {
        let error = send(&client, chat(FLAT)).await.unwrap_err();
        assert!(error.inner_ref::<Overloaded>().is_some(), "{error}");
    }
    first.await.unwrap().unwrap();
    assert_eq!(spent(&policy).await, EACH);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_proves_nothing_whatever_is_around_it() {
    let policy = policy().build().unwrap();
    let client = ServiceBuilder::new()
        .layer(layer(&policy))
        .load_shed()
        .buffer(4)
        .timeout(SECOND)
        .service(StandIn::slow(2 * SECOND));
    let error = send(&client, chat(FLAT)).await.unwrap_err();
    let elapsed = error.inner_ref::<tower::timeout::error::Elapsed>();
    assert!(elapsed.is_some(), "{error:?}");
    assert_eq!(spent(&policy).await, EACH);
}

// ── Tower's layers around the clients of others ──

fn reqwest_chat() -> reqwest::Request {
    let (head, body) = chat(FLAT).into_parts();
    let body = body.now().unwrap();
    Request::from_parts(head, body).try_into().unwrap()
}

/// The bytes of a body that has them.
trait Now {
    fn now(self) -> Option<Bytes>;
}

impl Now for Body {
    fn now(self) -> Option<Bytes> {
        use futures_util::FutureExt;
        Some(self.collect().now_or_never()?.ok()?.to_bytes())
    }
}

#[derive(Clone, Default)]
struct Counted(Arc<AtomicU64>);

impl Counted {
    fn response(&self) -> reqwest::Response {
        self.0.fetch_add(1, Ordering::SeqCst);
        let answer = json!({
            "id": "1", "object": "chat.completion", "created": 1, "model": FLAT, "choices": [],
            "usage": { "prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12 },
        });
        Response::new(answer.to_string()).into()
    }

    fn reqwest(
        &self,
    ) -> impl Service<
        reqwest::Request,
        Response = reqwest::Response,
        Error = BoxError,
        Future = Ready<Result<reqwest::Response, BoxError>>,
    > + Clone
    + Send
    + Sync
    + use<> {
        let this = self.clone();
        service_fn(move |_: reqwest::Request| ready(Ok(this.response())))
    }

    fn factory(
        &self,
    ) -> impl Service<
        HttpRequestFactory,
        Response = reqwest::Response,
        Error = BoxError,
        Future = Ready<Result<reqwest::Response, BoxError>>,
    > + Clone
    + Send
    + Sync
    + use<> {
        let this = self.clone();
        service_fn(move |_: HttpRequestFactory| ready(Ok(this.response())))
    }

    fn calls(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// A stack of a layer above and below driftlock's.
macro_rules! stack {
    ($policy:expr, $service:expr, |$builder:ident| $layer:expr) => {{
        let $builder = ServiceBuilder::new();
        let $builder = $layer.layer(layer($policy));
        $layer.service($service)
    }};
}

#[tokio::test]
async fn towers_layers_go_around_reqwests_client() {
    async fn check<S>(name: &str, stack: impl Fn(&Policy) -> (S, Counted))
    where
        S: Service<reqwest::Request, Response = reqwest::Response, Error: Into<BoxError>> + Clone,
    {
        let policy = two_calls().build().unwrap();
        let (client, counted) = stack(&policy);
        for _ in 0..2 {
            let response = client.clone().oneshot(reqwest_chat()).await.map_err(Into::into);
            response.unwrap().bytes().await.unwrap();
        }
        let error = client.oneshot(reqwest_chat()).await.map_err(Into::into).unwrap_err();
        assert!(Denial::find(error.as_ref()).is_some(), "{name}: {error}");
        assert_eq!((counted.calls(), spent(&policy).await), (2, EACH.saturating_mul(2)), "{name}");
    }
    macro_rules! with {
        ($name:literal, $b:ident => $layer:expr) => {
            check($name, |policy| {
                let counted = Counted::default();
                (stack!(policy, counted.reqwest(), |$b| $layer), counted)
            })
            .await
        };
    }
    with!("timeout", b => b.timeout(SECOND));
    with!("rate limit", b => b.buffer(8).rate_limit(100, SECOND));
    with!("concurrency", b => b.concurrency_limit(4));
    with!("load shed", b => b.load_shed());
    with!("filter", b => b.layer(FilterLayer::new(Ok::<reqwest::Request, BoxError>)));
    with!("boxed", b => b.layer_fn(BoxCloneSyncService::<reqwest::Request, _, _>::new));
}

#[tokio::test]
async fn towers_layers_go_around_async_openais_client() {
    async fn check<S>(name: &str, stack: impl Fn(&Policy) -> (S, Counted))
    where
        S: Service<HttpRequestFactory, Response = reqwest::Response>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
        S::Error: Into<OpenAIError> + Send + Sync + 'static,
    {
        let policy = two_calls().build().unwrap();
        let (service, counted) = stack(&policy);
        let client = OpenAi::with_config(OpenAIConfig::new()).with_http_service(service);
        let call = || -> CreateChatCompletionRequest {
            let chat = json!({ "model": FLAT, "messages": [{ "role": "user", "content": "Hi" }] });
            serde_json::from_value(chat).unwrap()
        };
        for _ in 0..2 {
            client.chat().create(call()).await.unwrap();
        }
        let error = client.chat().create(call()).await.unwrap_err();
        assert!(Denial::find(&error).is_some(), "{name}: {error}");
        assert_eq!((counted.calls(), spent(&policy).await), (2, EACH.saturating_mul(2)), "{name}");
    }
    macro_rules! with {
        ($name:literal, $b:ident => $layer:expr) => {
            check($name, |policy| {
                let counted = Counted::default();
                (stack!(policy, counted.factory(), |$b| $layer), counted)
            })
            .await
        };
    }
    with!("timeout", b => b.timeout(SECOND));
    with!("rate limit", b => b.buffer(8).rate_limit(100, SECOND));
    with!("concurrency", b => b.concurrency_limit(4));
    with!("load shed", b => b.load_shed());
    with!("filter", b => b.layer(FilterLayer::new(Ok::<HttpRequestFactory, BoxError>)));
    with!("boxed", b => b.layer_fn(BoxCloneSyncService::<HttpRequestFactory, _, _>::new));
    with!("retry", b => b.retry(RespectDenials::new(Attempts(3))));
}
