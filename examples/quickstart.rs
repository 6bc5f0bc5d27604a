//! A first look at driftlock: one policy, one HTTP client, and what becomes of its calls.
//!
//! ```text
//! cargo run --example quickstart
//! ```
//!
//! Everything is real but the provider, which runs on this machine and bills what it
//! reports: the client below is hyper's, every call that is admitted goes over HTTP,
//! and at the end the provider's books are held against driftlock's.

use std::{process::ExitCode, sync::Arc, time::Duration};

use bytes::Bytes;
use driftlock::{
    BoxError, Driftlock, DriftlockLayer, Error, Labels, MaxCostPerRequest, MonthlyBudget, Policy,
    Receipt, RestrictModel, Retry, Scope, TagBasedModelDowngrade, Usd, VelocityLimit, Window, Zone,
    rule::label,
};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use loopback::Loopback;
use tower::{Service, ServiceBuilder, ServiceExt};

#[path = "support/loopback.rs"]
mod loopback;

const BUDGET: Usd = Usd::dollars(1);
const MINUTE: Duration = Duration::from_secs(60);

/// The policy, all of it. Rules run in this order and the first denial wins.
fn policy() -> Result<Policy, driftlock::BuildError> {
    Policy::builder()
        // By name, and by any dated name of the same model.
        .rule(RestrictModel::new(["o1-pro"]))
        // Users of the free plan get a cheaper model. They still get an answer.
        .rule(TagBasedModelDowngrade::new(label("plan").eq("free"), "gpt-4o-mini"))
        // No single call may be dear: what counts is what it may cost at most.
        .rule(MaxCostPerRequest::new(Usd::cents(10)))
        // A loop in one user's session does not become everybody's problem.
        .rule(VelocityLimit::new(10, MINUTE).per_user())
        // The cap. It holds under any concurrency, because a call reserves what it
        // may cost before it is sent, and pays what it did cost when it has ended.
        .rule(MonthlyBudget::new(BUDGET))
        // The default store is in memory and forgets when the process ends. Fine here.
        .ephemeral_ok()
        // Puts a receipt into each response, so that there is something to show.
        .receipts(true)
        .build()
}

/// An ordinary HTTP client with the policy around it: `http::Request` in,
/// `http::Response` out, as before.
type Http = Client<HttpConnector, Full<Bytes>>;
type Governed = Driftlock<Http>;

fn client(policy: &Policy) -> Governed {
    let http: Http = Client::builder(TokioExecutor::new()).build_http();
    ServiceBuilder::new().layer(DriftlockLayer::new(policy.clone())).service(http)
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quickstart: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), BoxError> {
    let provider = Arc::new(Loopback::start(Duration::from_millis(20)).await?);
    let policy = policy()?;
    let app = App { client: client(&policy), provider: Arc::clone(&provider) };

    println!("driftlock quickstart: hyper client → driftlock → {}", provider.url());
    admitted(&app).await?;
    denied(&app).await?;
    burst(&app).await?;
    budget(&app).await?;
    books(&app, &policy).await
}

async fn admitted(app: &App) -> Result<(), BoxError> {
    title("Admitted: what a call may cost is reserved, what it did cost is charged");
    println!("   {:16}{:26}{:14}cost", "", "model", "reserved");
    let plain = Chat::new("gpt-4o");
    let stream = Chat { stream: true, ..Chat::new("gpt-4o") };
    let free = Chat { plan: "free", ..Chat::new("gpt-4o") };
    for (what, chat) in [("plain call", plain), ("stream", stream), ("free plan", free)] {
        let answer = app.send(chat).await?;
        let receipt = answer.receipt;
        let models = match (receipt.requested_model(), receipt.model()) {
            (asked, sent) if asked == sent => asked.to_owned(),
            (asked, sent) => format!("{asked} → {sent}"),
        };
        let cost = receipt.settled().await.cost;
        println!("   {what:16}{models:26}{:14}{cost}", receipt.reserved());
        if chat.stream {
            // driftlock asked the provider for the usage and took it out again.
            let shows_usage = answer.body.contains("prompt_tokens");
            promise(!shows_usage, "a caller sees nothing that it did not ask for")?;
            promise(cost < receipt.reserved(), "a stream is metered")?;
        }
    }
    say("The stream was metered though its caller did not ask for usage, nor saw any.");
    Ok(())
}

async fn denied(app: &App) -> Result<(), BoxError> {
    title("Denied: nothing is sent and nothing is charged");
    let before = app.provider.calls();
    let restricted = Chat::new("o1-pro");
    let expensive = Chat { max_tokens: 16_000, ..Chat::new("gpt-4o") };
    // A price that is not known is not taken for nothing.
    let unknown = Chat::new("acme-chat-1");
    for chat in [restricted, expensive, unknown] {
        let Err(error) = app.send(chat).await else {
            return Err(format!("{} was to be denied", chat.model).into());
        };
        // The denial is a value: its rule, its kind, its numbers, when to try again.
        match error.downcast_ref::<Error>().and_then(Error::denial) {
            Some(denial) => say(&denial.to_string()),
            None => return Err(error),
        }
    }
    promise(app.provider.calls() == before, "a denied call does not reach the provider")
}

async fn burst(app: &App) -> Result<(), BoxError> {
    title("A loop runs away: 25 calls at once, 10 a minute are allowed to a user");
    let before = app.provider.calls();
    let looping = Chat { user: 17, ..Chat::new("gpt-4o-mini") };
    let outcomes = at_once((0..25).map(|_| app.clone().attempt(looping))).await?;
    let reached = app.provider.calls() - before;
    say(&format!("{reached} of {} reached the provider", outcomes.len()));
    if let Some(Outcome::Denied { message, .. }) = outcomes.iter().find(|one| !one.is_served()) {
        say(message);
    }
    promise(reached == 10, "a velocity limit is exact under concurrency")
}

async fn budget(app: &App) -> Result<(), BoxError> {
    title("The month's dollar runs out under 200 concurrent callers");
    // Two calls for each of a hundred users, so that no other limit is in the way.
    let callers = (0..200).map(|number| {
        let app = app.clone();
        let chat = Chat { user: 100 + number / 2, tokens: (1_200, 600), ..Chat::new("gpt-4o") };
        async move {
            loop {
                match app.clone().attempt(chat).await? {
                    // Others hold the rest of the budget, and give back what they do
                    // not need when they have ended: it is worth another try.
                    Outcome::Denied { retry: Retry::WhenInFlightSettles, .. } => {
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                    outcome => return Ok(outcome),
                }
            }
        }
    });
    let outcomes = at_once(callers).await?;
    let served = outcomes.iter().filter(|one| one.is_served()).count();
    say(&format!("{served} of {} reached the provider", outcomes.len()));
    let Some(Outcome::Denied { message, .. }) = outcomes.iter().find(|one| !one.is_served()) else {
        return Err("the budget was to run out".into());
    };
    say(message);
    Ok(())
}

async fn books(app: &App, policy: &Policy) -> Result<(), BoxError> {
    title("The books");
    let month = policy.spend(&Scope::Workspace, Window::month(Zone::UTC)).await?;
    let billed = app.provider.billed();
    let overspend = billed.saturating_sub(BUDGET);
    println!("   {:24}{} of {BUDGET}", "spent, by driftlock", month.settled);
    println!("   {:24}{billed}", "billed by the provider");
    println!("   {:24}{overspend}", "overspend");
    promise(month.reserved.is_zero(), "nothing stays reserved")?;
    promise(month.settled == billed, "both books say the same")?;
    promise(overspend.is_zero(), "a budget is never overspent")
}

// What follows is the application around it: nothing in it knows of budgets.

#[derive(Clone)]
struct App {
    client: Governed,
    provider: Arc<Loopback>,
}

/// One chat call.
#[derive(Clone, Copy)]
struct Chat {
    model: &'static str,
    user: u32,
    plan: &'static str,
    stream: bool,
    max_tokens: u64,
    /// What the provider will count: prompt and answer.
    tokens: (u64, u64),
}

impl Chat {
    fn new(model: &'static str) -> Self {
        Self { model, user: 1, plan: "paid", stream: false, max_tokens: 800, tokens: (300, 150) }
    }

    fn request(self, url: &str) -> Result<http::Request<Full<Bytes>>, http::Error> {
        let (prompt_tokens, completion_tokens) = self.tokens;
        // Of English text, a token is four bytes and a bit.
        let prompt =
            "Summarise the ticket below. ".chars().cycle().take(4 * prompt_tokens as usize);
        let body = serde_json::json!({
            "model": self.model,
            "messages": [{ "role": "user", "content": prompt.collect::<String>() }],
            "max_tokens": self.max_tokens,
            "stream": self.stream,
            // For the provider of this example only.
            "metadata": {
                "prompt_tokens": prompt_tokens.to_string(),
                "completion_tokens": completion_tokens.to_string(),
            },
        });
        // Labels say for whom a call is made. They stay here: nothing of them is sent.
        let labels = Labels::new().with("user", format!("u-{}", self.user)).with("plan", self.plan);
        http::Request::post(format!("{url}{}", loopback::CHAT))
            .header("content-type", "application/json")
            .extension(labels)
            .body(Full::from(body.to_string()))
    }
}

struct Answer {
    receipt: Receipt,
    body: String,
}

enum Outcome {
    Served,
    Denied { message: String, retry: Retry },
}

impl Outcome {
    fn is_served(&self) -> bool {
        matches!(self, Self::Served)
    }
}

impl App {
    async fn send(&self, chat: Chat) -> Result<Answer, BoxError> {
        let request = chat.request(&self.provider.url())?;
        let response = self.client.clone().ready().await?.call(request).await?;
        let receipt = response.extensions().get::<Receipt>().cloned();
        // A call has ended, and is charged, when its body has been read (or dropped).
        let body = response.into_body().collect().await?.to_bytes();
        let receipt = receipt.ok_or("an admitted call has a receipt")?;
        Ok(Answer { receipt, body: String::from_utf8_lossy(&body).into_owned() })
    }

    async fn attempt(self, chat: Chat) -> Result<Outcome, BoxError> {
        match self.send(chat).await {
            Ok(_) => Ok(Outcome::Served),
            Err(error) => match error.downcast_ref::<Error>().and_then(Error::denial) {
                Some(denial) => {
                    Ok(Outcome::Denied { message: denial.to_string(), retry: denial.retry() })
                }
                None => Err(error),
            },
        }
    }
}

/// Runs all of them as tasks of their own.
async fn at_once<F>(calls: impl Iterator<Item = F>) -> Result<Vec<Outcome>, BoxError>
where
    F: Future<Output = Result<Outcome, BoxError>> + Send + 'static,
{
    let mut outcomes = Vec::new();
    for task in calls.map(tokio::spawn).collect::<Vec<_>>() {
        outcomes.push(task.await??);
    }
    Ok(outcomes)
}

fn promise(holds: bool, what: &str) -> Result<(), BoxError> {
    if holds { Ok(()) } else { Err(format!("a promise is broken: {what}").into()) }
}

fn title(text: &str) {
    println!("\n{text}");
}

/// Prints a paragraph, broken into lines.
fn say(text: &str) {
    const WIDTH: usize = 84;
    let mut line = String::from("  ");
    for word in text.split(' ') {
        if line.chars().count() + word.chars().count() > WIDTH {
            println!("{line}");
            line = String::from("    ");
        }
        line = line + " " + word;
    }
    println!("{line}");
}
