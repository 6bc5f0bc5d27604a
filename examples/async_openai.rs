//! A program written for async-openai, governed by two lines.
//!
//! ```text
//! cargo run --example async_openai --features examples
//! ```
//!
//! It calls a provider on this machine, or the real one that `OPENAI_API_KEY` and
//! `OPENAI_BASE_URL` name.

use std::time::Duration;

use async_openai::{
    Client,
    config::OpenAIConfig,
    error::OpenAIError,
    middleware::{ReqwestService, retry::OpenAIRetryLayer},
    types::chat::{
        ChatCompletionRequestUserMessage, CreateChatCompletionRequest,
        CreateChatCompletionRequestArgs,
    },
};
use driftlock::{
    BoxError, Denial, DriftlockLayer, Labels, MonthlyBudget, Policy, Usd, VelocityLimit, labels,
};
use futures_util::StreamExt;
use target::Target;
use tower::ServiceBuilder;

#[path = "support/loopback.rs"]
mod loopback;
#[path = "support/target.rs"]
mod target;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let target = Target::find().await?;
    let policy = Policy::builder()
        .rule(MonthlyBudget::new(Usd::dollars(1)))
        .rule(VelocityLimit::new(2, Duration::from_secs(60)).per_user())
        .ephemeral_ok()
        .build()?;

    let http = ReqwestService::new(reqwest::Client::new());
    let config = OpenAIConfig::new().with_api_base(&target.base_url).with_api_key(&target.key);

    // The two lines. What async-openai does by default, trying again what failed, goes
    // above the layer: each attempt is admitted, and a denial is not tried again.
    let retries =
        ServiceBuilder::new().layer(OpenAIRetryLayer::default()).map_err(OpenAIError::from);
    let governed = retries.layer(DriftlockLayer::new(policy.clone())).service(http);

    let client = Client::with_config(config).with_http_service(governed);
    for user in ["ann", "bob"] {
        // For whom the calls are. Nothing of it is sent.
        labels::scope(Labels::new().with("user", user), program(user, &client, &target)).await?;
    }
    target.settle_up(&policy).await
}

/// What follows is the program as it was, but for one line about denials.
async fn program(
    user: &str,
    client: &Client<OpenAIConfig>,
    target: &Target,
) -> Result<(), OpenAIError> {
    let answer = client.chat().create(question(&target.model)?).await?;
    println!("{user}: {:?}", answer.choices.first().and_then(|one| one.message.content.as_deref()));

    let mut stream = client.chat().create_stream(question(&target.model)?).await?;
    let mut pieces = 0;
    while let Some(chunk) = stream.next().await {
        chunk?;
        pieces += 1;
    }
    println!("{user}: a stream in {pieces} pieces");

    match client.chat().create(question(&target.model)?).await {
        Ok(_) => println!("{user}: a third answer within the minute"),
        Err(error) => match Denial::find(&error) {
            Some(denial) => println!("{user}: {denial}"),
            None => return Err(error),
        },
    }
    Ok(())
}

fn question(model: &str) -> Result<CreateChatCompletionRequest, OpenAIError> {
    let message = ChatCompletionRequestUserMessage::from("What is a budget? One sentence.");
    CreateChatCompletionRequestArgs::default()
        .model(model)
        .messages([message.into()])
        .max_completion_tokens(100u32)
        .build()
}
