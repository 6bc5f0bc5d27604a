//! What the store in a file promises beyond the contract: it remembers, writes down, and
//! refuses from memory.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used)] // tests

use std::{path::PathBuf, time::Duration};

use driftlock::{
    Budget, Call, Clock, CostVelocity, Error, Input, Labels, ManualClock, MonthlyBudget, OnOutage,
    Operation, Permit, Policy, PolicyBuilder, Provider, Retry, Scope, SpendError, Unit, Usage, Usd,
    Window, Zone,
    store::{Adjustment, CounterKey, Reading, SqliteStore, Store},
};
use rusqlite::Connection;
use tempfile::TempDir;

/// A file, and a clock for all who use it.
struct World {
    directory: TempDir,
    clock: ManualClock,
}

impl World {
    fn new() -> Self {
        let clock = ManualClock::at("2026-11-22T12:00:00Z".parse().unwrap());
        Self { directory: tempfile::tempdir().unwrap(), clock }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("driftlock.db")
    }

    fn store(&self) -> SqliteStore {
        SqliteStore::open(self.path()).unwrap()
    }

    fn builder(&self, store: &SqliteStore) -> PolicyBuilder {
        Policy::builder().clock(self.clock.clone()).store(store.clone())
    }

    /// What somebody else sees in the file.
    fn look(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    fn count(&self, sql: &str) -> i64 {
        self.look().query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

/// Reserves $0.10 and a little; see [`spend`].
fn call(user: &str) -> Call {
    Call::new(Provider::OPENAI, Operation::Chat, "gpt-4o")
        .with_input(Input { text_bytes: 300, messages: 1, ..Input::default() })
        .with_max_output_tokens(10_000)
        .with_labels(Labels::new().with("user", user).with("plan", "pro"))
}

/// Costs exactly $0.10.
fn usage() -> Usage {
    Usage::tokens(0, 10_000)
}

fn ten_cents() -> Usd {
    Usd::cents(10)
}

async fn admit(policy: &Policy, user: &str) -> Result<Permit, Error> {
    let mut permit = policy.admit(&mut call(user)).await?;
    permit.sent();
    Ok(permit)
}

async fn spend(policy: &Policy, user: &str) -> Result<(), Error> {
    admit(policy, user).await?.settle(&usage());
    Ok(())
}

fn month() -> Window {
    Window::month(Zone::UTC)
}

fn user_month() -> CounterKey {
    let (workspace, label) = ("default".into(), Some("user".into()));
    CounterKey { workspace, label, unit: Unit::Cost, window: month() }
}

fn workspace_month() -> CounterKey {
    CounterKey { label: None, ..user_month() }
}

#[tokio::test]
async fn a_month_goes_on_after_a_restart() {
    let world = World::new();
    let build = |store: &SqliteStore| {
        world.builder(store).rule(MonthlyBudget::new(Usd::cents(35))).build().unwrap()
    };
    {
        let policy = build(&world.store());
        for _ in 0..2 {
            spend(&policy, "ann").await.unwrap();
        }
    } // nobody has flushed
    let policy = build(&world.store());
    let spent = policy.spend(&Scope::user("ann"), month()).await.unwrap();
    assert_eq!((spent.settled, spent.reserved), (Usd::cents(20), Usd::ZERO));
    spend(&policy, "bo").await.unwrap();
    let denial = spend(&policy, "bo").await.unwrap_err();
    let denial = denial.denial().unwrap();
    assert_eq!(denial.rule(), "monthly_budget");
    assert_eq!(denial.retry(), Retry::At("2026-12-01T00:00:00Z".parse().unwrap()));
}

#[tokio::test]
async fn a_call_whose_process_died_counts_at_its_estimate_once_its_deadline_passes() {
    let world = World::new();
    let reserved = {
        let policy = world.builder(&world.store()).build().unwrap();
        let permit = admit(&policy, "ann").await.unwrap();
        let reserved = permit.reserved();
        std::mem::forget(permit); // the process dies
        reserved
    };
    let policy = world.builder(&world.store()).build().unwrap();
    let read = async || policy.spend(&Scope::Workspace, month()).await.unwrap();
    assert_eq!((read().await.settled, read().await.reserved), (Usd::ZERO, reserved));
    world.clock.advance(Duration::from_secs(15 * 60));
    assert_eq!((read().await.settled, read().await.reserved), (reserved, Usd::ZERO));
    assert_eq!(world.count("SELECT count(*) FROM call WHERE outcome = 'expired'"), 1);
    assert_eq!(world.count("SELECT cost FROM call"), reserved.as_nanos() as i64);
    assert_eq!(world.count("SELECT sum(cost) FROM daily"), 2 * reserved.as_nanos() as i64);
}

#[tokio::test]
async fn a_late_settle_corrects_the_ledger_and_its_sums() {
    let world = World::new();
    let policy = world.builder(&world.store()).build().unwrap();
    let permit = admit(&policy, "ann").await.unwrap();
    world.clock.advance(Duration::from_secs(16 * 60));
    let spent = policy.spend(&Scope::Workspace, month()).await.unwrap();
    assert_eq!(spent.settled, permit.reserved());
    permit.settle(&usage());
    policy.drain().await.unwrap();
    let spent = policy.spend(&Scope::Workspace, month()).await.unwrap();
    assert_eq!(spent.settled, ten_cents());
    let ten_cents = ten_cents().as_nanos() as i64;
    assert_eq!(world.count("SELECT cost FROM call WHERE outcome = 'actual'"), ten_cents);
    assert_eq!(world.count("SELECT sum(cost) FROM daily"), 2 * ten_cents);
    assert_eq!(world.count("SELECT sum(calls) FROM daily"), 2);
}

#[tokio::test]
async fn the_ledger_has_one_row_for_every_call() {
    let world = World::new();
    let budget = MonthlyBudget::new(Usd::cents(15)).per_user().named("of a user");
    let policy = world.builder(&world.store()).rule(budget).build().unwrap();
    spend(&policy, "ann").await.unwrap();
    spend(&policy, "ann").await.unwrap_err();
    drop(policy.admit(&mut call("bo")).await.unwrap()); // never sent
    admit(&policy, "bo").await.unwrap().settle_estimate();
    let open = admit(&policy, "cy").await.unwrap();
    spend(&policy, "ann").await.unwrap_err();
    tokio::time::timeout(Duration::from_millis(50), policy.drain()).await.unwrap_err();
    drop(open);
    policy.drain().await.unwrap();
    let conn = world.look();
    let mut statement = conn
        .prepare(
            "SELECT outcome, rule, cost, json_extract(labels, '$.user'), requested_model, prices, \
             output_tokens FROM call ORDER BY id",
        )
        .unwrap();
    let rows = statement.query_map([], |row| {
        let text = |column| row.get::<_, Option<String>>(column);
        assert_eq!(text(4)?.as_deref(), Some("gpt-4o"));
        assert_eq!(text(5)?.as_deref(), Some(driftlock::PriceBook::bundled().as_of()));
        let rule = text(1)?.unwrap_or_default();
        Ok((text(0)?.unwrap(), rule, row.get::<_, i64>(2)? > 0, text(3)?.unwrap(), row.get(6)?))
    });
    let rows: Vec<(String, String, bool, String, Option<i64>)> =
        rows.unwrap().map(Result::unwrap).collect();
    let expected = [
        ("actual", "", true, "ann", Some(10_000)),
        ("denied", "of a user", false, "ann", None),
        ("not_sent", "", false, "bo", None),
        ("estimated", "", true, "bo", None),
        ("abandoned", "", true, "cy", None),
        ("denied", "of a user", false, "ann", None),
    ];
    let mut expected = expected
        .map(|(outcome, rule, costs, user, output)| {
            (outcome.to_owned(), rule.to_owned(), costs, user.to_owned(), output)
        })
        .to_vec();
    // A line about a denial may linger behind the calls that follow.
    let mut sorted = rows.clone();
    sorted.sort();
    expected.sort();
    assert_eq!(sorted, expected);
    assert_eq!(world.count("SELECT calls FROM denied WHERE rule = 'of a user'"), 2);
    let by_user =
        "SELECT calls FROM daily JOIN scope ON scope.id = daily.scope WHERE value = 'ann'";
    assert_eq!(world.count(by_user), 1);
}

/// Somebody else holds the file, so that whoever asks it has to wait.
#[tokio::test]
async fn a_spent_budget_refuses_without_asking_the_file() {
    let world = World::new();
    let store = SqliteStore::builder(world.path()).timeout(Duration::ZERO).open().unwrap();
    let policy =
        world.builder(&store).rule(MonthlyBudget::new(Usd::cents(25)).per_user()).build().unwrap();
    for _ in 0..2 {
        spend(&policy, "ann").await.unwrap();
    }
    let from_file = spend(&policy, "ann").await.unwrap_err();
    store.flush().await.unwrap();
    let other = world.look();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let from_memory = spend(&policy, "ann").await.unwrap_err();
    assert_eq!(from_memory.denial().unwrap(), from_file.denial().unwrap());
    // When a second has gone by, the file has to be asked.
    world.clock.advance(Duration::from_secs(1));
    assert!(matches!(spend(&policy, "ann").await, Err(Error::Store(_))));
    // And for others, for whom there is room.
    assert!(matches!(spend(&policy, "bo").await, Err(Error::Store(_))));
    other.execute_batch("ROLLBACK").unwrap();
    drop(other);
    loop {
        match spend(&policy, "ann").await.unwrap_err() {
            Error::Denied(_) => break,
            _ => tokio::task::yield_now().await,
        }
    }
}

#[tokio::test]
async fn a_spent_budget_refuses_from_memory_also_when_its_mark_was_deleted() {
    let world = World::new();
    let store = SqliteStore::builder(world.path()).timeout(Duration::ZERO).open().unwrap();
    let policy =
        world.builder(&store).rule(MonthlyBudget::new(Usd::cents(15)).per_user()).build().unwrap();
    spend(&policy, "ann").await.unwrap();
    store.reset(&user_month(), "ann", "a mistake", world.clock.now()).await.unwrap();
    spend(&policy, "ann").await.unwrap();
    std::fs::remove_file(world.directory.path().join("driftlock.db-epoch")).unwrap();
    spend(&policy, "ann").await.unwrap_err();
    store.flush().await.unwrap();
    let other = world.look();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(matches!(spend(&policy, "ann").await, Err(Error::Denied(_))));
}

#[tokio::test]
async fn newcomers_are_refused_from_memory_when_the_workspace_is_spent() {
    let world = World::new();
    let store = SqliteStore::builder(world.path()).timeout(Duration::ZERO).open().unwrap();
    let policy = world
        .builder(&store)
        .rule(MonthlyBudget::new(Usd::dollars(1)).per_user())
        .rule(MonthlyBudget::new(Usd::cents(15)))
        .build()
        .unwrap();
    spend(&policy, "ann").await.unwrap();
    spend(&policy, "new").await.unwrap_err();
    let other = world.look();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(matches!(spend(&policy, "new").await, Err(Error::Denied(_))));
    assert_eq!(world.count("SELECT count(*) FROM scope WHERE value = 'new'"), 0);
}

#[tokio::test]
async fn what_is_taken_back_or_raised_is_seen_at_once() {
    let world = World::new();
    let store = world.store();
    let policy =
        world.builder(&store).rule(MonthlyBudget::new(Usd::cents(15)).per_user()).build().unwrap();
    let now = world.clock.now();
    spend(&policy, "ann").await.unwrap();
    for _ in 0..3 {
        spend(&policy, "ann").await.unwrap_err();
    }
    let reading = store.reset(&user_month(), "ann", "a mistake", now).await.unwrap();
    assert_eq!(reading.settled, 0);
    spend(&policy, "ann").await.unwrap();
    for _ in 0..3 {
        spend(&policy, "ann").await.unwrap_err();
    }
    let until = now.saturating_add(Duration::from_secs(3_600));
    let ann = Scope::user("ann");
    policy.raise_limit(&ann, month(), ten_cents(), until, "a demo").await.unwrap();
    let raised = |spend: driftlock::Spend| spend.raised;
    assert_eq!(policy.spend(&ann, month()).await.map(raised), Ok(ten_cents()));
    let bob = Scope::user("bob");
    assert_eq!(policy.spend(&bob, month()).await.map(raised), Ok(Usd::ZERO));
    #[cfg(feature = "axum")]
    assert_eq!(what_is_left(&policy).await, "0.15");
    spend(&policy, "ann").await.unwrap();
    let denial = spend(&policy, "ann").await.unwrap_err();
    let limit = denial.denial().unwrap().exceeded().unwrap().limit;
    assert_eq!(limit.to_string(), "$0.25");
    // The raise survives a restart, and ends when it should.
    drop((policy, store));
    let store = world.store();
    let policy =
        world.builder(&store).rule(MonthlyBudget::new(Usd::cents(15)).per_user()).build().unwrap();
    policy.remove_spend(&Scope::user("ann"), month(), ten_cents(), "credit").await.unwrap();
    spend(&policy, "ann").await.unwrap();
    policy.remove_spend(&Scope::user("ann"), month(), ten_cents(), "credit").await.unwrap();
    world.clock.set(until);
    spend(&policy, "ann").await.unwrap_err();
    assert_eq!(world.count("SELECT count(*) FROM raise"), 1);
    assert_eq!(world.count("SELECT count(*) FROM adjustment"), 3);
    let taken = "SELECT sum(delta) FROM adjustment WHERE reason = 'a mistake'";
    assert_eq!(world.count(taken), -(ten_cents().as_nanos() as i64));
}

#[tokio::test]
async fn what_is_taken_back_or_raised_elsewhere_is_seen_at_once() {
    let world = World::new();
    let (store, other) = (world.store(), world.store());
    let policy =
        world.builder(&store).rule(MonthlyBudget::new(Usd::cents(15)).per_user()).build().unwrap();
    spend(&policy, "ann").await.unwrap();
    spend(&policy, "ann").await.unwrap_err();
    other.reset(&user_month(), "ann", "a mistake", world.clock.now()).await.unwrap();
    spend(&policy, "ann").await.unwrap();
    let elsewhere = world.builder(&other).build().unwrap();
    for more in 1..=20 {
        for _ in 0..3 {
            spend(&policy, "ann").await.unwrap_err();
        }
        let by = ten_cents().saturating_mul(more);
        let until = world.clock.now().saturating_add(Duration::from_secs(3_600));
        elsewhere.raise_limit(&Scope::user("ann"), month(), by, until, "a demo").await.unwrap();
        spend(&policy, "ann").await.unwrap();
    }
}

#[tokio::test]
async fn a_raise_says_when_there_is_room_without_it() {
    let world = World::new();
    let store = world.store();
    let hour = Duration::from_secs(3_600);
    let rule = driftlock::CostVelocity::new(Usd::cents(15), hour);
    let policy = world.builder(&store).rule(rule).build().unwrap();
    let key = CounterKey { window: Window::sliding(hour), ..workspace_month() };
    let now = world.clock.now();
    let until = now.saturating_add(Duration::from_secs(1_800));
    policy.raise_limit(&Scope::Workspace, key.window, ten_cents(), until, "a demo").await.unwrap();
    spend(&policy, "ann").await.unwrap();
    world.clock.advance(Duration::from_secs(60));
    spend(&policy, "ann").await.unwrap();
    let denial = spend(&policy, "ann").await.unwrap_err();
    // With the raise, one of the two has to leave; when the first does, there is none.
    let Retry::At(time) = denial.denial().unwrap().retry() else { panic!("a time") };
    world.clock.set(time);
    spend(&policy, "ann").await.unwrap();
}

#[tokio::test]
async fn pruning_forgets_calls_and_not_what_they_cost() {
    let world = World::new();
    let store = world.store();
    let policy = world.builder(&store).build().unwrap();
    for _ in 0..3 {
        spend(&policy, "ann").await.unwrap();
        world.clock.advance(Duration::from_secs(3_600));
    }
    let open = admit(&policy, "bo").await.unwrap();
    policy.remove_spend(&Scope::user("ann"), month(), Usd::cents(5), "credit").await.unwrap();
    let before = policy.spend(&Scope::user("ann"), month()).await.unwrap();
    let (daily, now) = (world.count("SELECT sum(cost) FROM daily"), world.clock.now());
    let two_hours = Duration::from_secs(2 * 3_600);
    let second_hour = "2026-11-22T14:00:00Z".parse().unwrap();
    assert_eq!(store.prune(second_hour).await.unwrap(), 2);
    assert_eq!(world.count("SELECT count(*) FROM call"), 2);
    assert_eq!(store.prune(now.saturating_add(two_hours)).await.unwrap(), 1);
    assert_eq!(world.count("SELECT count(*) FROM call WHERE outcome = 'open'"), 1);
    assert_eq!(policy.spend(&Scope::user("ann"), month()).await.unwrap(), before);
    assert_eq!(world.count("SELECT sum(cost) FROM daily"), daily);
    // What no call in the ledger accounts for any more is carried.
    let carried = "SELECT amount FROM carried JOIN scope ON scope.id = scope WHERE value = 'ann'";
    assert_eq!(world.count(carried), Usd::cents(30).as_nanos() as i64);
    open.settle(&usage());
    policy.drain().await.unwrap();
    let spent = policy.spend(&Scope::user("bo"), month()).await.unwrap();
    assert_eq!(spent.settled, ten_cents());
}

#[tokio::test]
async fn what_is_carried_is_forgotten_when_its_period_has_ended() {
    let world = World::new();
    let store = world.store();
    let policy = world
        .builder(&store)
        .rule(Budget::lifetime(Usd::dollars(1)))
        .rule(MonthlyBudget::new(Usd::dollars(1)))
        .rule(CostVelocity::new(Usd::dollars(1), Duration::from_secs(86_400)))
        .build()
        .unwrap();
    let prune = async || store.prune(world.clock.now()).await.unwrap();
    spend(&policy, "ann").await.unwrap();
    policy.drain().await.unwrap();
    world.clock.advance(Duration::from_secs(3_600));
    assert_eq!(prune().await, 1);
    // The month of the workspace and of the user, and all time. What slides is not checked.
    assert_eq!(world.count("SELECT count(*) FROM carried"), 3);
    world.clock.set("2026-12-01T00:00:00Z".parse().unwrap());
    drop(admit(&policy, "ann").await.unwrap());
    assert_eq!(prune().await, 0);
    assert_eq!(world.count("SELECT count(*) FROM carried"), 1);
}

#[tokio::test]
async fn old_calls_are_deleted_when_their_time_has_come() {
    let world = World::new();
    let day = Duration::from_secs(86_400);
    let store = SqliteStore::builder(world.path()).retention(3 * day).open().unwrap();
    let policy = world.builder(&store).build().unwrap();
    for days in 1..=6 {
        spend(&policy, "ann").await.unwrap();
        policy.drain().await.unwrap();
        assert_eq!(world.count("SELECT count(*) FROM call"), days.min(4));
        world.clock.advance(day);
        // Somebody has to come by for it.
        policy.spend(&Scope::Workspace, month()).await.unwrap();
        store.flush().await.unwrap();
    }
    let spent = policy.spend(&Scope::Workspace, month()).await.unwrap();
    assert_eq!(spent.settled, ten_cents().saturating_mul(6));
}

#[tokio::test]
async fn twenty_thousand_rows_are_pruned_while_calls_go_on() {
    let world = World::new();
    let store = world.store();
    let policy = world.builder(&store).build().unwrap();
    spend(&policy, "ann").await.unwrap();
    store.flush().await.unwrap();
    world
        .look()
        .execute_batch(
            "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 20001) \
             INSERT INTO call (id, at, outcome, estimate, cost) SELECT i, 1, 'denied', 0, 0 FROM n; \
             UPDATE call SET at = 1; UPDATE store SET last_call = 20001",
        )
        .unwrap();
    let now = world.clock.now();
    let (pruned, spent) = tokio::join!(store.prune(now), async {
        for _ in 0..20 {
            spend(&policy, "ann").await.unwrap();
        }
    });
    assert_eq!((pruned.unwrap(), spent), (20_001, ()));
}

#[tokio::test]
async fn one_file_serves_several_workspaces() {
    let world = World::new();
    let store = world.store();
    let [one, other] = ["one", "other"].map(|name| {
        let budget = MonthlyBudget::new(Usd::cents(15));
        world.builder(&store).workspace(name).rule(budget).build().unwrap()
    });
    spend(&one, "ann").await.unwrap();
    spend(&one, "ann").await.unwrap_err();
    spend(&other, "ann").await.unwrap();
    let spent = one.spend(&Scope::user("ann"), month()).await.unwrap();
    assert_eq!(spent.settled, ten_cents());
}

#[tokio::test]
async fn observing_writes_down_which_rule_would_have_denied() {
    let world = World::new();
    let policy = world
        .builder(&world.store())
        .mode(driftlock::Mode::Observe)
        .rule(MonthlyBudget::new(Usd::cents(5)))
        .build()
        .unwrap();
    spend(&policy, "ann").await.unwrap();
    policy.drain().await.unwrap();
    assert_eq!(
        world.count("SELECT count(*) FROM call WHERE rule = 'monthly_budget' AND cost > 0"),
        1
    );
}

#[tokio::test]
async fn a_file_knows_what_is_counted_before_the_first_call() {
    let world = World::new();
    let store = world.store();
    let policy = world.builder(&store).track_label("team").build().unwrap();
    store.flush().await.unwrap();
    assert_eq!(world.count("SELECT count(*) FROM counter"), 3);
    // Somebody else has a budget to begin with.
    let other = world.store();
    let (counter, value) = (other.counter(&user_month()), "ann");
    let (reason, at) = ("opening balance", world.clock.now());
    let delta = i64::try_from(ten_cents().as_nanos()).unwrap();
    other.adjust(Adjustment { counter, value, delta, reason, at }).await.unwrap();
    let spent = policy.spend(&Scope::user("ann"), month()).await.unwrap();
    assert_eq!(spent.settled, ten_cents());
    // Nobody counts that.
    let typo = CounterKey { workspace: "defualt".into(), ..user_month() };
    let error = store.reset(&typo, "ann", "a mistake", at).await.unwrap_err();
    assert_eq!(error.to_string(), "nothing counts that");
    store.reset(&user_month(), "nobody", "a mistake", at).await.unwrap();
    assert_eq!(world.count("SELECT count(*) FROM scope WHERE value = 'nobody'"), 0);
    let week = Window::week(Zone::UTC);
    let raised = policy.raise_limit(&Scope::Workspace, week, ten_cents(), at, "a demo").await;
    assert!(matches!(raised, Err(SpendError::NotCounted { .. })));
    let memory = Policy::builder().build().unwrap();
    let raised = memory.raise_limit(&Scope::Workspace, month(), ten_cents(), at, "a demo").await;
    assert_eq!(raised.unwrap_err().to_string(), "this store cannot raise limits");
}

#[tokio::test]
async fn what_is_sent_during_an_outage_is_in_the_ledger_and_in_no_counter() {
    let world = World::new();
    let store = SqliteStore::builder(world.path()).timeout(Duration::ZERO).open().unwrap();
    let policy = world.builder(&store).on_outage(OnOutage::AllowUpTo(Usd::cents(25))).build();
    let policy = policy.unwrap();
    store.flush().await.unwrap();
    let other = world.look();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    spend(&policy, "ann").await.unwrap();
    spend(&policy, "ann").await.unwrap();
    assert!(matches!(spend(&policy, "ann").await, Err(Error::Store(_))));
    let is_back = async || {
        while store.flush().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    other.execute_batch("ROLLBACK").unwrap();
    is_back().await;
    // The next outage does not write them down once more.
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    store.flush().await.unwrap_err();
    other.execute_batch("ROLLBACK").unwrap();
    drop(other);
    is_back().await;
    assert_eq!(policy.stats().unmetered, 2);
    let unmetered = "SELECT count(*) FROM call WHERE outcome = 'unmetered' AND estimate > 0";
    assert_eq!(world.count(unmetered), 2);
    let spent = policy.spend(&Scope::Workspace, month()).await.unwrap();
    assert_eq!(spent.total(), Usd::ZERO);
}

#[tokio::test]
async fn the_limit_that_refuses_is_kept_as_well() {
    let world = World::new();
    let store = world.store();
    let build = |cents| {
        let rule = MonthlyBudget::new(Usd::cents(cents));
        world.builder(&store).rule(rule).build().unwrap()
    };
    spend(&build(50), "ann").await.unwrap();
    spend(&build(15), "ann").await.unwrap_err();
    store.flush().await.unwrap();
    let cap = "SELECT cap FROM amount JOIN scope ON scope.id = scope WHERE value = ''";
    assert_eq!(world.count(cap), Usd::cents(15).as_nanos() as i64);
    // Until another does: a call without one says nothing about it.
    spend(&world.builder(&store).build().unwrap(), "ann").await.unwrap();
    store.flush().await.unwrap();
    assert_eq!(world.count(cap), Usd::cents(15).as_nanos() as i64);
}

#[tokio::test]
async fn the_limit_of_the_last_call_is_kept_beside_what_is_used() {
    let world = World::new();
    let rules = [40, 30].map(|cents| MonthlyBudget::new(Usd::cents(cents)));
    let store = world.store();
    let policy =
        rules.into_iter().fold(world.builder(&store), PolicyBuilder::rule).build().unwrap();
    spend(&policy, "ann").await.unwrap();
    store.flush().await.unwrap();
    let cap = "SELECT cap FROM amount JOIN scope ON scope.id = scope WHERE value = ''";
    assert_eq!(world.count(cap), Usd::cents(30).as_nanos() as i64);
    assert_eq!(world.count("SELECT count(*) FROM amount WHERE cap IS NULL"), 1);
}

/// Settling happens in `drop`, wherever that is.
#[test]
fn a_call_settles_without_a_runtime_and_after_it_has_ended() {
    let world = World::new();
    let store = world.store();
    let policy = world.builder(&store).build().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let permits = runtime.block_on(async {
        [admit(&policy, "ann").await.unwrap(), admit(&policy, "bo").await.unwrap()]
    });
    runtime.shutdown_background();
    let [one, other] = permits;
    std::thread::spawn(move || one.settle(&usage())).join().unwrap();
    drop(policy);
    drop(store); // the permit has it still
    let unwinding = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _other = other;
        panic!("a bug of somebody");
    }));
    assert!(unwinding.is_err());
    assert_eq!(world.count("SELECT count(*) FROM call WHERE outcome = 'open'"), 0);
    assert_eq!(world.count("SELECT count(*) FROM call WHERE outcome = 'abandoned'"), 1);
}

/// Of $0.15 a month, for ann, as a header says it.
#[cfg(feature = "axum")]
async fn what_is_left(policy: &Policy) -> String {
    use driftlock::axum::{Remaining, RemainingLayer};
    use tower::{Layer, ServiceExt, service_fn};

    let name = http::HeaderName::from_static("x-left");
    let left = Remaining::of(Usd::cents(15), month()).per_user();
    let handler = service_fn(async |_: http::Request<()>| {
        Ok::<_, std::convert::Infallible>(http::Response::new(()))
    });
    let service = RemainingLayer::new(policy.clone()).header(name, left).layer(handler);
    let request = service.oneshot(http::Request::new(()));
    let response = driftlock::labels::scope(driftlock::Labels::new().with("user", "ann"), request)
        .await
        .unwrap();
    response.headers()["x-left"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_reading_knows_of_everything_handed_over_before() {
    let world = World::new();
    let store = world.store();
    let policy = world.builder(&store).build().unwrap();
    let counter = store.counter(&user_month());
    for round in 1..=50u64 {
        spend(&policy, "ann").await.unwrap();
        let reading = store.read(counter, "ann", world.clock.now()).await.unwrap();
        let resets_at = Some("2026-12-01T00:00:00Z".parse().unwrap());
        let settled = ten_cents().as_nanos() * round;
        assert_eq!(reading, Reading { settled, reserved: 0, raised: 0, resets_at });
    }
}
