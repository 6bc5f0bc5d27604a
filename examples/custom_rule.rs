//! Rules of one's own: an async one that enforces a limit, and a closure that looks into
//! what is asked.
//!
//! ```text
//! cargo run --example custom_rule
//! ```
//!
//! It calls a provider on this machine, or another one that `OPENAI_API_KEY` and
//! `OPENAI_BASE_URL` name, without TLS: for that see the example `hyper`.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use driftlock::{
    BoxError, Call, Claim, Deny, Driftlock, DriftlockLayer, Labels, Policy, Rule, Scope, Usd,
    Verdict, Window, Zone, labels, rule_fn,
};
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::json;
use target::Target;
use tokio::sync::RwLock;
use tower::{ServiceBuilder, ServiceExt};

#[path = "support/loopback.rs"]
mod loopback;
#[path = "support/target.rs"]
mod target;

type Http = Client<HttpConnector, Full<Bytes>>;

/// Each project may spend so much a day, as a table says that somebody may change any
/// time.
struct ProjectBudgets(Arc<RwLock<HashMap<String, Usd>>>);

impl Rule for ProjectBudgets {
    async fn evaluate(&self, call: &Call) -> Verdict {
        let Some(project) = call.label("project") else {
            return Deny::new("the call does not say for which project it is").into();
        };
        let Some(limit) = self.0.read().await.get(project).copied() else {
            return Deny::new("this project has no budget").with("project", project).into();
        };
        // A rule never counts. It claims what the call may cost, and all claims of all
        // rules are checked and booked in one step: two calls at once cannot both have
        // the last cent.
        Claim::cost(Scope::label("project", project), Window::day(Zone::UTC), limit).into()
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let target = Target::find().await?;
    let budgets = HashMap::from([("atlas".to_owned(), Usd::nanos(100_000))]);
    let budgets = Arc::new(RwLock::new(budgets));
    let policy = Policy::builder()
        .rule(ProjectBudgets(Arc::clone(&budgets)))
        .rule(rule_fn("no_hot_answers", |call| {
            match call.parameter("temperature").and_then(|value| value.as_f64()) {
                Some(heat) if heat > 1.0 => Deny::new("too hot").with("most", 1.0).into(),
                _ => Verdict::Allow,
            }
        }))
        // An async rule that takes longer denies the call.
        .rule_timeout(Duration::from_millis(200))
        .ephemeral_ok()
        .build()?;

    let http: Http = Client::builder(TokioExecutor::new()).build_http();
    let governed = ServiceBuilder::new().layer(DriftlockLayer::new(policy.clone())).service(http);

    ask(&target, &governed, "borealis", 0.5).await?;
    ask(&target, &governed, "atlas", 1.5).await?;
    // A call may cost $0.00008 or so, and costs a fraction of it.
    while ask(&target, &governed, "atlas", 0.5).await? {}
    println!("somebody raises the budget");
    budgets.write().await.insert("atlas".to_owned(), Usd::cents(1));
    ask(&target, &governed, "atlas", 0.5).await?;
    target.settle_up(&policy).await
}

/// Asks a question; `false` if a rule said no.
async fn ask(
    target: &Target,
    governed: &Driftlock<Http>,
    project: &str,
    temperature: f64,
) -> Result<bool, BoxError> {
    let question = json!({
        "model": target.model, "max_tokens": 100, "temperature": temperature,
        "messages": [{ "role": "user", "content": "What is a budget? One sentence." }],
    });
    let request = Request::post(target.chat())
        .header("authorization", format!("Bearer {}", target.key))
        .header("content-type", "application/json")
        .body(Full::from(question.to_string()))?;
    let call = governed.clone().oneshot(request);
    match labels::scope(Labels::new().with("project", project), call).await {
        Ok(response) => {
            let status = response.status();
            // Read to its end, a call settles to what it cost.
            let answer = response.into_body().collect().await?.to_bytes();
            if !status.is_success() {
                return Err(format!("{status}: {}", String::from_utf8_lossy(&answer)).into());
            }
            println!("{project}: answered");
            Ok(true)
        }
        Err(error) => match error.denial() {
            Some(denial) => {
                println!("{project}: {denial}");
                Ok(false)
            }
            None => Err(error.into()),
        },
    }
}
