//! Streams through hyper, reqwest and async-openai: whatever becomes of one, the same is
//! charged.
//!
//! The provider is a real one on this machine, which takes its time between events.
#![allow(clippy::unwrap_used)] // in helpers too

#[path = "../examples/support/loopback.rs"]
mod loopback;

use std::{pin::Pin, sync::Arc, time::Duration};

use async_openai::{
    Client as OpenAiClient, config::OpenAIConfig, middleware::ReqwestService,
    types::chat::CreateChatCompletionRequest,
};
use bytes::Bytes;
use driftlock::{
    DriftlockLayer, ManualClock, OnAbandoned, Policy, PolicyBuilder, Scope, Settled, SettledHow,
    Usd, Window, Zone,
};
use futures_util::{Stream, StreamExt};
use http_body_util::{BodyStream, Full};
use hyper_util::{client::legacy::Client as HyperClient, rt::TokioExecutor};
use loopback::Loopback;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tower::{Layer, ServiceExt};

/// What a client shows of a stream, piece by piece.
type Text = Pin<Box<dyn Stream<Item = String> + Send>>;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Client {
    Hyper,
    Reqwest,
    AsyncOpenAi,
}

const CLIENTS: [Client; 3] = [Client::Hyper, Client::Reqwest, Client::AsyncOpenAi];
/// They give what is on the wire, and read only when asked to.
const PLAIN: [Client; 2] = [Client::Hyper, Client::Reqwest];

/// A stream of 200 tokens in nine events or so, each after a pause.
fn chat(pause_ms: u64) -> Value {
    json!({
        "model": "gpt-4o",
        "messages": [{ "role": "user", "content": "Hello there, provider." }],
        "max_tokens": 1_000,
        "stream": true,
        "metadata": {
            "prompt_tokens": "6", "completion_tokens": "200", "pause_ms": pause_ms.to_string(),
        },
    })
}

impl Client {
    /// Makes a streamed call.
    async fn open(self, house: &House, body: Value) -> Text {
        let layer = DriftlockLayer::new(house.policy.clone());
        let url = format!("{}{}", house.provider.url(), loopback::CHAT);
        match self {
            Self::Hyper => {
                let http = HyperClient::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
                let request = http::Request::post(url).body(Full::from(body.to_string())).unwrap();
                let response = layer.layer(http).oneshot(request).await.unwrap();
                Box::pin(BodyStream::new(response.into_body()).map(|frame| {
                    String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap()
                }))
            }
            Self::Reqwest => {
                let http = reqwest::Client::new();
                let request = http.post(url).json(&body).build().unwrap();
                let response = layer.layer(http).oneshot(request).await.unwrap();
                Box::pin(
                    response
                        .bytes_stream()
                        .map(|piece| String::from_utf8(piece.unwrap().to_vec()).unwrap()),
                )
            }
            Self::AsyncOpenAi => {
                let base =
                    OpenAIConfig::new().with_api_base(format!("{}/v1", house.provider.url()));
                let governed = layer.layer(ReqwestService::new(reqwest::Client::new()));
                let client = OpenAiClient::with_config(base).with_http_service(governed);
                let request: CreateChatCompletionRequest = serde_json::from_value(body).unwrap();
                let stream = client.chat().create_stream(request).await.unwrap();
                Box::pin(stream.map(|piece| serde_json::to_string(&piece.unwrap()).unwrap()))
            }
        }
    }
}

struct House {
    provider: Arc<Loopback>,
    policy: Policy,
    settled: UnboundedReceiver<Settled>,
}

impl House {
    async fn with(rules: PolicyBuilder) -> Self {
        let (tell, settled) = unbounded_channel();
        let rules = rules.ephemeral_ok().on_settled(move |how, _| tell.send(*how).unwrap());
        let provider = Arc::new(Loopback::start(Duration::ZERO).await.unwrap());
        Self { provider, policy: rules.build().unwrap(), settled }
    }

    async fn new() -> Self {
        Self::with(Policy::builder()).await
    }

    /// How the one call ended, once it has, and that the books say so too.
    async fn end(&mut self) -> Settled {
        let settled = self.settled.recv().await.unwrap();
        let spend = self.spend().await;
        assert_eq!((spend.settled, spend.reserved), (settled.cost, Usd::ZERO));
        settled
    }

    async fn spend(&self) -> driftlock::Spend {
        self.policy.spend(&Scope::Workspace, Window::month(Zone::UTC)).await.unwrap()
    }
}

#[tokio::test]
async fn a_stream_that_is_read_costs_what_the_provider_bills_and_shows_no_usage() {
    for client in CLIENTS {
        for pause in [0, 2] {
            let mut house = House::new().await;
            let text = client.open(&house, chat(pause)).await.collect::<Vec<_>>().await;
            let end = house.end().await;
            assert_eq!((end.cost, end.how), (house.provider.billed(), SettledHow::Actual));
            assert!(end.cost > Usd::ZERO && end.cost < end.reserved, "{client:?}: {end:?}");
            assert!(!text.concat().contains("prompt_tokens"), "{client:?}: nobody asked for it");
            assert!(text.concat().contains(r#""finish_reason":"stop""#), "{client:?}");
        }
    }
}

#[tokio::test]
async fn a_caller_who_asks_for_usage_sees_it() {
    for client in CLIENTS {
        let mut house = House::new().await;
        let mut asking = chat(0);
        asking["stream_options"] = json!({ "include_usage": true });
        let text = client.open(&house, asking).await.collect::<Vec<_>>().await.concat();
        assert!(text.contains(r#""completion_tokens":200"#), "{client:?}: {text}");
        assert_eq!(house.end().await.cost, house.provider.billed());
    }
}

#[tokio::test]
async fn a_client_that_drops_at_the_end_marker_has_read_it_all() {
    for client in PLAIN {
        let mut house = House::new().await;
        let mut text = client.open(&house, chat(2)).await;
        while !text.next().await.unwrap().contains("[DONE]") {}
        // Settled by now, and not by the drop.
        assert_eq!(house.spend().await.settled, house.provider.billed(), "{client:?}");
        drop(text);
        assert_eq!(house.end().await.how, SettledHow::Actual);
    }
    // async-openai always does: its stream ends there, before the body.
    let mut house = House::new().await;
    let mut text = Client::AsyncOpenAi.open(&house, chat(2)).await;
    while text.next().await.is_some() {}
    assert_eq!(house.end().await.how, SettledHow::Actual);
}

#[tokio::test]
async fn a_client_that_drops_half_way_pays_the_estimate() {
    for client in CLIENTS {
        let mut house = House::new().await;
        let mut text = client.open(&house, chat(20)).await;
        for _ in 0..3 {
            text.next().await.unwrap();
        }
        drop(text);
        let end = house.end().await;
        assert_eq!((end.how, end.cost), (SettledHow::Abandoned, end.reserved), "{client:?}");
    }
}

#[tokio::test]
async fn a_client_that_drops_half_way_pays_what_was_seen_if_the_policy_says_so() {
    for client in CLIENTS {
        let mut house = House::with(Policy::builder().on_abandoned(OnAbandoned::Seen)).await;
        let mut text = client.open(&house, chat(20)).await;
        text.next().await.unwrap();
        drop(text);
        let end = house.end().await;
        assert_eq!((end.how, end.cost), (SettledHow::Abandoned, Usd::ZERO), "{client:?}");
    }
}

#[tokio::test]
async fn a_client_that_drops_before_the_first_byte_pays_the_estimate() {
    for client in CLIENTS {
        let mut house = House::new().await;
        drop(client.open(&house, chat(20)).await);
        let end = house.end().await;
        assert_eq!((end.how, end.cost), (SettledHow::Abandoned, end.reserved), "{client:?}");
    }
}

#[tokio::test]
async fn a_client_that_never_reads_pays_the_estimate_when_the_deadline_passes() {
    for client in PLAIN {
        let clock = ManualClock::at("2026-11-22T12:00:00Z".parse().unwrap());
        let deadline = Duration::from_secs(60);
        let rules = Policy::builder().clock(clock.clone()).deadline(deadline);
        let mut house = House::with(rules).await;
        let text = client.open(&house, chat(0)).await;
        let reserved = house.spend().await.reserved;
        assert!(reserved > house.provider.billed());
        clock.advance(2 * deadline);
        let spend = house.spend().await;
        assert_eq!((spend.settled, spend.reserved), (reserved, Usd::ZERO), "{client:?}");
        drop(text);
        assert_eq!(house.end().await.how, SettledHow::Abandoned);
    }
    // async-openai reads on its own, whoever takes what it reads.
    let mut house = House::new().await;
    let text = Client::AsyncOpenAi.open(&house, chat(2)).await;
    assert_eq!(house.end().await.how, SettledHow::Actual);
    assert_eq!(house.spend().await.settled, house.provider.billed());
    drop(text);
}

#[tokio::test]
async fn a_call_that_is_dropped_before_its_answer_pays_the_estimate() {
    for client in CLIENTS {
        let (tell, mut settled) = unbounded_channel();
        let policy = Policy::builder().on_settled(move |how, _| tell.send(*how).unwrap());
        let provider = Arc::new(Loopback::start(Duration::from_secs(600)).await.unwrap());
        let (_, unused) = unbounded_channel();
        let house = House { provider, policy: policy.build().unwrap(), settled: unused };
        let call = client.open(&house, chat(0));
        let open = tokio::time::timeout(Duration::from_millis(50), call).await;
        assert!(open.is_err(), "the provider takes longer");
        let end = settled.recv().await.unwrap();
        assert_eq!((end.how, end.cost), (SettledHow::Abandoned, end.reserved), "{client:?}");
        let spend = house.spend().await;
        assert_eq!((spend.settled, spend.reserved), (end.cost, Usd::ZERO));
    }
}

#[tokio::test]
async fn streams_at_once_are_charged_like_streams_one_by_one() {
    for client in CLIENTS {
        let mut house = House::new().await;
        let streams = (0..16).map(|_| async {
            client.open(&house, chat(1)).await.for_each(|_| async {}).await;
        });
        futures_util::future::join_all(streams).await;
        for _ in 0..16 {
            assert_eq!(house.settled.recv().await.unwrap().how, SettledHow::Actual);
        }
        let spend = house.spend().await;
        assert_eq!((spend.settled, spend.reserved), (house.provider.billed(), Usd::ZERO));
        assert_eq!(house.provider.calls(), 16);
    }
}
