//! What a decision costs: eight rules, admitted and settled, in units of one keyed
//! check of `governor`, which does a fraction of the work and is known to be fast.
//!
//! A decision is `admit`, `sent` and `settle` on the store in memory. The calls are
//! made just before, outside the measured time, as a layer makes them from requests;
//! the baseline's keys are made in the same way.
//!
//! ```text
//! cargo bench --bench decision            # a few minutes
//! cargo bench --bench decision -- --quick # a few seconds, less exact
//! ```
#![allow(clippy::expect_used)] // a benchmark that cannot run should say so

mod support;

use std::{
    future::Future,
    num::NonZeroU32,
    pin::pin,
    sync::{Arc, Barrier},
    task::{Context, Poll, Waker},
    thread,
    time::{Duration, Instant},
};

use driftlock::{
    Call, Clock, CostVelocity, ForecastBudget, Input, Labels, ManualClock, MaxCostPerRequest,
    MemoryStore, MonthlyBudget, Operation, PerUserBudget, Permit, Policy, Provider, RestrictModel,
    SystemClock, TagBasedModelDowngrade, Timestamp, Usage, Usd, VelocityLimit, rule::label,
};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use support::{
    Effort, Race, Random, allocations, at_least, at_most, heading, median, note, race, time,
};

fn main() {
    let effort = Effort::from_args();
    println!("decision: eight rules, workspace and user, admitted and settled");
    in_turn(effort);
    with_an_exact_window(effort);
    after_many_calls(effort);
    at_random(effort);
    two_threads(effort);
    quiet_users(effort);
}

/// Calls made and decided at a time; few, so that they are in cache as a call is
/// that was read just now.
const CHUNK: usize = 50;
const MINUTE: Duration = Duration::from_secs(60);
/// Above every number of calls in this file: the limits are looked at, not reached.
const GENEROUS: u64 = 1 << 40;
fn usage() -> Usage {
    Usage::tokens(700, 120)
}

/// The eight rules, with `calls_per_minute` for each user.
fn policy(calls_per_minute: u64, clock: impl Clock) -> Policy {
    let store = MemoryStore::builder().max_scopes(2_000_000).build();
    Policy::builder()
        .rule(MonthlyBudget::new(Usd::dollars(1_000_000_000)))
        .rule(
            PerUserBudget::new()
                .user("power_user", Usd::dollars(200_000_000))
                .default_limit(Usd::dollars(100_000_000)),
        )
        .rule(ForecastBudget::new(Usd::dollars(1_000_000_000)))
        .rule(MaxCostPerRequest::new(Usd::cents(10)))
        .rule(VelocityLimit::new(GENEROUS, MINUTE))
        .rule(VelocityLimit::new(calls_per_minute, MINUTE).per_user().named("user_velocity"))
        .rule(CostVelocity::new(Usd::dollars(100_000_000), 60 * MINUTE).per_user())
        .rule(RestrictModel::new(["gpt-4o", "gpt-4"]).when(label("plan").eq("free")))
        .rule(TagBasedModelDowngrade::new(label("plan").eq("trial"), "gpt-4.1-nano"))
        .memory_store(Arc::new(store))
        .clock(clock)
        .ephemeral_ok()
        .build()
        .expect("the policy is sound")
}

fn name_of(user: usize) -> String {
    format!("user-{user:07}")
}

fn call_of(user: usize) -> Call {
    Call::new(Provider::OPENAI, Operation::Chat, "gpt-4o-mini")
        .with_input(Input { text_bytes: 3_000, messages: 2, ..Input::default() })
        .with_max_output_tokens(500)
        .with_labels(Labels::new().with("user", name_of(user)).with("plan", "pro"))
}

fn admit(policy: &Policy, call: &mut Call) -> Permit {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(policy.admit(call)).poll(&mut context) {
        Poll::Ready(Ok(permit)) => permit,
        Poll::Ready(Err(error)) => panic!("denied: {error}"),
        Poll::Pending => panic!("the store in memory answers at once"),
    }
}

fn decide(policy: &Policy, call: &mut Call) {
    let mut permit = admit(policy, call);
    permit.sent();
    permit.settle(&usage());
}

/// Nanoseconds per decision over `count` of them.
fn decisions(policy: &Policy, count: usize, mut user: impl FnMut() -> usize) -> f64 {
    chunks(
        count,
        || call_of(user()),
        |calls| calls.iter_mut().for_each(|call| decide(policy, call)),
    )
}

type Governor = DefaultKeyedRateLimiter<String>;

fn governor() -> Governor {
    RateLimiter::keyed(Quota::per_second(NonZeroU32::MAX))
}

fn checks(governor: &Governor, count: usize, mut user: impl FnMut() -> usize) -> f64 {
    let check = |key: &String| governor.check_key(key).expect("the quota is generous");
    chunks(count, || name_of(user()), |keys| keys.iter().for_each(check))
}

/// Makes chunks of things and takes the time of what is done with them.
fn chunks<T>(count: usize, mut make: impl FnMut() -> T, mut work: impl FnMut(&mut [T])) -> f64 {
    let mut took = Duration::ZERO;
    let mut things = Vec::with_capacity(CHUNK);
    for _ in 0..count.div_ceil(CHUNK) {
        things.clear();
        things.extend((0..CHUNK).map(|_| make()));
        took += time(|| work(&mut things));
    }
    took.as_nanos() as f64 / (count.div_ceil(CHUNK) * CHUNK) as f64
}

/// Users one after the other, and over again.
fn turns(users: usize) -> impl FnMut() -> usize {
    let mut next = 0;
    move || {
        next = (next + 1) % users;
        next
    }
}

fn against_governor(
    effort: Effort,
    ours: &mut dyn FnMut(usize) -> f64,
    theirs: &mut dyn FnMut(usize) -> f64,
) -> Race {
    let (rounds, per_round) = (effort.pick(51, 11), effort.pick(20_000, 5_000));
    let race = race(
        rounds,
        &mut [("decision", &mut || ours(per_round)), ("governor", &mut || theirs(per_round))],
    );
    race.print_times();
    race
}

fn in_turn(effort: Effort) {
    for users in [1, 10_000] {
        heading(&format!("{users} users in turn"));
        let (policy, governor) = (policy(GENEROUS, SystemClock), governor());
        let (mut ours, mut theirs) = (turns(users), turns(users));
        decisions(&policy, 2 * users, &mut ours);
        checks(&governor, 2 * users, &mut theirs);
        let race = against_governor(
            effort,
            &mut |count| decisions(&policy, count, &mut ours),
            &mut |count| checks(&governor, count, &mut theirs),
        );
        match users {
            1 => note("decision / governor keyed", race.ratio(0, 1), "×"),
            _ => at_most("decision / governor keyed", race.ratio(0, 1), "×", 2.5),
        }
    }

    heading("allocations, 10,000 users in turn");
    // A clock that stands, because a new sub-bucket of a window is memory.
    let clock = ManualClock::at(Timestamp::from_nanos(1 << 60));
    let policy = policy(GENEROUS, clock);
    let mut calls: Vec<_> = (0..10_000).map(call_of).collect();
    calls.iter_mut().for_each(|call| decide(&policy, call));
    let info = allocations(|| calls.iter_mut().for_each(|call| decide(&policy, call)));
    at_most("allocations per decision", info.count_total as f64 / 10_000.0, "", 0.0);
    assert_eq!(info.count_total, 0, "a decision in the steady state allocates nothing");
}

fn with_an_exact_window(effort: Effort) {
    heading("10,000 users in turn, each limited to 60 in any 60 s, at 55");
    let users = 10_000;
    // 10,000 calls take 1.1 s of this clock, so every user makes 55 in a minute.
    let clock = ManualClock::at(Timestamp::from_nanos(1 << 60));
    let (policy, governor) = (policy(60, clock.clone()), governor());
    let (mut ours, mut theirs) = (turns(users), turns(users));
    let mut next = || {
        clock.advance(Duration::from_micros(110));
        ours()
    };
    decisions(&policy, effort.pick(60, 4) * users, &mut next);
    checks(&governor, 2 * users, &mut theirs);
    let race =
        against_governor(effort, &mut |count| decisions(&policy, count, &mut next), &mut |count| {
            checks(&governor, count, &mut theirs)
        });
    note("decision / governor keyed", race.ratio(0, 1), "×");
}

fn after_many_calls(effort: Effort) {
    let earlier = effort.pick(1_000_000, 100_000);
    heading(&format!("10,000 users, fresh and after {earlier} earlier calls"));
    let users = 10_000;
    let (fresh, used) = (policy(GENEROUS, SystemClock), policy(GENEROUS, SystemClock));
    let (mut first, mut second) = (turns(users), turns(users));
    decisions(&used, earlier, &mut second);
    decisions(&fresh, users, &mut first);
    let (rounds, per_round) = (effort.pick(51, 11), effort.pick(5_000, 2_000));
    let race = race(
        rounds,
        &mut [
            ("fresh", &mut || decisions(&fresh, per_round, &mut first)),
            ("after earlier calls", &mut || decisions(&used, per_round, &mut second)),
        ],
    );
    race.print_times();
    at_most("after / fresh", race.ratio(1, 0), "×", 1.1);
}

fn at_random(effort: Effort) {
    let users = effort.pick(1_000_000, 100_000);
    heading(&format!("{users} users at random"));
    let (policy, governor) = (policy(GENEROUS, SystemClock), governor());
    decisions(&policy, users, turns(users));
    checks(&governor, users, turns(users));
    let (mut one, mut other) = (Random::new(), Random::new());
    let race = against_governor(
        effort,
        &mut |count| decisions(&policy, count, || one.below(users)),
        &mut |count| checks(&governor, count, || other.below(users)),
    );
    at_most("decision / governor keyed", race.ratio(0, 1), "×", 1.6);
}

fn two_threads(effort: Effort) {
    heading("two threads that do nothing else, 1,000 users each");
    let per_thread = effort.pick(500_000, 50_000);
    let policy = policy(GENEROUS, SystemClock);
    let governor = governor();
    let ours = || {
        at_once(|thread| {
            let mut calls: Vec<_> = (0..1_000).map(|user| call_of(thread * 1_000 + user)).collect();
            let policy = policy.clone();
            move || {
                for index in 0..per_thread {
                    decide(&policy, &mut calls[index % 1_000]);
                }
            }
        })
    };
    let theirs = || {
        at_once(|thread| {
            let keys: Vec<_> = (0..1_000).map(|user| name_of(thread * 1_000 + user)).collect();
            let governor = &governor;
            move || {
                for index in 0..per_thread {
                    governor.check_key(&keys[index % 1_000]).expect("the quota is generous");
                }
            }
        })
    };
    let rate = |took: Duration| 2.0 * per_thread as f64 / took.as_secs_f64() / 1e6;
    let (mut rates, mut governors) = (Vec::new(), Vec::new());
    for _ in 0..effort.pick(11, 3) {
        rates.push(rate(ours()));
        governors.push(rate(theirs()));
    }
    at_least("decisions, both threads", median(rates.into_iter()), "M/s", 1.5);
    note("governor keyed, both threads", median(governors.into_iter()), "M/s");
}

/// The time from when the first of two threads begins until the last one ends.
#[allow(clippy::disallowed_methods)] // a stopwatch
fn at_once<W: FnOnce() + Send>(prepare: impl Fn(usize) -> W) -> Duration {
    let start = Barrier::new(2);
    let spans = thread::scope(|scope| {
        let threads = [0, 1].map(|thread| {
            let (work, start) = (prepare(thread), &start);
            scope.spawn(move || {
                start.wait();
                let began = Instant::now();
                work();
                (began, Instant::now())
            })
        });
        threads.map(|thread| thread.join().expect("no decision panics"))
    });
    spans[0].1.max(spans[1].1) - spans[0].0.min(spans[1].0)
}

/// A user is quiet who called once, whose call has settled, and whose short windows
/// have passed: what is left is what the month has cost. That is reached by moving the
/// clock two hours on and letting one user call until the sweep has been everywhere.
fn quiet_users(effort: Effort) {
    let users = effort.pick(1_000_000, 100_000);
    heading(&format!("memory of {users} quiet users"));
    let clock = ManualClock::at(Timestamp::from_nanos(1 << 60));
    let mut kept = None;
    let info = allocations(|| {
        let policy = policy(GENEROUS, clock.clone());
        for user in 0..users {
            decide(&policy, &mut call_of(user));
        }
        clock.advance(120 * MINUTE);
        let mut call = call_of(0);
        for _ in 0..users / 32 {
            clock.advance(Duration::from_millis(1));
            decide(&policy, &mut call);
        }
        kept = Some(policy);
    });
    at_most("bytes per user", info.bytes_current as f64 / users as f64, "B", 200.0);
    drop(kept);
}
