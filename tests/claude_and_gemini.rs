//! Anthropic's messages and Gemini's content generation through the whole layer.
#![allow(clippy::unwrap_used, clippy::expect_used)] // in helpers too

mod stand_in;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use driftlock::{
    BoxError, DenialKind, DriftlockLayer, Format, MaxCostPerRequest, OnAbandoned, OutputBound,
    Policy, PolicyBuilder, Provider, RestrictModel, Routes, Settled, SettledHow,
    TagBasedModelDowngrade, Usage, Usd,
};
use http::Response;
use http_body::Frame;
use http_body_util::{BodyExt, Channel, Full};
use stand_in::*;
use tower::{Layer, ServiceExt};

const CLAUDE: &str = "https://api.anthropic.com/v1/messages";
const GEMINI: &str =
    "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-pro:generateContent";
const GEMINI_STREAM: &str =
    "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-pro:streamGenerateContent";

/// A provider that answers with this body of this type.
fn answering(kind: &'static str, body: impl Into<Bytes>) -> StandIn {
    let body = body.into();
    StandIn::with(Duration::ZERO, move |_| {
        let mut response = Response::new(Full::from(body.clone()));
        response.headers_mut().insert("content-type", kind.parse().unwrap());
        Ok(response)
    })
}

fn events(body: impl Into<Bytes>) -> StandIn {
    answering("text/event-stream; charset=utf-8", body)
}

fn json(body: impl Into<Bytes>) -> StandIn {
    answering("application/json; charset=UTF-8", body)
}

/// A policy, and what its last call settled at.
fn told(rules: PolicyBuilder) -> (Policy, impl Fn() -> Settled) {
    let last = Arc::new(Mutex::new(None));
    let writes = Arc::clone(&last);
    let policy = rules.on_settled(move |settled, _| *writes.lock().unwrap() = Some(*settled));
    (policy.build().unwrap(), move || last.lock().unwrap().take().expect("a call settled"))
}

/// A message to Sonnet 4.6, which costs $3 and $15 a million.
fn message(members: &str) -> http::Request<Body> {
    let body = format!(
        r#"{{"model":"claude-sonnet-4-6","max_tokens":1000,"messages":[{{"role":"user","content":"Hi"}}]{members}}}"#
    );
    post_to(CLAUDE, body)
}

/// A prompt for Gemini 2.5 Pro, which costs $1.25 and $10 a million.
fn prompt(uri: &str, members: &str) -> http::Request<Body> {
    post_to(
        uri,
        format!(r#"{{"contents":[{{"role":"user","parts":[{{"text":"Hi"}}]}}]{members}}}"#),
    )
}

/// Makes a call under no rules and says how it settled.
async fn settles(provider: &StandIn, call: http::Request<Body>) -> Settled {
    settles_under(policy(), provider, call).await
}

async fn settles_under(
    rules: PolicyBuilder,
    provider: &StandIn,
    call: http::Request<Body>,
) -> Settled {
    let (policy, settled) = told(rules);
    send(&client(&policy, provider), call).await.unwrap();
    let settled = settled();
    assert_eq!(spent(&policy).await, settled.cost);
    settled
}

const START: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\
    \"claude-sonnet-4-6\",\"usage\":{\"input_tokens\":1000,\"cache_read_input_tokens\":1000,\
    \"output_tokens\":1}}}\n\n";
const TEXT: &str = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\
    \"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\n";
const DELTA: &str = "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\
    \"end_turn\"},\"usage\":{\"output_tokens\":100}}\n\n";
const STOP: &str = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
const ERROR: &str =
    "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n";

// ── Anthropic ──

#[tokio::test]
async fn a_message_costs_what_its_usage_says() {
    let answer = r#"{"type":"message","model":"claude-sonnet-4-6","usage":{"input_tokens":1000,
        "cache_read_input_tokens":1000,"cache_creation_input_tokens":2000,"cache_creation":
        {"ephemeral_5m_input_tokens":1000,"ephemeral_1h_input_tokens":1000},"output_tokens":100}}"#;
    let settled = settles(&json(answer), message("")).await;
    // a thousand each at $3, $0.30, $3.75 and $6, and a hundred at $15 a million
    assert_eq!((settled.how, settled.cost), (SettledHow::Actual, usd("0.01455")));
}

#[tokio::test]
async fn a_stream_passes_as_it_is_and_settles_at_its_last_event() {
    let whole = [START, TEXT, DELTA, STOP].concat();
    let (policy, settled) = told(policy());
    let provider = events(whole.clone() + TEXT);
    let response = client(&policy, &provider).oneshot(message(r#","stream":true"#)).await.unwrap();
    let mut body = response.into_body();
    let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
    // Many a client stops reading here.
    drop(body);
    assert_eq!(frame, whole + TEXT);
    let settled = settled();
    let usage = Usage { cached_input_tokens: 1000, ..Usage::tokens(2000, 100) };
    assert_eq!((settled.how, settled.usage), (SettledHow::Actual, Some(usage)));
    assert_eq!(settled.cost, usd("0.0048"));
    assert!(!provider.body().contains("stream_options"));
}

#[tokio::test]
async fn a_stream_cut_after_its_start_costs_the_estimate_or_what_was_seen_if_that_is_more() {
    for cut in [START.to_owned(), [START, TEXT].concat(), [START, TEXT, ERROR].concat()] {
        let settled = settles(&events(cut), message("")).await;
        assert_eq!((settled.how, settled.cost), (SettledHow::Abandoned, settled.reserved));
        assert!(settled.cost > usd("0.015"), "the output maximum is in it");
    }
    let long = START.replace("\"input_tokens\":1000", "\"input_tokens\":100000");
    let settled = settles(&events(long), message("")).await;
    assert_eq!((settled.how, settled.cost), (SettledHow::Abandoned, usd("0.300315")));
    assert!(settled.cost > settled.reserved);
    let seen = policy().on_abandoned(OnAbandoned::Seen);
    let settled = settles_under(seen, &events(START), message("")).await;
    assert_eq!((settled.how, settled.cost), (SettledHow::Abandoned, usd("0.003315")));
    // The model had stopped, and said with how much.
    let settled = settles(&events([START, TEXT, DELTA].concat()), message("")).await;
    assert_eq!((settled.how, settled.cost), (SettledHow::Actual, usd("0.0048")));
    // It ended in order, but the tokens of the answer were never told.
    let settled = settles(&events([START, TEXT, STOP].concat()), message("")).await;
    assert_eq!((settled.how, settled.cost), (SettledHow::Estimated, settled.reserved));
}

#[tokio::test]
async fn who_stops_reading_once_the_model_has_stopped_has_read_it_all() {
    let sse = format!("{GEMINI_STREAM}?alt=sse");
    for (frames, call, cost) in [
        (vec![START.to_owned(), DELTA.to_owned()], message(r#","stream":true"#), "0.0048"),
        (vec![data(&[CHUNK]), data(&[LAST])], prompt(&sse, ""), "0.01125"),
    ] {
        for reads in 1..=frames.len() {
            let (policy, settled) = told(policy());
            let frames = frames.clone();
            let provider = tower::service_fn(move |_: http::Request<Body>| {
                let (mut sender, body) = Channel::<Bytes>::new(4);
                for frame in &frames {
                    sender.try_send(Frame::data(Bytes::from(frame.clone()))).unwrap();
                }
                // The stream stays open.
                std::mem::forget(sender);
                let response = Response::builder().header("content-type", "text/event-stream");
                std::future::ready(Ok::<_, BoxError>(response.body(body).unwrap()))
            });
            let client = DriftlockLayer::new(policy.clone()).layer(provider);
            let call = http::Request::post(call.uri()).body(call.body().clone()).unwrap();
            let mut body = client.oneshot(call).await.unwrap().into_body();
            for _ in 0..reads {
                body.frame().await.unwrap().unwrap();
            }
            drop(body);
            let settled = settled();
            if reads == 2 {
                assert_eq!((settled.how, settled.cost), (SettledHow::Actual, usd(cost)));
            } else {
                assert_eq!((settled.how, settled.cost), (SettledHow::Abandoned, settled.reserved));
            }
        }
    }
}

#[tokio::test]
async fn a_stream_that_fails_at_once_costs_the_estimate_and_a_refused_call_nothing() {
    let settled = settles(&events(ERROR), message("")).await;
    assert_eq!((settled.how, settled.cost), (SettledHow::Estimated, settled.reserved));
    let refused = StandIn::with(Duration::ZERO, |_| {
        let body = r#"{"type":"error","error":{"type":"overloaded_error"}}"#;
        Ok(Response::builder().status(529).body(Full::from(body)).unwrap())
    });
    let settled = settles(&refused, message("")).await;
    assert_eq!((settled.how, settled.cost), (SettledHow::Refused, Usd::ZERO));
}

#[tokio::test]
async fn inference_in_one_region_costs_a_tenth_more() {
    let answer = |geo: &str| {
        json(format!(
            r#"{{"model":"claude-sonnet-4-6","usage":{{"input_tokens":1000,"output_tokens":100{geo}}}}}"#
        ))
    };
    let here =
        settles(&answer(r#","inference_geo":"us""#), message(r#","inference_geo":"us""#)).await;
    let anywhere = settles(&answer(r#","inference_geo":"global""#), message("")).await;
    assert_eq!((here.cost, anywhere.cost), (usd("0.00495"), usd("0.0045")));
    assert_eq!(here.reserved.as_nanos() * 10, anywhere.reserved.as_nanos() * 11);
    // Where nothing is told, what was asked for holds; where something is, that does.
    let untold = settles(&answer(""), message(r#","inference_geo":"us""#)).await;
    assert_eq!(untold.cost, here.cost);
    let told = settles(&answer(r#","inference_geo":"us""#), message("")).await;
    assert_eq!(told.cost, here.cost);
}

#[tokio::test]
async fn searches_cost_what_was_searched() {
    let answer = |used: &str| {
        json(format!(
            r#"{{"model":"claude-sonnet-4-6","usage":{{"input_tokens":1000,"output_tokens":0{used}}}}}"#
        ))
    };
    let search = r#","tools":[{"type":"web_search_20250305","name":"web_search","max_uses":3}]"#;
    let three =
        settles(&answer(r#","server_tool_use":{"web_search_requests":3}"#), message(search)).await;
    let none = settles(&answer(""), message(search)).await;
    assert_eq!((three.cost, none.cost), (usd("0.033"), usd("0.003")));
    assert!(three.reserved > usd("0.03"));
}

#[tokio::test]
async fn a_compaction_is_charged_and_another_models_advice_leaves_the_estimate() {
    let answer = |kind: &str| {
        json(format!(
            r#"{{"model":"claude-sonnet-4-6","usage":{{"input_tokens":200,"output_tokens":20,"iterations":[
            {{"type":"message","input_tokens":200,"output_tokens":20}},
            {{{kind},"input_tokens":50000,"output_tokens":1000}}]}}}}"#
        ))
    };
    let compacted = settles(&answer(r#""type":"compaction""#), message("")).await;
    assert_eq!((compacted.how, compacted.cost), (SettledHow::Actual, usd("0.1659")));
    let advised = answer(r#""type":"advisor_message","model":"claude-opus-4-8""#);
    let advised = settles(&advised, message("")).await;
    assert_eq!((advised.how, advised.cost), (SettledHow::Estimated, usd("0.1659")));
}

#[tokio::test]
async fn a_downgrade_of_a_message_is_written_into_its_body() {
    let rule =
        TagBasedModelDowngrade::new(driftlock::rule::label("plan").eq("free"), "claude-haiku-4-5");
    let policy = policy().rule(rule).build().unwrap();
    let provider =
        json(r#"{"model":"claude-haiku-4-5","usage":{"input_tokens":1000,"output_tokens":100}}"#);
    let labels = driftlock::Labels::new().with("plan", "free");
    let client = client(&policy, &provider);
    let call = send(&client, message(r#","temperature":1.50"#));
    driftlock::labels::scope(labels, call).await.unwrap();
    let received = provider.received();
    assert_eq!(received[0].0.uri, CLAUDE);
    assert_eq!(
        received[0].1,
        r#"{"model":"claude-haiku-4-5","max_tokens":1000,"messages":[{"role":"user","content":"Hi"}],"temperature":1.50}"#
    );
    assert_eq!(spent(&policy).await, usd("0.0015"));
}

// ── Gemini ──

const CHUNK: &str = r#"{"candidates":[{"content":{"parts":[{"text":"Hel"}]}}],"usageMetadata":
    {"promptTokenCount":1000,"candidatesTokenCount":1,"totalTokenCount":1001},"modelVersion":"gemini-2.5-pro"}"#;
const LAST: &str = r#"{"candidates":[{"content":{"parts":[{"text":"lo"}]},"finishReason":"STOP"}],
    "usageMetadata":{"promptTokenCount":1000,"candidatesTokenCount":100,"thoughtsTokenCount":900,
    "totalTokenCount":2000},"modelVersion":"gemini-2.5-pro"}"#;

/// As the data of events, one line each.
fn data(chunks: &[&str]) -> String {
    chunks.iter().map(|chunk| format!("data: {}\r\n\r\n", chunk.replace('\n', ""))).collect()
}

#[tokio::test]
async fn content_costs_the_same_at_once_as_events_and_as_an_array() {
    let sse = format!("{GEMINI_STREAM}?alt=sse");
    for (provider, uri) in [
        (json(LAST), GEMINI),
        (events(data(&[CHUNK, LAST])), &*sse),
        (json(format!("[{CHUNK}\n,\r\n{LAST}\n]\n")), GEMINI_STREAM),
    ] {
        let settled = settles(&provider, prompt(uri, "")).await;
        let usage = Usage { reasoning_tokens: 900, ..Usage::tokens(1000, 1000) };
        assert_eq!((settled.how, settled.usage), (SettledHow::Actual, Some(usage)), "{uri}");
        assert_eq!(settled.cost, usd("0.01125"), "{uri}");
    }
}

#[tokio::test]
async fn content_cut_off_costs_the_estimate() {
    let sse = format!("{GEMINI_STREAM}?alt=sse");
    let error = r#"{"error":{"code":503,"status":"UNAVAILABLE"}}"#;
    for (provider, uri) in [
        (events(data(&[CHUNK])), &*sse),
        (events(data(&[CHUNK, error])), &*sse),
        (json(format!("[{CHUNK},")), GEMINI_STREAM),
        (json(format!("[{CHUNK},{error}]")), GEMINI_STREAM),
    ] {
        let settled = settles(&provider, prompt(uri, "")).await;
        assert_eq!((settled.how, settled.cost), (SettledHow::Abandoned, settled.reserved), "{uri}");
    }
    let settled = settles(&json(format!("[{error}]")), prompt(GEMINI_STREAM, "")).await;
    assert_eq!((settled.how, settled.cost), (SettledHow::Estimated, settled.reserved));
}

#[tokio::test]
async fn a_downgrade_of_content_is_written_into_its_address() {
    let always = driftlock::rule::model("*");
    let rule = TagBasedModelDowngrade::new(always, "gemini-2.5-flash");
    let policy = policy().rule(rule).build().unwrap();
    let provider = json(format!("[{}]", LAST.replace("2.5-pro", "2.5-flash")));
    let uri = format!("{GEMINI_STREAM}?key=k");
    send(&client(&policy, &provider), prompt(&uri, r#","model":"models/gemini-2.5-pro""#))
        .await
        .unwrap();
    let received = provider.received();
    assert_eq!(received[0].0.uri, *uri.replace("2.5-pro", "2.5-flash"));
    assert_eq!(
        received[0].1,
        r#"{"contents":[{"role":"user","parts":[{"text":"Hi"}]}],"model":"models/gemini-2.5-flash"}"#
    );
    assert_eq!(spent(&policy).await, usd("0.0028"));
}

#[tokio::test]
async fn a_restricted_model_is_denied_however_the_path_spells_it() {
    let policy = policy().rule(RestrictModel::new(["gemini-2.5-pro"])).build().unwrap();
    let provider = json(LAST);
    let client = client(&policy, &provider);
    for spelling in ["gemini-2.5-pro", "gemini%2D2.5-pro", "%67emini-2%2E5-%70ro"] {
        let uri = GEMINI.replace("gemini-2.5-pro", spelling);
        assert_eq!(denial(&client, prompt(&uri, "")).await.rule(), "restrict_model", "{spelling}");
    }
    assert_eq!(provider.calls(), 0);
}

#[tokio::test]
async fn a_gateway_may_have_either_format_under_a_path_of_its_own() {
    let routes = Routes::new()
        .metered_at("llm.example.com/claude", Format::AnthropicMessages, Provider::ANTHROPIC)
        .metered_at("llm.example.com/gemini", Format::GeminiGenerate, Provider::GOOGLE);
    let rule =
        TagBasedModelDowngrade::new(driftlock::rule::model("gemini-2.5-pro"), "gemini-2.5-flash");
    let policy = policy().routes(routes).rule(rule).build().unwrap();
    let provider =
        json(r#"{"model":"claude-sonnet-4-6","usage":{"input_tokens":1000,"output_tokens":100}}"#);
    let claude = r#"{"model":"claude-sonnet-4-6","max_tokens":9,"messages":[]}"#;
    send(&client(&policy, &provider), post_to("https://llm.example.com/claude", claude))
        .await
        .unwrap();
    assert_eq!(spent(&policy).await, usd("0.0045"));
    let provider = json(LAST.replace("2.5-pro", "2.5-flash"));
    let gemini = r#"{"model":"models/gemini-2.5-pro","contents":[]}"#;
    send(&client(&policy, &provider), post_to("https://llm.example.com/gemini", gemini))
        .await
        .unwrap();
    assert_eq!(provider.body(), r#"{"model":"models/gemini-2.5-flash","contents":[]}"#);
    assert_eq!(spent(&policy).await, usd("0.0073"));
}

#[tokio::test]
async fn a_maximum_is_injected_where_each_format_has_it() {
    let rules = || policy().output_bound(OutputBound::Inject(50));
    let provider = json("{}");
    let policy = rules().build().unwrap();
    send(&client(&policy, &provider), prompt(GEMINI, "")).await.unwrap();
    assert!(provider.body().ends_with(r#","generationConfig":{"maxOutputTokens":50}}"#));
    let call = post_to(CLAUDE, r#"{"model":"claude-sonnet-4-6","messages":[]}"#);
    send(&client(&policy, &provider), call).await.unwrap();
    let (head, sent) = provider.received().remove(0);
    assert_eq!(sent, r#"{"model":"claude-sonnet-4-6","messages":[],"max_tokens":50}"#);
    assert_eq!(head.headers["content-length"], sent.len().to_string());
}

#[tokio::test]
async fn a_call_that_may_cost_too_much_is_denied_in_either_format() {
    let policy = policy().rule(MaxCostPerRequest::new(Usd::cents(1))).build().unwrap();
    let provider = StandIn::new();
    let client = client(&policy, &provider);
    let dear = prompt(GEMINI, r#","generationConfig":{"maxOutputTokens":1000}"#);
    for call in [message(""), dear] {
        assert_eq!(denial(&client, call).await.kind(), DenialKind::TooExpensive);
    }
    assert_eq!(provider.calls(), 0);
}

#[tokio::test]
async fn counting_tokens_is_free_and_what_tells_no_usage_is_denied() {
    let policy = policy().build().unwrap();
    let provider = StandIn::new();
    let client = client(&policy, &provider);
    for free in [
        "https://api.anthropic.com/v1/messages/count_tokens",
        "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-pro:countTokens",
    ] {
        send(&client, post_to(free, "{}")).await.unwrap();
    }
    for (uri, why) in [
        ("https://api.anthropic.com/v1/messages/batches", "batches are billed later"),
        ("https://api.anthropic.com/v1/complete", "text completions are not read"),
        (
            "https://generativelanguage.googleapis.com/v1beta/models/gemini-embedding-001:embedContent",
            "Gemini's embeddings do not tell their usage",
        ),
        (
            "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-pro:batchGenerateContent",
            "batches are billed later",
        ),
        (
            "https://us-east5-aiplatform.googleapis.com/v1/projects/p/locations/us-east5/publishers/anthropic/models/claude-sonnet-4-6:rawPredict",
            "other makers' models on Vertex AI are not read",
        ),
        (
            "https://bedrock-runtime.us-east-1.amazonaws.com/model/anthropic.claude-sonnet-4-6/invoke",
            "Amazon Bedrock's own API is not read",
        ),
    ] {
        let denial = denial(&client, post_to(uri, "{}")).await;
        assert_eq!(denial.kind(), DenialKind::Unmeterable, "{uri}");
        assert!(denial.to_string().contains(why), "{denial}");
    }
    assert_eq!((provider.calls(), spent(&policy).await), (2, Usd::ZERO));
}
