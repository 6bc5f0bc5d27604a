//! hyper's client with a policy around it, and other layers around both.
//!
//! ```text
//! cargo run --example hyper --features examples
//! ```
//!
//! It calls a provider on this machine, or the real one that `OPENAI_API_KEY` and
//! `OPENAI_BASE_URL` name.

use std::time::Duration;

use bytes::Bytes;
use driftlock::{
    BoxError, CaptureLayer, Denial, DriftlockLayer, Labels, PerUserBudget, Policy, Usd, labels,
};
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::json;
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
        // Ann has a budget of her own; everybody else has next to nothing.
        .rule(PerUserBudget::new().user("ann", Usd::dollars(1)).default_limit(Usd::nanos(1_000)))
        .ephemeral_ok()
        // What is not read to its end costs the estimate.
        .on_settled(|settled, receipt| {
            let user = receipt.labels().user().unwrap_or("nobody");
            println!("{user} paid {} ({})", settled.cost, settled.how.name());
        })
        .build()?;

    let tls = HttpsConnectorBuilder::new().try_with_platform_verifier()?;
    let http = Client::builder(TokioExecutor::new())
        .build::<_, Full<Bytes>>(tls.https_or_http().enable_http1().build());

    // Outermost first. Behind the buffer calls are made by another task, which does not
    // know for whom: the first layer writes that into the request.
    let mut client = ServiceBuilder::new()
        .layer(CaptureLayer::new())
        .buffer(64)
        .timeout(Duration::from_secs(60))
        .layer(DriftlockLayer::new(policy.clone()))
        .concurrency_limit(16)
        .service(http);

    for user in ["ann", "bob"] {
        let body = json!({
            "model": target.model, "max_tokens": 100,
            "messages": [{ "role": "user", "content": "What is a budget? One sentence." }],
        });
        let request = Request::post(target.chat())
            .header("authorization", format!("Bearer {}", target.key))
            .header("content-type", "application/json")
            .body(Full::from(body.to_string()))?;
        // Labels are taken when the call is made, so it is made in here.
        let call = async { client.ready().await?.call(request).await };
        match labels::scope(Labels::new().with("user", user), call).await {
            Ok(response) => {
                let (head, body) = response.into_parts();
                let answer = body.collect().await?.to_bytes();
                println!("{user} got {} and {} bytes", head.status, answer.len());
            }
            // The layers above have put their own type of error around it.
            Err(error) => match Denial::find(error.as_ref()) {
                Some(denial) => println!("{user} was told: {}", denial.public_message()),
                None => return Err(error),
            },
        }
    }
    target.settle_up(&policy).await
}
