//! reqwest's client with a policy around it.
//!
//! ```text
//! cargo run --example reqwest --features examples
//! ```
//!
//! It calls a provider on this machine, or the real one that `OPENAI_API_KEY` and
//! `OPENAI_BASE_URL` name.

use driftlock::{
    BoxError, Driftlock, DriftlockLayer, MaxCostPerRequest, MonthlyBudget, Policy, Receipt, Usd,
};
use reqwest::{Client, Request};
use serde_json::{Value, json};
use target::Target;
use tower::{Service, ServiceBuilder, ServiceExt};

#[path = "support/loopback.rs"]
mod loopback;
#[path = "support/target.rs"]
mod target;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let target = Target::find().await?;
    let policy = Policy::builder()
        .rule(MaxCostPerRequest::new(Usd::cents(1)))
        .rule(MonthlyBudget::new(Usd::dollars(1)))
        .ephemeral_ok()
        .receipts(true)
        .build()?;

    let http = Client::new();
    let mut governed: Driftlock<Client> =
        ServiceBuilder::new().layer(DriftlockLayer::new(policy.clone())).service(http.clone());

    // Requests are built by the client as ever, and sent by the governed one.
    let call = |max_tokens: u64, stream: bool| -> reqwest::Result<Request> {
        let question = json!({
            "model": target.model, "max_tokens": max_tokens, "stream": stream,
            "messages": [{ "role": "user", "content": "What is a budget? One sentence." }],
        });
        http.post(target.chat()).bearer_auth(&target.key).json(&question).build()
    };

    let response = governed.ready().await?.call(call(100, false)?).await?;
    let receipt = response.extensions().get::<Receipt>().cloned();
    let answer: Value = response.error_for_status()?.json().await?;
    println!("answer: {}", answer["choices"][0]["message"]["content"]);
    if let Some(receipt) = receipt {
        println!("reserved {}, cost {}", receipt.reserved(), receipt.settled().await.cost);
    }

    // A stream is read piece by piece. Its usage is asked for, metered and taken out.
    let mut response = governed.ready().await?.call(call(100, true)?).await?.error_for_status()?;
    let mut bytes = 0;
    while let Some(piece) = response.chunk().await? {
        bytes += piece.len();
    }
    println!("a stream of {bytes} bytes from {}", response.url());

    // What might be dear is not sent.
    match governed.ready().await?.call(call(10_000_000, false)?).await {
        Ok(_) => return Err("this call was to be denied".into()),
        Err(error) => match error.denial() {
            Some(denial) => println!("denied: {denial}"),
            None => return Err(error.into()),
        },
    }
    target.settle_up(&policy).await
}
