//! A file in which two workspaces have spent: what the tests of reports and of the
//! command read. It is of the year 2200, so that the file's time, not the machine's, is
//! what reports go by.
#![allow(dead_code, unreachable_pub)] // each test uses a part of it

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use driftlock::{
    Budget, Call, Input, Labels, ManualClock, MonthlyBudget, Operation, PerUserBudget, Permit,
    Policy, Provider, RestrictModel, Usage, Usd, VelocityLimit, Zone, store::SqliteStore,
};

/// A directory that is gone after the test.
pub struct Scratch(tempfile::TempDir);

impl Scratch {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

pub const DAY: Duration = Duration::from_secs(86_400);
/// When the fixture is left.
pub const NOW: &str = "2200-03-15T12:00:00Z";

fn policy(workspace: &str, path: &Path, clock: &ManualClock) -> Policy {
    Policy::builder()
        .workspace(workspace)
        .rule(MonthlyBudget::new(Usd::dollars(100)))
        .rule(PerUserBudget::new().default_limit(Usd::dollars(10)))
        .rule(
            Budget::daily(Usd::dollars(5))
                .per_label("team")
                .time_zone(Zone::named("Europe/Berlin").unwrap()),
        )
        .rule(VelocityLimit::new(60, Duration::from_secs(60)).per_user())
        .rule(RestrictModel::new(["gpt-4"]))
        .deadline(Duration::from_secs(600))
        .clock(clock.clone())
        .store(SqliteStore::open(path).unwrap())
        .build()
        .unwrap()
}

fn call(model: &str, user: &str) -> Call {
    Call::new(Provider::OPENAI, Operation::Chat, model)
        .with_input(Input { text_bytes: 3_000, messages: 2, ..Input::default() })
        .with_max_output_tokens(1_000)
        .with_labels(Labels::new().with("user", user).with("team", "search"))
}

async fn admit(policy: &Policy, model: &str, user: &str) -> Permit {
    let mut permit = policy.admit(&mut call(model, user)).await.unwrap();
    permit.sent();
    permit
}

/// Fills a file. In `prod`, on each of six days up to 2200-03-15, noon: ann makes two
/// calls to gpt-4o of 1,000 tokens in and 500 out ($0.0075 each), bob one to gpt-4o-mini
/// ($0.00045), and one call to gpt-4 is denied. On the last day one call is given back,
/// one is lost and expires, and one stays open. In `test`, carl makes one call.
pub async fn fill(path: &Path) {
    let now = NOW.parse().unwrap();
    let clock = ManualClock::at(now);
    let usage = Usage::tokens(1_000, 500);
    {
        clock.set(driftlock::Timestamp::from_nanos(now.as_nanos() - 5 * DAY.as_nanos() as u64));
        let prod = policy("prod", path, &clock);
        for day in 0..6 {
            if day > 0 {
                clock.advance(DAY);
            }
            for model in ["gpt-4o", "gpt-4o-2024-08-06"] {
                admit(&prod, model, "ann@example.com").await.settle(&usage);
            }
            admit(&prod, "gpt-4o-mini", "bob").await.settle(&usage);
            prod.admit(&mut call("gpt-4", "bob")).await.unwrap_err();
        }
        prod.admit(&mut call("gpt-4o-mini", "bob")).await.unwrap().release();
        std::mem::forget(admit(&prod, "gpt-4o-mini", "bob").await);
        clock.advance(Duration::from_secs(601));
        std::mem::forget(admit(&prod, "gpt-4o", "ann@example.com").await);
        let _ = tokio::time::timeout(Duration::from_millis(1), prod.drain()).await;
        prod.spend(&driftlock::Scope::Workspace, driftlock::Window::month(Zone::UTC))
            .await
            .unwrap();
    }
    let test = policy("test", path, &clock);
    admit(&test, "gpt-4o-mini", "carl").await.settle(&usage);
    test.drain().await.unwrap();
}

/// A file as [`fill`] leaves it.
pub fn filled(scratch: &Scratch) -> PathBuf {
    let path = scratch.file("driftlock.db");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(fill(&path));
    path
}

/// Changes a file behind everybody's back.
pub fn edit(path: &Path, sql: &str) {
    rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
}
