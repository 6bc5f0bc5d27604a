//! Who a call is for, and how driftlock comes to know.
#![allow(clippy::unwrap_used)] // in helpers too

mod stand_in;

use std::time::Duration;

use driftlock::{
    CaptureLayer, DenialKind, DriftlockLayer, Error, Labels, PerUserBudget, Policy, PolicyBuilder,
    Scope, Usd, VelocityLimit, Window, Zone, labels, rule_fn,
};
use http::Request;
use stand_in::*;
use tower::ServiceBuilder;

fn labelled(mut call: Request<Body>, labels: Labels) -> Request<Body> {
    call.extensions_mut().insert(labels);
    call
}

/// Seven cents a month for each user: one call.
fn per_user() -> PolicyBuilder {
    policy().rule(PerUserBudget::new().default_limit(Usd::cents(7)))
}

async fn spent_by(policy: &Policy, user: &str) -> Usd {
    policy.spend(&Scope::user(user), Window::month(Zone::UTC)).await.unwrap().settled
}

#[tokio::test]
async fn the_request_wins_over_the_scope_and_the_scope_over_the_default_key_by_key() {
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Labels::new()));
    let tell = std::sync::Arc::clone(&seen);
    let policy = policy()
        .default_labels(
            Labels::new().with("a", "default").with("b", "default").with("c", "default"),
        )
        .rule(rule_fn("look", move |call| {
            *tell.lock().unwrap() = call.labels().clone();
            driftlock::Verdict::Allow
        }))
        .build()
        .unwrap();
    let client = client(&policy, &StandIn::new());
    let call = labelled(chat(FLAT), Labels::new().with("a", "request").with("user_id", "u-1"));
    let in_scope = Labels::new().with("a", "scope").with("b", "scope").with("user", "u-2");
    labels::scope(in_scope, send(&client, call)).await.unwrap();
    let expected = [("a", "request"), ("b", "scope"), ("c", "default"), ("user", "u-1")];
    let seen = seen.lock().unwrap();
    assert_eq!(seen.iter().count(), expected.len());
    for (key, value) in expected {
        assert_eq!(seen.value(key), Some(value), "{key}");
    }
}

#[tokio::test]
async fn labels_are_taken_when_the_call_is_made_and_not_where_it_is_polled() {
    let policy = per_user().build().unwrap();
    let client = client(&policy, &StandIn::new());
    let mut made = None;
    labels::scope(Labels::new().with("user", "u-1"), async {
        made = Some(tower::Service::call(&mut client.clone(), chat(FLAT)));
    })
    .await;
    let response = tokio::spawn(made.unwrap()).await.unwrap().unwrap();
    drop(response);
    assert_eq!(spent_by(&policy, "u-1").await, usd("0.065"));
}

#[tokio::test]
async fn each_user_has_a_budget_of_its_own() {
    let policy = per_user().build().unwrap();
    let provider = StandIn::new();
    let client = client(&policy, &provider);
    for user in ["u-1", "u-2"] {
        let call = || labelled(chat(FLAT), Labels::new().with("user", user));
        send(&client, call()).await.unwrap();
        let denied = denial(&client, call()).await;
        assert_eq!(denied.rule(), "per_user_budget");
        let told = format!("$0.065 of $0.07 spent by user {user} this month");
        assert!(denied.to_string().contains(&told), "{denied}");
    }
    assert_eq!(provider.calls(), 2);
    assert_eq!(spent(&policy).await, usd("0.13"));
}

#[tokio::test]
async fn behind_a_buffer_the_user_is_seen_if_labels_are_captured_and_otherwise_not() {
    let as_user = |user: &'static str| Labels::new().with("user", user);

    let policy = per_user().build().unwrap();
    let captured = ServiceBuilder::new()
        .layer(CaptureLayer::new())
        .buffer(8)
        .layer(DriftlockLayer::new(policy.clone()))
        .service(StandIn::new());
    for user in ["u-1", "u-2"] {
        labels::scope(as_user(user), send(&captured, chat(FLAT))).await.unwrap();
        let denied = labels::scope(as_user(user), send(&captured, chat(FLAT))).await.unwrap_err();
        assert!(denied.downcast_ref::<Error>().is_some_and(|error| error.denial().is_some()));
        assert_eq!(spent_by(&policy, user).await, usd("0.065"));
    }
    assert_eq!(policy.stats().unlabelled, 0);

    let policy = per_user().build().unwrap();
    let bare = ServiceBuilder::new()
        .buffer(8)
        .layer(DriftlockLayer::new(policy.clone()))
        .service(StandIn::new());
    labels::scope(as_user("u-1"), send(&bare, chat(FLAT))).await.unwrap();
    assert_eq!(spent_by(&policy, "u-1").await, Usd::ZERO);
    assert_eq!(spent_by(&policy, Scope::NONE).await, usd("0.065"));
    // The next user finds the shared budget used up.
    let denied = labels::scope(as_user("u-2"), send(&bare, chat(FLAT))).await.unwrap_err();
    assert!(denied.to_string().contains("by user (none)"), "{denied}");
    assert_eq!(policy.stats().unlabelled, 2);
}

#[tokio::test]
async fn captured_labels_yield_to_those_on_the_request() {
    let policy = per_user().build().unwrap();
    let client = ServiceBuilder::new()
        .layer(CaptureLayer::new())
        .layer(DriftlockLayer::new(policy.clone()))
        .service(StandIn::new());
    let call = labelled(chat(FLAT), Labels::new().with("user", "request"));
    labels::scope(Labels::new().with("user", "scope"), send(&client, call)).await.unwrap();
    assert_eq!(spent_by(&policy, "request").await, usd("0.065"));
    assert_eq!(spent_by(&policy, "scope").await, Usd::ZERO);
}

#[tokio::test]
async fn a_call_without_a_user_can_be_denied() {
    let per_user_rule = || VelocityLimit::new(1, Duration::from_secs(60)).per_user();
    for rules in [
        per_user().require_user(),
        policy().rule(per_user_rule()).require_user(),
        policy().rule(per_user_rule().required()),
        policy().rule(PerUserBudget::new().user("u-1", Usd::dollars(1)).require_user()),
    ] {
        let policy = rules.build().unwrap();
        let provider = StandIn::new();
        let client = client(&policy, &provider);
        let denied = denial(&client, chat(FLAT)).await;
        assert_eq!(denied.kind(), DenialKind::MissingUser);
        assert!(denied.to_string().contains("no label `user`"), "{denied}");
        assert_eq!(provider.calls(), 0);
        let call = labelled(chat(FLAT), Labels::new().with("user_id", "u-1"));
        send(&client, call).await.unwrap();
    }
    // No rule counts users, so no user is needed.
    let policy = policy().require_user().build().unwrap();
    send(&client(&policy, &StandIn::new()), chat(FLAT)).await.unwrap();
}

#[tokio::test]
async fn a_user_called_none_is_not_a_call_without_a_user() {
    let policy = per_user().build().unwrap();
    let client = client(&policy, &StandIn::new());
    send(&client, chat(FLAT)).await.unwrap();
    denial(&client, chat(FLAT)).await;
    let user = Labels::new().with("user", "none");
    send(&client, labelled(chat(FLAT), user)).await.unwrap();
}

#[tokio::test]
async fn a_tracked_label_is_counted_without_a_rule() {
    let policy = policy().track_label("team").build().unwrap();
    let client = client(&policy, &StandIn::new());
    let call = labelled(chat(FLAT), Labels::new().with("team", "search").with("plan", "free"));
    send(&client, call).await.unwrap();
    let month = Window::month(Zone::UTC);
    let search = policy.spend(&Scope::label("team", "search"), month).await.unwrap();
    assert_eq!(search.settled, usd("0.065"));
    let free = policy.spend(&Scope::label("plan", "free"), month).await.unwrap_err();
    assert!(matches!(free, driftlock::SpendError::NotCounted { .. }), "{free}");
}

// ── layers within layers ──

#[tokio::test]
async fn two_layers_of_one_workspace_charge_once() {
    let policy = policy().rule(VelocityLimit::new(1, Duration::from_secs(60))).build().unwrap();
    let layer = || DriftlockLayer::new(policy.clone());
    let provider = StandIn::new();
    let client = ServiceBuilder::new()
        .layer(layer())
        .concurrency_limit(4)
        .timeout(Duration::from_secs(5))
        .layer(layer())
        .layer(layer())
        .service(provider.clone());
    send(&client, chat(FLAT)).await.unwrap();
    assert_eq!((spent(&policy).await, provider.calls()), (usd("0.065"), 1));
    assert!(send(&client, chat(FLAT)).await.unwrap_err().denial().is_some());
    assert_eq!(provider.calls(), 1);
}

#[tokio::test]
async fn layers_of_one_workspace_on_two_stores_both_decide() {
    let watching = policy().mode(driftlock::Mode::Observe).build().unwrap();
    let strict = per_user().require_user().build().unwrap();
    let client = ServiceBuilder::new()
        .layer(DriftlockLayer::new(watching))
        .layer(DriftlockLayer::new(strict))
        .service(StandIn::new());
    let error = send(&client, chat(FLAT)).await.unwrap_err();
    assert!(matches!(&error, Error::Denied(denial) if denial.rule() == "per_user_budget"));
}

#[tokio::test]
async fn layers_of_two_workspaces_both_charge() {
    let store = std::sync::Arc::new(driftlock::MemoryStore::new());
    let of = |workspace: &str| {
        policy().memory_store(std::sync::Arc::clone(&store)).workspace(workspace).build().unwrap()
    };
    let (company, team) = (of("company"), of("team"));
    let client = ServiceBuilder::new()
        .layer(DriftlockLayer::new(company.clone()))
        .layer(DriftlockLayer::new(team.clone()))
        .service(StandIn::new());
    send(&client, chat(FLAT)).await.unwrap();
    assert_eq!((spent(&company).await, spent(&team).await), (usd("0.065"), usd("0.065")));
}

#[tokio::test]
async fn what_an_inner_layer_denies_costs_nothing_in_the_outer_one() {
    let company = policy().workspace("company").build().unwrap();
    let team = per_user().workspace("team").require_user().build().unwrap();
    let client = ServiceBuilder::new()
        .layer(DriftlockLayer::new(company.clone()))
        .layer(DriftlockLayer::new(team))
        .service(StandIn::new());
    let error = send(&client, chat(FLAT)).await.unwrap_err();
    assert!(matches!(&error, Error::Denied(denial) if denial.rule() == "per_user_budget"));
    assert_eq!(spent(&company).await, Usd::ZERO);
}

/// Makes a call of its own before it passes one on.
#[derive(Clone)]
struct Router<S>(S);

impl<S: tower::Service<Request<Body>>> tower::Service<Request<Body>> for Router<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(
        &mut self,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> S::Future {
        drop(self.0.call(chat(FLAT)));
        self.0.call(request)
    }
}

#[tokio::test]
async fn one_decision_of_an_outer_layer_is_good_for_one_call() {
    let policy = policy().rule(VelocityLimit::new(1, Duration::from_secs(60))).build().unwrap();
    let layer = || DriftlockLayer::new(policy.clone());
    let governed = ServiceBuilder::new().layer(layer()).service(StandIn::new());
    let client = ServiceBuilder::new().layer(layer()).service(Router(governed));
    // The call on the side passed on the outer decision; the one behind it is a second.
    assert!(send(&client, chat(FLAT)).await.unwrap_err().denial().is_some());
}
