//! Requests, answers and settings as they should not be.
#![allow(clippy::unwrap_used, clippy::expect_used)] // in helpers too

mod stand_in;

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use driftlock::{
    BoxError, Budget, CostVelocity, DenialKind, DriftlockLayer, Error, ForecastBudget, Format,
    Labels, MaxCostPerRequest, MonthlyBudget, OnUnreadable, PerUserBudget, Policy, Price, Provider,
    Retry, Routes, Scope, UnknownPrice, Unreadable, Usd, VelocityLimit, Window, Zone,
    labels::LabelError,
};
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full};
use stand_in::*;
use tower::{Layer, Service, ServiceExt, service_fn};

const MINUTE: Duration = Duration::from_secs(60);

// ── requests that cannot be read ──

/// A policy under which a single call that counted would show.
fn tight() -> driftlock::PolicyBuilder {
    policy().rule(MonthlyBudget::new(Usd::cents(7))).rule(VelocityLimit::new(1, MINUTE))
}

/// Makes a call that is refused: nothing is sent, nothing charged, no slot used.
async fn refused(call: Request<Body>) -> Unreadable {
    let policy = tight().body_cap(1 << 20).build().unwrap();
    let provider = StandIn::new();
    let client = client(&policy, &provider);
    let error = send(&client, call).await.expect_err("the call was sent");
    assert_eq!((provider.calls(), spent(&policy).await), (0, Usd::ZERO));
    assert_eq!(policy.stats().denied, 1);
    send(&client, chat(FLAT)).await.unwrap();
    assert!(error.to_string().starts_with("not sent: "), "{error}");
    match error {
        Error::Unreadable(unreadable) => unreadable,
        other => panic!("{other}"),
    }
}

/// A chat body with these members.
fn with(members: &str) -> Request<Body> {
    chat_with(FLAT, &format!(",{members}"))
}

macro_rules! refuses {
    ($call:expr, $variant:pat, $says:expr) => {
        let unreadable = refused($call).await;
        assert!(matches!(unreadable, $variant), "{unreadable:?}");
        assert!(unreadable.to_string().contains($says), "{unreadable}");
    };
}

#[tokio::test]
async fn what_is_not_a_json_object_is_refused_and_the_place_named() {
    refuses!(post("hello"), Unreadable::NotJson { at: 0, .. }, "not JSON");
    refuses!(post(""), Unreadable::NotJson { .. }, "not JSON");
    refuses!(post(r#"{"model":"flat","messages":[]"#), Unreadable::NotJson { .. }, "at byte 29");
    refuses!(post(r#"{"model":"flat","messages":[]} {}"#), Unreadable::NotJson { .. }, "not JSON");
    refuses!(post(r#"{"model":"flat",,"messages":[]}"#), Unreadable::NotJson { .. }, "byte 16");
    refuses!(post(r#"[{"model":"flat"}]"#), Unreadable::NotAnObject, "not a JSON object");
    refuses!(post("null"), Unreadable::NotAnObject, "not a JSON object");
    let cut = b"{\"model\":\"flat\",\"messages\":[\"\xff\"]}".as_slice();
    refuses!(post(cut), Unreadable::NotJson { at: 29, .. }, "not UTF-8 at byte 29");
    let lone = r#"{"model":"fl\ud800at","messages":[]}"#;
    refuses!(post(lone), Unreadable::NotJson { .. }, "not JSON");
}

#[tokio::test]
async fn a_body_that_two_readers_read_differently_is_refused() {
    refuses!(post(r#"{"messages":[]}"#), Unreadable::Missing { key: "model" }, "no `model`");
    refuses!(post(r#"{"model":"flat"}"#), Unreadable::Missing { key: "messages" }, "`messages`");
    let twice = "`model` more than once";
    refuses!(with(r#""model":"gpt-4o""#), Unreadable::Twice { key: "model" }, twice);
    refuses!(with(r#""mod\u0065l":"gpt-4o""#), Unreadable::Twice { key: "model" }, twice);
    refuses!(with(r#""n":1,"n":100"#), Unreadable::Twice { key: "n" }, "`n` more than once");
    let case = "differs from `model` only in case";
    refuses!(with(r#""Model":"gpt-4o""#), Unreadable::Miscased { key: "model" }, case);
    let key = "\"max_to\u{212A}ens\":9";
    refuses!(with(key), Unreadable::Miscased { key: "max_tokens" }, "`max_tokens` only in case");
}

#[tokio::test]
async fn numbers_out_of_range_are_refused() {
    for key in ["max_tokens", "max_completion_tokens"] {
        for value in
            ["-1", "0", "1.5", "1e9", "4294967296", "9".repeat(300).as_str(), "\"9\"", "{}"]
        {
            let call = with(&format!(r#""{key}":{value}"#));
            refuses!(call, Unreadable::Invalid { .. }, &format!("`{key}`"));
        }
    }
    let beyond = with(&format!(r#""max_tokens":{}"#, "9".repeat(400)));
    refuses!(beyond, Unreadable::NotJson { .. }, "a number beyond 1e308");
    for value in ["0", "-1", "129", "1000000000000", "1.0", "true"] {
        let call = with(&format!(r#""n":{value}"#));
        refuses!(call, Unreadable::Invalid { key: "n", .. }, "from 1 to 128");
    }
    refuses!(with(r#""stream":"yes""#), Unreadable::Invalid { key: "stream", .. }, "true or false");
    refuses!(with(r#""models":"gpt-4o""#), Unreadable::Invalid { key: "models", .. }, "an array");
    refuses!(with(r#""models":["a",7]"#), Unreadable::Invalid { key: "models", .. }, "strings");
    let long = post(format!(r#"{{"model":"{}","messages":[]}}"#, "m".repeat(257)));
    refuses!(long, Unreadable::Invalid { key: "model", .. }, "1 to 256 bytes");
}

#[tokio::test]
async fn null_is_as_good_as_absent() {
    let policy = policy().build().unwrap();
    let provider = StandIn::new();
    let client = client(&policy, &provider);
    for members in [
        r#""max_tokens":null,"max_completion_tokens":null,"n":null"#,
        r#""stream_options":null"#,
        r#""models":null,"tools":null,"service_tier":null"#,
    ] {
        send(&client, with(members)).await.unwrap();
        assert!(provider.body().contains(members));
    }
}

#[tokio::test]
async fn a_nesting_bomb_is_refused() {
    for nest in ["[", "{\"a\":", "[{\"a\":"] {
        let bomb = nest.repeat(100_000);
        let deep = Unreadable::TooDeep { most: 127 };
        assert_eq!(refused(with(&format!(r#""metadata":{bomb}"#))).await, deep);
        assert_eq!(refused(chat_with(FLAT, &format!(r#","tools":[{bomb}"#))).await, deep);
        let messages = post(format!(r#"{{"model":"flat","messages":[{bomb}"#));
        assert_eq!(refused(messages).await, deep);
        assert!(deep.to_string().contains("deeper than 127"));
    }
}

#[tokio::test]
async fn a_compressed_body_is_refused_and_one_that_says_it_is_not_is_read() {
    let encoded = |encoding: &str| {
        let mut call = chat(FLAT);
        call.headers_mut().insert("content-encoding", encoding.parse().unwrap());
        call
    };
    refuses!(encoded("gzip"), Unreadable::Encoded { .. }, "content-encoding `gzip`");
    refuses!(encoded("identity, br"), Unreadable::Encoded { .. }, "`identity, br`");
    let client = client(&policy().build().unwrap(), &StandIn::new());
    send(&client, encoded("Identity")).await.unwrap();
}

// ── bodies that come in pieces ──

/// A body in frames, which counts what was taken of it.
struct Pieces {
    frames: VecDeque<Result<Frame<Bytes>, BoxError>>,
    /// Given without end once the frames are.
    endless: Option<Bytes>,
    taken: Arc<AtomicU64>,
    length: u64,
}

impl Pieces {
    fn of(frames: impl IntoIterator<Item = Result<Frame<Bytes>, BoxError>>) -> Self {
        let frames = frames.into_iter().collect();
        Self { frames, endless: None, taken: Arc::default(), length: 0 }
    }

    fn endless(piece: usize) -> Self {
        Self { endless: Some(vec![b' '; piece].into()), ..Self::of([]) }
    }

    fn data(text: &str) -> Result<Frame<Bytes>, BoxError> {
        Ok(Frame::data(Bytes::copy_from_slice(text.as_bytes())))
    }
}

impl From<Bytes> for Pieces {
    fn from(bytes: Bytes) -> Self {
        Self::of([Ok(Frame::data(bytes))])
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let more = self.endless.clone().map(|piece| Ok(Frame::data(piece)));
        let frame = self.frames.pop_front().or(more);
        let length = match &frame {
            Some(Ok(frame)) => frame.data_ref().map_or(1, |data| data.len() as u64),
            Some(Err(_)) | None => 1,
        };
        self.taken.fetch_add(length, Ordering::SeqCst);
        Poll::Ready(frame)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        let mut hint = http_body::SizeHint::new();
        hint.set_lower(self.length);
        hint
    }
}

fn in_pieces(body: Pieces) -> (Request<Pieces>, Arc<AtomicU64>) {
    let taken = Arc::clone(&body.taken);
    (Request::post(OPENAI).body(body).unwrap(), taken)
}

/// Makes a call with such a body; how many calls reached the provider, and as what.
async fn send_pieces(policy: &Policy, call: Request<Pieces>) -> (Result<(), Error>, StandIn) {
    let provider = StandIn::new();
    let reached = provider.clone();
    let collect = service_fn(move |call: Request<Pieces>| {
        let mut provider = provider.clone();
        async move {
            let (head, body) = call.into_parts();
            let body = body.collect().await?.to_bytes();
            provider.call(Request::from_parts(head, Full::from(body))).await
        }
    });
    let client = DriftlockLayer::new(policy.clone()).layer(collect);
    let result = client.oneshot(call).await.map(drop);
    (result, reached)
}

#[tokio::test]
async fn an_endless_body_is_read_up_to_the_cap() {
    let policy = tight().build().unwrap();
    let (call, taken) = in_pieces(Pieces::endless(1 << 20));
    let (result, reached) = send_pieces(&policy, call).await;
    let error = result.unwrap_err();
    assert!(matches!(error, Error::Unreadable(Unreadable::TooLarge { cap: 33_554_432 })));
    assert!(error.to_string().contains("larger than 33554432 bytes"), "{error}");
    assert_eq!(taken.load(Ordering::SeqCst), 33 << 20);
    assert_eq!((reached.calls(), spent(&policy).await), (0, Usd::ZERO));
}

#[tokio::test]
async fn a_body_known_to_be_too_large_is_not_read_at_all() {
    let policy = tight().build().unwrap();
    let (call, taken) = in_pieces(Pieces { length: (32 << 20) + 1, ..Pieces::endless(1) });
    let (result, reached) = send_pieces(&policy, call).await;
    assert!(matches!(result, Err(Error::Unreadable(Unreadable::TooLarge { .. }))));
    assert_eq!((taken.load(Ordering::SeqCst), reached.calls()), (0, 0));
}

#[tokio::test]
async fn a_body_of_exactly_the_cap_is_sent() {
    let body = format!("{:100}", r#"{"model":"flat","messages":[]}"#);
    for (cap, passes) in [(100, true), (99, false)] {
        let policy = policy().body_cap(cap).build().unwrap();
        let (head, tail) = body.split_at(9);
        let (call, _) = in_pieces(Pieces::of(["", head, "", tail, ""].map(Pieces::data)));
        let (result, reached) = send_pieces(&policy, call).await;
        assert_eq!(result.is_ok(), passes, "{cap}");
        if passes {
            assert_eq!(reached.body(), body);
        }
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_or_has_trailers_is_not_sent() {
    let text = r#"{"model":"flat","messages":[]}"#;
    let mut trailers = HeaderMap::new();
    trailers.insert("x-signature", "abc".parse().unwrap());
    for (frames, says) in [
        (vec![Pieces::data(&text[..9]), Err("the disk is gone".into())], "the disk is gone"),
        (vec![Err("never began".into())], "never began"),
        (vec![Pieces::data(text), Ok(Frame::trailers(trailers))], "trailers"),
    ] {
        let policy = tight().build().unwrap();
        let (result, reached) = send_pieces(&policy, in_pieces(Pieces::of(frames)).0).await;
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Unreadable(Unreadable::Body(_) | Unreadable::Trailers)));
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!((reached.calls(), spent(&policy).await), (0, Usd::ZERO));
        assert_eq!(policy.stats().denied, 1);
    }
    // Trailers that say nothing are none.
    let frames = [Pieces::data(text), Ok(Frame::trailers(HeaderMap::new()))];
    let (result, reached) =
        send_pieces(&policy().build().unwrap(), in_pieces(Pieces::of(frames)).0).await;
    result.unwrap();
    assert_eq!(reached.body(), text);
}

// ── calls that are none, and calls that cannot be metered ──

/// Sends a request with an endless body to a provider that does not read it; how much
/// of the body was taken.
async fn send_unread(policy: &Policy, method: &str, uri: &str) -> Result<u64, Error> {
    let body = Pieces::endless(1);
    let taken = Arc::clone(&body.taken);
    let provider = service_fn(|_: Request<Pieces>| async {
        Ok::<_, BoxError>(Response::new(Full::<Bytes>::default()))
    });
    let client = DriftlockLayer::new(policy.clone()).layer(provider);
    let call = Request::builder().method(method).uri(uri).body(body).unwrap();
    client.oneshot(call).await.map(|_| taken.load(Ordering::SeqCst))
}

#[tokio::test]
async fn what_costs_nothing_passes_unread_and_uncounted() {
    let policy = tight().build().unwrap();
    for (method, uri) in [
        ("GET", "https://api.openai.com/v1/models"),
        ("GET", OPENAI),
        ("DELETE", "https://api.openai.com/v1/files/f-1"),
        ("POST", "https://api.openai.com/v1/moderations"),
        ("POST", "https://api.openai.com/v1/files"),
        ("POST", "https://api.anthropic.com/v1/messages/count_tokens"),
    ] {
        assert_eq!(send_unread(&policy, method, uri).await.unwrap(), 0, "{method} {uri}");
    }
    assert_eq!(spent(&policy).await, Usd::ZERO);
    send(&client(&policy, &StandIn::new()), chat(FLAT)).await.unwrap();
}

#[tokio::test]
async fn a_websocket_is_denied_among_however_many_headers() {
    let provider = StandIn::new();
    let client = client(&tight().build().unwrap(), &provider);
    for others in [0, 30] {
        let mut call = Request::get("https://api.openai.com/v1/realtime");
        for other in 0..others {
            call = call.header(format!("x-{other}"), "x");
        }
        let call = call.header("upgrade", "websocket").body(Body::default()).unwrap();
        assert_eq!(denial(&client, call).await.kind(), DenialKind::Unmeterable);
    }
    assert_eq!(provider.calls(), 0);
}

#[tokio::test]
async fn what_cannot_be_metered_is_denied_unread_and_allowed_path_by_path() {
    let uris = ["https://api.openai.com/v1/batches", "https://api.openai.com/v1/new/thing"];
    let policy = tight().build().unwrap();
    for uri in uris {
        let error = send_unread(&policy, "POST", uri).await.unwrap_err();
        let denial = error.denial().unwrap();
        assert_eq!((denial.kind(), denial.retry()), (DenialKind::Unmeterable, Retry::Never));
    }
    assert_eq!(policy.stats().denied, 2);
    let error = send_unread(&policy, "POST", "https://api.openai.com/v1/new/thing?key=sk-1").await;
    let message = error.unwrap_err().to_string();
    assert!(message.contains("POST api.openai.com/v1/new/thing cannot"), "{message}");
    assert!(message.contains("`Routes`") && !message.contains("sk-1"), "{message}");

    let routes = Routes::new()
        .free_at("api.openai.com/v1/batches")
        .metered_at("/v1/new/thing", Format::OpenAiChat, Provider::OPENAI)
        .deny_at("/v1/models");
    let policy = tight().routes(routes).build().unwrap();
    assert_eq!(send_unread(&policy, "POST", uris[0]).await.unwrap(), 0);
    let other_host = "https://llm.example.com/v1/batches";
    send_unread(&policy, "POST", other_host).await.unwrap_err();
    send_unread(&policy, "POST", "https://api.openai.com/v1/models").await.unwrap_err();
    let client = client(&policy, &StandIn::new());
    send(&client, post_to(uris[1], r#"{"model":"flat","messages":[]}"#)).await.unwrap();
    assert_eq!(spent(&policy).await, usd("0.065"));
}

#[tokio::test]
async fn a_policy_may_let_pass_what_it_cannot_read() {
    let rules = || tight().on_unreadable(OnUnreadable::Pass);
    let policy = rules().build().unwrap();
    let provider = StandIn::new();
    let client = client(&policy, &provider);
    let mut packed = post(b"\x1f\x8b".as_slice());
    packed.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    for call in [
        post("not JSON"),
        post(r#"{"model":"flat","model":"gpt-4o","messages":[]}"#),
        post_to("https://api.openai.com/v1/batches", "{ }"),
        packed,
    ] {
        let body = call.body().clone().collect().await.unwrap().to_bytes();
        send(&client, call).await.unwrap();
        let (head, sent) = provider.received().remove(0);
        assert_eq!(sent, body);
        assert_eq!(head.headers["content-length"], body.len().to_string());
    }
    assert_eq!(spent(&policy).await, Usd::ZERO);
    // What can be read is counted all the same.
    send(&client, chat(FLAT)).await.unwrap();
    denial(&client, chat(FLAT)).await;

    // Too large is passed if that shows before it is read; after that it is too late.
    let policy = rules().body_cap(10).build().unwrap();
    send(&stand_in::client(&policy, &provider), chat(FLAT)).await.unwrap();
    let (result, reached) = send_pieces(&policy, in_pieces(Pieces::endless(4)).0).await;
    assert!(matches!(result, Err(Error::Unreadable(Unreadable::TooLarge { cap: 10 }))));
    assert_eq!((reached.calls(), spent(&policy).await), (0, Usd::ZERO));
}

// ── answers ──

/// What a call with such an answer costs, and what had been reserved for it.
async fn cost(answer: &str) -> (Usd, Usd) {
    let policy = policy().receipts(true).build().unwrap();
    let provider = StandIn::saying(answer.to_owned());
    let call = chat_with("gpt-4o", r#","max_tokens":100"#);
    let response = client(&policy, &provider).oneshot(call).await.unwrap();
    let receipt = response.extensions().get::<driftlock::Receipt>().unwrap().clone();
    response.into_body().collect().await.unwrap();
    let settled = receipt.settled().await;
    assert_eq!(spent(&policy).await, settled.cost);
    (settled.cost, receipt.reserved())
}

#[tokio::test]
async fn a_usage_that_cannot_be_true_settles_at_the_estimate() {
    for usage in [
        r#"{"prompt_tokens":99999999999,"completion_tokens":3}"#,
        r#"{"prompt_tokens":9,"completion_tokens":1300000}"#,
        r#"{"prompt_tokens":18446744073709551615,"completion_tokens":18446744073709551615}"#,
        r#"{"prompt_tokens":18446744073709551616,"completion_tokens":3}"#,
        r#"{"prompt_tokens":-9,"completion_tokens":3}"#,
        r#"{"prompt_tokens":9.5,"completion_tokens":3}"#,
        r#"{"prompt_tokens":"9","completion_tokens":3}"#,
        r#"{"prompt_tokens":9}"#,
        r#"{"prompt_tokens":9,"completion_tokens":3,"total_tokens":4}"#,
        r#"{"prompt_tokens":9,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":10}}"#,
        r#"{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#,
        r#"{"prompt_tokens":9,"prompt_tokens":1,"completion_tokens":3}"#,
        "[9,3]",
        "null",
        "{}",
    ] {
        let (cost, reserved) = cost(&format!(r#"{{"choices":[],"usage":{usage}}}"#)).await;
        assert_eq!(cost, reserved, "{usage}");
    }
    let twice = r#"{"usage":{"prompt_tokens":9,"completion_tokens":3},"usage":{"prompt_tokens":1,"completion_tokens":1}}"#;
    let (cost, reserved) = cost(twice).await;
    assert_eq!(cost, reserved);
}

#[tokio::test]
async fn a_usage_hidden_in_the_answer_is_not_the_usage() {
    let cheap = r#""usage":{"prompt_tokens":1,"completion_tokens":0}"#;
    let quoted = cheap.replace('"', r#"\""#);
    let hidden = format!(
        r#""choices":[{{"message":{{"content":"}},{quoted}}}","refusal":{{{cheap}}}}},{cheap}}}],"x":{{{cheap}}}"#
    );
    serde_json::from_str::<serde_json::Value>(&format!("{{{hidden}}}")).unwrap();
    let (estimated, reserved) = cost(&format!("{{{hidden}}}")).await;
    assert_eq!(estimated, reserved);
    let told = r#""usage":{"prompt_tokens":9,"completion_tokens":3}"#;
    for answer in [format!("{{{hidden},{told}}}"), format!("{{{told},{hidden}}}")] {
        let (actual, _) = cost(&answer).await;
        assert_eq!(actual, usd("0.0000525"));
    }
}

// ── labels ──

#[tokio::test]
async fn labels_beyond_bounds_are_refused_without_repeating_them() {
    let labelled = |labels: Labels| {
        let mut call = chat(FLAT);
        call.extensions_mut().insert(labels);
        call
    };
    let megabyte = "u".repeat(1_000_000);
    let value = labelled(Labels::new().with("user", megabyte.as_str()));
    let long = LabelError::TooLong { key: "user".into(), bytes: 1_000_000 };
    let unreadable = refused(value).await;
    assert_eq!(unreadable, Unreadable::Labels(long));
    let message = unreadable.to_string();
    assert!(message.contains("`user` has a value of 1000000 bytes"), "{message}");
    assert!(message.len() < 200);

    let key = labelled(Labels::new().with(megabyte.as_str(), "v"));
    let unreadable = refused(key).await;
    assert!(matches!(unreadable, Unreadable::Labels(LabelError::TooLong { .. })));
    assert!(unreadable.to_string().len() < 200);
    let many = labelled((0..33).map(|n| (format!("k{n}"), "v")).collect());
    assert_eq!(refused(many).await, Unreadable::Labels(LabelError::TooMany(33)));

    let most = (0..32).map(|n| (format!("k{n:063}"), "v".repeat(256))).collect();
    let client = client(&tight().build().unwrap(), &StandIn::new());
    send(&client, labelled(most)).await.unwrap();
}

// ── limits and prices at their ends ──

#[tokio::test]
async fn a_limit_of_zero_denies_what_costs_and_passes_what_is_free() {
    let hour = Duration::from_secs(3_600);
    for (name, rules) in [
        ("monthly_budget", policy().rule(MonthlyBudget::new(Usd::ZERO))),
        ("lifetime_budget", policy().rule(Budget::lifetime(Usd::ZERO))),
        ("cost_velocity", policy().rule(CostVelocity::new(Usd::ZERO, hour))),
        ("forecast_budget", policy().rule(ForecastBudget::new(Usd::ZERO))),
        ("max_cost_per_request", policy().rule(MaxCostPerRequest::new(Usd::ZERO))),
        ("per_user_budget", policy().rule(PerUserBudget::new().default_limit(Usd::ZERO))),
    ] {
        let free = prices().overlay().model("free", Price::free()).build().unwrap();
        let policy = rules.prices(free).build().unwrap();
        let provider = StandIn::new();
        let client = client(&policy, &provider);
        let denied = denial(&client, chat(FLAT)).await;
        assert_eq!((denied.rule(), denied.retry()), (name, Retry::Never));
        assert_eq!(provider.calls(), 0);
        send(&client, chat("free")).await.unwrap();
    }
    let policy = policy().rule(VelocityLimit::new(0, MINUTE)).build().unwrap();
    let denied = denial(&client(&policy, &StandIn::new()), chat(FLAT)).await;
    assert_eq!((denied.rule(), denied.retry()), ("velocity_limit", Retry::Never));
    assert!(denied.to_string().contains("it can never fit"), "{denied}");
}

#[test]
fn a_window_of_no_length_and_a_downgrade_to_nothing_are_no_policy() {
    let zero = || policy().rule(VelocityLimit::new(1, Duration::ZERO).named("burst")).build();
    assert!(zero().unwrap_err().to_string().contains("`burst` has a window of zero length"));
    assert!(policy().rule(CostVelocity::new(Usd::MAX, Duration::ZERO)).build().is_err());
    assert!(policy().rule(ForecastBudget::new(Usd::MAX).lookback_days(0)).build().is_err());
    let nowhere = driftlock::TagBasedModelDowngrade::new(driftlock::rule::model("*"), "");
    assert!(policy().rule(nowhere).build().unwrap_err().to_string().contains("no model"));
}

/// $18,446 a token, the dearest there can be.
fn dearest() -> driftlock::PolicyBuilder {
    let price = Price::per_mtok(Usd::MAX, Usd::MAX);
    policy().unknown_price(UnknownPrice::Assume(Box::new(price)))
}

#[tokio::test]
async fn an_amount_beyond_counting_passes_no_limit_not_even_the_largest() {
    for rules in [
        dearest().rule(MonthlyBudget::new(Usd::MAX)),
        dearest().rule(Budget::lifetime(Usd::MAX)),
        dearest().rule(CostVelocity::new(Usd::MAX, MINUTE)),
        dearest().rule(ForecastBudget::new(Usd::MAX).lookback_days(u32::MAX)),
        dearest().rule(MaxCostPerRequest::new(Usd::MAX)),
    ] {
        let policy = rules.build().unwrap();
        let provider = StandIn::new();
        let client = client(&policy, &provider);
        let endless = chat_with("any", r#","max_tokens":4294967295,"n":128"#);
        let denied = denial(&client, endless).await;
        assert_eq!((denied.kind(), denied.retry()), (DenialKind::TooExpensive, Retry::Never));
        assert!(denied.to_string().contains("more than can be counted"), "{denied}");
        assert_eq!((provider.calls(), spent(&policy).await), (0, Usd::ZERO));
        // The counter is as good as new.
        send(&client, chat("any")).await.unwrap();
        assert_eq!(spent(&policy).await, usd("221360.928884515"));
    }
}

#[tokio::test]
async fn sums_near_the_top_do_not_wrap() {
    let policy = dearest().rule(MonthlyBudget::new(Usd::MAX)).build().unwrap();
    let client = client(&policy, &StandIn::new());
    // $7.4 billion each, of 18.4.
    let call = || chat_with("any", r#","max_tokens":400000"#);
    let first = client.clone().oneshot(call()).await.unwrap();
    let second = client.clone().oneshot(call()).await.unwrap();
    let denied = denial(&client, call()).await;
    assert!(denied.to_string().contains("of $18446744073.709551615 spent"), "{denied}");
    assert_eq!(denied.retry(), Retry::WhenInFlightSettles);
    drop((first, second));
    denial(&client, call()).await;
    let month = policy.spend(&Scope::Workspace, Window::month(Zone::UTC)).await.unwrap();
    assert!(month.settled > Usd::dollars(14_000_000_000) && month.settled < Usd::MAX);
}
