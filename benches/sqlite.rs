//! What the store in a file costs, beside what SQLite itself costs for the same rows.
//!
//! ```text
//! cargo bench --features sqlite --bench sqlite            # some minutes, 5,000,000 calls
//! cargo bench --features sqlite --bench sqlite -- --quick # some seconds, fewer
//! ```
#![allow(clippy::expect_used)] // a benchmark that cannot run should say so

mod sqlite_parts;
mod support;

use std::{path::Path, time::Duration};

use driftlock::{
    Call, CostVelocity, ForecastBudget, Input, Labels, ManualClock, MaxCostPerRequest,
    MonthlyBudget, Operation, PerUserBudget, Permit, Policy, Provider, Usage, Usd, VelocityLimit,
    store::{Charge, CounterKey, Durability, Hold, Limit, SqliteStore, Store},
};
use sqlite_parts::{Bare, fill};
use support::{Effort, at_least, at_most, heading, median, note, race, time};
use tokio::runtime::Runtime;

fn main() {
    let effort = Effort::from_args();
    println!(
        "sqlite: a policy of six counting rules, on a file in {}",
        std::env::temp_dir().display()
    );
    one_caller(effort);
    many_callers(effort, Durability::Process, 10_000.0);
    many_callers(effort, Durability::Power, 5_000.0);
    denied(effort);
    after_many_calls(effort);
}

const CALLERS: usize = 64;
const USERS: usize = 1_000;

fn policy(store: &SqliteStore, budget: Usd) -> Policy {
    let hour = Duration::from_secs(3_600);
    Policy::builder()
        .rule(MonthlyBudget::new(Usd::dollars(1_000_000_000)))
        .rule(PerUserBudget::new().default_limit(budget))
        .rule(ForecastBudget::new(Usd::dollars(1_000_000_000)))
        .rule(MaxCostPerRequest::new(Usd::dollars(1)))
        .rule(VelocityLimit::new(1 << 40, hour))
        .rule(VelocityLimit::new(1 << 40, hour).per_user().named("user_velocity"))
        .rule(CostVelocity::new(Usd::dollars(100_000_000), hour).per_user())
        .store(store.clone())
        .build()
        .expect("the policy is sound")
}

fn call(user: usize) -> Call {
    let input = Input { text_bytes: 3_000, messages: 2, ..Input::default() };
    Call::new(Provider::OPENAI, Operation::Chat, "gpt-4o-mini")
        .with_input(input)
        .with_max_output_tokens(200)
        .with_labels(Labels::new().with("user", format!("user-{user}")))
}

fn settle(mut permit: Permit) {
    permit.sent();
    permit.settle(&Usage::tokens(700, 120));
}

fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().expect("a runtime")
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

fn open(path: &Path, durability: Durability) -> SqliteStore {
    SqliteStore::builder(path).durability(durability).open().expect("a store")
}

fn one_caller(effort: Effort) {
    heading("one caller: a reserve, beside a bare commit of the same rows");
    let directory = directory();
    let store = open(&directory.path().join("driftlock.db"), Durability::Process);
    let policy = policy(&store, Usd::dollars(1_000_000));
    let mut bare = Bare::open(&directory.path().join("bare.db"), Durability::Process);
    let calls = effort.pick(400, 50);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut user = 0;
    let mut next = 0;
    let mut reserve = || {
        let mut nanos = Vec::with_capacity(calls);
        for _ in 0..calls {
            user = (user + 1) % USERS;
            let mut call = call(user);
            let mut permit = None;
            nanos
                .push(time(|| permit = runtime.block_on(policy.admit(&mut call)).ok()).as_nanos()
                    as f64);
            settle(permit.expect("there is room"));
            runtime.block_on(store.flush()).expect("flushed");
        }
        median(nanos.into_iter())
    };
    let mut commit = || {
        let mut nanos = Vec::with_capacity(calls);
        for _ in 0..calls {
            next += 1;
            nanos.push(time(|| bare.reserve(&[next], USERS)).as_nanos() as f64);
            bare.settle(&[next], USERS);
        }
        median(nanos.into_iter())
    };
    let race = race(
        effort.pick(20, 3),
        &mut [("bare commit, median", &mut commit), ("reserve, median", &mut reserve)],
    );
    race.print_times();
    at_most("reserve, in bare commits", race.ratio(1, 0), "×", 3.0);
}

/// Reserve and settle pairs in a second.
fn pairs(runtime: &Runtime, policy: &Policy, rounds: usize) -> f64 {
    let elapsed = time(|| {
        runtime.block_on(async {
            let callers: Vec<_> = (0..CALLERS)
                .map(|caller| {
                    let policy = policy.clone();
                    tokio::spawn(async move {
                        for round in 0..rounds {
                            let mut call = call((caller * 31 + round * 7) % USERS);
                            settle(policy.admit(&mut call).await.expect("there is room"));
                        }
                    })
                })
                .collect();
            for caller in callers {
                caller.await.expect("no panic");
            }
            policy.drain().await.expect("flushed");
        });
    });
    (CALLERS * rounds) as f64 / elapsed.as_secs_f64()
}

fn many_callers(effort: Effort, durability: Durability, goal: f64) {
    heading(&format!("{CALLERS} callers, {durability:?}: reserve and settle pairs in a second"));
    let directory = directory();
    let store = open(&directory.path().join("driftlock.db"), durability);
    let policy = policy(&store, Usd::dollars(1_000_000));
    let runtime = runtime();
    let rounds = match durability {
        Durability::Power => effort.pick(100, 10),
        _ => effort.pick(500, 20),
    };
    let mut bare = Bare::open(&directory.path().join("bare.db"), durability);
    let mut next = 0;
    let (mut own, mut most) = (Vec::new(), Vec::new());
    pairs(&runtime, &policy, rounds / 5 + 1);
    for _ in 0..effort.pick(7, 2) {
        own.push(pairs(&runtime, &policy, rounds));
        let elapsed = time(|| {
            for _ in 0..rounds {
                let ids: Vec<i64> = (next + 1..=next + CALLERS as i64).collect();
                next += CALLERS as i64;
                bare.reserve(&ids, USERS);
                bare.settle(&ids, USERS);
            }
        });
        most.push((CALLERS * rounds) as f64 / elapsed.as_secs_f64());
    }
    let share = median(own.iter().zip(&most).map(|(own, most)| own / most));
    at_least("pairs in a second", median(own.into_iter()), "", goal);
    note("the same rows, bare, 64 in a commit", median(most.into_iter()), "/s");
    note("share of the bare maximum", share * 100.0, "%");
}

fn denied(effort: Effort) {
    heading("denied from memory, of a user whose budget is spent");
    let directory = directory();
    let store = open(&directory.path().join("driftlock.db"), Durability::Process);
    let clock = ManualClock::at("2026-11-22T12:00:00Z".parse().expect("a time"));
    let now = driftlock::Clock::now(&clock);
    let (workspace, label) = ("default".into(), Some("user".into()));
    let window = driftlock::Window::month(driftlock::Zone::UTC);
    let counter =
        store.counter(&CounterKey { workspace, label, unit: driftlock::Unit::Cost, window });
    let hold = Hold {
        values: &["user-1"],
        charges: &[Charge { counter, value: 0 }],
        cost: Usd::nanos(60),
        limits: &[Limit { charge: 0, ask: 60, limit: 100 }],
        at: now,
        deadline: now.saturating_add(Duration::from_secs(900)),
        call: None,
    };
    let runtime = runtime();
    runtime.block_on(async {
        let first = store.reserve(hold).await.expect("room");
        store.settle(first, Usd::nanos(60), now);
        store.reserve(hold).await.expect_err("no room");
    });
    let calls = effort.pick(100_000, 1_000);
    let mut store_alone = || {
        let elapsed = time(|| {
            for _ in 0..calls {
                runtime.block_on(store.reserve(hold)).expect_err("no room");
            }
        });
        elapsed.as_nanos() as f64 / calls as f64
    };
    let nothing = runtime.block_on(async { 0 });
    let mut block_on = || {
        let elapsed = time(|| {
            for _ in 0..calls {
                runtime.block_on(async { std::hint::black_box(nothing) });
            }
        });
        elapsed.as_nanos() as f64 / calls as f64
    };
    let race = race(
        effort.pick(11, 3),
        &mut [("awaiting nothing", &mut block_on), ("a denial of the store", &mut store_alone)],
    );
    race.print_times();
    at_most("a denial from memory", race.added(1, 0) / 1_000.0, "µs", 2.0);
}

fn after_many_calls(effort: Effort) {
    let (calls, users) = (effort.pick(5_000_000, 20_000), effort.pick(5_000_000, 20_000));
    heading(&format!("{calls} calls in the ledger, {users} users, beside an empty file"));
    let directory = directory();
    let fresh = open(&directory.path().join("fresh.db"), Durability::Process);
    let path = directory.path().join("full.db");
    drop(policy(&open(&path, Durability::Process), Usd::dollars(1_000_000)));
    fill(&path, calls, users);
    let before = sqlite_parts::memory();
    let full = open(&path, Durability::Process);
    let policies = [&fresh, &full].map(|store| policy(store, Usd::dollars(1_000_000)));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let one = |policy: &Policy, user: usize| {
        let mut call = call(user);
        let elapsed = time(|| {
            let permit = runtime.block_on(policy.admit(&mut call)).expect("there is room");
            settle(permit);
        });
        elapsed.as_nanos() as f64
    };
    let rounds = effort.pick(300, 30);
    let round = |policy: &Policy| median((0..rounds).map(|user| one(policy, user)));
    let [on_fresh, on_full] = &policies;
    // The same hundreds of users in both: what is measured is the length of the history.
    let mut laps = (Vec::new(), Vec::new());
    for lap in 0..effort.pick(15, 3) {
        let (fresh, full) = match lap % 2 {
            0 => {
                let fresh = round(on_fresh);
                (fresh, round(on_full))
            }
            _ => {
                let full = round(on_full);
                (round(on_fresh), full)
            }
        };
        laps.0.push(full / fresh);
        laps.1.push(full);
    }
    note("a decision on the full file", median(laps.1.into_iter()) / 1_000.0, "µs");
    at_most("… in decisions on an empty one", median(laps.0.into_iter()), "×", 1.1);
    let mut random = support::Random::new();
    for _ in 0..effort.pick(200_000, 1_000) {
        one(on_full, random.below(users));
    }
    let grown = sqlite_parts::memory().saturating_sub(before);
    at_most("memory after 200,000 users at random", grown as f64 / 1e6, "MB", 100.0);
}
