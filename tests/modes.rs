//! Enforcing, observing, off.
#![allow(clippy::unwrap_used)] // in helpers too

mod stand_in;

use std::time::Duration;

use driftlock::{
    Deny, Labels, MaxCostPerRequest, Mode, MonthlyBudget, OutputBound, Policy, PolicyBuilder,
    Receipt, RestrictModel, TagBasedModelDowngrade, Usd, VelocityLimit, rule::label, rule_fn,
};
use http_body_util::BodyExt;
use stand_in::*;
use tower::ServiceExt;

/// Calls of all sorts, each twice.
fn calls() -> Vec<http::Request<Body>> {
    let for_user = |mut call: http::Request<Body>| {
        call.extensions_mut().insert(Labels::new().with("plan", "free").with("user", "u-1"));
        call
    };
    let once = || {
        [
            chat(FLAT),
            for_user(chat("gpt-4o")),
            chat_with("gpt-4.1", r#", "max_tokens" : 100000"#),
            for_user(chat_with("gpt-4o", r#","n":3"#)),
        ]
    };
    once().into_iter().chain(once()).collect()
}

/// Rules that each deny or rewrite some of the calls.
fn strict() -> PolicyBuilder {
    policy()
        .rule(MonthlyBudget::new(Usd::cents(10)))
        .rule(TagBasedModelDowngrade::new(label("plan").eq("free"), "gpt-4o-mini"))
        .rule(MaxCostPerRequest::new(Usd::cents(20)))
        .rule(RestrictModel::new(["gpt-4o"]))
        .rule(VelocityLimit::new(3, Duration::from_secs(60)))
        .output_bound(OutputBound::Inject(100))
        .receipts(true)
}

/// Makes all the calls; what the policy says they cost, and what reached the provider.
async fn make_all(policy: &Policy) -> (Usd, Vec<String>) {
    let provider = StandIn::saying(answer(10_000, 2_000));
    let client = client(policy, &provider);
    for call in calls() {
        send(&client, call).await.unwrap();
    }
    let bodies = provider.received().into_iter();
    let bodies = bodies.map(|(_, body)| String::from_utf8(body.to_vec()).unwrap()).collect();
    (spent(policy).await, bodies)
}

async fn sent_as_they_are() -> Vec<String> {
    let mut bodies = Vec::new();
    for call in calls() {
        let body = call.into_body().collect().await.unwrap().to_bytes();
        bodies.push(String::from_utf8(body.to_vec()).unwrap());
    }
    bodies
}

#[tokio::test]
async fn observing_denies_and_rewrites_nothing_and_meters_the_same() {
    // Not vacuous: enforced, these rules let three of eight calls through, none as it is.
    let provider = StandIn::new();
    let enforcing = client(&strict().build().unwrap(), &provider);
    for call in calls() {
        let _ = send(&enforcing, call).await;
    }
    let as_they_are = sent_as_they_are().await;
    let received = provider.received();
    let untouched = received.iter().filter(|(_, body)| as_they_are.iter().any(|is| is == body));
    assert_eq!((received.len(), untouched.count()), (3, 0));

    let observing = strict().mode(Mode::Observe).build().unwrap();
    let (observed, bodies) = make_all(&observing).await;
    assert_eq!(bodies, as_they_are);
    let (metered, _) = make_all(&policy().build().unwrap()).await;
    assert_eq!(observed, metered);
    assert!(metered > Usd::cents(10));
    assert_eq!(observing.stats().denied, 0);
}

async fn receipt(client: &Client, call: http::Request<Body>) -> Receipt {
    let response = client.clone().oneshot(call).await.unwrap();
    let receipt = response.extensions().get::<Receipt>().unwrap().clone();
    response.into_body().collect().await.unwrap();
    receipt
}

#[tokio::test]
async fn observing_reports_what_enforcing_would_have_done() {
    let policy = strict().mode(Mode::Observe).build().unwrap();
    let provider = StandIn::new();
    let client = client(&policy, &provider);
    let denied = |receipt: &Receipt| receipt.would_deny().map(|denial| denial.rule().to_owned());

    let fine = receipt(&client, chat(FLAT)).await;
    assert_eq!((denied(&fine), fine.would_use()), (None, None));
    let mut free = chat("gpt-4o");
    free.extensions_mut().insert(Labels::new().with("plan", "free"));
    let rewritten = receipt(&client, free).await;
    assert_eq!((denied(&rewritten), rewritten.would_use()), (None, Some("gpt-4o-mini")));
    assert_eq!((rewritten.requested_model(), rewritten.model()), ("gpt-4o", "gpt-4o"));
    let restricted = receipt(&client, chat("gpt-4o")).await;
    assert_eq!(denied(&restricted).as_deref(), Some("restrict_model"));
    let over = receipt(&client, chat(FLAT)).await;
    assert_eq!(denied(&over).as_deref(), Some("monthly_budget"));
    let message = over.would_deny().unwrap().to_string();
    assert!(message.contains("of $0.10 spent this month"), "{message}");
    let unknown = receipt(&client, chat("gpt-9")).await;
    assert!(denied(&unknown).is_some());
    assert_eq!((provider.calls(), policy.stats().denied), (5, 0));
}

#[tokio::test]
async fn observing_refuses_nothing_that_enforcing_cannot_read_either() {
    let odd = || {
        let mut long_label = chat(FLAT);
        long_label.extensions_mut().insert(Labels::new().with("user", "x".repeat(300)));
        let mut packed = chat(FLAT);
        packed.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
        [
            post("not JSON"),
            post(r#"{"model":"flat","Model":"gpt-4o","messages":[]}"#),
            post_to("https://api.openai.com/v1/batches", "{}"),
            packed,
            long_label,
        ]
    };
    let rules = || policy().body_cap(1_000);
    let enforcing = client(&rules().build().unwrap(), &StandIn::new());
    for call in odd() {
        send(&enforcing, call).await.unwrap_err();
    }
    send(&enforcing, post(format!("{}{}", " ".repeat(2_000), "{}"))).await.unwrap_err();

    let policy = rules().mode(Mode::Observe).build().unwrap();
    let provider = StandIn::new();
    let observing = client(&policy, &provider);
    for (number, call) in odd().into_iter().enumerate() {
        let body = call.body().clone().collect().await.unwrap().to_bytes();
        send(&observing, call).await.unwrap_or_else(|error| panic!("{number}: {error}"));
        assert_eq!(provider.body(), body);
    }
    let large = chat_with(FLAT, &format!(r#","user":"{}""#, "x".repeat(2_000)));
    send(&observing, large).await.unwrap();
    assert_eq!(policy.stats().denied, 0);
}

#[tokio::test]
async fn observing_survives_rules_that_fail() {
    let long = "x".repeat(1_000);
    let policy = policy()
        .rule(rule_fn("panics", |_| -> Deny { panic!("on purpose") }))
        .rule(rule_fn("claims too long a value", move |_| {
            let scope = driftlock::Scope::label("team", long.as_str());
            let day = driftlock::Window::day(driftlock::Zone::UTC);
            driftlock::Claim::cost(scope, day, Usd::dollars(1))
        }))
        .mode(Mode::Observe)
        .receipts(true)
        .build()
        .unwrap();
    let receipt = receipt(&client(&policy, &StandIn::new()), chat(FLAT)).await;
    assert_eq!(receipt.would_deny().unwrap().rule(), "panics");
    assert_eq!(spent(&policy).await, usd("0.065"));
}

#[tokio::test]
async fn off_touches_and_counts_nothing() {
    let policy = strict().mode(Mode::Off).build().unwrap();
    let (spent, bodies) = make_all(&policy).await;
    assert_eq!((spent, bodies), (Usd::ZERO, sent_as_they_are().await));
    let provider = StandIn::new();
    let client = client(&policy, &provider);
    let mut unread = post("not JSON");
    unread.headers_mut().insert("content-length", "3".parse().unwrap());
    let response = client.clone().oneshot(unread).await.unwrap();
    assert!(response.extensions().get::<Receipt>().is_none());
    assert_eq!(provider.received()[0].0.headers["content-length"], "3");
    assert_eq!(policy.stats(), driftlock::Stats::default());
}

// ── the operator's switch ──

/// Set for the child only.
const CHILD: &str = "DRIFTLOCK_TEST_CHILD";

/// What a policy is built as where `DRIFTLOCK_MODE` is this.
fn built_under(mode: &str) -> String {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "in_a_process_of_its_own", "--ignored", "--nocapture"])
        .envs([(CHILD, "1"), ("DRIFTLOCK_MODE", mode)])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let output = String::from_utf8(output.stdout).unwrap();
    let said = output.split_once("built: ").unwrap().1;
    said.lines().next().unwrap().to_owned()
}

#[test]
#[ignore = "run by the test below"]
fn in_a_process_of_its_own() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let told = |mode| match policy().mode(mode).build() {
        Ok(policy) => format!("{:?}", policy.settings().mode()),
        Err(error) => error.to_string(),
    };
    println!("\nbuilt: {} {} {}", told(Mode::Enforce), told(Mode::Observe), told(Mode::Off));
}

#[test]
fn the_environment_wins_over_the_program() {
    assert_eq!(built_under("observe"), "Observe Observe Observe");
    assert_eq!(built_under("off"), "Off Off Off");
    assert_eq!(built_under("ENFORCE "), "Enforce Enforce Enforce");
    assert_eq!(built_under(""), "Enforce Observe Off");
    let error = built_under("disabled");
    assert!(error.contains("DRIFTLOCK_MODE is `disabled`; expected enforce, observe or off"));
}
