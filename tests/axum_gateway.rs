//! The gateway of the examples, over real connections.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../examples/axum_gateway/gateway.rs"]
mod gateway;
#[path = "../examples/support/loopback.rs"]
mod loopback;
#[allow(dead_code)]
#[path = "../examples/axum_gateway/upstream.rs"]
mod upstream;
#[path = "../examples/axum_gateway/users.rs"]
mod users;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Body, extract::Request};
use bytes::Bytes;
use driftlock::{
    MonthlyBudget, PerUserBudget, Policy, RestrictModel, Scope, Spend, Usd, Window, Zone,
};
use gateway::Gateway;
use http::{HeaderMap, Response, StatusCode, header::AUTHORIZATION};
use http_body_util::{BodyExt, channel::Channel};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use loopback::Loopback;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc};
use upstream::Upstream;
use users::Users;

const CHAT: &str = loopback::CHAT;

/// A gateway that serves, and its policy.
struct Served {
    address: SocketAddr,
    policy: Policy,
}

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, router).into_future());
    address
}

fn http() -> gateway::Http {
    let roots = rustls::RootCertStore::empty();
    let config = rustls::ClientConfig::builder().with_root_certificates(roots);
    let tls = HttpsConnectorBuilder::new().with_tls_config(config.with_no_client_auth());
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    let connector = tls.https_or_http().enable_http1().wrap_connector(tcp);
    Client::builder(TokioExecutor::new()).build(connector)
}

async fn gateway(upstream: Upstream) -> Served {
    let users = Users::parse("k-ann=ann=5.00, k-low=low=0.0002").unwrap();
    let budgets = users
        .iter()
        .fold(PerUserBudget::new(), |budget, user| budget.user(&*user.name, user.month));
    let policy = Policy::builder()
        .rule(RestrictModel::new(["o1-pro"]))
        .rule(budgets)
        .rule(MonthlyBudget::new(Usd::dollars(10)))
        .require_user()
        .ephemeral_ok()
        .build()
        .unwrap();
    let (openai, anthropic) = (upstream.clone(), upstream);
    let gateway = Gateway { policy: policy.clone(), users, http: http(), openai, anthropic };
    Served { address: serve(gateway.router()).await, policy }
}

impl Served {
    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    async fn month(&self) -> Spend {
        self.policy.spend(&Scope::Workspace, Window::month(Zone::UTC)).await.unwrap()
    }

    /// What has been spent once nothing is open any more.
    async fn settled(&self) -> Usd {
        for _ in 0..1_000 {
            let month = self.month().await;
            if month.reserved.is_zero() {
                return month.settled;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("a call never settled: {:?}", self.month().await);
    }
}

async fn post(url: &str, path: &str, key: &str, body: &Value) -> Response<Incoming> {
    let request = Request::post(format!("{url}{path}"))
        .header(AUTHORIZATION, format!("Bearer {key}"))
        .header("content-type", "application/json")
        .header("accept-encoding", "gzip")
        .body(Body::from(body.to_string()))
        .unwrap();
    http().request(request).await.unwrap()
}

async fn text(response: Response<Incoming>) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

fn chat(more: &Value) -> Value {
    let mut body = json!({
        "model": "gpt-4o-mini", "max_tokens": 200,
        "messages": [{ "role": "user", "content": "Hello there." }],
        "metadata": { "prompt_tokens": "1000", "completion_tokens": "100" },
    });
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

#[tokio::test]
async fn answers_come_through_as_they_are_and_are_charged_to_the_user() {
    let (provider, other) =
        (Loopback::start(Duration::ZERO).await.unwrap(), Loopback::start(Duration::ZERO).await);
    let (gateway, other) = (gateway(Upstream::open(provider.url())).await, other.unwrap());
    let response = post(&gateway.url(), CHAT, "k-ann", &chat(&json!({}))).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "application/json");
    let left: Usd = response.headers()[gateway::REMAINING].to_str().unwrap().parse().unwrap();
    assert!(left < Usd::dollars(5), "{left}");
    let direct = post(&other.url(), CHAT, "", &chat(&json!({}))).await;
    assert_eq!(text(response).await, text(direct).await);

    let ann = gateway.policy.spend(&Scope::user("ann"), Window::month(Zone::UTC)).await.unwrap();
    assert_eq!((ann.settled, ann.reserved), (provider.billed(), Usd::ZERO));
}

#[tokio::test]
async fn streams_come_through_byte_for_byte_with_and_without_usage() {
    let provider = Loopback::start(Duration::ZERO).await.unwrap();
    let gateway = gateway(Upstream::open(format!("{}/v1/", provider.url()))).await;
    let usage = json!({ "stream": true, "stream_options": { "include_usage": true } });
    // A provider for each, so that they number alike.
    let direct = async |more: &Value| {
        let provider = Loopback::start(Duration::ZERO).await.unwrap();
        text(post(&provider.url(), CHAT, "", &chat(more)).await).await
    };
    let expected = direct(&usage).await;
    let asked = text(post(&gateway.url(), CHAT, "k-ann", &chat(&usage)).await).await;
    assert_eq!(asked, expected);

    // Who did not ask for usage gets all but the event that only tells it.
    let events: Vec<_> = expected.split_inclusive("\n\n").collect();
    let silent = json!({ "stream": true });
    let unasked = text(post(&gateway.url(), CHAT, "k-ann", &chat(&silent)).await).await;
    let shown: String =
        events.iter().filter(|event| !event.contains("total_tokens")).copied().collect();
    assert_eq!(unasked, shown.replace("chatcmpl-1", "chatcmpl-2"));
    assert_eq!(gateway.settled().await, provider.billed());
}

/// A provider whose streams are what the test sends; also what it was sent.
async fn scripted()
-> (Upstream, mpsc::Receiver<(HeaderMap, http_body_util::channel::Sender<Bytes>)>) {
    let (calls, received) = mpsc::channel(8);
    let router = Router::new().fallback(move |request: Request| {
        let calls = calls.clone();
        async move {
            let headers = request.headers().clone();
            request.into_body().collect().await.unwrap();
            let (sender, body) = Channel::<Bytes>::new(1);
            calls.send((headers, sender)).await.unwrap();
            let response = Response::builder().header("content-type", "text/event-stream");
            response.body(Body::new(body)).unwrap()
        }
    });
    (Upstream::openai(&format!("http://{}/v1", serve(router).await), "secret").unwrap(), received)
}

/// What waits for something that never comes fails instead.
async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), future).await.expect("it comes in time")
}

const FIRST: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hel\"}}]}\n\n";

#[tokio::test]
async fn an_event_is_passed_on_before_the_next_one_is_there() {
    let (upstream, mut calls) = scripted().await;
    let gateway = gateway(upstream).await;
    let url = gateway.url();
    let response = in_time(post(&url, CHAT, "k-ann", &chat(&json!({ "stream": true })))).await;
    let (_, mut events) = calls.recv().await.unwrap();
    let mut body = response.into_body();
    for _ in 0..3 {
        events.send_data(FIRST.into()).await.unwrap();
        let frame = in_time(body.frame()).await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(frame, FIRST);
        assert!(!gateway.month().await.reserved.is_zero(), "it is still open");
    }
    events.send_data("data: [DONE]\n\n".into()).await.unwrap();
    drop(events);
    body.collect().await.unwrap();
    assert!(gateway.settled().await > Usd::ZERO);
}

#[tokio::test]
async fn a_client_that_goes_away_in_the_middle_settles_at_the_estimate() {
    let (upstream, mut calls) = scripted().await;
    let gateway = gateway(upstream).await;
    let response = post(&gateway.url(), CHAT, "k-ann", &chat(&json!({ "stream": true }))).await;
    let (_, mut events) = calls.recv().await.unwrap();
    let mut body = response.into_body();
    events.send_data(FIRST.into()).await.unwrap();
    body.frame().await.unwrap().unwrap();
    let reserved = gateway.month().await.reserved;
    assert!(!reserved.is_zero());
    drop(body);
    // The provider never ends it: it is the disconnect that does.
    assert_eq!(gateway.settled().await, reserved);
    assert_eq!(gateway.policy.stats().abandoned, 1);
}

#[tokio::test]
async fn the_provider_sees_the_gateways_key_and_not_the_callers() {
    let (upstream, mut calls) = scripted().await;
    let gateway = gateway(upstream).await;
    let response = post(&gateway.url(), CHAT, "k-ann", &chat(&json!({ "stream": true }))).await;
    let (headers, events) = calls.recv().await.unwrap();
    assert_eq!(headers[AUTHORIZATION], "Bearer secret");
    assert!(!headers.contains_key("accept-encoding"), "compressed usage could not be read");
    assert!(headers["host"].to_str().unwrap().starts_with("127.0.0.1:"));
    drop(events);
    response.into_body().collect().await.unwrap();
}

#[tokio::test]
async fn what_is_denied_does_not_reach_the_provider_and_is_told_in_the_callers_shape() {
    let provider = Loopback::start(Duration::ZERO).await.unwrap();
    let gateway = gateway(Upstream::open(provider.url())).await;
    let url = gateway.url();
    let restricted = chat(&json!({ "model": "o1-pro" }));
    for (path, key, body, status, told) in [
        (CHAT, "k-ann", &restricted, 403, "restricted"),
        (CHAT, "k-nobody", &chat(&json!({})), 401, "invalid_api_key"),
        (CHAT, "k-ann", &json!([]), 400, "unreadable_request"),
        ("/v1/batches", "k-ann", &json!({}), 403, "unmeterable"),
        (loopback::MESSAGES, "k-nobody", &json!({}), 401, "authentication_error"),
    ] {
        let response = post(&url, path, key, body).await;
        assert_eq!(response.status(), status, "{path} {key}");
        let text = text(response).await;
        let body: Value = serde_json::from_str(&text).unwrap();
        assert!(body["error"]["message"].is_string(), "{text}");
        assert_eq!(body["type"] == "error", path == loopback::MESSAGES, "{text}");
        assert!(text.contains(told), "{text}");
    }
    assert_eq!(provider.calls(), 0);
}

#[tokio::test]
async fn a_spent_month_is_a_429_that_is_not_to_be_retried() {
    let provider = Loopback::start(Duration::ZERO).await.unwrap();
    let gateway = gateway(Upstream::open(provider.url())).await;
    let mut answers = Vec::new();
    for _ in 0..2 {
        let response = post(&gateway.url(), CHAT, "k-low", &chat(&json!({}))).await;
        answers.push((response.status().as_u16(), response.headers().clone()));
        text(response).await;
    }
    assert_eq!(answers[0].0, 200);
    assert_eq!(answers[1].0, 429);
    assert_eq!(answers[1].1["x-should-retry"], "false");
    assert!(!answers[1].1.contains_key("retry-after"));
    assert_eq!(provider.calls(), 1);
}

#[tokio::test]
async fn the_list_of_models_is_free() {
    let provider = Loopback::start(Duration::ZERO).await.unwrap();
    let gateway = gateway(Upstream::open(provider.url())).await;
    let request = Request::get(format!("{}{}", gateway.url(), loopback::MODELS))
        .header(AUTHORIZATION, "Bearer k-low")
        .body(Body::empty())
        .unwrap();
    let response = http().request(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(text(response).await.contains("gpt-4o-mini"));
    assert_eq!(gateway.settled().await, Usd::ZERO);
}

#[tokio::test]
async fn a_provider_that_is_away_is_502_and_costs_nothing() {
    // A port that was free a moment ago.
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let gateway = gateway(Upstream::open(format!("http://{free}"))).await;
    let response = post(&gateway.url(), CHAT, "k-ann", &chat(&json!({}))).await;
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    assert!(text(response).await.contains("provider_failed"));
    assert_eq!(gateway.settled().await, Usd::ZERO);
}

#[tokio::test]
async fn open_streams_flow_to_their_end_after_it_is_told_to_stop() {
    let (upstream, mut calls) = scripted().await;
    let users = Users::parse("k-ann=ann=5.00").unwrap();
    let policy = Policy::builder().ephemeral_ok().build().unwrap();
    let (openai, anthropic) = (upstream.clone(), upstream);
    let gateway = Gateway { policy: policy.clone(), users, http: http(), openai, anthropic };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let ended = Arc::new(Mutex::new(false));
    let has_ended = Arc::clone(&ended);
    let serving = tokio::spawn(async move {
        let graceful = axum::serve(listener, gateway.router())
            .with_graceful_shutdown(async { stopped.await.unwrap_or(()) });
        graceful.await.unwrap();
        *has_ended.lock().unwrap() = true;
    });

    let response = post(&url, CHAT, "k-ann", &chat(&json!({ "stream": true }))).await;
    let (_, mut events) = calls.recv().await.unwrap();
    let mut body = response.into_body();
    events.send_data(FIRST.into()).await.unwrap();
    body.frame().await.unwrap().unwrap();
    stop.send(()).unwrap();
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    assert!(!*ended.lock().unwrap(), "a stream is open");
    events.send_data("data: [DONE]\n\n".into()).await.unwrap();
    drop(events);
    assert_eq!(body.collect().await.unwrap().to_bytes(), "data: [DONE]\n\n");
    serving.await.unwrap();
    let month = policy.spend(&Scope::Workspace, Window::month(Zone::UTC)).await.unwrap();
    assert!(month.reserved.is_zero() && !month.settled.is_zero(), "{month:?}");
}
