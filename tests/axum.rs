//! Inside a service of axum: errors are answered, labels found, remaining budgets told.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod stand_in;

use std::{convert::Infallible, io, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{FromRequestParts, Request, State},
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use driftlock::{
    Budget, Call, Clock, Deny, Error, Input, Labels, ManualClock, MaxCostPerRequest, MonthlyBudget,
    Operation, PerUserBudget, Policy, PolicyBuilder, Provider, RestrictModel, Scope, StoreError,
    Unreadable, Usd, VelocityLimit, Window, Zone,
    axum::{LabelsLayer, Remaining, RemainingLayer, Responder},
    labels::{self, LabelError},
    rule_fn,
};
use http::{HeaderMap, HeaderName, StatusCode, request::Parts};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use stand_in::{Client, FLAT, StandIn, chat, chat_with, client, noon, policy, send, usd};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};

const MINUTE: Duration = Duration::from_secs(60);
const USER: HeaderName = HeaderName::from_static("x-user");

/// Asks for a call of six and a half cents, in the name of nobody.
async fn refused(policy: &Policy) -> Error {
    refused_for(policy, FLAT).await
}

async fn refused_for(policy: &Policy, model: &str) -> Error {
    send(&client(policy, &StandIn::new()), chat(model)).await.expect_err("it was let through")
}

async fn spend(policy: &Policy) {
    send(&client(policy, &StandIn::new()), chat(FLAT)).await.unwrap();
}

/// A response as its caller sees it.
struct Seen {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Seen {
    async fn of(response: Response) -> Self {
        let (head, body) = response.into_parts();
        assert_eq!(head.headers["content-type"], "application/json");
        let body = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&body).unwrap();
        Self { status: head.status.as_u16(), headers: head.headers, body }
    }

    fn header(&self, name: &str) -> Option<&str> {
        Some(self.headers.get(name)?.to_str().unwrap())
    }

    fn should_retry(&self) -> Option<&str> {
        self.header("x-should-retry")
    }

    fn message(&self) -> &str {
        self.body["error"]["message"].as_str().unwrap()
    }

    /// Status, code and `retry-after`.
    fn short(&self) -> (u16, &str, Option<&str>) {
        let code = self.body["error"]["code"].as_str().unwrap();
        (self.status, code, self.header("retry-after"))
    }
}

/// What a responder whose clock stands at noon makes of an error.
async fn seen(error: &Error) -> Seen {
    Seen::of(Responder::new().clock(noon()).respond(error)).await
}

#[tokio::test]
async fn what_never_passes_is_forbidden() {
    let restricted = || policy().rule(RestrictModel::new(["gpt-4o"]));
    let dear = || policy().rule(MaxCostPerRequest::new(Usd::cents(1)));
    let small = || policy().rule(MonthlyBudget::new(Usd::cents(1)));
    let anonymous = || policy().rule(VelocityLimit::new(9, MINUTE).per_user()).require_user();
    let weekend = || policy().rule(rule_fn("weekend", |_: &Call| Deny::new("it is Sunday")));
    let cases: [(&str, &dyn Fn() -> PolicyBuilder, &str); 6] = [
        ("gpt-4o", &restricted, "restricted"),
        (FLAT, &dear, "too_expensive"),
        (FLAT, &small, "exceeds_limit"),
        ("acme-chat-1", &policy, "unknown_price"),
        (FLAT, &anonymous, "missing_user"),
        (FLAT, &weekend, "not_allowed"),
    ];
    for (model, policy, code) in cases {
        let error = refused_for(&policy().build().unwrap(), model).await;
        let seen = seen(&error).await;
        assert_eq!(seen.short(), (403, code, None), "{error}");
        assert_eq!(seen.body["error"]["type"], "permission_error");
        assert_eq!(seen.should_retry(), None, "no client tries again after 403");
        assert_eq!(seen.message(), error.denial().unwrap().public_message());
    }
}

#[tokio::test]
async fn a_spent_budget_is_402_without_a_time_to_try_again() {
    for rule in [Budget::daily, Budget::weekly, Budget::monthly, Budget::lifetime] {
        let policy = policy().rule(rule(Usd::cents(10))).build().unwrap();
        spend(&policy).await;
        let seen = seen(&refused(&policy).await).await;
        assert_eq!(seen.short(), (402, "insufficient_quota", None));
        assert_eq!(seen.body["error"]["type"], "insufficient_quota");
        assert_eq!(seen.body["error"]["param"], Value::Null);
        assert_eq!(seen.should_retry(), None);
    }
}

#[tokio::test]
async fn a_call_that_fits_no_month_is_forbidden_though_this_month_is_spent_too() {
    let policy = policy()
        .rule(MonthlyBudget::new(Usd::cents(10)))
        .rule(PerUserBudget::new().user("ann", Usd::cents(1)))
        .build()
        .unwrap();
    spend(&policy).await;
    let client = client(&policy, &StandIn::new());
    let call = send(&client, chat(FLAT));
    let error = labels::scope(Labels::new().with("user", "ann"), call).await.unwrap_err();
    assert_eq!(error.denial().unwrap().rule(), "monthly_budget");
    assert_eq!(seen(&error).await.short(), (403, "exceeds_limit", None));
}

#[tokio::test]
async fn a_day_that_ends_in_a_second_is_402_all_the_same() {
    let clock = ManualClock::at("2026-11-22T23:59:59Z".parse().unwrap());
    let policy = policy().clock(clock.clone()).rule(Budget::daily(Usd::cents(10)));
    let policy = policy.build().unwrap();
    spend(&policy).await;
    let responder = Responder::new().clock(clock);
    let seen = Seen::of(responder.respond(&refused(&policy).await)).await;
    assert_eq!(seen.short(), (402, "insufficient_quota", None));
}

#[tokio::test]
async fn a_budget_that_calls_in_flight_hold_is_429_in_a_second() {
    let policy = policy().rule(MonthlyBudget::new(Usd::cents(10))).build().unwrap();
    let input = Input { text_bytes: 2, messages: 1, ..Input::default() };
    let mut call = Call::new(Provider::OPENAI, Operation::Chat, FLAT).with_input(input);
    let permit = policy.admit(&mut call).await.unwrap();
    let seen = seen(&refused(&policy).await).await;
    assert_eq!(seen.short(), (429, "rate_limit_exceeded", Some("1")));
    assert_eq!(seen.should_retry(), None);
    assert!(seen.message().contains("held by other calls"), "{}", seen.message());
    drop(permit);
    spend(&policy).await;
}

#[tokio::test]
async fn after_retry_after_there_is_room_and_a_second_earlier_there_is_none() {
    let clock = noon();
    let policy = policy().clock(clock.clone()).rule(VelocityLimit::new(1, MINUTE));
    let policy = policy.build().unwrap();
    let responder = Responder::new().clock(clock.clone());
    spend(&policy).await;

    for (wait, told) in [(0, "60"), (20_000, "40"), (300, "40"), (39_000, "1"), (699, "1")] {
        clock.advance(Duration::from_millis(wait));
        let seen = Seen::of(responder.respond(&refused(&policy).await)).await;
        assert_eq!(seen.short(), (429, "rate_limit_exceeded", Some(told)), "{}", clock.now());
        assert_eq!(seen.should_retry(), None);
    }
    clock.advance(Duration::from_millis(1));
    spend(&policy).await;
}

#[tokio::test]
async fn who_waits_longer_than_a_client_does_is_told_not_to_retry_and_after_an_hour_not_to_wait() {
    let hours = |hours: u64| Duration::from_secs(3_600 * hours);
    for (window, short, should_retry) in [
        (Duration::from_secs(61), (429, "rate_limit_exceeded", Some("61")), Some("false")),
        (hours(1), (429, "rate_limit_exceeded", Some("3600")), Some("false")),
        (hours(2), (402, "insufficient_quota", None), None),
    ] {
        let policy = policy().rule(VelocityLimit::new(1, window)).build().unwrap();
        spend(&policy).await;
        let seen = seen(&refused(&policy).await).await;
        assert_eq!(seen.short(), short);
        assert_eq!(seen.should_retry(), should_retry);
    }
}

#[tokio::test]
async fn a_rule_of_ones_own_says_when_to_come_back() {
    let soon = noon().now().saturating_add(Duration::from_millis(2_500));
    let own = rule_fn("own", move |_: &Call| Deny::new("not yet").retry_at(soon));
    let policy = policy().rule(own).build().unwrap();
    let seen = seen(&refused(&policy).await).await;
    assert_eq!(seen.short(), (429, "rate_limit_exceeded", Some("3")));
}

#[tokio::test]
async fn what_cannot_be_read_is_400_and_names_the_key() {
    let policy = policy().build().unwrap();
    let twice = chat_with("gpt-4o", r#","model":"o1-pro""#);
    let error = send(&client(&policy, &StandIn::new()), twice).await.unwrap_err();
    let twice = seen(&error).await;
    assert_eq!(twice.short(), (400, "unreadable_request", None));
    assert_eq!(twice.body["error"]["type"], "invalid_request_error");
    assert_eq!(twice.body["error"]["param"], "model");
    assert_eq!(twice.message(), "The request body has `model` more than once.");

    let secret = LabelError::TooLong { key: "tenant".into(), bytes: 999 };
    let seen = seen(&Error::from(Unreadable::Labels(secret))).await;
    assert_eq!(seen.short(), (400, "unreadable_request", None));
    assert!(!seen.message().contains("tenant"), "labels are nobody's business");
}

#[tokio::test]
async fn what_could_not_be_checked_is_503() {
    let failing = rule_fn("failing", |_: &Call| -> driftlock::Verdict { panic!("oh") });
    let policy = policy().rule(failing).build().unwrap();
    for error in [Error::from(StoreError::new("db-7 is away")), refused(&policy).await] {
        let seen = seen(&error).await;
        assert_eq!(seen.short(), (503, "not_checked", None));
        assert_eq!(seen.message(), "The call could not be checked.");
    }
}

#[tokio::test]
async fn a_provider_that_fails_is_502_and_one_that_is_late_504() {
    let policy = policy().build().unwrap();
    let reset = || io::Error::from(io::ErrorKind::ConnectionReset);
    let failing = StandIn::with(Duration::ZERO, move |_| Err(reset().into()));
    let error = send(&client(&policy, &failing), chat(FLAT)).await.unwrap_err();
    let failed = seen(&error).await;
    assert_eq!(failed.short(), (502, "provider_failed", None));
    assert_eq!(failed.body["error"]["type"], "server_error");
    assert!(!failed.body.to_string().contains("reset"), "nothing of the inside is told");

    let never = service_fn(|_: http::Request<Full<Bytes>>| {
        std::future::pending::<Result<http::Response<Full<Bytes>>, Infallible>>()
    });
    let late = ServiceBuilder::new()
        .layer(driftlock::DriftlockLayer::new(policy))
        .timeout(Duration::from_millis(1))
        .service(never);
    let error = late.oneshot(chat(FLAT)).await.unwrap_err();
    assert_eq!(seen(&error).await.short(), (504, "provider_timed_out", None));
}

#[tokio::test]
async fn other_timeouts_can_be_told() {
    let error = Error::inner(io::Error::other(std::fmt::Error));
    let responder = Responder::new().timeout_when(|error| error.is::<std::fmt::Error>());
    assert_eq!(seen(&error).await.status, 502);
    assert_eq!(Seen::of(responder.respond(&error)).await.status, 504);
}

#[tokio::test]
async fn a_denial_is_found_behind_other_layers() {
    let policy = policy().rule(RestrictModel::new(["gpt-4o"])).build().unwrap();
    let buffered = ServiceBuilder::new()
        .buffer::<http::Request<Full<Bytes>>>(4)
        .timeout(MINUTE)
        .service(client(&policy, &StandIn::new()));
    let error = buffered.oneshot(chat("gpt-4o")).await.unwrap_err();
    assert_eq!(seen(&Error::inner(io::Error::other(error))).await.short().1, "restricted");

    let unreadable = io::Error::other(Error::from(Unreadable::NotAnObject));
    assert_eq!(seen(&Error::inner(unreadable)).await.status, 400);
    let store = io::Error::other(StoreError::new("away"));
    assert_eq!(seen(&Error::inner(store)).await.status, 503);
}

#[tokio::test]
async fn as_openai_does_a_spent_budget_is_429_that_is_not_to_be_retried() {
    let policy = policy().rule(MonthlyBudget::new(Usd::cents(10))).build().unwrap();
    spend(&policy).await;
    let responder = Responder::new().openai_compatible().clock(noon());
    let seen = Seen::of(responder.respond(&refused(&policy).await)).await;
    assert_eq!(seen.short(), (429, "insufficient_quota", None));
    assert_eq!(seen.should_retry(), Some("false"));
    // Everything else is as it was.
    let other = Seen::of(responder.respond(&Unreadable::NotAnObject.into())).await;
    assert_eq!((other.status, other.should_retry()), (400, None));
}

#[tokio::test]
async fn for_clients_of_anthropic_bodies_have_its_shape() {
    let responder = Responder::new().anthropic().clock(noon());
    let spent = policy().rule(MonthlyBudget::new(Usd::cents(10))).build().unwrap();
    spend(&spent).await;
    let often = policy().rule(VelocityLimit::new(1, MINUTE)).build().unwrap();
    spend(&often).await;
    let restricted = policy().rule(RestrictModel::new([FLAT])).build().unwrap();
    let late = Error::inner(io::Error::from(io::ErrorKind::TimedOut));
    for (error, status, kind) in [
        (refused(&spent).await, 402, "billing_error"),
        (refused(&often).await, 429, "rate_limit_error"),
        (refused(&restricted).await, 403, "permission_error"),
        (Unreadable::NotAnObject.into(), 400, "invalid_request_error"),
        (StoreError::new("away").into(), 503, "api_error"),
        (late, 504, "timeout_error"),
    ] {
        let seen = Seen::of(responder.respond(&error)).await;
        assert_eq!(seen.status, status);
        let message = seen.message();
        let body = json!({ "type": "error", "error": { "type": kind, "message": message } });
        assert_eq!(seen.body, body);
    }
}

#[tokio::test]
async fn amounts_are_told_only_if_asked_for() {
    let policy = policy().rule(MonthlyBudget::new(Usd::cents(10)).named("team_cap"));
    let policy = policy.build().unwrap();
    spend(&policy).await;
    let error = refused(&policy).await;
    let silent = seen(&error).await.body.to_string();
    for secret in ["0.065", "0.10", "team_cap", "denial"] {
        assert!(!silent.contains(secret), "{silent}");
    }
    let told = Seen::of(Responder::new().amounts().respond(&error)).await;
    let denial = error.denial().unwrap();
    assert_eq!(told.message(), denial.to_string());
    assert_eq!(told.body["error"]["denial"], serde_json::to_value(denial).unwrap());
    assert_eq!(told.body["error"]["denial"]["exceeded"]["limit"]["cost"], "0.10");
}

#[tokio::test]
async fn the_status_can_be_ones_own_and_the_rest_stays() {
    let policy = policy().rule(VelocityLimit::new(1, MINUTE)).build().unwrap();
    spend(&policy).await;
    let responder = Responder::new().clock(noon()).status_with(|error, status| {
        assert_eq!(status, 429);
        match error.denial() {
            Some(_) => StatusCode::IM_A_TEAPOT,
            None => status,
        }
    });
    let seen = Seen::of(responder.respond(&refused(&policy).await)).await;
    assert_eq!(seen.short(), (418, "rate_limit_exceeded", Some("60")));
}

#[tokio::test]
async fn errors_and_denials_are_responses_themselves() {
    let policy = policy().rule(RestrictModel::new([FLAT])).build().unwrap();
    let error = refused(&policy).await;
    let denial = error.denial().unwrap().clone();
    let (one, other) =
        (Seen::of(error.into_response()).await, Seen::of(denial.into_response()).await);
    assert_eq!((one.status, &one.body), (403, &other.body));
}

/// A service whose handler makes the call it is asked for, and says what it cost whom.
fn service(client: Client) -> Router {
    async fn handler(State(client): State<Client>) -> Result<Response, Error> {
        let answer = client.oneshot(chat(FLAT)).await?;
        Ok(answer.map(Body::new))
    }
    Router::new().route("/ask", post(handler)).with_state(client)
}

fn ask() -> http::request::Builder {
    Request::post("/ask")
}

async fn month_of(policy: &Policy, user: &str) -> Usd {
    policy.spend(&Scope::user(user), Window::month(Zone::UTC)).await.unwrap().settled
}

/// Asks, reads the answer, and gives its status.
async fn status(service: &Router, request: http::request::Builder) -> StatusCode {
    let request = request.body(Body::empty()).unwrap();
    let response = service.clone().oneshot(request).await.unwrap();
    let status = response.status();
    response.into_body().collect().await.unwrap();
    status
}

#[tokio::test]
async fn labels_from_headers_reach_the_client_in_a_handler() {
    let policy = policy().build().unwrap();
    let provider = StandIn::new();
    let service = service(client(&policy, &provider));
    let service = service.layer(LabelsLayer::from_headers([(USER, "user")]));
    assert_eq!(status(&service, ask().header(USER, "ann")).await, 200);
    assert_eq!(month_of(&policy, "ann").await, usd("0.065"));
    assert_eq!(month_of(&policy, "bob").await, Usd::ZERO);
    for request in [ask(), ask().header(USER, "")] {
        assert_eq!(status(&service, request).await, 200);
    }
    assert_eq!(month_of(&policy, Scope::NONE).await, usd("0.13"));
}

#[tokio::test]
async fn a_header_that_could_be_read_in_two_ways_is_refused() {
    let policy = policy().build().unwrap();
    let provider = StandIn::new();
    let service = service(client(&policy, &provider));
    let service = service.layer(LabelsLayer::from_headers([(USER, "user")]));
    let long = "x".repeat(Labels::MAX_VALUE + 1);
    for request in [
        ask().header(USER, "ann").header(USER, "bob"),
        ask().header(USER, "ann").header(USER, ""),
        ask().header(USER, b"\xfcnn".as_slice()),
        ask().header(USER, long),
    ] {
        let request = request.body(Body::empty()).unwrap();
        let seen = Seen::of(service.clone().oneshot(request).await.unwrap()).await;
        assert_eq!(seen.short(), (400, "unreadable_request", None));
    }
    assert_eq!(provider.calls(), 0);
}

#[tokio::test]
async fn a_closure_says_for_whom_or_sends_the_caller_away() {
    let policy = policy().build().unwrap();
    let provider = StandIn::new();
    let labels = |parts: &Parts| match parts.headers.get("authorization") {
        Some(key) if key == "Bearer k-1" => Ok(Labels::new().with("user", "ann")),
        _ => Err(StatusCode::UNAUTHORIZED),
    };
    let service = service(client(&policy, &provider)).layer(LabelsLayer::from_fn(labels));
    assert_eq!(status(&service, ask()).await, 401);
    assert_eq!(provider.calls(), 0);
    assert_eq!(status(&service, ask().header("authorization", "Bearer k-1")).await, 200);
    assert_eq!(month_of(&policy, "ann").await, usd("0.065"));
}

#[tokio::test]
async fn labels_that_no_call_may_have_are_refused_before_the_handler_and_the_caller_told_why() {
    let (long, wide) = ("x".repeat(Labels::MAX_VALUE + 1), "k".repeat(Labels::MAX_KEY + 1));
    let many: Labels = (0..33).map(|n| (format!("k{n}"), "v")).collect();
    for (labels, why) in [
        (
            Labels::new().with("user", long.as_str()),
            "Label `user` has a value of 257 bytes; keys may have 64 bytes and values 256.",
        ),
        (Labels::new().with(wide, "v"), "keys may have 64 bytes and values 256."),
        (many, "33 labels on one call; at most 32 are kept."),
    ] {
        let handler = service_fn(|_: Request| async { Ok::<_, Infallible>(StatusCode::OK) });
        let service = LabelsLayer::from_fn(move |_: &Parts| labels.clone()).layer(handler);
        let response = service.oneshot(ask().body(Body::empty()).unwrap()).await;
        let seen = Seen::of(response.unwrap()).await;
        assert_eq!(seen.short(), (400, "unreadable_request", None));
        assert!(seen.message().ends_with(why), "{}", seen.message());
        assert!(!seen.message().contains("xxx"), "the value is not told back");
    }
}

/// An extractor that waits, and needs a state.
struct Tenant(String);

impl FromRequestParts<&'static str> for Tenant {
    type Rejection = (StatusCode, &'static str);

    async fn from_request_parts(
        parts: &mut Parts,
        prefix: &&'static str,
    ) -> Result<Self, Self::Rejection> {
        tokio::task::yield_now().await;
        match parts.headers.get("x-tenant").and_then(|tenant| tenant.to_str().ok()) {
            Some(tenant) => Ok(Self(format!("{prefix}{tenant}"))),
            None => Err((StatusCode::IM_A_TEAPOT, "no tenant")),
        }
    }
}

#[tokio::test]
async fn an_extractor_says_for_whom_and_its_rejection_is_sent() {
    let policy = policy().build().unwrap();
    let layer = LabelsLayer::from_extractor("t-", |Tenant(name)| Labels::new().with("user", name));
    let service = service(client(&policy, &StandIn::new())).layer(layer);
    assert_eq!(status(&service, ask()).await, 418);
    assert_eq!(status(&service, ask().header("x-tenant", "7")).await, 200);
    assert_eq!(month_of(&policy, "t-7").await, usd("0.065"));
}

#[tokio::test]
async fn concurrent_requests_keep_their_labels_apart() {
    let policy = policy().build().unwrap();
    let service = service(client(&policy, &StandIn::new()));
    let service = service.layer(LabelsLayer::from_headers([(USER, "user")]));
    let asking = (0..40).map(|number| {
        let service = service.clone();
        async move { status(&service, ask().header(USER, format!("u-{}", number % 4))).await }
    });
    for asked in asking.map(tokio::spawn).collect::<Vec<_>>() {
        assert_eq!(asked.await.unwrap(), 200);
    }
    for number in 0..4 {
        assert_eq!(month_of(&policy, &format!("u-{number}")).await, usd("0.65"));
    }
}

const LEFT: HeaderName = HeaderName::from_static("x-left");
const LEFT_USER: HeaderName = HeaderName::from_static("x-left-user");

async fn left(service: &Router, user: &str) -> [Option<String>; 2] {
    let request = ask().header(USER, user).body(Body::empty()).unwrap();
    let response = service.clone().oneshot(request).await.unwrap();
    let headers = response.headers().clone();
    response.into_body().collect().await.unwrap();
    [LEFT, LEFT_USER].map(|name| Some(headers.get(name)?.to_str().unwrap().to_owned()))
}

#[tokio::test]
async fn what_is_left_is_told_in_dollars_with_the_answered_call_reserved() {
    let policy = policy().build().unwrap();
    let month = Window::month(Zone::UTC);
    let own = |labels: &Labels| (labels.user() != Some("bob")).then_some(Usd::cents(10));
    let layer = RemainingLayer::new(policy.clone())
        .header(LEFT, Remaining::of(Usd::dollars(1), month))
        .header(LEFT_USER, Remaining::of(Usd::ZERO, month).per_user().limit_from(own));
    let service = service(client(&policy, &StandIn::new()));
    let service = service.layer(layer).layer(LabelsLayer::from_headers([(USER, "user")]));
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(left(&service, "ann").await, [some("0.935"), some("0.035")]);
    assert_eq!(left(&service, "ann").await, [some("0.87"), some("0.00")], "never less than none");
    assert_eq!(left(&service, "bob").await, [some("0.805"), None], "he has no limit");
}

#[tokio::test]
async fn what_nobody_counts_has_no_header() {
    let policy = policy().build().unwrap();
    let day = Remaining::of(Usd::dollars(1), Window::day(Zone::UTC));
    let layer = RemainingLayer::new(policy.clone()).header(LEFT, day);
    let service = service(client(&policy, &StandIn::new())).layer(layer);
    assert_eq!(left(&service, "ann").await, [None, None]);
}
