//! Every format through the whole layer: what is sent, what is seen, what it costs.
#![allow(clippy::unwrap_used, clippy::expect_used)] // in helpers too

mod stand_in;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use driftlock::{
    DenialKind, DriftlockLayer, Error, OnUnreadable, OutputBound, Policy, PolicyBuilder,
    RestrictModel, Retry, Routes, Settled, SettledHow, TagBasedModelDowngrade, Usage, Usd,
};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use stand_in::*;
use tower::{Layer, ServiceExt, service_fn};

const RESPONSES: &str = "https://api.openai.com/v1/responses";
const COMPACT: &str = "https://api.openai.com/v1/responses/compact";
const EMBEDDINGS: &str = "https://api.openai.com/v1/embeddings";
const COMPLETIONS: &str = "https://api.openai.com/v1/completions";
const TRANSCRIPTIONS: &str = "https://api.openai.com/v1/audio/transcriptions";

/// A provider that answers with a stream of these events.
fn streaming(events: impl Into<Bytes>) -> StandIn {
    let events = events.into();
    StandIn::with(std::time::Duration::ZERO, move |_| {
        let mut response = Response::new(Full::from(events.clone()));
        response.headers_mut().insert("content-type", "text/event-stream".parse().unwrap());
        Ok(response)
    })
}

/// A policy, and what its last call settled at.
fn told(rules: PolicyBuilder) -> (Policy, impl Fn() -> Settled) {
    let last = Arc::new(std::sync::Mutex::new(None));
    let writes = Arc::clone(&last);
    let policy = rules.on_settled(move |settled, _| *writes.lock().unwrap() = Some(*settled));
    (policy.build().unwrap(), move || last.lock().unwrap().take().expect("a call settled"))
}

#[tokio::test]
async fn a_response_costs_what_its_usage_says() {
    let (policy, settled) = told(policy());
    let answer = r#"{"object":"response","model":"gpt-4o-2024-08-06","output":[],"usage":
        {"input_tokens":1000,"input_tokens_details":{"cached_tokens":400},"output_tokens":100,
        "total_tokens":1100}}"#;
    let client = client(&policy, &StandIn::saying(answer));
    send(&client, post_to(RESPONSES, r#"{"model":"gpt-4o","input":"Hi"}"#)).await.unwrap();
    let settled = settled();
    assert_eq!(settled.usage, Some(Usage { cached_input_tokens: 400, ..Usage::tokens(1000, 100) }));
    // 600 at $2.50, 400 at $1.25 and 100 at $10 a million
    assert_eq!((settled.how, settled.cost), (SettledHow::Actual, usd("0.003")));
    assert_eq!(spent(&policy).await, settled.cost);
}

#[tokio::test]
async fn a_stream_of_a_response_passes_as_it_is_and_settles_at_its_last_event() {
    let events = "event: response.created\n\
        data: {\"type\":\"response.created\",\"response\":{\"model\":\"gpt-4o\",\"usage\":null}}\n\n\
        event: response.completed\n\
        data: {\"type\":\"response.completed\",\"response\":{\"model\":\"gpt-4o\",\"usage\":\
        {\"input_tokens\":1000,\"output_tokens\":100,\"total_tokens\":1100}}}\n\n";
    let (policy, settled) = told(policy());
    let provider = streaming(events);
    let client = client(&policy, &provider);
    let body = r#"{"model":"gpt-4o","input":"Hi","stream":true}"#;
    let mut response = client.oneshot(post_to(RESPONSES, body)).await.unwrap().into_body();
    let seen = response.frame().await.unwrap().unwrap().into_data().unwrap();
    // No more is read than the last event: many a client stops there.
    let settled = settled();
    drop(response);
    assert_eq!((settled.how, settled.cost), (SettledHow::Actual, usd("0.0035")));
    assert_eq!(seen, events);
    assert_eq!(provider.body(), body, "usage comes unasked");
    assert_eq!(policy.stats().abandoned, 0);
}

#[tokio::test]
async fn searches_cost_what_was_searched_and_one_where_that_is_not_told() {
    let answer = |told: &str| {
        format!(
            r#"{{"model":"gpt-4o","usage":{{"input_tokens":1000,"output_tokens":0}},
            "tool_usage":{told}}}"#
        )
    };
    let search = r#","tools":[{"type":"web_search"}]"#;
    let stored = r#","previous_response_id":"resp_1""#;
    // 1,000 tokens at $2.50 a million, and a cent for each search
    for (members, told, cost) in [
        (search, r#"{"web_search":{"num_requests":0}}"#, "0.0025"),
        (search, r#"{"web_search":{"num_requests":3}}"#, "0.0325"),
        (search, "null", "0.0125"),
        (stored, "null", "0.0025"),
    ] {
        let policy = policy().build().unwrap();
        let client = client(&policy, &StandIn::saying(answer(told)));
        let body = format!(r#"{{"model":"gpt-4o","input":"Hi"{members}}}"#);
        send(&client, post_to(RESPONSES, body)).await.unwrap();
        assert_eq!(spent(&policy).await, usd(cost), "{members} {told}");
    }
}

#[tokio::test]
async fn a_response_that_fails_costs_what_it_used() {
    let events = "data: {\"type\":\"response.failed\",\"response\":{\"model\":\"gpt-4o\",\
        \"error\":{\"code\":\"server_error\"},\"usage\":{\"input_tokens\":1000,\"output_tokens\":0}}}\n\n";
    let (policy, settled) = told(policy());
    let client = client(&policy, &streaming(events));
    let body = r#"{"model":"gpt-4o","input":"Hi","stream":true}"#;
    send(&client, post_to(RESPONSES, body)).await.unwrap();
    assert_eq!((settled().cost, policy.stats().denied), (usd("0.0025"), 0));
}

#[tokio::test]
async fn a_response_in_the_background_is_denied_and_may_be_let_pass() {
    let body = r#"{"model":"gpt-4o","input":"Hi","background":true}"#;
    let (rules, provider) = (policy().build().unwrap(), StandIn::new());
    let denial = denial(&client(&rules, &provider), post_to(RESPONSES, body)).await;
    assert_eq!((denial.kind(), denial.retry()), (DenialKind::Unmeterable, Retry::Never));
    assert!(denial.to_string().contains("`background: true`"), "{denial}");
    assert!(denial.to_string().contains("OnUnreadable::Pass"), "{denial}");
    assert_eq!((provider.calls(), spent(&rules).await), (0, Usd::ZERO));

    let rules = policy().on_unreadable(OnUnreadable::Pass).build().unwrap();
    send(&client(&rules, &provider), post_to(RESPONSES, body)).await.unwrap();
    assert_eq!(provider.body(), body);
}

#[tokio::test]
async fn a_compaction_is_given_no_maximum_and_never_counts_as_bounded() {
    let body = r#"{"model":"gpt-4o","input":"Hi"}"#;
    let rules = policy().output_bound(OutputBound::Inject(500)).build().unwrap();
    let provider = StandIn::new();
    send(&client(&rules, &provider), post_to(COMPACT, body)).await.unwrap();
    assert_eq!(provider.body(), body);
    assert_eq!((rules.stats().admitted_assumed, rules.stats().admitted_hard), (1, 0));

    send(&client(&rules, &provider), post_to(RESPONSES, body)).await.unwrap();
    assert_eq!(provider.body(), r#"{"model":"gpt-4o","input":"Hi","max_output_tokens":500}"#);

    let strict = policy().strict(500).build().unwrap();
    let denial = denial(&client(&strict, &provider), post_to(COMPACT, body)).await;
    assert_eq!(denial.kind(), DenialKind::Unbounded);
}

#[tokio::test]
async fn embeddings_cost_their_input_alone() {
    let (policy, settled) = told(policy().strict(100));
    let answer = r#"{"object":"list","data":[{"embedding":[0.1,-0.2]}],
        "model":"text-embedding-3-small","usage":{"prompt_tokens":1000,"total_tokens":1000}}"#;
    let provider = StandIn::saying(answer);
    let client = client(&policy, &provider);
    let body = r#"{"model":"text-embedding-3-small","input":["Hi","there"]}"#;
    send(&client, post_to(EMBEDDINGS, body)).await.unwrap();
    let settled = settled();
    assert_eq!((settled.how, settled.cost), (SettledHow::Actual, usd("0.00002")));
    assert_eq!(settled.reserved, Usd::nanos(7 * 20 + 4 * 20), "seven bytes, two texts");
    assert_eq!(provider.body(), body, "no maximum is written");
    assert_eq!(policy.stats().admitted_hard, 1);
}

#[tokio::test]
async fn a_stream_of_a_text_completion_is_asked_for_its_usage_behind_the_callers_back() {
    let text = "data: {\"model\":\"gpt-3.5-turbo-instruct\",\"choices\":[{\"text\":\"Hi\"}]}\n\n";
    let usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1000,\"completion_tokens\":10,\
        \"total_tokens\":1010}}\n\n";
    let (policy, settled) = told(policy());
    let provider = streaming(format!("{text}{usage}data: [DONE]\n\n"));
    let client = client(&policy, &provider);
    let body = r#"{"model":"gpt-3.5-turbo-instruct","prompt":"Hi","stream":true}"#;
    let seen = send(&client, post_to(COMPLETIONS, body)).await.unwrap();
    assert_eq!(seen, format!("{text}data: [DONE]\n\n"));
    let asked = r#"{"model":"gpt-3.5-turbo-instruct","prompt":"Hi","stream":true,"stream_options":{"include_usage":true}}"#;
    assert_eq!(provider.body(), asked);
    // 1,000 at $1.50 and 10 at $2 a million
    assert_eq!((settled().how, spent(&policy).await), (SettledHow::Actual, usd("0.00152")));
}

#[tokio::test]
async fn rules_about_models_hold_in_every_format() {
    let rules = policy()
        .rule(RestrictModel::new(["gpt-4", "text-embedding-3-large", "davinci-002"]))
        .rule(TagBasedModelDowngrade::new(|_: &driftlock::Call| true, "gpt-4o-mini"))
        .build()
        .unwrap();
    let provider = StandIn::new();
    let client = client(&rules, &provider);
    for (uri, body) in [
        (RESPONSES, r#"{"model":"gpt-4","input":"Hi"}"#),
        (RESPONSES, r#"{"model":"gpt-4o","input":"Hi","models":["gpt-4"]}"#),
        (EMBEDDINGS, r#"{"model":"text-embedding-3-large","input":"Hi"}"#),
        (COMPLETIONS, r#"{"model":"davinci-002","prompt":"Hi"}"#),
    ] {
        let denial = denial(&client, post_to(uri, body)).await;
        assert_eq!(denial.kind(), DenialKind::Restricted, "{body}: {denial}");
    }
    assert_eq!((provider.calls(), spent(&rules).await), (0, Usd::ZERO));
    send(&client, post_to(RESPONSES, r#"{"model":"gpt-4o","input":"Hi"}"#)).await.unwrap();
    assert_eq!(provider.body(), r#"{"model":"gpt-4o-mini","input":"Hi"}"#);
}

/// Uploads a sound, and tells whether the body was taken.
async fn upload(policy: &Policy) -> (Result<(), Error>, bool) {
    let was_sent = Arc::new(AtomicBool::new(false));
    let sent = Arc::clone(&was_sent);
    let provider = service_fn(move |_: Request<Body>| {
        sent.store(true, Ordering::SeqCst);
        async { Ok::<_, driftlock::BoxError>(Response::new(Full::<Bytes>::default())) }
    });
    let body =
        "--b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--b--\r\n";
    let mut call = post_to(TRANSCRIPTIONS, body);
    let multipart = "multipart/form-data; boundary=b".parse().unwrap();
    call.headers_mut().insert("content-type", multipart);
    let result = DriftlockLayer::new(policy.clone()).layer(provider).oneshot(call).await;
    (result.map(drop), was_sent.load(Ordering::SeqCst))
}

#[tokio::test]
async fn an_upload_of_sound_is_denied_unless_the_policy_knows_better() {
    let (result, was_sent) = upload(&policy().build().unwrap()).await;
    let error = result.unwrap_err();
    let denial = error.denial().unwrap();
    assert_eq!((denial.kind(), was_sent), (DenialKind::Unmeterable, false));
    let message = denial.to_string();
    for part in ["audio/transcriptions", "by its length", ".free_at(", "OnUnreadable::Pass"] {
        assert!(message.contains(part), "{part} is not in: {message}");
    }
    let routes = Routes::new().free_at("api.openai.com/v1/audio/transcriptions");
    let (result, was_sent) = upload(&policy().routes(routes).build().unwrap()).await;
    assert!(result.is_ok() && was_sent);
}
