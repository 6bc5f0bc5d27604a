//! Most calls take a short way through a decision. It must not matter.
//!
//! A rule of the user's that has nothing to say sends every call the long way. So the
//! same calls under the same rules, with and without such a rule, must be decided,
//! denied and counted alike.
#![allow(clippy::unwrap_used)] // tests

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use driftlock::{
    Budget, Call, CostVelocity, Error, ForecastBudget, Input, Labels, ManualClock,
    MaxCostPerRequest, MemoryStore, Mode, MonthlyBudget, Operation, Otherwise, PerUserBudget,
    Permit, Policy, PolicyBuilder, Price, PriceBook, Provider, RestrictModel, Scope,
    TagBasedModelDowngrade, UnknownPrice, Usage, Usd, VelocityLimit, Verdict, Window, Zone,
    rule::{label, not, rule_fn},
};
use proptest::prelude::*;

const MODELS: [&str; 6] =
    ["gpt-4o", "gpt-4o-mini", "gpt-4.1-nano", "claude-sonnet-4-5", "no-model", "free"];
const USERS: [Option<&str>; 4] = [None, Some("ann"), Some("power_user"), Some("bo")];
const PLANS: [Option<&str>; 3] = [None, Some("free"), Some("trial")];

/// One of the built-in rules, by number, with a tight or generous limit.
fn with_rule(builder: PolicyBuilder, rule: u8, tight: bool) -> PolicyBuilder {
    let cents = |few: u64| Usd::nanos(few * if tight { 10_000_000 } else { 1_000_000_000 });
    let calls = if tight { 3 } else { 1 << 40 };
    let minute = Duration::from_secs(60);
    match rule {
        0 => builder.rule(MonthlyBudget::new(cents(3))),
        1 => {
            builder.rule(PerUserBudget::new().user("power_user", cents(4)).default_limit(cents(1)))
        }
        2 => builder.rule(PerUserBudget::new().user("ann", cents(1)).named("own only")),
        3 => builder.rule(ForecastBudget::new(cents(9)).lookback_days(7)),
        4 => builder.rule(MaxCostPerRequest::new(cents(1))),
        5 => builder.rule(VelocityLimit::new(calls, minute)),
        6 => builder.rule(VelocityLimit::new(calls, minute).per_user().named("each")),
        7 => builder.rule(CostVelocity::new(cents(2), minute).per_label("plan")),
        8 => builder.rule(RestrictModel::new(["gpt-4o"]).when(label("plan").eq("free"))),
        9 => builder.rule(
            TagBasedModelDowngrade::new(label("plan").eq("trial"), "gpt-4.1-nano")
                .otherwise(if tight { Otherwise::Deny } else { Otherwise::Skip }),
        ),
        10 => builder.rule(Budget::daily(cents(2)).per_user().required().named("named users")),
        11 => {
            let zone = Zone::named("Pacific/Kiritimati").unwrap();
            builder.rule(Budget::monthly(cents(2)).time_zone(zone).named("another zone"))
        }
        12 => builder.rule(Budget::lifetime(if tight { Usd::ZERO } else { Usd::MAX })),
        13 => builder.rule(VelocityLimit::new(u64::from(!tight) * u64::MAX, minute)),
        14 => builder.rule(CostVelocity::new(cents(1), minute).per_label("model family")),
        15 => builder.rule(MonthlyBudget::new(cents(2)).named("the same counter")),
        16 => {
            let some = label("user").is_in(["ann", "bo", "somebody"]);
            builder.rule(RestrictModel::new(["gpt-4o-mini"]).when(some).named("some users"))
        }
        17 => builder.rule(RestrictModel::new(["claude-sonnet-4-5"]).named("for nobody")),
        18 => {
            let unplanned = RestrictModel::allow_only(["gpt-4.1-nano"]).named("without a plan");
            builder.rule(unplanned.when(not(label("plan").exists())))
        }
        19 => builder.rule(MaxCostPerRequest::new(cents(1)).named("another maximum")),
        // More labels than are looked up beforehand.
        _ => ["a", "b", "c", "d", "e", "plan"].into_iter().fold(builder, |builder, key| {
            let restriction = RestrictModel::new(["gpt-4o"]).named(format!("by {key}"));
            builder.rule(restriction.when(label(key).is_in(["trial", "b"])))
        }),
    }
}

/// What a policy may be besides its rules.
#[derive(Clone, Copy, Debug)]
struct Settings {
    observes: bool,
    unknown_price: u8,
    has_default_labels: bool,
    requires_user: bool,
}

fn settings() -> impl Strategy<Value = Settings> {
    (prop::bool::weighted(0.2), 0..3u8, prop::bool::weighted(0.2), prop::bool::weighted(0.2))
        .prop_map(|(observes, unknown_price, has_default_labels, requires_user)| Settings {
            observes,
            unknown_price,
            has_default_labels,
            requires_user,
        })
}

fn with_settings(mut builder: PolicyBuilder, settings: Settings) -> PolicyBuilder {
    if settings.observes {
        builder = builder.mode(Mode::Observe);
    }
    if settings.has_default_labels {
        builder = builder.default_labels(Labels::new().with("plan", "free").with("user", "bo"));
    }
    if settings.requires_user {
        builder = builder.require_user();
    }
    let (little, much) = (Usd::cents(1), Usd::MAX);
    builder.unknown_price(match settings.unknown_price {
        0 => UnknownPrice::Deny,
        1 => UnknownPrice::Allow,
        _ => UnknownPrice::Assume(Box::new(Price::per_mtok(little, much))),
    })
}

fn policy(
    rules: &[(u8, bool)],
    settings: Settings,
    clock: &ManualClock,
    the_long_way: bool,
) -> (Policy, Arc<MemoryStore>) {
    let store = Arc::new(MemoryStore::builder().max_scopes(2).build());
    let kept = Arc::clone(&store);
    let prices = PriceBook::bundled().overlay().model("free", Price::free()).build().unwrap();
    let builder = Policy::builder().clock(clock.clone()).memory_store(store).ephemeral_ok();
    let builder = with_settings(builder.prices(prices), settings);
    let builder = rules.iter().fold(builder, |all, (rule, tight)| with_rule(all, *rule, *tight));
    let builder = match the_long_way {
        true => builder.rule(rule_fn("silent", |_: &Call| Verdict::Allow)),
        false => builder,
    };
    (builder.build().unwrap(), kept)
}

#[derive(Clone, Debug)]
enum Step {
    Call { model: usize, or: usize, user: usize, plan: usize, output: u64, end: u8, tokens: u64 },
    Wait(u64),
    End(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    let models = (0..MODELS.len(), prop_oneof![3 => Just(MODELS.len()), 1 => 0..MODELS.len()]);
    let call = (models, 0..USERS.len(), 0..PLANS.len(), 1..20_000u64, 0..5u8, 0..9_000u64);
    prop_oneof![
        8 => call.prop_map(|((model, or), user, plan, output, end, tokens)| Step::Call {
            model, or, user, plan, output, end, tokens
        }),
        2 => prop_oneof![Just(1), Just(61), Just(86_400), 0..100u64].prop_map(Step::Wait),
        2 => any::<prop::sample::Index>().prop_map(Step::End),
    ]
}

/// The store in memory answers at once.
fn ready<T>(answer: impl Future<Output = T>) -> T {
    match pin!(answer).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("the store in memory answers at once"),
    }
}

fn admit(policy: &Policy, call: &mut Call) -> Result<Permit, Error> {
    ready(policy.admit(call))
}

fn end(mut permit: Permit, how: u8, tokens: u64) {
    match how {
        0 => drop(permit),
        1 => permit.release(),
        2 => {
            permit.sent();
            drop(permit);
        }
        _ => {
            permit.sent();
            permit.settle(&Usage::tokens(tokens, tokens / 7));
        }
    }
}

/// What everybody has spent, as far as it is counted.
fn spent(policy: &Policy) -> Vec<String> {
    let scopes = [Scope::Workspace]
        .into_iter()
        .chain(["ann", "power_user", "bo", "(none)"].map(Scope::user));
    let month = Window::month(Zone::UTC);
    let spend = |scope: Scope| {
        let read = pin!(policy.spend(&scope, month)).poll(&mut Context::from_waker(Waker::noop()));
        format!("{scope}: {read:?}")
    };
    scopes.map(spend).collect()
}

fn run(rules: &[(u8, bool)], settings: Settings, steps: &[Step]) -> Result<(), TestCaseError> {
    let clock = ManualClock::at("2026-11-22T12:00:00Z".parse().unwrap());
    let [(short, kept), (long, kept_long)] =
        [false, true].map(|the_long_way| policy(rules, settings, &clock, the_long_way));
    let mut open: Vec<(Permit, Permit, u8, u64)> = Vec::new();
    for step in steps {
        match step {
            Step::Wait(seconds) => clock.advance(Duration::from_secs(*seconds)),
            Step::End(index) if !open.is_empty() => {
                let (one, other, how, tokens) = open.swap_remove(index.index(open.len()));
                end(one, how, tokens);
                end(other, how, tokens);
            }
            Step::End(_) => {}
            Step::Call { model, or, user, plan, output, end, tokens } => {
                let pairs = [("user", USERS[*user]), ("plan", PLANS[*plan])];
                let labels: Labels =
                    pairs.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
                let call = || {
                    Call::new(Provider::OPENAI, Operation::Chat, MODELS[*model])
                        .with_input(Input { text_bytes: 2_000, messages: 2, ..Input::default() })
                        .with_max_output_tokens(*output)
                        .with_fallback_models(
                            MODELS.get(*or).map(|name| (*name).into()).into_iter().collect(),
                        )
                        .with_labels(labels.clone())
                };
                let (mut one, mut other) = (call(), call());
                match (admit(&short, &mut one), admit(&long, &mut other)) {
                    (Ok(first), Ok(second)) => {
                        prop_assert_eq!(first.reserved(), second.reserved());
                        prop_assert_eq!(one.model(), other.model());
                        open.push((first, second, *end, *tokens));
                    }
                    (Err(first), Err(second)) => {
                        prop_assert_eq!(first.to_string(), second.to_string());
                        prop_assert_eq!(first.denial(), second.denial());
                    }
                    (first, second) => {
                        return Err(TestCaseError::fail(format!("{first:?} but {second:?}")));
                    }
                }
            }
        }
        prop_assert_eq!(spent(&short), spent(&long));
        prop_assert_eq!(kept.open_reservations(), kept_long.open_reservations());
        prop_assert_eq!(kept.scopes(), kept_long.scopes());
    }
    drop(open);
    prop_assert_eq!(spent(&short), spent(&long));
    prop_assert_eq!(kept.open_reservations(), 0);
    // Nothing holds a scope any more once its last period has ended.
    clock.set("2100-01-01T00:00:00Z".parse().unwrap());
    spent(&short);
    if rules.iter().all(|(rule, _)| *rule != 12) {
        prop_assert_eq!(kept.scopes(), 0);
    }
    let (short, long) = (short.stats(), long.stats());
    prop_assert_eq!(short, long);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn the_short_way_decides_denies_and_counts_as_the_long_one(
        rules in prop::collection::vec((0..21u8, any::<bool>()), 0..7),
        settings in settings(),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        run(&rules, settings, &steps)?;
    }
}

#[test]
fn what_has_no_room_leaves_a_counter_near_the_top_as_it_was() {
    let policy = Policy::builder()
        .rule(PerUserBudget::new().default_limit(Usd::nanos(1)))
        .ephemeral_ok()
        .build()
        .unwrap();
    let month = Window::month(Zone::UTC);
    let half = Usd::nanos(i64::MAX as u64);
    for _ in 0..2 {
        ready(policy.add_spend(&Scope::Workspace, month, half, "a test")).unwrap();
    }
    let before = ready(policy.spend(&Scope::Workspace, month)).unwrap();
    let mut call = Call::new(Provider::OPENAI, Operation::Chat, "gpt-4o")
        .with_labels(Labels::new().with("user", "ann"));
    // It is booked for the workspace first, where it would not fit into the number.
    assert_eq!(admit(&policy, &mut call).unwrap_err().denial().unwrap().rule(), "per_user_budget");
    assert_eq!(ready(policy.spend(&Scope::Workspace, month)).unwrap(), before);
}

#[test]
fn of_several_limits_the_smallest_holds() {
    let user = || Labels::new().with("user", "ann");
    let denied_by = |builder: PolicyBuilder| {
        let policy = builder.ephemeral_ok().build().unwrap();
        let mut call = Call::new(Provider::OPENAI, Operation::Chat, "gpt-4o").with_labels(user());
        admit(&policy, &mut call).unwrap_err().denial().unwrap().rule().to_owned()
    };
    let own = |limit| PerUserBudget::new().user("ann", limit);
    let all = |limit| Budget::monthly(limit).per_user();
    let one = MaxCostPerRequest::new;
    let new = Policy::builder;
    let (small, large) = ((Usd::nanos(1), "small"), (Usd::dollars(100), "large"));
    for [(a, x), (b, y)] in [[small, large], [large, small]] {
        assert_eq!(denied_by(new().rule(own(a).named(x)).rule(own(b).named(y))), "small");
        assert_eq!(denied_by(new().rule(own(a).named(x)).rule(all(b).named(y))), "small");
        assert_eq!(denied_by(new().rule(all(a).named(x)).rule(own(b).named(y))), "small");
        assert_eq!(denied_by(new().rule(all(a).named(x)).rule(all(b).named(y))), "small");
        assert_eq!(denied_by(new().rule(one(a).named(x)).rule(one(b).named(y))), "small");
    }
}
