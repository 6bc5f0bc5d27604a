//! A program written for async-openai, which gains a policy by two lines.
#![allow(clippy::unwrap_used)] // in helpers too

#[path = "../examples/support/loopback.rs"]
mod loopback;
mod stand_in;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_openai::{
    Client,
    config::{AzureConfig, Config, OpenAIConfig},
    error::OpenAIError,
    middleware::{
        HttpRequestFactory, ReqwestService,
        retry::{OpenAIRetryLayer, SimpleRetryPolicy},
    },
    types::{
        InputSource,
        audio::{AudioInput, CreateTranscriptionRequest},
        chat::CreateChatCompletionRequest,
        files::{CreateFileRequest, FileInput, FilePurpose},
    },
};
use driftlock::{
    CaptureLayer, Denial, DriftlockLayer, Error, Labels, MonthlyBudget, PerUserBudget,
    PolicyBuilder, RestrictModel, Scope, TagBasedModelDowngrade, Usd, VelocityLimit, Window, Zone,
    labels, retry::RespectDenials,
};
use futures_util::StreamExt;
use http_body_util::BodyExt;
use loopback::Loopback;
use reqwest::Response;
use serde_json::{Value, json};
use stand_in::{spent, usd};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

const MINUTE: Duration = Duration::from_secs(60);

fn policy() -> PolicyBuilder {
    stand_in::policy()
}

fn chat(model: &str) -> CreateChatCompletionRequest {
    serde_json::from_value(json!({
        "model": model, "max_completion_tokens": 100,
        "messages": [{ "role": "user", "content": "Hi" }],
        "metadata": { "prompt_tokens": "5", "completion_tokens": "20" },
    }))
    .unwrap()
}

fn config(provider: &Loopback) -> OpenAIConfig {
    OpenAIConfig::new().with_api_base(format!("{}/v1", provider.url()))
}

fn reqwest_service() -> ReqwestService {
    ReqwestService::new(reqwest::Client::new())
}

/// A client of this configuration over this service.
fn client<C: Config, S>(config: C, service: S) -> Client<C>
where
    S: Service<HttpRequestFactory, Response = Response> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    S::Error: Into<OpenAIError> + Send + Sync + 'static,
{
    Client::with_config(config).with_http_service(service)
}

/// Answers every request with this status and body, and says what it was sent.
#[derive(Clone, Default)]
struct Answers {
    calls: Arc<AtomicU64>,
    sent: Arc<Mutex<Vec<(String, String)>>>,
}

impl Answers {
    fn service(
        &self,
        status: u16,
        answer: &str,
    ) -> impl Service<HttpRequestFactory, Response = Response, Error = OpenAIError, Future: Send>
    + Clone
    + use<>
    + Send
    + Sync
    + 'static
where {
        let (this, answer) = (self.clone(), answer.to_owned());
        service_fn(move |factory: HttpRequestFactory| {
            let (this, answer) = (this.clone(), answer.clone());
            async move {
                this.calls.fetch_add(1, Ordering::SeqCst);
                let mut request = factory.build().await?;
                let to = format!("{} {}", request.method(), request.url());
                let body = request.body_mut().take().unwrap_or_default().collect().await?;
                let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
                this.sent.lock().unwrap().push((to, body));
                let response = http::Response::builder().status(status);
                Ok(Response::from(response.body(answer).unwrap()))
            }
        })
    }

    fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    fn sent(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.sent.lock().unwrap())
    }
}

fn whole_answer() -> String {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "flat",
        "choices": [{
            "index": 0, "finish_reason": "stop", "message": { "role": "assistant", "content": "Hello" },
        }],
        "usage": { "prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8 },
    })
    .to_string()
}

// ── two lines ──

#[tokio::test]
async fn an_unmodified_program_is_governed_whole_and_streamed() {
    let provider = Loopback::start(Duration::ZERO).await.unwrap();
    let policy = policy().build().unwrap();

    let governed = DriftlockLayer::new(policy.clone()).layer(reqwest_service());
    let client = Client::with_config(config(&provider)).with_http_service(governed);

    let answer = client.chat().create(chat("gpt-4o")).await.unwrap();
    assert_eq!(answer.usage.unwrap().completion_tokens, 20);
    let stream = client.chat().create_stream(chat("gpt-4o")).await.unwrap();
    let chunks: Vec<_> = stream.map(Result::unwrap).collect().await;
    assert!(chunks.iter().all(|chunk| chunk.usage.is_none() && !chunk.choices.is_empty()));
    let text: String =
        chunks.iter().filter_map(|chunk| chunk.choices[0].delta.content.as_deref()).collect();
    assert_eq!(text.split_whitespace().count(), 20);
    assert_eq!(provider.calls(), 2);
    while spent(&policy).await != provider.billed() {
        tokio::task::yield_now().await; // the reader of a stream is another task
    }
}

#[tokio::test]
async fn a_denial_comes_out_typed_and_nothing_is_sent() {
    let provider = Loopback::start(Duration::ZERO).await.unwrap();
    let policy = policy().rule(RestrictModel::new(["gpt-4o"])).build().unwrap();
    let governed = DriftlockLayer::new(policy).layer(reqwest_service());
    let client = client(config(&provider), governed);
    let whole = client.chat().create(chat("gpt-4o")).await.unwrap_err();
    let streamed = client.chat().create_stream(chat("gpt-4o")).await.err().unwrap();
    for error in [whole, streamed] {
        assert_eq!(Denial::find(&error).unwrap().rule(), "restrict_model");
        let OpenAIError::Boxed(boxed) = error else { panic!("{error}") };
        let ours = boxed.downcast::<Error>().unwrap();
        assert!(matches!(&*ours, Error::Denied(denial) if denial.rule() == "restrict_model"));
    }
    assert_eq!(provider.calls(), 0);
}

#[tokio::test]
async fn errors_of_the_client_come_out_as_they_were() {
    let provider = Loopback::start(Duration::ZERO).await.unwrap();
    let policy = policy().rule(VelocityLimit::new(2, MINUTE)).build().unwrap();
    let layer = DriftlockLayer::new(policy.clone());
    let governed = client(config(&provider), layer.layer(reqwest_service()));
    let plain = client(config(&provider), reqwest_service());
    let told = |result: Result<_, OpenAIError>| match result.unwrap_err() {
        OpenAIError::ApiError(error) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let governed = told(governed.chat().create(chat("flat")).await.map(drop));
    assert_eq!(governed, told(plain.chat().create(chat("flat")).await.map(drop)));
    assert!(governed.contains("no such model"), "{governed}");

    let nowhere = OpenAIConfig::new().with_api_base("http://127.0.0.1:1/v1");
    let lost = client(nowhere, layer.layer(reqwest_service()));
    for _ in 0..3 {
        match lost.chat().create(chat("flat")).await.unwrap_err() {
            OpenAIError::Reqwest(error) => assert!(error.is_connect()),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(spent(&policy).await, Usd::ZERO);
}

#[tokio::test]
async fn a_rule_can_change_what_is_sent() {
    let cheaper = TagBasedModelDowngrade::new(|_: &driftlock::Call| true, "gpt-4o-mini");
    let policy = policy().rule(cheaper).build().unwrap();
    let answers = Answers::default();
    let layer = DriftlockLayer::new(policy);
    let service = layer.layer(answers.service(200, &whole_answer()));
    client(OpenAIConfig::new(), service.clone()).chat().create(chat("gpt-4o")).await.unwrap();
    let [(to, body)] = &answers.sent()[..] else { panic!("one call") };
    assert_eq!(to, "POST https://api.openai.com/v1/chat/completions");
    let mut expected = serde_json::to_value(chat("gpt-4o")).unwrap();
    expected["model"] = "gpt-4o-mini".into();
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), expected);

    let azure = AzureConfig::new()
        .with_api_base("https://x.openai.azure.com")
        .with_deployment_id("gpt-4o")
        .with_api_version("1");
    client(azure, service).chat().create(chat("gpt-4o")).await.unwrap();
    let to = "POST https://x.openai.azure.com/openai/deployments/gpt-4o-mini/chat/completions?api-version=1";
    assert_eq!(answers.sent()[0].0, to);
}

// ── everything else the client does ──

#[tokio::test]
async fn what_is_free_passes_and_uploads_are_made_anew_for_each_attempt() {
    let policy = policy().build().unwrap();
    let answers = Answers::default();
    let service = DriftlockLayer::new(policy.clone())
        .layer(OpenAIRetryLayer::new(1).layer(answers.service(500, "{}")));
    let client = client(OpenAIConfig::new(), service);
    client.models().list().await.unwrap_err();
    let file = CreateFileRequest {
        file: FileInput {
            source: InputSource::VecU8 { filename: "a.txt".into(), vec: b"the file".into() },
        },
        purpose: FilePurpose::Assistants,
        ..Default::default()
    };
    client.files().create(file).await.unwrap_err();
    let sent = answers.sent();
    let to: Vec<_> = sent.iter().map(|(to, _)| to.rsplit('/').next().unwrap()).collect();
    assert_eq!(to, ["models", "models", "files", "files"]);
    for (_, body) in &sent[2..] {
        assert!(body.contains("the file") && body.contains("a.txt"), "{body}");
    }
    let stats = policy.stats();
    assert_eq!((stats.admitted_assumed + stats.admitted_hard, stats.denied), (0, 0));
}

#[tokio::test]
async fn an_upload_that_costs_is_denied() {
    let policy = policy().build().unwrap();
    let answers = Answers::default();
    let service = DriftlockLayer::new(policy).layer(answers.service(200, "{}"));
    let client = client(OpenAIConfig::new(), service);
    let audio =
        AudioInput { source: InputSource::VecU8 { filename: "a.wav".into(), vec: vec![0; 64] } };
    let request =
        CreateTranscriptionRequest { file: audio, model: "whisper-1".into(), ..Default::default() };
    let error = client.audio().transcription().create(request).await.unwrap_err();
    let denial = Denial::find(&error).unwrap();
    assert_eq!(denial.kind(), driftlock::DenialKind::Unmeterable);
    assert!(denial.to_string().contains("/v1/audio/transcriptions"), "{denial}");
    assert_eq!(answers.calls(), 0);
}

#[tokio::test]
async fn a_request_that_cannot_be_made_is_the_clients_error_and_no_denial() {
    let policy = policy().build().unwrap();
    let answers = Answers::default();
    let service = DriftlockLayer::new(policy.clone()).layer(answers.service(200, "{}"));
    let client = client(OpenAIConfig::new(), service);
    let audio = AudioInput { source: InputSource::Path { path: "/no/such/file".into() } };
    let request =
        CreateTranscriptionRequest { file: audio, model: "whisper-1".into(), ..Default::default() };
    let error = client.audio().transcription().create(request).await.unwrap_err();
    assert!(matches!(error, OpenAIError::FileReadError(_)), "{error:?}");
    assert_eq!((answers.calls(), policy.stats().denied), (0, 0));
}

/// A factory whose requests to this address say how many were made before them.
fn counting(url: &'static str) -> (HttpRequestFactory, Arc<AtomicU64>) {
    let made = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&made);
    let factory = HttpRequestFactory::new(move || {
        let number = count.fetch_add(1, Ordering::SeqCst);
        let body = json!({ "model": "flat", "messages": [], "user": number.to_string() });
        let request = reqwest::Client::new().post(url).json(&body).build();
        async { Ok(request?) }
    });
    (factory, made)
}

#[tokio::test]
async fn what_was_read_is_what_is_sent_however_often_it_is_made() {
    for (path, numbers, in_all) in [
        ("https://api.openai.com/v1/chat/completions", ["0", "0", "0"], 1),
        // What is free is made anew, but for the first time, for which it was made.
        ("https://api.openai.com/v1/moderations", ["0", "1", "2"], 3),
    ] {
        let policy = policy().build().unwrap();
        let service = DriftlockLayer::new(policy).layer(service_fn(
            move |factory: HttpRequestFactory| async move {
                for number in numbers {
                    let request = factory.build().await?;
                    let body = request.body().unwrap().as_bytes().unwrap();
                    let body: Value = serde_json::from_slice(body).unwrap();
                    assert_eq!(
                        (body["user"].as_str(), request.url().as_str()),
                        (Some(number), path)
                    );
                }
                Ok::<_, OpenAIError>(Response::from(http::Response::new("{}")))
            },
        ));
        let (factory, made) = counting(path);
        service.oneshot(factory).await.unwrap();
        assert_eq!(made.load(Ordering::SeqCst), in_all, "{path}");
    }
}

// ── its retries ──

#[tokio::test(start_paused = true)]
async fn its_retries_make_one_attempt_on_a_denial() {
    let rules = || policy().rule(RestrictModel::new(["flat"]));
    let answers = Answers::default();
    let policy = rules().build().unwrap();
    let service = ServiceBuilder::new()
        .layer(OpenAIRetryLayer::default())
        .map_err(OpenAIError::from)
        .layer(DriftlockLayer::new(policy.clone()))
        .service(answers.service(500, "{}"));
    let error = client(OpenAIConfig::new(), service).chat().create(chat("flat")).await.unwrap_err();
    assert!(Denial::find(&error).is_some(), "{error}");
    assert_eq!((policy.stats().denied, answers.calls()), (1, 0));

    // Its other one, by itself and under ours.
    let policy = rules().build().unwrap();
    let service = ServiceBuilder::new()
        .retry(RespectDenials::new(SimpleRetryPolicy::default()))
        .retry(SimpleRetryPolicy::default())
        .map_err(OpenAIError::from)
        .layer(DriftlockLayer::new(policy.clone()))
        .service(answers.service(500, "{}"));
    client(OpenAIConfig::new(), service).chat().create(chat("flat")).await.unwrap_err();
    assert_eq!((policy.stats().denied, answers.calls()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn retries_above_are_the_calls_they_are_and_below_they_are_one() {
    let policy = policy().rule(VelocityLimit::new(3, MINUTE)).build().unwrap();
    let answers = Answers::default();
    let above = ServiceBuilder::new()
        .layer(OpenAIRetryLayer::new(10))
        .map_err(OpenAIError::from)
        .layer(DriftlockLayer::new(policy.clone()))
        .service(answers.service(500, "{}"));
    let error = client(OpenAIConfig::new(), above).chat().create(chat("flat")).await.unwrap_err();
    assert_eq!(Denial::find(&error).unwrap().rule(), "velocity_limit");
    assert_eq!((answers.calls(), policy.stats().denied), (3, 1));
    assert_eq!(spent(&policy).await, usd("0.195"));

    // The first attempts may have been billed, though the last was refused.
    let policy = stand_in::policy().hidden_retries().build().unwrap();
    let answers = Answers::default();
    let refusing = json!({ "error": { "message": "slow down", "type": "requests" } });
    let below = ServiceBuilder::new()
        .layer(DriftlockLayer::new(policy.clone()))
        .layer(OpenAIRetryLayer::new(2))
        .service(answers.service(429, &refusing.to_string()));
    let error = client(OpenAIConfig::new(), below).chat().create(chat("flat")).await.unwrap_err();
    assert!(matches!(error, OpenAIError::ApiError(_)), "{error}");
    assert_eq!((answers.calls(), spent(&policy).await), (3, usd("0.065")));
    assert!(answers.sent().windows(2).all(|pair| pair[0] == pair[1]), "the same each time");
}

#[tokio::test]
async fn a_refusal_that_a_layer_below_made_an_error_of_costs_nothing() {
    let policy = policy().build().unwrap();
    let refusing = json!({ "error": { "message": "no money", "type": "insufficient_quota" } });
    let service = ServiceBuilder::new()
        .layer(DriftlockLayer::new(policy.clone()))
        .layer(OpenAIRetryLayer::new(2))
        .service(Answers::default().service(429, &refusing.to_string()));
    client(OpenAIConfig::new(), service).chat().create(chat("flat")).await.unwrap_err();
    assert_eq!((spent(&policy).await, policy.stats().admitted_assumed), (Usd::ZERO, 1));
}

// ── labels ──

#[tokio::test]
async fn labels_reach_the_layer_from_the_scope_and_over_a_buffer() {
    let month = |user| (Scope::user(user), Window::month(Zone::UTC));
    let as_user = |user| Labels::new().with("user", user);
    for buffered in [false, true] {
        let rule = PerUserBudget::new().default_limit(Usd::cents(7)).require_user();
        let policy = policy().rule(rule).build().unwrap();
        let governed = ServiceBuilder::new()
            .layer(DriftlockLayer::new(policy.clone()))
            .service(Answers::default().service(200, &whole_answer()));
        let client = match buffered {
            false => client(OpenAIConfig::new(), governed),
            true => client(
                OpenAIConfig::new(),
                ServiceBuilder::new().layer(CaptureLayer::new()).buffer(8).service(governed),
            ),
        };
        for user in ["u-1", "u-2"] {
            let call =
                || async { labels::scope(as_user(user), client.chat().create(chat("flat"))).await };
            call().await.unwrap();
            let error = call().await.unwrap_err();
            let denial = Denial::find(&error).unwrap();
            assert!(denial.to_string().contains(&format!("by user {user}")), "{denial}");
            let (scope, window) = month(user);
            assert_eq!(policy.spend(&scope, window).await.unwrap().settled, usd("0.065"));
        }
        let error = client.chat().create(chat("flat")).await.unwrap_err();
        assert_eq!(Denial::find(&error).unwrap().kind(), driftlock::DenialKind::MissingUser);
    }
}

#[tokio::test]
async fn over_a_buffer_without_capture_nobody_is_taken_for_somebody() {
    let rule = PerUserBudget::new().default_limit(Usd::cents(7)).require_user();
    let policy = policy().rule(rule).build().unwrap();
    let service = ServiceBuilder::new()
        .buffer(8)
        .layer(DriftlockLayer::new(policy))
        .service(Answers::default().service(200, &whole_answer()));
    let client = client(OpenAIConfig::new(), service);
    let chats = client.chat();
    let call = chats.create(chat("flat"));
    let error = labels::scope(Labels::new().with("user", "u-1"), call).await.unwrap_err();
    assert_eq!(Denial::find(&error).unwrap().kind(), driftlock::DenialKind::MissingUser);
}

// ── under load ──

#[tokio::test]
async fn a_budget_holds_under_a_thousand_concurrent_calls() {
    let policy = policy().rule(MonthlyBudget::new(Usd::dollars(1))).build().unwrap();
    let answers = Answers::default();
    let service = DriftlockLayer::new(policy.clone()).layer(answers.service(200, &whole_answer()));
    let client = client(OpenAIConfig::new(), service);
    let calls = (0..1_000).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { client.chat().create(chat("flat")).await.is_ok() })
    });
    let through = futures_util::future::join_all(calls.collect::<Vec<_>>()).await;
    assert_eq!(through.into_iter().filter(|ok| *ok.as_ref().unwrap()).count(), 15);
    assert_eq!((answers.calls(), spent(&policy).await), (15, usd("0.975")));
}
