//! After any history, a file adds up: counters and sums by day are what the ledger, the
//! adjustments and what was pruned make.

use std::{path::Path, time::Duration};

use driftlock::{
    Labels, SettledHow, Timestamp, Unit, Usage, Usd, Window, Zone,
    report::{Report, Span},
    store::{
        Adjustment, Charge, CounterKey, Ending, Facts, Hold, Limit, Raise, Reservation,
        SqliteStore, Store,
    },
};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Reserve { user: u8, cost: u32, limit: u32 },
    Settle { which: usize, cost: u32, is_told: bool },
    Release { which: usize },
    Deny { cost: u32 },
    Unmetered { cost: u32 },
    Adjust { user: u8, counter: usize, delta: i32 },
    Reset { user: u8, counter: usize },
    Raise { user: u8, by: u32 },
    Wait { minutes: u32 },
    Prune { days: u8 },
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let user = || 0..3u8;
    let step = prop_oneof![
        8 => (user(), 0..1_000u32, 500..20_000u32)
            .prop_map(|(user, cost, limit)| Step::Reserve { user, cost, limit }),
        6 => (any::<usize>(), 0..2_000u32, any::<bool>())
            .prop_map(|(which, cost, is_told)| Step::Settle { which, cost, is_told }),
        2 => any::<usize>().prop_map(|which| Step::Release { which }),
        1 => (0..1_000u32).prop_map(|cost| Step::Deny { cost }),
        1 => (0..1_000u32).prop_map(|cost| Step::Unmetered { cost }),
        2 => (user(), 0..COUNTERS, -3_000..3_000i32)
            .prop_map(|(user, counter, delta)| Step::Adjust { user, counter, delta }),
        1 => (user(), 0..COUNTERS).prop_map(|(user, counter)| Step::Reset { user, counter }),
        1 => (user(), 0..500u32).prop_map(|(user, by)| Step::Raise { user, by }),
        4 => (0..1_500u32).prop_map(|minutes| Step::Wait { minutes }),
        1 => (0..5u8).prop_map(|days| Step::Prune { days }),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..60)
}

const COUNTERS: usize = 7;

/// Two of the workspace, the others of users.
fn counters() -> [CounterKey; COUNTERS] {
    let berlin = Zone::named("Europe/Berlin").unwrap();
    let hour = Window::sliding(Duration::from_secs(3_600));
    let key = |label: Option<&str>, unit, window| CounterKey {
        workspace: "w".into(),
        label: label.map(Into::into),
        unit,
        window,
    };
    [
        key(None, Unit::Cost, Window::month(Zone::UTC)),
        key(None, Unit::Calls, Window::day(Zone::UTC)),
        key(Some("user"), Unit::Cost, Window::week(berlin)),
        key(Some("user"), Unit::Cost, Window::Lifetime),
        key(Some("user"), Unit::Calls, Window::Lifetime),
        key(Some("user"), Unit::Cost, hour),
        key(Some("user"), Unit::Calls, hour),
    ]
}

struct World {
    store: SqliteStore,
    now: Timestamp,
    /// Also those that have ended, which may be settled again in vain.
    reserved: Vec<Reservation>,
}

impl World {
    fn open(path: &Path, now: Timestamp) -> Self {
        Self { store: SqliteStore::open(path).unwrap(), now, reserved: Vec::new() }
    }

    async fn step(&mut self, step: &Step, path: &Path) {
        let Self { store, now, .. } = self;
        let keys = counters();
        let value = |counter: usize, user: u8| match keys[counter].label {
            None => String::new(),
            Some(_) => format!("user-{user}"),
        };
        match *step {
            Step::Reserve { user, cost, limit } => {
                let name = format!("user-{user}");
                let charges: Vec<_> = keys
                    .iter()
                    .map(|key| Charge {
                        counter: store.counter(key),
                        value: u8::from(key.label.is_some()),
                    })
                    .collect();
                let limits = [Limit { charge: 2, ask: cost.into(), limit: limit.into() }];
                let labels = Labels::new().with("user", name.clone());
                let facts = facts(&labels);
                let hold = Hold {
                    values: &["", &name],
                    charges: &charges,
                    cost: Usd::nanos(cost.into()),
                    limits: &limits,
                    at: *now,
                    deadline: now.saturating_add(Duration::from_secs(7_200)),
                    call: Some(&facts),
                };
                if let Ok(reservation) = store.reserve(hold).await {
                    self.reserved.push(reservation);
                }
            }
            Step::Settle { which, cost, is_told } => {
                let Some(reservation) = self.pick(which) else { return };
                let usage = Usage::tokens(cost.into(), 7);
                let ending = Ending {
                    how: SettledHow::Actual,
                    model: Some("gpt-4o-2024-08-06"),
                    usage: Some(&usage),
                };
                let cost = Usd::nanos(cost.into());
                if is_told {
                    self.store.conclude(reservation, cost, self.now, &ending);
                } else {
                    self.store.settle(reservation, cost, self.now);
                }
            }
            Step::Release { which } => {
                if let Some(reservation) = self.pick(which) {
                    self.store.release(reservation, self.now);
                }
            }
            Step::Deny { cost } => {
                let estimate = Some(Usd::nanos(cost.into()));
                store.deny(&facts(&Labels::new()), "a_rule", estimate, *now);
            }
            Step::Unmetered { cost } => {
                store.unmetered(&facts(&Labels::new()), Usd::nanos(cost.into()), *now);
            }
            Step::Adjust { user, counter, delta } => {
                let (delta, value) = (delta.into(), value(counter, user));
                let counter = store.counter(&keys[counter]);
                let change = Adjustment { counter, value: &value, delta, reason: "test", at: *now };
                store.adjust(change).await.unwrap();
            }
            Step::Reset { user, counter } => {
                let value = value(counter, user);
                store.counter(&keys[counter]);
                store.reset(&keys[counter], &value, "test", *now).await.unwrap();
            }
            Step::Raise { user, by } => {
                let (value, until) = (value(2, user), now.saturating_add(Duration::from_secs(600)));
                let (counter, by, reason) = (store.counter(&keys[2]), by.into(), "test");
                let raise = Raise { counter, value: &value, by, until, reason, at: *now };
                store.raise(raise).await.unwrap();
            }
            Step::Wait { minutes } => {
                *now = now.saturating_add(Duration::from_secs(60 * u64::from(minutes)));
            }
            Step::Prune { days } => {
                let back = u64::from(days) * 86_400 * 1_000_000_000;
                store.prune(Timestamp::from_nanos(now.as_nanos() - back)).await.unwrap();
            }
            Step::Reopen => {
                let flushed = store.flush().await;
                flushed.unwrap();
                *self = Self::open(path, *now);
            }
        }
    }

    fn pick(&self, which: usize) -> Option<Reservation> {
        self.reserved.get(which.checked_rem(self.reserved.len())?).copied()
    }
}

fn facts(labels: &Labels) -> Facts<'_> {
    Facts {
        workspace: "w",
        provider: "openai",
        operation: "chat",
        requested_model: "gpt-4o",
        model: "gpt-4o",
        labels,
        prices: "2026-11-20",
        would_deny: None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 40 } else { 400 }))]

    #[test]
    fn after_any_history_the_file_adds_up(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("driftlock.db");
        let mut world = World::open(&path, "2200-02-26T20:00:00Z".parse().unwrap());
        for (number, step) in steps.iter().enumerate() {
            runtime.block_on(world.step(step, &path));
            if number % 10 == 9 || number + 1 == steps.len() {
                runtime.block_on(world.store.flush()).unwrap();
                let report = Report::open(&path).unwrap();
                let check = report.check().unwrap();
                prop_assert!(check.is_sound(), "after {number}: {check:#?}");
                let kept = report.calls(Span::all()).unwrap().count() as u64;
                prop_assert_eq!(kept, check.calls);
            }
        }
    }
}
