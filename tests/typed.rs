//! Services that take and answer async-openai's types, with the layer around them.
#![allow(clippy::unwrap_used)] // in helpers too

#[path = "../examples/support/loopback.rs"]
mod loopback;
mod stand_in;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_openai::{
    Client,
    config::OpenAIConfig,
    error::OpenAIError,
    types::{
        chat::{
            ChatCompletionResponseStream, CreateChatCompletionRequest,
            CreateChatCompletionResponse, CreateChatCompletionStreamResponse,
        },
        embeddings::{CreateEmbeddingRequest, CreateEmbeddingResponse},
        responses::{CreateResponse, Response, ResponseStream, ResponseStreamEvent},
    },
};
use driftlock::{
    DriftlockLayer, Error, Labels, MonthlyBudget, OutputBound, Policy, PolicyBuilder, Provider,
    RestrictModel, Settled, SettledHow, TagBasedModelDowngrade, Usd, VelocityLimit, carrier::Typed,
    labels,
};
use futures_util::{StreamExt, stream};
use loopback::Loopback;
use serde_json::{Value, json};
use stand_in::{spent, usd};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

fn policy() -> PolicyBuilder {
    stand_in::policy()
}

fn chat_with(model: &str, more: &Value) -> CreateChatCompletionRequest {
    let mut chat = json!({
        "model": model,
        "messages": [{ "role": "user", "content": "Hi" }],
        "metadata": { "prompt_tokens": "5", "completion_tokens": "20" },
    });
    chat.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(chat).unwrap()
}

fn chat(model: &str) -> CreateChatCompletionRequest {
    chat_with(model, &json!({ "max_completion_tokens": 100 }))
}

/// A service around the real client and a provider on this machine.
fn real(
    provider: &Loopback,
) -> impl Service<
    CreateChatCompletionRequest,
    Response = CreateChatCompletionResponse,
    Error = OpenAIError,
> + Clone
+ use<> {
    let config = OpenAIConfig::new().with_api_base(format!("{}/v1", provider.url()));
    let client = Client::with_config(config);
    service_fn(move |request| {
        let client = client.clone();
        async move { client.chat().create(request).await }
    })
}

fn real_stream(
    provider: &Loopback,
) -> impl Service<
    CreateChatCompletionRequest,
    Response = ChatCompletionResponseStream,
    Error = OpenAIError,
> + Clone
+ use<> {
    let config = OpenAIConfig::new().with_api_base(format!("{}/v1", provider.url()));
    let client = Client::with_config(config);
    service_fn(move |request| {
        let client = client.clone();
        async move { client.chat().create_stream(request).await }
    })
}

/// A whole answer.
fn answer(model: &str) -> CreateChatCompletionResponse {
    serde_json::from_value(json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model, "choices": [],
        "usage": { "prompt_tokens": 1_000, "completion_tokens": 100, "total_tokens": 1_100 },
    }))
    .unwrap()
}

/// The request as it was sent.
async fn sent(policy: &Policy, request: CreateChatCompletionRequest) -> Value {
    let seen = Arc::new(Mutex::new(Value::Null));
    let tell = Arc::clone(&seen);
    let service = service_fn(move |request: CreateChatCompletionRequest| {
        *tell.lock().unwrap() = serde_json::to_value(&request).unwrap();
        async move { Ok::<_, OpenAIError>(answer("gpt-4o-mini")) }
    });
    DriftlockLayer::new(policy.clone()).layer(service).oneshot(request).await.unwrap();
    let seen = seen.lock().unwrap();
    seen.clone()
}

#[tokio::test]
async fn a_typed_call_settles_to_what_its_answer_tells() {
    let provider = Loopback::start(Duration::ZERO).await.unwrap();
    let policy = policy().build().unwrap();
    let client = DriftlockLayer::new(policy.clone()).layer(real(&provider));
    let answer = client.oneshot(chat("gpt-4o")).await.unwrap();
    assert_eq!(answer.usage.unwrap().completion_tokens, 20);
    assert_eq!(spent(&policy).await, provider.billed());
    assert!(provider.billed() > Usd::ZERO);
}

#[tokio::test]
async fn the_model_that_answers_is_the_one_that_is_paid() {
    let policy = policy().build().unwrap();
    let service = service_fn(|_: CreateChatCompletionRequest| async {
        Ok::<_, OpenAIError>(answer("gpt-4o-mini-2024-07-18"))
    });
    DriftlockLayer::new(policy.clone()).layer(service).oneshot(chat("gpt-4o")).await.unwrap();
    // $0.15 and $0.60 a million, and not $2.50 and $10.
    assert_eq!(spent(&policy).await, usd("0.00021"));
}

#[tokio::test]
async fn a_denied_typed_call_is_not_made() {
    let policy = policy().rule(RestrictModel::new(["gpt-4o"])).build().unwrap();
    let service = service_fn(|_: CreateChatCompletionRequest| async {
        panic!("it was made");
        #[allow(unreachable_code)]
        Ok::<CreateChatCompletionResponse, OpenAIError>(answer("gpt-4o"))
    });
    let error = DriftlockLayer::new(policy).layer(service).oneshot(chat("gpt-4o")).await;
    assert_eq!(error.unwrap_err().denial().unwrap().rule(), "restrict_model");
}

#[tokio::test]
async fn what_rules_change_is_written_into_the_type() {
    let as_it_was = serde_json::to_value(chat("gpt-4o")).unwrap();
    assert_eq!(sent(&policy().build().unwrap(), chat("gpt-4o")).await, as_it_was);

    let cheaper = || TagBasedModelDowngrade::new(|_: &driftlock::Call| true, "gpt-4o-mini");
    let downgrading = policy().rule(cheaper()).build().unwrap();
    let mut expected = as_it_was.clone();
    expected["model"] = "gpt-4o-mini".into();
    assert_eq!(sent(&downgrading, chat("gpt-4o")).await, expected);

    // More than the cheaper model can: 16,384.
    for key in ["max_tokens", "max_completion_tokens"] {
        let huge = chat_with("gpt-4.1", &json!({ key: 30_000 }));
        assert_eq!(sent(&downgrading, huge).await[key], 16_384, "{key}");
    }
    let injecting = policy().output_bound(OutputBound::Inject(77)).build().unwrap();
    let body = sent(&injecting, chat_with("gpt-4o", &json!({}))).await;
    assert_eq!((&body["max_completion_tokens"], &body["max_tokens"]), (&77.into(), &Value::Null));
}

#[tokio::test]
async fn a_typed_stream_is_asked_for_its_usage_which_its_caller_does_not_see() {
    let provider = Loopback::start(Duration::ZERO).await.unwrap();
    let policy = policy().build().unwrap();
    let client = DriftlockLayer::new(policy.clone()).layer(real_stream(&provider));
    let chunks: Vec<_> = client.clone().oneshot(chat("gpt-4o")).await.unwrap().collect().await;
    assert!(chunks.iter().all(|chunk| {
        let chunk: &CreateChatCompletionStreamResponse = chunk.as_ref().unwrap();
        chunk.usage.is_none() && !chunk.choices.is_empty()
    }));
    assert_eq!(spent(&policy).await, provider.billed());

    let asking = chat_with("gpt-4o", &json!({ "stream_options": { "include_usage": true } }));
    let chunks: Vec<_> = client.oneshot(asking).await.unwrap().collect().await;
    assert!(chunks.last().unwrap().as_ref().unwrap().usage.is_some());
    assert_eq!(spent(&policy).await, provider.billed());
    assert_eq!(provider.calls(), 2);
}

/// Chunks of a stream: text, then usage.
fn chunks() -> Vec<CreateChatCompletionStreamResponse> {
    let chunk = |choices: Value, usage: Value| {
        serde_json::from_value(json!({
            "id": "1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o",
            "choices": choices, "usage": usage,
        }))
        .unwrap()
    };
    let text = || json!([{ "index": 0, "delta": { "content": "Hello" }, "finish_reason": null }]);
    let usage = json!({ "prompt_tokens": 1_000, "completion_tokens": 100, "total_tokens": 1_100 });
    vec![chunk(text(), Value::Null), chunk(text(), Value::Null), chunk(json!([]), usage)]
}

/// Opens a stream of these items.
async fn open(
    rules: PolicyBuilder,
    items: Vec<Result<CreateChatCompletionStreamResponse, OpenAIError>>,
) -> (ChatCompletionResponseStream, Policy, Arc<Mutex<Option<Settled>>>) {
    let settled = Arc::new(Mutex::new(None));
    let tell = Arc::clone(&settled);
    let policy =
        rules.on_settled(move |how, _| *tell.lock().unwrap() = Some(*how)).build().unwrap();
    let items = Arc::new(Mutex::new(Some(items)));
    let service = service_fn(move |request: CreateChatCompletionRequest| {
        assert_eq!(request.stream_options.unwrap().include_usage, Some(true));
        let items = items.lock().unwrap().take().unwrap();
        async { Ok::<_, OpenAIError>(stream::iter(items).boxed() as ChatCompletionResponseStream) }
    });
    let stream = DriftlockLayer::new(policy.clone()).layer(service).oneshot(chat("gpt-4o"));
    (stream.await.unwrap(), policy, settled)
}

#[tokio::test]
async fn every_end_of_a_typed_stream_settles_as_over_the_wire() {
    let whole = || chunks().into_iter().map(Ok).collect::<Vec<_>>();
    let actual = usd("0.0035");

    let (mut stream, policy, settled) = open(policy(), whole()).await;
    assert_eq!(stream.by_ref().count().await, 2);
    assert_eq!(settled.lock().unwrap().unwrap().how, SettledHow::Actual);
    assert_eq!(spent(&policy).await, actual);
    drop(stream);
    assert_eq!(spent(&policy).await, actual);

    // Dropped half-way, before the first chunk, and before its end.
    for read in 0..3 {
        let (mut stream, policy, settled) = open(self::policy(), whole()).await;
        for _ in 0..read {
            stream.next().await.unwrap().unwrap();
        }
        drop(stream);
        let settled = settled.lock().unwrap().unwrap();
        assert_eq!((settled.how, settled.cost), (SettledHow::Abandoned, settled.reserved));
        assert_eq!(spent(&policy).await, settled.cost);
    }

    // Broken off.
    let mut broken = whole();
    broken[1] = Err(OpenAIError::InvalidArgument("the line is dead".into()));
    let (stream, policy, settled) = open(self::policy(), broken).await;
    assert_eq!(stream.count().await, 2, "what comes after an error is passed on, too");
    let settled = settled.lock().unwrap().unwrap();
    assert_eq!((settled.how, settled.cost), (SettledHow::Abandoned, settled.reserved));
    assert_eq!(spent(&policy).await, settled.cost);

    // Without a usage.
    let (stream, policy, settled) = open(
        self::policy(),
        whole()[..2].iter().map(|chunk| Ok(chunk.as_ref().unwrap().clone())).collect(),
    )
    .await;
    assert_eq!(stream.count().await, 2);
    let settled = settled.lock().unwrap().unwrap();
    assert_eq!((settled.how, settled.cost), (SettledHow::Estimated, settled.reserved));
    assert_eq!(spent(&policy).await, settled.cost);
}

#[tokio::test]
async fn usage_in_a_chunk_that_the_client_cannot_read_counts() {
    let usage = r#"{"choices":[],"usage":{"prompt_tokens":1000,"completion_tokens":100}}"#;
    let why = serde_json::from_str::<u8>("x").unwrap_err();
    let unread = OpenAIError::JSONDeserialize(why, usage.into());
    let (stream, policy, settled) = open(policy(), vec![Ok(chunks().remove(0)), Err(unread)]).await;
    assert_eq!(stream.count().await, 2);
    assert_eq!(settled.lock().unwrap().unwrap().how, SettledHow::Actual);
    assert_eq!(spent(&policy).await, usd("0.0035"));
}

#[tokio::test]
async fn a_refused_typed_call_costs_nothing_but_counts() {
    let provider = Loopback::start(Duration::ZERO).await.unwrap();
    let policy = policy().rule(VelocityLimit::new(1, Duration::from_secs(60))).build().unwrap();
    let client = DriftlockLayer::new(policy.clone()).layer(real(&provider));
    let error = client.clone().oneshot(chat("flat")).await.unwrap_err();
    assert!(matches!(error.inner_ref(), Some(OpenAIError::ApiError(_))), "{error}");
    assert_eq!(spent(&policy).await, Usd::ZERO);
    let error = client.oneshot(chat("flat")).await.unwrap_err();
    assert_eq!(error.denial().unwrap().rule(), "velocity_limit");
}

#[tokio::test]
async fn where_a_typed_call_goes_can_be_told() {
    for (carrier, provider) in [
        (Typed::at("https://api.groq.com/openai/v1/"), Provider::named("groq")),
        (Typed::at("https://api.openai.com/v1"), Provider::OPENAI),
    ] {
        let seen = Arc::new(Mutex::new(None));
        let tell = Arc::clone(&seen);
        let policy = policy().unknown_price(driftlock::UnknownPrice::Allow);
        let policy = policy
            .on_settled(move |_, receipt| *tell.lock().unwrap() = Some(receipt.provider().clone()))
            .build()
            .unwrap();
        let service = service_fn(|_: CreateChatCompletionRequest| async {
            Ok::<_, OpenAIError>(answer("llama-3.3-70b-versatile"))
        });
        let client = DriftlockLayer::new(policy).with_carrier(carrier).layer(service);
        client.oneshot(chat("llama-3.3-70b-versatile")).await.unwrap();
        assert_eq!(*seen.lock().unwrap(), Some(provider));
    }
    let nowhere = Typed::at("no address");
    let service =
        service_fn(|_: CreateChatCompletionRequest| async { Ok::<_, OpenAIError>(answer("flat")) });
    let policy = policy().build().unwrap();
    let client = DriftlockLayer::new(policy).with_carrier(nowhere).layer(service);
    let error = client.oneshot(chat("flat")).await.unwrap_err();
    assert!(error.inner_ref::<http::uri::InvalidUri>().is_some(), "{error}");
}

#[tokio::test]
async fn a_typed_call_is_not_sent_to_a_deployment_that_a_rule_has_changed() {
    let cheaper = TagBasedModelDowngrade::new(|_: &driftlock::Call| true, "gpt-4o-mini");
    let policy = Policy::builder().rule(cheaper).ephemeral_ok().build().unwrap();
    let service = service_fn(|_: CreateChatCompletionRequest| async {
        Ok::<_, OpenAIError>(answer("gpt-4o-2024-08-06"))
    });
    let at = |name| Typed::at(format!("https://x.openai.azure.com/openai/deployments/{name}"));
    let client = |name| DriftlockLayer::new(policy.clone()).with_carrier(at(name)).layer(service);
    let error = client("gpt-4o").oneshot(chat("gpt-4o")).await.unwrap_err();
    assert!(matches!(error, Error::Unreadable(_)), "{error}");
    assert_eq!(spent(&policy).await, Usd::ZERO);
    client("gpt-4o-mini").oneshot(chat("gpt-4o")).await.unwrap();
    assert!(spent(&policy).await > Usd::ZERO);
}

#[tokio::test]
async fn typed_calls_have_the_labels_of_their_task_and_hold_a_budget() {
    let policy = policy().rule(MonthlyBudget::new(Usd::cents(20)).per_user()).build().unwrap();
    let service = service_fn(|_: CreateChatCompletionRequest| async {
        tokio::task::yield_now().await;
        Ok::<_, OpenAIError>(answer("flat"))
    });
    let client = ServiceBuilder::new().layer(DriftlockLayer::new(policy.clone())).service(service);
    for user in ["u-1", "u-2"] {
        let calls = (0..10).map(|_| {
            let call = client.clone().oneshot(chat("flat"));
            labels::scope(Labels::new().with("user", user), call)
        });
        let through = futures_util::future::join_all(calls).await;
        assert_eq!(through.iter().filter(|call| call.is_ok()).count(), 3);
    }
    assert_eq!(spent(&policy).await, usd("0.39"));
}

/// Whether a call was made and settled to this, or is denied because this build does not
/// read its format. Anything else is a mistake.
async fn is_read<T>(result: Result<T, Error>, policy: &Policy, cost: &str) -> bool {
    match result {
        Ok(_) => {
            assert_eq!(spent(policy).await, usd(cost));
            true
        }
        Err(error) => {
            let denial = error.denial().expect("a denial");
            assert_eq!(denial.kind(), driftlock::DenialKind::Unmeterable, "{denial}");
            assert_eq!(spent(policy).await, Usd::ZERO);
            false
        }
    }
}

#[tokio::test]
async fn typed_embeddings_and_responses_are_metered_or_denied_and_never_passed() {
    let embed = service_fn(|_: CreateEmbeddingRequest| async {
        let usage = json!({ "prompt_tokens": 5_000, "total_tokens": 5_000 });
        let answer = json!({ "object": "list", "data": [], "model": "text-embedding-3-small", "usage": usage });
        Ok::<CreateEmbeddingResponse, OpenAIError>(serde_json::from_value(answer).unwrap())
    });
    let request: CreateEmbeddingRequest = serde_json::from_value(
        json!({ "model": "text-embedding-3-small", "input": "x".repeat(15_000) }),
    )
    .unwrap();
    let policy = self::policy().build().unwrap();
    let result = DriftlockLayer::new(policy.clone()).layer(embed).oneshot(request).await;
    let embeddings = is_read(result, &policy, "0.0001").await;

    let response = json!({
        "id": "resp_1", "object": "response", "created_at": 1, "status": "completed",
        "model": "gpt-4o", "output": [], "service_tier": "default",
        "usage": {
            "input_tokens": 1_000, "input_tokens_details": { "cached_tokens": 0 },
            "output_tokens": 100, "output_tokens_details": { "reasoning_tokens": 0 }, "total_tokens": 1_100,
        },
    });
    let response: Response = serde_json::from_value(response).unwrap();
    let request = || -> CreateResponse {
        serde_json::from_value(
            json!({ "model": "gpt-4o", "input": "Hi", "max_output_tokens": 200 }),
        )
        .unwrap()
    };
    let whole = response.clone();
    let respond = service_fn(move |_: CreateResponse| {
        std::future::ready(Ok::<_, OpenAIError>(whole.clone()))
    });
    let policy = self::policy().build().unwrap();
    let result = DriftlockLayer::new(policy.clone()).layer(respond).oneshot(request()).await;
    let responses = is_read(result, &policy, "0.0035").await;

    let event: ResponseStreamEvent = serde_json::from_value(json!({
        "type": "response.completed", "sequence_number": 9, "response": response,
    }))
    .unwrap();
    let stream = service_fn(move |_: CreateResponse| {
        let events = stream::iter([Ok(event.clone())]);
        std::future::ready(Ok::<_, OpenAIError>(events.boxed() as ResponseStream))
    });
    let policy = self::policy().build().unwrap();
    let result = match DriftlockLayer::new(policy.clone()).layer(stream).oneshot(request()).await {
        Ok(events) => Ok(events.count().await),
        Err(error) => Err(error),
    };
    assert_eq!(is_read(result, &policy, "0.0035").await, responses);
    println!("read by this build: embeddings {embeddings}, responses {responses}");
}
