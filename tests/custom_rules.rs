//! Rules of users, run as they come: counting, failing, hanging.
#![allow(clippy::unwrap_used)] // in helpers too

mod stand_in;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use driftlock::{
    Amount, Call, Claim, DenialKind, Deny, InputEstimate, Labels, MemoryStore, MonthlyBudget,
    PolicyBuilder, RestrictModel, Rule, Scope, Unit, Usd, VelocityLimit, Verdict, Window, Zone,
    rule_fn,
};
use stand_in::*;
use tokio::task::JoinSet;

const MINUTE: Duration = Duration::from_secs(60);
const MONTH: Window = Window::month(Zone::UTC);

async fn at_once(client: &Client, calls: u64) -> u64 {
    let mut tasks = JoinSet::new();
    for _ in 0..calls {
        let client = client.clone();
        tasks.spawn(async move { send(&client, chat(FLAT)).await.is_ok() });
    }
    tasks.join_all().await.into_iter().map(u64::from).sum()
}

/// Awaits before it says what its closure says.
struct Slow<F>(F);

impl<F: Fn(&Call) -> Verdict + Send + Sync + 'static> Rule for Slow<F> {
    async fn evaluate(&self, call: &Call) -> Verdict {
        tokio::task::yield_now().await;
        (self.0)(call)
    }
}

#[tokio::test]
async fn a_closure_and_an_async_rule_see_the_call_and_deny_it_with_metadata() {
    let look = |call: &Call| {
        assert_eq!(call.model(), "gpt-4o");
        assert_eq!(call.messages()[0]["content"], "Hi");
        assert_eq!(call.parameter("temperature"), Some(&2.into()));
        assert_eq!((call.max_output_tokens(), call.choices()), (Some(50), 2));
        assert_eq!(call.estimate().unwrap().output_tokens, 104);
        assert_eq!(call.at(), time(NOON));
        assert!(!call.is_streaming());
        Deny::new("too hot").with("limit", 1).into()
    };
    let call = || chat_with("gpt-4o", r#","temperature":2,"max_tokens":50,"n":2"#);
    for (rules, name) in
        [(policy().rule(rule_fn("cool", look)), "cool"), (policy().rule(Slow(look)), "slow")]
    {
        let provider = StandIn::new();
        let denied = denial(&client(&rules.build().unwrap(), &provider), call()).await;
        assert_eq!((denied.rule(), denied.kind()), (name, DenialKind::Custom));
        assert_eq!(denied.to_string(), format!("{name}: too hot"));
        assert_eq!(denied.metadata("limit"), Some(&1.into()));
        assert_eq!(provider.calls(), 0);
    }
}

#[tokio::test]
async fn an_async_rule_rewrites_the_model_for_the_rules_behind_it() {
    let rules = policy()
        .rule(Slow(|_: &Call| Verdict::rewrite("gpt-4o-mini")))
        .rule(RestrictModel::new(["gpt-4o"]))
        .rule(rule_fn("again", |call| {
            assert_eq!((call.model(), call.requested_model()), ("gpt-4o-mini", "gpt-4o"));
            Verdict::Allow
        }));
    let provider = StandIn::new();
    send(&client(&rules.build().unwrap(), &provider), chat("gpt-4o")).await.unwrap();
    assert!(provider.body().contains(r#""model":"gpt-4o-mini""#));
}

#[tokio::test]
async fn an_async_rule_sends_a_call_to_the_deployment_of_another_model() {
    let policy = policy().rule(Slow(|_: &Call| Verdict::rewrite("gpt-4o-mini"))).build().unwrap();
    let provider = StandIn::new();
    let deployment = |name: &str| {
        format!("https://x.openai.azure.com/openai/deployments/{name}/chat/completions?v=1")
    };
    let call = post_to(&deployment("gpt-4o"), r#"{"messages":[]}"#);
    send(&client(&policy, &provider), call).await.unwrap();
    let (head, sent) = provider.received().remove(0);
    assert_eq!(
        (head.uri.to_string(), &*sent),
        (deployment("gpt-4o-mini"), b"{\"messages\":[]}".as_slice())
    );
}

#[tokio::test(start_paused = true)]
async fn claims_of_custom_rules_hold_under_concurrency() {
    let scope = || Scope::label("fleet", "north");
    let spend = move |_: &Call| {
        let budget = Claim::cost(scope(), MONTH, Usd::dollars(1));
        Verdict::from(budget)
    };
    let calls = move |_: &Call| {
        Verdict::from(vec![
            Claim::calls(scope(), Window::sliding(MINUTE), 15),
            Claim::calls(Scope::Workspace, Window::sliding(2 * MINUTE), 20),
        ])
    };
    for rules in [
        policy().rule(Slow(spend)),
        policy().rule(rule_fn("spend", spend)),
        policy().rule(Slow(calls)),
        policy().rule(rule_fn("calls", calls)),
        // Together, also with rules that count the same.
        policy()
            .rule(VelocityLimit::new(16, 2 * MINUTE))
            .rule(rule_fn("calls", calls))
            .rule(Slow(spend))
            .rule(MonthlyBudget::new(usd("1.03"))),
    ] {
        let policy = rules.build().unwrap();
        let provider = StandIn::slow(Duration::from_secs(2));
        assert_eq!(at_once(&client(&policy, &provider), 1_000).await, 15);
        assert_eq!(provider.calls(), 15);
        assert_eq!(spent(&policy).await, usd("0.975"));
    }
}

#[tokio::test]
async fn a_claim_that_has_no_room_names_its_rule_and_its_numbers() {
    let rules = policy()
        .rule(MonthlyBudget::new(Usd::dollars(9)))
        .rule(rule_fn("fleet", |_| Claim::cost(Scope::label("fleet", "n"), MONTH, Usd::cents(7))))
        .rule(VelocityLimit::new(1, MINUTE));
    let client = client(&rules.build().unwrap(), &StandIn::new());
    send(&client, chat(FLAT)).await.unwrap();
    let denied = denial(&client, chat(FLAT)).await;
    assert_eq!((denied.rule(), denied.kind()), ("fleet", DenialKind::Budget));
    let told = "fleet: $0.065 of $0.07 spent by fleet n this month, this call may cost $0.065";
    assert!(denied.to_string().starts_with(told), "{denied}");
}

struct Watch(Arc<Mutex<Vec<(Amount, Amount)>>>);

impl Rule for Watch {
    async fn evaluate(&self, call: &Call) -> Verdict {
        let user = Scope::of(call.labels(), "user");
        let used = call.used(user, Unit::Cost, MONTH).await.unwrap();
        assert_eq!(used.resets_at, Some(time("2026-12-01T00:00:00Z")));
        self.0.lock().unwrap().push((used.settled, used.reserved));
        Verdict::Allow
    }
}

#[tokio::test]
async fn a_rule_may_look_at_counters() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let policy = policy().rule(Watch(Arc::clone(&seen))).build().unwrap();
    let client = client(&policy, &StandIn::new());
    let call = || {
        let mut call = chat(FLAT);
        call.extensions_mut().insert(Labels::new().with("user", "u-1"));
        call
    };
    send(&client, call()).await.unwrap();
    send(&client, chat(FLAT)).await.unwrap();
    let in_flight = tower::ServiceExt::oneshot(client.clone(), call()).await.unwrap();
    send(&client, call()).await.unwrap();
    drop(in_flight);
    let cost = |times: u64| Amount::Cost(Usd::nanos(65_000_000 * times));
    let seen = seen.lock().unwrap();
    assert_eq!(
        *seen,
        [(cost(0), cost(0)), (cost(0), cost(0)), (cost(1), cost(0)), (cost(1), cost(1))]
    );
}

// ── rules that fail ──

/// A policy whose other rules have claimed already when the bad one runs.
fn claiming(store: &Arc<MemoryStore>) -> PolicyBuilder {
    policy()
        .memory_store(Arc::clone(store))
        .rule(MonthlyBudget::new(Usd::dollars(1)))
        .rule(VelocityLimit::new(1, MINUTE))
}

struct Panics;

impl Rule for Panics {
    async fn evaluate(&self, call: &Call) -> Verdict {
        if call.choices() == 2 {
            tokio::task::yield_now().await;
        }
        assert!(call.choices() > 2, "on purpose");
        Verdict::Allow
    }
}

struct PanicsAtOnce;

impl Rule for PanicsAtOnce {
    #[allow(clippy::manual_async_fn)] // it is to panic before there is a future
    fn evaluate(&self, call: &Call) -> impl Future<Output = Verdict> + Send {
        assert!(call.choices() > 2, "on purpose");
        async { Verdict::Allow }
    }
}

/// Adds a rule, or the like, in which this function is run.
type Add = fn(PolicyBuilder, fn(&Call)) -> PolicyBuilder;

#[tokio::test]
async fn a_panic_in_user_code_denies_and_reserves_nothing_and_the_policy_lives_on() {
    let panics = |call: &Call| assert!(call.choices() > 2, "on purpose");
    let cases: [(&str, Add); 6] = [
        ("panics", |rules, _| rules.rule(Panics)),
        ("panics_at_once", |rules, _| rules.rule(PanicsAtOnce)),
        ("closure", |rules, panics| {
            rules.rule(rule_fn("closure", move |call| {
                panics(call);
                Verdict::Allow
            }))
        }),
        ("restrict_model", |rules, panics| {
            rules.rule(RestrictModel::new(["x"]).when(move |call: &Call| {
                panics(call);
                false
            }))
        }),
        ("limits", |rules, panics| {
            rules.rule(MonthlyBudget::new(Usd::ZERO).named("limits").limit_from(move |call| {
                panics(call);
                None
            }))
        }),
        ("estimate", |rules, panics| {
            rules.estimator(move |call: &Call| {
                panics(call);
                InputEstimate { expected: 9, ceiling: None }
            })
        }),
    ];
    for (name, add) in cases {
        let store = Arc::new(MemoryStore::new());
        let policy = add(claiming(&store), panics).build().unwrap();
        let provider = StandIn::new();
        let client = client(&policy, &provider);
        for members in ["", r#","n":2"#] {
            let denied = denial(&client, chat_with(FLAT, members)).await;
            assert_eq!((denied.rule(), denied.kind()), (name, DenialKind::RuleFailed));
            assert!(denied.to_string().contains("panicked"), "{denied}");
        }
        assert_eq!((store.open_reservations(), provider.calls()), (0, 0));
        assert_eq!(spent(&policy).await, Usd::ZERO);
        // The one call a minute is still to be had.
        send(&client, chat_with(FLAT, r#","n":3"#)).await.unwrap();
    }
}

struct Hangs(Arc<AtomicU64>);

impl Rule for Hangs {
    async fn evaluate(&self, _: &Call) -> Verdict {
        self.0.fetch_add(1, Ordering::SeqCst);
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_hangs_is_a_denial_when_its_time_is_up() {
    for (limit, told) in [(None, "1s"), (Some(Duration::from_millis(250)), "250ms")] {
        let (store, asked) = (Arc::new(MemoryStore::new()), Arc::default());
        let rules = claiming(&store).rule(Hangs(Arc::clone(&asked)));
        let rules = limit.into_iter().fold(rules, PolicyBuilder::rule_timeout);
        let policy = rules.build().unwrap();
        let provider = StandIn::new();
        let begun = tokio::time::Instant::now();
        let denied = denial(&client(&policy, &provider), chat(FLAT)).await;
        assert_eq!(begun.elapsed().as_millis(), limit.map_or(1_000, |_| 250));
        assert_eq!((denied.rule(), denied.kind()), ("hangs", DenialKind::RuleFailed));
        assert!(denied.to_string().contains(&format!("longer than {told}")), "{denied}");
        // Asked once, not once a poll.
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        assert_eq!((store.open_reservations(), provider.calls()), (0, 0));
        assert_eq!(spent(&policy).await, Usd::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_given_up_while_a_rule_thinks_costs_nothing() {
    let store = Arc::new(MemoryStore::new());
    let policy = claiming(&store).rule(Hangs(Arc::default())).build().unwrap();
    let provider = StandIn::new();
    let client = client(&policy, &provider);
    let half = Duration::from_millis(500);
    tokio::time::timeout(half, send(&client, chat(FLAT))).await.unwrap_err();
    assert_eq!((store.open_reservations(), provider.calls()), (0, 0));
    assert_eq!(spent(&policy).await, Usd::ZERO);
}

#[tokio::test]
async fn claims_that_cannot_be_kept_deny_the_call() {
    let long =
        rule_fn("long", |_| Claim::cost(Scope::user("x".repeat(257)), MONTH, Usd::dollars(1)));
    let many = rule_fn("many", |_| {
        let claim = |fleet: u32| Claim::calls(Scope::label("fleet", fleet.to_string()), MONTH, 1);
        (0..300).map(claim).collect::<Vec<_>>()
    });
    for (rules, told) in [
        (policy().rule(long), "a value of 257 bytes; at most 256"),
        (policy().rule(many), "more than 255 counters"),
    ] {
        let policy = rules.build().unwrap();
        let denied = denial(&client(&policy, &StandIn::new()), chat(FLAT)).await;
        assert_eq!(denied.kind(), DenialKind::RuleFailed);
        assert!(denied.to_string().contains(told), "{denied}");
        assert_eq!(spent(&policy).await, Usd::ZERO);
    }
}

#[tokio::test]
async fn a_free_call_keeps_its_claims_on_calls_and_drops_those_on_money() {
    let hour = Window::sliding(Duration::from_secs(3_600));
    let policy = policy()
        .rule(MonthlyBudget::new(Usd::dollars(1)))
        .rule(rule_fn("two an hour", move |_| {
            vec![
                Claim::cost(Scope::label("team", "x"), hour, Usd::ZERO),
                Claim::calls(Scope::label("team", "x"), hour, 2),
            ]
        }))
        .rule(MonthlyBudget::new(Usd::dollars(2)))
        .build()
        .unwrap();
    let free = policy.prices().overlay().model("free", driftlock::Price::free()).build().unwrap();
    policy.set_prices(free);
    let client = client(&policy, &StandIn::new());
    send(&client, chat("free")).await.unwrap();
    send(&client, chat("free")).await.unwrap();
    let denied = send(&client, chat("free")).await.unwrap_err();
    assert_eq!(denied.denial().unwrap().rule(), "two an hour");
}
