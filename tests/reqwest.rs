//! reqwest's client with the layer around it.
#![allow(clippy::unwrap_used)] // in helpers too

#[path = "../examples/support/loopback.rs"]
mod loopback;
mod stand_in;

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use driftlock::{
    CaptureLayer, Driftlock, DriftlockLayer, Error, Labels, Mode, OnUnreadable, PerUserBudget,
    Policy, PolicyBuilder, Receipt, Scope, SettledHow, TagBasedModelDowngrade, Unreadable, Usd,
    VelocityLimit, Window, Zone, labels,
};
use futures_util::{StreamExt, stream};
use http::{HeaderMap, Method};
use http_body_util::BodyExt;
use loopback::Loopback;
use reqwest::{
    Body, Client, Request, Response, ResponseBuilderExt, Url,
    dns::{Name, Resolve, Resolving},
    multipart::{Form, Part},
};
use serde_json::{Value, json};
use stand_in::{spent, usd};
use tower::{BoxError, Layer, ServiceBuilder, ServiceExt, service_fn};

const CHAT: &str = "https://api.openai.com/v1/chat/completions";

fn policy() -> PolicyBuilder {
    stand_in::policy().receipts(true)
}

fn governed(policy: &Policy, client: Client) -> Driftlock<Client> {
    DriftlockLayer::new(policy.clone()).layer(client)
}

fn chat(model: &str) -> Value {
    json!({
        "model": model, "max_tokens": 100, "messages": [{ "role": "user", "content": "Hi" }],
        "metadata": { "prompt_tokens": "5", "completion_tokens": "20" },
    })
}

fn post(url: impl reqwest::IntoUrl, body: &Value) -> Request {
    Client::new().post(url).json(body).build().unwrap()
}

/// What a client was sent.
#[derive(Clone, Debug)]
struct Sent {
    method: Method,
    url: Url,
    headers: HeaderMap,
    timeout: Option<Duration>,
    body: String,
}

/// A stand-in for reqwest's client that says what it was sent.
fn echo(
    policy: &Policy,
) -> impl tower::Service<Request, Response = Response, Error = Error, Future: Send> + Clone + use<>
{
    DriftlockLayer::new(policy.clone()).layer(service_fn(|mut request: Request| async move {
        let body = request.body_mut().take().unwrap_or_default();
        let body = body.collect().await?.to_bytes();
        let sent = Sent {
            method: request.method().clone(),
            url: request.url().clone(),
            headers: request.headers().clone(),
            timeout: request.timeout().copied(),
            body: String::from_utf8_lossy(&body).into_owned(),
        };
        let answer = http::Response::builder().url(sent.url.clone()).extension(sent);
        Ok::<_, reqwest::Error>(Response::from(answer.body(stand_in::answer(9, 3)).unwrap()))
    }))
}

async fn sent(policy: &Policy, request: Request) -> Sent {
    let response = echo(policy).oneshot(request).await.unwrap();
    let sent = response.extensions().get::<Sent>().unwrap().clone();
    response.bytes().await.unwrap();
    sent
}

// ── over a wire ──

#[tokio::test]
async fn a_call_is_metered_and_its_response_is_as_it_was() {
    let provider = Loopback::start(Duration::ZERO).await.unwrap();
    let url = format!("{}{}?q=1", provider.url(), loopback::CHAT);
    let policy = policy().build().unwrap();
    let response =
        governed(&policy, Client::new()).oneshot(post(&url, &chat("gpt-4o"))).await.unwrap();
    assert_eq!(response.url().as_str(), url);
    assert!(response.remote_addr().is_some_and(|address| address.ip().is_loopback()));
    assert_eq!(response.headers()["content-type"], "application/json");
    let length = response.content_length().unwrap();
    let receipt = response.extensions().get::<Receipt>().unwrap().clone();
    let answer = response.bytes().await.unwrap();
    assert_eq!(answer.len() as u64, length);
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(answer["usage"]["completion_tokens"], 20);
    let settled = receipt.settled().await;
    assert_eq!((settled.how, settled.cost), (SettledHow::Actual, provider.billed()));
    assert_eq!(spent(&policy).await, provider.billed());
}

#[tokio::test]
async fn what_is_denied_does_not_reach_the_provider() {
    let provider = Loopback::start(Duration::ZERO).await.unwrap();
    let policy = policy().rule(VelocityLimit::new(1, Duration::from_secs(60))).build().unwrap();
    let client = governed(&policy, Client::new());
    let call = || post(format!("{}{}", provider.url(), loopback::CHAT), &chat("gpt-4o"));
    client.clone().oneshot(call()).await.unwrap().bytes().await.unwrap();
    let error = client.oneshot(call()).await.unwrap_err();
    assert_eq!(error.denial().unwrap().rule(), "velocity_limit");
    assert_eq!(provider.calls(), 1);
}

#[tokio::test]
async fn a_refusal_of_the_provider_is_read_and_costs_nothing() {
    let provider = Loopback::start(Duration::ZERO).await.unwrap();
    let policy = policy().build().unwrap();
    let request = post(format!("{}{}", provider.url(), loopback::CHAT), &chat("flat"));
    let response = governed(&policy, Client::new()).oneshot(request).await.unwrap();
    assert_eq!(response.status(), 404);
    assert!(response.text().await.unwrap().contains("no such model"));
    assert_eq!(spent(&policy).await, Usd::ZERO);
}

// ── what is sent ──

#[tokio::test]
async fn a_request_is_sent_as_it_was_made() {
    let policy = policy().build().unwrap();
    let url = "https://api.openai.com/v1/chat/completions?a=%20b#part";
    let mut request = post(url, &chat("flat"));
    *request.timeout_mut() = Some(Duration::from_secs(9));
    request.headers_mut().insert("x-a", "1".parse().unwrap());
    let sent = sent(&policy, request).await;
    assert_eq!((sent.method, sent.url.as_str()), (Method::POST, url));
    assert_eq!(sent.timeout, Some(Duration::from_secs(9)));
    assert_eq!(
        (&sent.headers["x-a"], &sent.headers["content-type"]),
        (&"1".parse().unwrap(), &"application/json".parse().unwrap())
    );
    assert_eq!(sent.body, chat("flat").to_string());
    assert_eq!(spent(&policy).await, usd("0.065"));
}

#[tokio::test]
async fn another_model_is_sent_with_the_length_it_makes() {
    let policy =
        policy().rule(TagBasedModelDowngrade::new(|_: &driftlock::Call| true, "gpt-4o-mini"));
    let policy = policy.build().unwrap();
    let body = chat("gpt-4o");
    let mut request = post(CHAT, &body);
    let length = body.to_string().len();
    request.headers_mut().insert("content-length", length.into());
    let sent = sent(&policy, request).await;
    assert_eq!(sent.body, body.to_string().replace("gpt-4o", "gpt-4o-mini"));
    assert_eq!(sent.headers["content-length"], (length + "-mini".len()).to_string().as_str());
}

#[tokio::test]
async fn a_stated_length_is_left_alone_where_nothing_is_changed() {
    let mut request = post(CHAT, &chat("flat"));
    request.headers_mut().insert("content-length", "3".parse().unwrap());
    let sent = sent(&policy().build().unwrap(), request).await;
    assert_eq!(
        (&sent.headers["content-length"], sent.body),
        (&"3".parse().unwrap(), chat("flat").to_string())
    );
}

#[tokio::test]
async fn another_model_is_another_address_where_the_address_has_it() {
    let policy =
        policy().rule(TagBasedModelDowngrade::new(|_: &driftlock::Call| true, "gpt-4o-mini"));
    let policy = policy.build().unwrap();
    let at = |model| {
        format!(
            "https://x.openai.azure.com/openai/deployments/{model}/chat/completions?api-version=1"
        )
    };
    let mut body = chat("");
    body.as_object_mut().unwrap().remove("model");
    let response = echo(&policy).oneshot(post(at("gpt-4o"), &body)).await.unwrap();
    assert_eq!(response.url().as_str(), at("gpt-4o-mini"));
}

/// A body in pieces, that says whether it was polled.
fn streamed(pieces: Vec<Bytes>) -> (Body, Arc<AtomicBool>) {
    let polled = Arc::new(AtomicBool::new(false));
    let tell = Arc::clone(&polled);
    let pieces = stream::iter(pieces).map(move |piece| {
        tell.store(true, Ordering::SeqCst);
        Ok::<_, Infallible>(piece)
    });
    (Body::wrap_stream(pieces), polled)
}

#[tokio::test]
async fn a_streamed_body_is_read_up_to_the_cap() {
    let policy = policy().body_cap(1_000).build().unwrap();
    let text = chat("flat").to_string();
    let pieces = text.as_bytes().chunks(7).map(Bytes::copy_from_slice).collect();
    let request = Client::new().post(CHAT).body(streamed(pieces).0).build().unwrap();
    assert_eq!(sent(&policy, request).await.body, text);

    let endless = stream::repeat(Ok::<_, Infallible>(Bytes::from_static(b"[[[[[[[[")));
    let request = Client::new().post(CHAT).body(Body::wrap_stream(endless)).build().unwrap();
    let error = echo(&policy).oneshot(request).await.err().unwrap();
    assert!(matches!(error, Error::Unreadable(Unreadable::TooLarge { cap: 1_000 })), "{error}");

    let broken = stream::once(async { Err::<Bytes, _>(io::Error::other("the disk is gone")) });
    let request = Client::new().post(CHAT).body(Body::wrap_stream(broken)).build().unwrap();
    let error = echo(&policy).oneshot(request).await.err().unwrap();
    assert!(matches!(&error, Error::Unreadable(Unreadable::Body(_))), "{error}");
    assert_eq!(spent(&policy).await, usd("0.065"));
}

#[tokio::test]
async fn what_is_free_passes_with_its_body_unpolled() {
    let polled_before = Arc::new(AtomicBool::new(true));
    let policy = policy().build().unwrap();
    let (body, polled) = streamed(vec![Bytes::from_static(b"a file")]);
    let seen = (Arc::clone(&polled), Arc::clone(&polled_before));
    let client = DriftlockLayer::new(policy.clone()).layer(service_fn(move |request: Request| {
        let (polled, before) = seen.clone();
        async move {
            before.store(polled.load(Ordering::SeqCst), Ordering::SeqCst);
            let body = http::Request::<Body>::try_from(request)?.into_body().collect().await?;
            Ok::<_, BoxError>(Response::from(http::Response::new(body.to_bytes())))
        }
    }));
    let request = Client::new().post("https://api.openai.com/v1/files").body(body).build().unwrap();
    let answer = client.clone().oneshot(request).await.unwrap().bytes().await.unwrap();
    assert_eq!((answer.as_ref(), polled_before.load(Ordering::SeqCst)), (&b"a file"[..], false));
    let list = Client::new().get("https://api.openai.com/v1/models").build().unwrap();
    client.oneshot(list).await.unwrap();
    assert_eq!(policy.stats().admitted_assumed, 0);
}

#[tokio::test]
async fn a_multipart_upload_that_costs_is_not_let_through_unless_the_policy_says_so() {
    let form = || {
        let file = Part::bytes(vec![0; 64]).file_name("a.wav");
        Form::new().text("model", "whisper-1").part("file", file)
    };
    let upload = |url: &str| Client::new().post(url).multipart(form()).build().unwrap();
    let transcribe = "https://api.openai.com/v1/audio/transcriptions";

    let strict = policy().build().unwrap();
    let error = echo(&strict).oneshot(upload(transcribe)).await.err().unwrap();
    assert_eq!(error.denial().unwrap().kind(), driftlock::DenialKind::Unmeterable);
    // A form where JSON belongs is not read as something else.
    let error = echo(&strict).oneshot(upload(CHAT)).await.err().unwrap();
    assert!(matches!(error, Error::Unreadable(Unreadable::NotJson { .. })), "{error}");
    assert_eq!(strict.stats().denied, 2);

    for lenient in [policy().on_unreadable(OnUnreadable::Pass), policy().mode(Mode::Observe)] {
        let sent = sent(&lenient.build().unwrap(), upload(transcribe)).await;
        assert!(sent.body.contains("whisper-1"), "{}", sent.body);
        assert_eq!(sent.headers["content-length"], sent.body.len().to_string().as_str());
    }
}

// ── labels ──

#[tokio::test]
async fn labels_come_with_the_http_request_or_from_the_scope() {
    let policy = policy().build().unwrap();
    let request = |user: &'static str| {
        let request = http::Request::post(CHAT).extension(Labels::new().with("user", user));
        Request::try_from(request.body(chat("flat").to_string()).unwrap()).unwrap()
    };
    sent(&policy, request("u-1")).await;
    labels::scope(Labels::new().with("user", "u-2"), sent(&policy, post(CHAT, &chat("flat"))))
        .await;
    labels::scope(Labels::new().with("user", "u-3"), sent(&policy, request("u-1"))).await;
    for (user, cost) in [("u-1", "0.13"), ("u-2", "0.065"), ("u-3", "0")] {
        let spend = policy.spend(&Scope::user(user), Window::month(Zone::UTC)).await;
        assert_eq!(spend.unwrap().settled, usd(cost), "{user}");
    }
}

#[tokio::test]
async fn labels_are_carried_over_a_buffer_with_http_requests() {
    let rule = PerUserBudget::new().default_limit(Usd::cents(7));
    let policy = policy().rule(rule).build().unwrap();
    let client = ServiceBuilder::new()
        .layer(CaptureLayer::new())
        .map_request(|request: http::Request<String>| Request::try_from(request).unwrap())
        .buffer(8)
        .service(echo(&policy));
    let request = || http::Request::post(CHAT).body(chat("flat").to_string()).unwrap();
    for user in ["u-1", "u-2"] {
        let as_user = |call| labels::scope(Labels::new().with("user", user), call);
        let response = as_user(client.clone().oneshot(request())).await.unwrap();
        response.bytes().await.unwrap();
        let error = as_user(client.clone().oneshot(request())).await.unwrap_err();
        assert!(error.to_string().contains(&format!("by user {user}")), "{error}");
    }
}

// ── errors ──

/// No name leads anywhere.
#[derive(Debug)]
struct Nowhere;

impl Resolve for Nowhere {
    fn resolve(&self, _: Name) -> Resolving {
        Box::pin(async { Err(io::Error::other("no such host").into()) })
    }
}

#[tokio::test]
async fn a_call_that_could_not_be_connected_costs_nothing_and_does_not_count() {
    let policy = policy().rule(VelocityLimit::new(1, Duration::from_secs(60))).build().unwrap();
    let lost = Client::builder().dns_resolver(Arc::new(Nowhere)).build().unwrap();
    let client = governed(&policy, lost);
    for _ in 0..3 {
        let request = post("http://provider.invalid/v1/chat/completions", &chat("flat"));
        let error = client.clone().oneshot(request).await.unwrap_err();
        // Of what it was, and not of what io error there was below.
        assert!(error.downcast_inner::<reqwest::Error>().unwrap().is_connect());
    }
    assert_eq!(spent(&policy).await, Usd::ZERO);
    // Nor what reqwest would not even try to send.
    let error = client.oneshot(post("ftp://x/v1/chat/completions", &chat("flat"))).await;
    assert!(error.unwrap_err().downcast_inner::<reqwest::Error>().unwrap().is_builder());
    assert_eq!(spent(&policy).await, Usd::ZERO);
}

#[tokio::test]
async fn a_client_that_retries_on_its_own_proves_nothing_by_its_last_error() {
    let policy = policy().hidden_retries().build().unwrap();
    let lost = Client::builder().dns_resolver(Arc::new(Nowhere)).build().unwrap();
    let request = post("http://provider.invalid/v1/chat/completions", &chat("flat"));
    governed(&policy, lost).oneshot(request).await.unwrap_err();
    assert_eq!(spent(&policy).await, usd("0.065"));
}

#[tokio::test]
async fn a_timeout_proves_nothing() {
    let provider = Loopback::start(Duration::from_secs(600)).await.unwrap();
    let policy = policy().build().unwrap();
    let hasty = Client::builder().timeout(Duration::from_millis(30)).build().unwrap();
    let request = post(format!("{}{}", provider.url(), loopback::CHAT), &chat("flat"));
    let error = governed(&policy, hasty).oneshot(request).await.unwrap_err();
    assert!(error.inner_ref::<reqwest::Error>().unwrap().is_timeout(), "{error}");
    assert_eq!(spent(&policy).await, usd("0.065"));
}

#[tokio::test]
async fn a_body_that_breaks_off_keeps_its_error_and_pays_the_estimate() {
    let policy = policy().build().unwrap();
    let client = DriftlockLayer::new(policy.clone()).layer(service_fn(|_: Request| async {
        let pieces = [Ok(Bytes::from_static(b"{\"usage\":")), Err(io::Error::other("reset"))];
        let body = Body::wrap_stream(stream::iter(pieces));
        Ok::<_, reqwest::Error>(Response::from(http::Response::new(body)))
    }));
    let response = client.oneshot(post(CHAT, &chat("flat"))).await.unwrap();
    let error = response.bytes().await.unwrap_err();
    let mut causes = std::iter::successors(Some(&error as &dyn std::error::Error), |e| e.source());
    assert!(causes.any(|cause| cause.to_string() == "reset"), "{error:?}");
    assert_eq!(spent(&policy).await, usd("0.065"));
}

#[tokio::test]
async fn a_client_that_makes_errors_of_refusals_was_refused_all_the_same() {
    for (status, cost, counts) in [(401, "0", 1), (503, "0", 1), (500, "0.065", 1)] {
        let calls = Arc::new(AtomicUsize::new(0));
        let policy = policy().rule(VelocityLimit::new(1, Duration::from_secs(60))).build().unwrap();
        let count = Arc::clone(&calls);
        let client = DriftlockLayer::new(policy.clone()).layer(service_fn(move |_: Request| {
            count.fetch_add(1, Ordering::SeqCst);
            let response = http::Response::builder().status(status).body("no").unwrap();
            async move { Response::from(response).error_for_status() }
        }));
        let error = client.clone().oneshot(post(CHAT, &chat("flat"))).await.unwrap_err();
        assert!(error.inner_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_status));
        assert_eq!(spent(&policy).await, usd(cost), "{status}");
        // It was a call, for a velocity limit.
        assert!(client.oneshot(post(CHAT, &chat("flat"))).await.unwrap_err().denial().is_some());
        assert_eq!(calls.load(Ordering::SeqCst), counts);
    }
}

#[test]
fn the_future_of_a_call_can_be_spawned() {
    fn to_another_thread<T: Send + 'static>(_: &T) {}
    let policy = policy().build().unwrap();
    let call = governed(&policy, Client::new()).oneshot(post(CHAT, &chat("flat")));
    to_another_thread(&call);
    let boxed: Pin<Box<dyn Future<Output = Result<Response, Error>> + Send>> = Box::pin(call);
    drop(boxed);
}
