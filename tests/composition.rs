//! driftlock above, below and between Tower's own layers.
#![allow(clippy::unwrap_used)] // in helpers too

mod stand_in;

use std::{
    future::{Ready, ready},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use driftlock::{
    BoxError, CaptureLayer, Denial, Driftlock, DriftlockLayer, Error, MemoryStore, MeteredBody,
    MonthlyBudget, OnAmbiguous, Permit, Policy, PolicyBuilder, Receipt, ResponseFuture,
    RestrictModel, SettledHow, Usd, VelocityLimit, carrier::Auto,
};
use http::{Request, Response};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use stand_in::*;
use tower::{
    Layer, Service, ServiceBuilder, ServiceExt, filter::FilterLayer, load_shed::LoadShedLayer,
    retry, service_fn, timeout::TimeoutLayer, timeout::error::Elapsed, util::BoxCloneSyncService,
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const EACH: Usd = Usd::nanos(65_000_000);

fn layer(policy: &Policy) -> DriftlockLayer {
    DriftlockLayer::new(policy.clone())
}

fn three_calls() -> PolicyBuilder {
    policy().rule(VelocityLimit::new(3, MINUTE))
}

// ── types ──

#[test]
fn types_can_go_where_they_have_to() {
    fn anywhere<T: Send + Sync + 'static>() {}
    fn to_another_thread<T: Send + 'static>() {}
    anywhere::<Policy>();
    anywhere::<Permit>();
    anywhere::<Receipt>();
    anywhere::<Error>();
    anywhere::<Denial>();
    anywhere::<MemoryStore>();
    anywhere::<DriftlockLayer>();
    anywhere::<Driftlock<StandIn>>();
    anywhere::<MeteredBody<Body>>();
    anywhere::<CaptureLayer>();
    // As much as the body within; a future of a user's rule is only `Send`.
    to_another_thread::<MeteredBody<UnsyncBoxBody<Bytes, BoxError>>>();
    to_another_thread::<ResponseFuture<StandIn, Auto, Request<Body>>>();
    fn cloneable<T: Clone>() {}
    cloneable::<Policy>();
    cloneable::<Driftlock<StandIn>>();
}

// ── retry ──

/// Tries up to so often, also what a policy denied if told so.
#[derive(Clone)]
struct Attempts {
    left: u32,
    also_denied: bool,
}

impl Attempts {
    fn new(left: u32) -> Self {
        Self { left, also_denied: false }
    }
}

impl<R> retry::Policy<Request<Body>, Response<R>, Error> for Attempts {
    type Future = Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request<Body>,
        result: &mut Result<Response<R>, Error>,
    ) -> Option<Ready<()>> {
        let again = match result {
            Ok(response) => response.status().is_server_error(),
            Err(error) => self.also_denied || error.denial().is_none(),
        };
        self.left = self.left.checked_sub(u32::from(again))?;
        again.then(|| ready(()))
    }

    fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
        Some(request.clone())
    }
}

/// Fails the first times it is called, with this status or an error.
fn flaky(failures: u64, status: Option<u16>) -> StandIn {
    let calls = AtomicU64::new(0);
    StandIn::with(Duration::ZERO, move |_| {
        let fails = calls.fetch_add(1, Ordering::SeqCst) < failures;
        match (fails, status) {
            (false, _) => Ok(Response::new(Full::from(answer(9, 3)))),
            (true, Some(status)) => {
                Ok(Response::builder().status(status).body(Full::from("{}")).unwrap())
            }
            (true, None) => Err("the line is dead".into()),
        }
    })
}

#[tokio::test]
async fn below_retry_each_attempt_is_admitted_and_charged() {
    // 500 and a dead line may have been billed, 503 is not.
    for (status, charged) in [(Some(500), 3), (None, 3), (Some(503), 1)] {
        let policy = three_calls().build().unwrap();
        let provider = flaky(2, status);
        let client = ServiceBuilder::new()
            .retry(Attempts::new(5))
            .layer(layer(&policy))
            .service(provider.clone());
        send(&client, chat(FLAT)).await.unwrap();
        assert_eq!(provider.calls(), 3);
        assert_eq!(spent(&policy).await, EACH.saturating_mul(charged), "{status:?}");
        assert!(send(&client, chat(FLAT)).await.unwrap_err().denial().is_some());
    }
}

#[tokio::test]
async fn a_retry_ends_at_the_limit_and_with_a_denial() {
    let policy = three_calls().build().unwrap();
    let provider = flaky(u64::MAX, None);
    let client = ServiceBuilder::new()
        .retry(Attempts::new(100))
        .layer(layer(&policy))
        .service(provider.clone());
    let error = send(&client, chat(FLAT)).await.unwrap_err();
    assert_eq!(error.denial().unwrap().rule(), "velocity_limit");
    // Three attempts, one denial, and nobody insisted.
    assert_eq!((provider.calls(), policy.stats().denied), (3, 1));

    let insisting = Attempts { also_denied: true, ..Attempts::new(100) };
    let client =
        ServiceBuilder::new().retry(insisting).layer(layer(&policy)).service(provider.clone());
    send(&client, chat(FLAT)).await.unwrap_err();
    assert_eq!((provider.calls(), policy.stats().denied), (3, 102));
    assert_eq!(spent(&policy).await, EACH.saturating_mul(3));
}

#[tokio::test]
async fn above_retry_the_attempts_are_one_call() {
    let policy = three_calls().build().unwrap();
    let provider = flaky(2, Some(500));
    let client = ServiceBuilder::new()
        .layer(layer(&policy))
        .layer_fn(|inner| retry::Retry::new(InnerAttempts(5), inner))
        .service(provider.clone());
    send(&client, chat(FLAT)).await.unwrap();
    assert_eq!((provider.calls(), spent(&policy).await), (3, EACH));
}

/// As [`Attempts`], of a client that is not governed.
#[derive(Clone)]
struct InnerAttempts(u32);

impl retry::Policy<Request<Body>, Response<Body>, BoxError> for InnerAttempts {
    type Future = Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request<Body>,
        result: &mut Result<Response<Body>, BoxError>,
    ) -> Option<Ready<()>> {
        let failed = result.as_ref().is_ok_and(|response| response.status().is_server_error());
        self.0 = self.0.checked_sub(u32::from(failed))?;
        failed.then(|| ready(()))
    }

    fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
        Some(request.clone())
    }
}

// ── timeout ──

#[tokio::test(start_paused = true)]
async fn a_timeout_further_in_leaves_open_what_was_billed() {
    for (on_ambiguous, cost) in [(OnAmbiguous::Estimate, EACH), (OnAmbiguous::Nothing, Usd::ZERO)] {
        let policy = policy().on_ambiguous(on_ambiguous).build().unwrap();
        let client = ServiceBuilder::new()
            .layer(layer(&policy))
            .layer(TimeoutLayer::new(SECOND))
            .service(StandIn::slow(2 * SECOND));
        let error = send(&client, chat(FLAT)).await.unwrap_err();
        assert!(error.inner_ref::<Elapsed>().is_some(), "{error}");
        assert!(error.downcast_inner::<Elapsed>().is_ok());
        assert_eq!(spent(&policy).await, cost);
    }
}

#[tokio::test(start_paused = true)]
async fn a_timeout_further_out_gives_the_call_up() {
    let how = Arc::new(std::sync::Mutex::new(Vec::new()));
    let tell = Arc::clone(&how);
    let policy = policy().on_settled(move |settled, _| tell.lock().unwrap().push(settled.how));
    let policy = policy.build().unwrap();
    let client = ServiceBuilder::new()
        .layer(TimeoutLayer::new(SECOND))
        .layer(layer(&policy))
        .service(StandIn::slow(2 * SECOND));
    let error = send(&client, chat(FLAT)).await.unwrap_err();
    assert!(error.is::<Elapsed>());
    assert_eq!(spent(&policy).await, EACH);
    assert_eq!(*how.lock().unwrap(), [SettledHow::Abandoned]);
    let denied = policy_of_nothing(&client_of(TimeoutLayer::new(SECOND))).await;
    assert!(Denial::find(denied.as_ref()).is_some(), "{denied}");
}

/// A client whose every call is denied, below this layer.
fn client_of<L>(outer: L) -> L::Service
where
    L: Layer<Driftlock<StandIn>>,
{
    let policy = policy().rule(RestrictModel::new(["*"])).build().unwrap();
    outer.layer(layer(&policy).layer(StandIn::new()))
}

async fn policy_of_nothing<S>(client: &S) -> BoxError
where
    S: Service<Request<Body>, Response = Response<MeteredBody<Body>>, Error = BoxError> + Clone,
{
    send(client, chat(FLAT)).await.unwrap_err()
}

// ── limits, buffers, shedding ──

#[tokio::test(start_paused = true)]
async fn a_concurrency_limit_holds_on_either_side_and_a_denial_frees_its_place() {
    let policy = policy().rule(MonthlyBudget::new(Usd::dollars(1))).build().unwrap();
    let provider = StandIn::slow(SECOND);
    let inside =
        ServiceBuilder::new().layer(layer(&policy)).concurrency_limit(2).service(provider.clone());
    let outside =
        ServiceBuilder::new().concurrency_limit(2).layer(layer(&policy)).service(provider.clone());
    let begun = tokio::time::Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for call in 0..60 {
        let (inside, outside) = (inside.clone(), outside.clone());
        tasks.spawn(async move {
            match call % 2 {
                0 => send(&inside, chat(FLAT)).await.is_ok(),
                _ => send(&outside, chat(FLAT)).await.is_ok(),
            }
        });
    }
    let through = tasks.join_all().await.into_iter().filter(|ok| *ok).count();
    assert_eq!((through, provider.calls()), (15, 15));
    // Four at a time take four rounds; the forty-five denied take no time.
    assert!(begun.elapsed() >= 4 * SECOND && begun.elapsed() < 9 * SECOND, "{:?}", begun.elapsed());
    assert_eq!(spent(&policy).await, usd("0.975"));
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_behind_a_buffer_works_on_either_side() {
    let policy = policy().rule(VelocityLimit::new(6, 2 * MINUTE)).build().unwrap();
    let provider = StandIn::new();
    let inside = ServiceBuilder::new()
        .layer(layer(&policy))
        .buffer(16)
        .rate_limit(2, SECOND)
        .service(provider.clone());
    let outside = ServiceBuilder::new()
        .buffer(16)
        .rate_limit(2, SECOND)
        .layer(layer(&policy))
        .service(provider.clone());
    for _ in 0..3 {
        send(&inside, chat(FLAT)).await.unwrap();
        send(&outside, chat(FLAT)).await.unwrap();
    }
    assert!(send(&inside, chat(FLAT)).await.unwrap_err().denial().is_some());
    let error = send(&outside, chat(FLAT)).await.unwrap_err();
    assert!(Denial::find(error.as_ref()).is_some(), "{error}");
    // The buffer's worker has survived the denials.
    send(&outside, get()).await.unwrap();
    assert_eq!((provider.calls(), spent(&policy).await), (7, EACH.saturating_mul(6)));
}

fn get() -> Request<Body> {
    Request::get("https://api.openai.com/v1/models").body(Body::default()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_is_shed_further_in_costs_nothing_if_the_policy_is_told() {
    use tower::load_shed::error::Overloaded;
    for told in [false, true] {
        let rules = policy();
        let rules = match told {
            true => rules.nothing_sent(|error: &BoxError| error.is::<Overloaded>()),
            false => rules,
        };
        let policy = rules.build().unwrap();
        let client = ServiceBuilder::new()
            .layer(layer(&policy))
            .layer(LoadShedLayer::new())
            .concurrency_limit(1)
            .service(StandIn::slow(SECOND));
        let first = tokio::spawn({
            let client = client.clone();
            async move { send(&client, chat(FLAT)).await }
        });
        tokio::task::yield_now().await;
        let error = send(&client, chat(FLAT)).await.unwrap_err();
        assert!(error.inner_ref::<Overloaded>().is_some(), "{error}");
        first.await.unwrap().unwrap();
        // The feature that names Tower brings it along.
        let calls = if told || cfg!(feature = "retry") { 1 } else { 2 };
        assert_eq!(spent(&policy).await, EACH.saturating_mul(calls), "told: {told}");
    }
}

#[tokio::test]
async fn what_is_shed_or_filtered_further_out_is_never_seen() {
    let policy = policy().build().unwrap();
    let refuse = |request: Request<Body>| match request.headers().contains_key("x-ok") {
        true => Ok(request),
        false => Err("no x-ok"),
    };
    let client = ServiceBuilder::new()
        .load_shed()
        .layer(FilterLayer::new(refuse))
        .layer(layer(&policy))
        .service(StandIn::new());
    send(&client, chat(FLAT)).await.unwrap_err();
    assert_eq!((spent(&policy).await, policy.stats().admitted_assumed), (Usd::ZERO, 0));
    let mut good = chat(FLAT);
    good.headers_mut().insert("x-ok", "1".parse().unwrap());
    send(&client, good).await.unwrap();
    assert_eq!(spent(&policy).await, EACH);
}

#[tokio::test]
async fn a_filter_further_in_is_an_error_of_the_inner_service() {
    let policy = policy().nothing_sent(|error| error.to_string() == "no x-ok").build().unwrap();
    let client = ServiceBuilder::new()
        .layer(layer(&policy))
        .filter(|_: Request<Body>| Err::<Request<Body>, _>("no x-ok"))
        .service(StandIn::new());
    let error = send(&client, chat(FLAT)).await.unwrap_err();
    assert_eq!(error.to_string(), "the call failed: no x-ok");
    assert_eq!(spent(&policy).await, Usd::ZERO);
}

// ── boxes ──

#[tokio::test]
async fn a_boxed_client_is_governed_and_a_governed_one_can_be_boxed() {
    let policy = three_calls().build().unwrap();
    let provider = StandIn::new();
    let boxed = BoxCloneSyncService::new(provider.clone());
    let governed = BoxCloneSyncService::new(layer(&policy).layer(boxed));
    for _ in 0..3 {
        send(&governed, chat(FLAT)).await.unwrap();
    }
    let shared = Arc::new(governed);
    let denied = tokio::spawn(async move { send(shared.as_ref(), chat(FLAT)).await });
    assert!(denied.await.unwrap().unwrap_err().denial().is_some());
    assert_eq!((provider.calls(), spent(&policy).await), (3, EACH.saturating_mul(3)));
}

#[tokio::test]
async fn a_body_that_is_not_made_of_bytes_is_rebuilt() {
    type Boxed = UnsyncBoxBody<Bytes, std::convert::Infallible>;
    let policy = three_calls().build().unwrap();
    let provider = service_fn(|request: Request<Boxed>| async {
        let body = request.into_body().collect().await?.to_bytes();
        assert!(body.starts_with(br#"{"model":"flat""#));
        Ok::<_, BoxError>(Response::new(Full::<Bytes>::from(answer(9, 3)).boxed_unsync()))
    });
    let governed =
        layer(&policy).rebuild_with(|bytes| -> Boxed { Full::from(bytes).boxed_unsync() });
    let client = governed.layer(provider);
    let call = chat(FLAT).map(BodyExt::boxed_unsync);
    let response = client.oneshot(call).await.unwrap();
    response.into_body().collect().await.unwrap();
    assert_eq!(spent(&policy).await, EACH);
}

// ── the order the guide recommends ──

#[tokio::test(start_paused = true)]
async fn the_whole_stack_in_the_recommended_order() {
    let policy = policy()
        .rule(MonthlyBudget::new(Usd::dollars(1)).per_user())
        .rule(VelocityLimit::new(100, MINUTE))
        .build()
        .unwrap();
    let provider = flaky(1, Some(503));
    let client = ServiceBuilder::new()
        .load_shed()
        .layer(CaptureLayer::new())
        .buffer(64)
        .timeout(MINUTE)
        .retry(Attempts::new(2))
        .layer(layer(&policy))
        .concurrency_limit(8)
        .timeout(10 * SECOND)
        .service(provider.clone());
    let user = driftlock::Labels::new().with("user", "u-1");
    for _ in 0..15 {
        driftlock::labels::scope(user.clone(), send(&client, chat(FLAT))).await.unwrap();
    }
    let error = driftlock::labels::scope(user, send(&client, chat(FLAT))).await.unwrap_err();
    let denial = Denial::find(error.as_ref()).unwrap();
    assert!(denial.to_string().contains("spent by user u-1 this month"), "{denial}");
    assert_eq!((provider.calls(), spent(&policy).await), (16, usd("0.975")));
    let error = error.downcast::<Error>().unwrap();
    assert!(matches!(*error, Error::Denied(_)));
}
