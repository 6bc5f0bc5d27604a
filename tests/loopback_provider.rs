//! The provider that examples and tests call answers as OpenAI and Anthropic do.

#![allow(clippy::unwrap_used)]

#[path = "../examples/support/loopback.rs"]
mod loopback;

use std::time::Duration;

use bytes::Bytes;
use driftlock::{Usage, Usd};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use loopback::Loopback;
use serde_json::{Value, json};

async fn ask(provider: &Loopback, body: Value) -> (StatusCode, String) {
    ask_at(provider, loopback::CHAT, body).await
}

async fn ask_at(provider: &Loopback, path: &str, body: Value) -> (StatusCode, String) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let request = Request::post(format!("{}{path}", provider.url()));
    let request = request.body(Full::from(body.to_string())).unwrap();
    let response = client.request(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn chat(more: &Value) -> Value {
    let mut body = json!({
        "model": "gpt-4o",
        "messages": [{ "role": "user", "content": "Hello there, provider." }],
        "metadata": { "prompt_tokens": "1000", "completion_tokens": "100" },
    });
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

#[tokio::test]
async fn it_bills_the_tokens_that_the_request_says_up_to_its_maximum() {
    let provider = Loopback::start(Duration::ZERO).await.unwrap();
    let (status, answer) = ask(&provider, chat(&json!({ "max_tokens": 40, "user": "u-1" }))).await;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer["usage"]["completion_tokens"], 40);
    assert_eq!(answer["choices"][0]["finish_reason"], "length");

    let (_, answer) = ask(&provider, chat(&json!({ "metadata": {} }))).await;
    assert!(answer.contains(r#""prompt_tokens":5"#), "22 bytes are 5 tokens: {answer}");

    let bills = provider.bills();
    assert_eq!(bills.len(), 2);
    assert_eq!(bills[0].usage, Usage::tokens(1_000, 40));
    assert_eq!(bills[0].user.as_deref(), Some("u-1"));
    assert_eq!(bills[0].cost, "0.0029".parse::<Usd>().unwrap());
    assert_eq!(provider.billed(), bills.iter().map(|bill| bill.cost).sum());
}

#[tokio::test]
async fn a_stream_tells_its_usage_only_if_it_is_asked() {
    let provider = Loopback::start(Duration::ZERO).await.unwrap();
    let (_, silent) = ask(&provider, chat(&json!({ "stream": true }))).await;
    let usage = json!({ "stream": true, "stream_options": { "include_usage": true } });
    let (_, telling) = ask(&provider, chat(&usage)).await;
    for stream in [&silent, &telling] {
        assert!(stream.ends_with("data: [DONE]\n\n"), "{stream}");
    }
    assert!(!silent.contains("usage"));
    assert!(telling.contains(r#""completion_tokens":100"#));
    assert_eq!(provider.bills()[0].cost, provider.bills()[1].cost);
}

#[tokio::test]
async fn it_bills_nothing_that_it_turns_down() {
    let provider = Loopback::start(Duration::ZERO).await.unwrap();
    let (status, _) = ask(&provider, chat(&json!({ "model": "acme-chat-1" }))).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, _) = ask(&provider, json!({ "model": "gpt-4o" })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!((provider.calls(), provider.billed()), (0, Usd::ZERO));
}

#[tokio::test]
async fn it_answers_messages_as_anthropic_does() {
    let provider = Loopback::start(Duration::ZERO).await.unwrap();
    let message = |stream: bool| {
        json!({
            "model": "claude-haiku-4-5", "max_tokens": 40, "stream": stream,
            "system": "Be brief.", "messages": [{ "role": "user", "content": "Hello there." }],
            "metadata": { "user_id": "u-1", "completion_tokens": "100" },
        })
    };
    let (status, whole) = ask_at(&provider, loopback::MESSAGES, message(false)).await;
    let whole: Value = serde_json::from_str(&whole).unwrap();
    assert_eq!((status, &whole["type"]), (StatusCode::OK, &json!("message")));
    assert_eq!(whole["stop_reason"], "max_tokens");
    assert_eq!(whole["usage"]["input_tokens"], 5, "21 bytes, the system's among them");
    assert_eq!(whole["usage"]["output_tokens"], 40);

    let (_, stream) = ask_at(&provider, loopback::MESSAGES, message(true)).await;
    assert!(stream.starts_with("event: message_start\ndata: {"), "{stream}");
    assert!(stream.ends_with("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"));
    assert!(stream.contains(r#""usage":{"output_tokens":40}"#), "{stream}");

    let bills = provider.bills();
    assert_eq!(bills[0].usage, Usage::tokens(5, 40));
    assert_eq!(bills[0].user.as_deref(), Some("u-1"));
    assert!(bills[0].cost > Usd::ZERO);
    assert_eq!(bills[0].cost, bills[1].cost);

    let (status, error) =
        ask_at(&provider, loopback::MESSAGES, json!({ "model": "claude-haiku-4-5" })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(error.contains(r#""type":"error""#), "{error}");
    assert_eq!(provider.calls(), 2);
}
