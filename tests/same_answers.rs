//! A policy answers the same on a store in memory and on one in a file: invariant 18.
//!
//! The same random history, at the same clock. Rules that count nothing come first:
//! before one of them denies, a store in memory is asked whether an earlier rule is out of
//! room, and one in a file is not.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used)] // in helpers too

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use driftlock::{
    Budget, Call, Claim, Clock, CostVelocity, Error, ForecastBudget, InputEstimate, IntoRule,
    Labels, ManualClock, MaxCostPerRequest, MonthlyBudget, Operation, PerUserBudget, Permit,
    Policy, PolicyBuilder, Provider, RestrictModel, Rule, Scope, Spend, TagBasedModelDowngrade,
    Usage, Usd, VelocityLimit, Verdict, Window, Zone,
    rule::label,
    rule_fn,
    store::{SqliteStore, Store},
};
use on_disk::{directory, wait};
use proptest::prelude::*;
use scripted::{book, usage_cost};
use tempfile::TempDir;

mod on_disk;
mod scripted;

/// A cent for each day of a team, and two calls in ten seconds, from somewhere else.
struct TeamRule;

impl Rule for TeamRule {
    async fn evaluate(&self, call: &Call) -> Verdict {
        let Some(team) = call.label("team") else { return Verdict::Allow };
        let team = Scope::label("team", team);
        let window = Window::sliding(Duration::from_secs(10));
        vec![
            Claim::cost(team.clone(), Window::day(Zone::UTC), usage_cost(0, 1_000)),
            Claim::calls(team, window, 2),
        ]
        .into()
    }
}

type Add = Box<dyn Fn(PolicyBuilder) -> PolicyBuilder>;

/// Rules of all kinds, of which a history has some.
fn rules() -> Vec<Add> {
    fn add(rule: impl IntoRule + Clone + 'static) -> Add {
        Box::new(move |policy| policy.rule(rule.clone()))
    }
    let (tokens, seconds) = (|tokens| usage_cost(0, tokens), Duration::from_secs);
    let weekly = move |call: &Call| {
        let user = Scope::of(call.labels(), "user");
        Claim::cost(user, Window::week(Zone::UTC), tokens(5_000))
    };
    vec![
        add(MaxCostPerRequest::new(tokens(1_900))),
        add(RestrictModel::new(["dear"]).when(label("team").eq("red"))),
        add(TagBasedModelDowngrade::new(label("team").eq("blue"), "plain")),
        add(MonthlyBudget::new(tokens(6_000))),
        add(Budget::daily(tokens(3_000)).time_zone(berlin()).per_user()),
        add(Budget::lifetime(tokens(20_000))),
        add(PerUserBudget::new().user("ada", tokens(4_000)).default_limit(tokens(2_000))),
        add(VelocityLimit::new(3, seconds(10)).per_user()),
        add(CostVelocity::new(tokens(2_500), seconds(60))),
        add(ForecastBudget::new(tokens(40_000)).lookback_days(1)),
        Box::new(|policy| policy.rule(TeamRule)),
        Box::new(move |policy| policy.rule(rule_fn("weekly", weekly))),
    ]
}

fn with_rules(builder: PolicyBuilder, which: u32) -> PolicyBuilder {
    let rules = rules();
    let chosen = rules.iter().enumerate().filter(|(place, _)| which >> place & 1 == 1);
    chosen.fold(builder, |builder, (_, add)| add(builder))
}

fn berlin() -> Zone {
    Zone::named("Europe/Berlin").unwrap()
}

#[derive(Clone, Debug)]
enum Step {
    Admit { user: usize, team: usize, dear: bool, most: u64 },
    Sent(usize),
    Settle(usize, u64),
    Refused(usize),
    Ambiguous(usize),
    Drop(usize),
    Release(usize),
    Forward(u64),
    Back(u64),
    Adjust { user: usize, amount: u64, adds: bool },
    Again,
}

fn step() -> impl Strategy<Value = Step> {
    let call = 0..40usize;
    let seconds = prop_oneof![
        6 => 0..12u64,
        3 => 0..90u64,
        2 => 600..1_300u64,
        1 => 0..200_000u64,
        1 => 0..3_000_000u64,
    ];
    prop_oneof![
        12 => (0..3usize, 0..3usize, prop::bool::weighted(0.2), 0..1_500u64)
            .prop_map(|(user, team, dear, most)| Step::Admit { user, team, dear, most }),
        3 => call.clone().prop_map(Step::Sent),
        5 => (call.clone(), 0..2_500u64).prop_map(|(call, output)| Step::Settle(call, output)),
        1 => call.clone().prop_map(Step::Refused),
        1 => call.clone().prop_map(Step::Ambiguous),
        1 => call.clone().prop_map(Step::Drop),
        2 => call.prop_map(Step::Release),
        4 => seconds.prop_map(Step::Forward),
        1 => (0..10_000u64).prop_map(Step::Back),
        1 => (0..4usize, 0..20_000_000u64, any::<bool>())
            .prop_map(|(user, amount, adds)| Step::Adjust { user, amount, adds }),
        1 => Just(Step::Again),
    ]
}

const USERS: [&str; 3] = ["ada", "bo", "cy"];

/// One of the two.
struct Side {
    policy: Policy,
    permits: Vec<Option<Permit>>,
    /// Where a settle may take a moment.
    store: Option<SqliteStore>,
}

impl Side {
    fn new(which: u32, clock: &ManualClock, store: Option<SqliteStore>) -> Self {
        let builder = Policy::builder()
            .prices(book())
            .estimator(|_: &Call| InputEstimate { expected: 100, ceiling: Some(100) })
            .track_label("team")
            .clock(clock.clone())
            .ephemeral_ok();
        let builder = match &store {
            Some(store) => builder.store(store.clone()),
            None => builder,
        };
        Self { policy: with_rules(builder, which).build().unwrap(), permits: Vec::new(), store }
    }

    /// Does a step, and says what came of it.
    fn take(&mut self, step: &Step) -> String {
        let answer = match *step {
            Step::Admit { user, team, dear, most } => self.admit(user, team, dear, most),
            Step::Sent(call) => self.end(call, |mut permit| {
                permit.sent();
                Some(permit)
            }),
            Step::Settle(call, output) => self.end(call, |permit| {
                permit.settle(&Usage::tokens(100, output));
                None
            }),
            Step::Refused(call) => self.end(call, |mut permit| {
                permit.answered(429);
                permit.settle_estimate();
                None
            }),
            Step::Ambiguous(call) => self.end(call, |mut permit| {
                permit.sent();
                permit.failed(&"reset".into());
                None
            }),
            Step::Drop(call) => self.end(call, |permit| {
                drop(permit);
                None
            }),
            Step::Release(call) => self.end(call, |permit| {
                permit.release();
                None
            }),
            Step::Adjust { user, amount, adds } => {
                let scope = USERS.get(user).map_or(Scope::Workspace, |user| Scope::user(*user));
                let (window, amount) = (Window::month(Zone::UTC), Usd::nanos(amount));
                format!(
                    "{:?}",
                    match adds {
                        true => wait(self.policy.add_spend(&scope, window, amount, "a test")),
                        false => wait(self.policy.remove_spend(&scope, window, amount, "a test")),
                    }
                )
            }
            Step::Forward(_) | Step::Back(_) | Step::Again => String::new(),
        };
        if let Some(store) = &self.store {
            wait(store.flush()).unwrap();
        }
        answer
    }

    fn admit(&mut self, user: usize, team: usize, dear: bool, most: u64) -> String {
        let mut labels = Labels::new().with("user", USERS[user]);
        if let Some(team) = ["red", "blue"].get(team) {
            labels = labels.with("team", *team);
        }
        let model = if dear { "dear" } else { "plain" };
        let mut call = Call::new(Provider::OPENAI, Operation::Chat, model)
            .with_max_output_tokens(most)
            .with_labels(labels);
        match wait(self.policy.admit(&mut call)) {
            Ok(permit) => {
                let answer = format!("{} for {}", permit.reserved(), call.model());
                self.permits.push(Some(permit));
                answer
            }
            // With its numbers, its kind and when to try again.
            Err(Error::Denied(denial)) => format!("{denial:?}"),
            Err(error) => panic!("{error}"),
        }
    }

    fn end(&mut self, call: usize, then: impl FnOnce(Permit) -> Option<Permit>) -> String {
        if let Some(permit) = self.permits.get_mut(call)
            && let Some(open) = permit.take()
        {
            *permit = then(open);
        }
        String::new()
    }

    /// What everybody has spent in every window that may be counted.
    fn spends(&self) -> Vec<Option<Spend>> {
        let users = USERS.map(Scope::user);
        let teams = ["red", "blue", Scope::NONE].map(|team| Scope::label("team", team));
        let scopes = [Scope::Workspace].into_iter().chain(users).chain(teams);
        let windows = [
            Window::month(Zone::UTC),
            Window::day(berlin()),
            Window::day(Zone::UTC),
            Window::week(Zone::UTC),
            Window::Lifetime,
            Window::sliding(Duration::from_secs(60)),
            Window::sliding(Duration::from_secs(86_400)),
        ];
        scopes
            .flat_map(|scope| windows.map(|window| wait(self.policy.spend(&scope, window)).ok()))
            .collect()
    }
}

/// Does the steps on both sides, and returns how often a call was admitted and denied.
fn answers_are_the_same(which: u32, steps: &[Step]) -> (usize, usize) {
    let directory: TempDir = directory();
    let file = directory.path().join("driftlock.db");
    let open = || Some(SqliteStore::open(&file).unwrap());
    let clock = ManualClock::at("2026-11-29T20:00:00Z".parse().unwrap());
    let mut memory = Side::new(which, &clock, None);
    let mut in_a_file = Side::new(which, &clock, open());
    let (mut last, mut denied) = (None, 0);
    for step in steps {
        match step {
            Step::Forward(seconds) => clock.advance(Duration::from_secs(*seconds)),
            Step::Back(seconds) => {
                let nanos = clock.now().as_nanos() - seconds * 1_000_000_000;
                clock.set(driftlock::Timestamp::from_nanos(nanos));
            }
            Step::Admit { .. } => last = Some(step),
            _ => {}
        }
        // The same call once more: a refusal comes from memory now.
        let step = if let Step::Again = step { last.unwrap_or(step) } else { step };
        let (expected, found) = (memory.take(step), in_a_file.take(step));
        assert_eq!(found, expected, "{step:?}");
        denied += usize::from(found.starts_with("Denial"));
        assert_eq!(in_a_file.spends(), memory.spends(), "after {step:?}");
    }
    let admitted = memory.permits.len();
    memory.permits.clear();
    in_a_file.permits.clear();
    wait(in_a_file.store.as_ref().unwrap().flush()).unwrap();
    let spends = memory.spends();
    assert_eq!(in_a_file.spends(), spends);
    assert!(spends.iter().flatten().all(|spend| spend.reserved == Usd::ZERO));
    // And after a restart.
    drop(in_a_file);
    let in_a_file = Side::new(which, &clock, open());
    let settled = |spends: Vec<Option<Spend>>| -> Vec<Usd> {
        spends.iter().map(|spend| spend.map_or(Usd::ZERO, |spend| spend.settled)).collect()
    };
    assert_eq!(settled(in_a_file.spends()), settled(spends));
    (admitted, denied)
}

#[test]
fn a_policy_answers_the_same_on_a_store_in_memory_and_on_one_in_a_file() {
    let cases = std::env::var("DRIFTLOCK_HISTORIES").map_or(150, |cases| cases.parse().unwrap());
    let mut config = ProptestConfig::with_cases(cases);
    config.failure_persistence = None;
    let all = u32::try_from(rules().len()).unwrap();
    let which = prop_oneof![0..1u32 << all, (0..all).prop_map(|rule| 1 << rule)];
    let (admitted, denied) = (AtomicUsize::new(0), AtomicUsize::new(0));
    proptest!(config, |(which in which, steps in prop::collection::vec(step(), 1..80))| {
        let (ayes, noes) = answers_are_the_same(which, &steps);
        admitted.fetch_add(ayes, Ordering::Relaxed);
        denied.fetch_add(noes, Ordering::Relaxed);
    });
    let (admitted, denied) = (admitted.into_inner(), denied.into_inner());
    println!("{admitted} admitted, {denied} denied");
    assert!(admitted.min(denied) > 100, "{admitted} admitted, {denied} denied");
}
