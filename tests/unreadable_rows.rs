//! A row of the ledger that cannot be read is in nobody's way, and makes nobody's spend less.
#![cfg(all(unix, feature = "sqlite"))]
#![allow(clippy::unwrap_used)] // in helpers too

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};

use driftlock::{
    Budget, Call, CostVelocity, InputEstimate, Labels, ManualClock, MonthlyBudget, Operation,
    PerUserBudget, Permit, Policy, PriceBook, Provider, Scope, Timestamp, Usage, Usd,
    VelocityLimit, Window, Zone,
    report::{Invoice, Report, Span, Uncertain},
    store::SqliteStore,
};
use on_disk::{directory, wait};
use rusqlite::Connection;
use scripted::{MODEL, book, estimate, month, noon, usage_cost};
use tracing::field;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

mod on_disk;
mod scripted;

const MINUTE: Duration = Duration::from_secs(60);
const TOKENS: u64 = 1_000;

/// A service on a file, and the clock of both.
struct Service {
    file: PathBuf,
    clock: ManualClock,
    policy: Policy,
    _directory: tempfile::TempDir,
}

fn service() -> Service {
    let directory = directory();
    let (file, clock) = (directory.path().join("driftlock.db"), ManualClock::at(noon()));
    let policy = policy(&SqliteStore::open(&file).unwrap(), &clock);
    Service { file, clock, policy, _directory: directory }
}

fn policy(store: &SqliteStore, clock: &ManualClock) -> Policy {
    Policy::builder()
        .prices(book())
        .estimator(|_: &Call| InputEstimate { expected: 100, ceiling: Some(100) })
        .rule(MonthlyBudget::new(Usd::dollars(1)))
        .rule(PerUserBudget::new().default_limit(Usd::dollars(1)))
        .rule(Budget::daily(Usd::dollars(1)).per_label("team"))
        .store(store.clone())
        .clock(clock.clone())
        .build()
        .unwrap()
}

fn admit(policy: &Policy, user: &str, tokens: u64) -> Permit {
    let mut call = Call::new(Provider::OPENAI, Operation::Chat, MODEL)
        .with_max_output_tokens(tokens)
        .with_labels(Labels::new().with("user", user));
    let mut permit = wait(policy.admit(&mut call)).unwrap();
    permit.sent();
    permit
}

fn spent(policy: &Policy, scope: &Scope, window: Window) -> (Usd, Usd) {
    let spend = wait(policy.spend(scope, window)).unwrap();
    (spend.settled, spend.reserved)
}

fn of_all(policy: &Policy) -> Usd {
    let (settled, reserved) = spent(policy, &Scope::Workspace, month());
    settled.saturating_add(reserved)
}

/// What a number of tokens is estimated at, together with what a call has cost.
fn estimate_and(cost: Usd) -> Usd {
    estimate(TOKENS).saturating_add(cost)
}

/// Makes the call one that nobody can read, for a store that has it at hand as well.
fn damage(file: &Path, id: u64, charges: &str) {
    let sql = format!("UPDATE call SET charges = {charges} WHERE id = {id}");
    Connection::open(file).unwrap().execute_batch(&sql).unwrap();
}

fn outcome(file: &Path, id: u64) -> String {
    let calls = Report::open(file).unwrap().recent(100).unwrap();
    let call = calls.iter().find(|call| call.id == id).unwrap();
    format!("{} {}", call.outcome, call.cost)
}

/// No bytes, some that are no list, and lists of an amount and a counter that are not there.
const NONSENSE: [&str; 4] = ["x''", "x'FF'", "x'0102047f'", "x'017e047f'"];

#[test]
fn its_deadline_passes_and_all_others_settle() {
    for charges in NONSENSE {
        let Service { file, clock, policy, .. } = &service();
        let bad = admit(policy, "ann", TOKENS);
        clock.advance(14 * MINUTE);
        let other = admit(policy, "bob", TOKENS);
        of_all(policy);
        damage(file, 1, charges);
        clock.advance(2 * MINUTE);
        other.settle(&Usage::tokens(40, 5));
        let all = estimate_and(usage_cost(40, 5));
        assert_eq!(of_all(policy), all, "{charges}");
        admit(policy, "bob", TOKENS).release();
        assert_eq!(of_all(policy), all);
        assert_eq!(outcome(file, 1), format!("unreadable {}", estimate(TOKENS)));
        assert_eq!(outcome(file, 2), format!("actual {}", usage_cost(40, 5)));
        // It costs less, and nothing is given back.
        bad.settle(&Usage::tokens(1, 1));
        assert_eq!(spent(policy, &Scope::user("ann"), month()).1, estimate(TOKENS));
        assert_eq!(outcome(file, 1), format!("unreadable {}", estimate(TOKENS)));
    }
}

#[test]
fn it_is_among_the_sums_by_day_of_its_workspace_and_its_user() {
    let Service { file, clock, policy, .. } = &service();
    std::mem::forget(admit(policy, "ann", TOKENS));
    damage(file, 1, "x'FF'");
    clock.advance(16 * MINUTE);
    of_all(policy);
    let report = Report::open(file).unwrap();
    assert_eq!(report.totals(Span::all()).unwrap().spent.cost, estimate(TOKENS));
    let users = report.by_user(Span::all()).unwrap();
    assert_eq!((users[0].value.as_str(), users[0].spent.cost), ("ann", estimate(TOKENS)));
    let teams = report.by_label("team", Span::all()).unwrap();
    assert_eq!((teams[0].value.as_str(), teams[0].spent.calls), ("(none)", 1));
}

#[test]
fn its_settle_or_release_fails_nobodys_transaction_and_its_overrun_is_booked() {
    let Service { file, policy, .. } = &service();
    let [less, more, never, as_much] = [(); 4].map(|()| admit(policy, "ann", TOKENS));
    for id in 1..=4 {
        damage(file, id, "NULL");
    }
    less.settle(&Usage::tokens(1, 1));
    never.release();
    as_much.settle(&Usage::tokens(100, TOKENS + 2));
    more.settle(&Usage::tokens(100, TOKENS + 2 + 7));
    let over = usage_cost(0, 7);
    let all = usage_cost(400, 4 * (TOKENS + 2) + 7);
    let today = Window::day(Zone::UTC);
    for (scope, window) in [
        (Scope::Workspace, month()),
        (Scope::user("ann"), month()),
        (Scope::label("team", "(none)"), today),
    ] {
        let (settled, reserved) = spent(policy, &scope, window);
        assert_eq!((settled, settled.saturating_add(reserved)), (over, all), "{scope}");
    }
    assert_eq!(outcome(file, 2), format!("unreadable {}", estimate_and(over)));
    let report = Report::open(file).unwrap();
    let changes = report.changes(10).unwrap();
    assert_eq!(changes.len(), 3);
    assert_eq!(changes[0].reason, "call 2 cannot be read, and cost more than its estimate");
    // The sums by day have it as well.
    let (user, total) = (&report.by_user(Span::all()).unwrap()[0], report.totals(Span::all()));
    for spent in [user.spent, total.unwrap().spent] {
        assert_eq!((spent.calls, spent.cost), (4, all));
    }
}

#[test]
fn it_is_written_at_once_and_counts_once_whenever_it_became_unreadable() {
    for is_expired in [false, true] {
        let Service { file, clock, policy, .. } = &service();
        let by_day = || {
            of_all(policy);
            let spent = Report::open(file).unwrap().totals(Span::all()).unwrap().spent;
            (spent.calls, spent.cost)
        };
        let [less, more] = [(); 2].map(|()| admit(policy, "ann", TOKENS));
        clock.advance(if is_expired { 16 * MINUTE } else { Duration::ZERO });
        by_day();
        damage(file, 1, "x'FF'");
        damage(file, 2, "x'FF'");
        less.settle(&Usage::tokens(1, 1));
        assert_eq!(by_day().0, if is_expired { 2 } else { 1 });
        clock.advance(16 * MINUTE);
        assert_eq!(by_day(), (2, estimate_and(estimate(TOKENS))));
        more.settle(&Usage::tokens(100, TOKENS + 2 + 7));
        assert_eq!(by_day(), (2, usage_cost(200, 2 * (TOKENS + 2) + 7)));
    }
}

#[test]
fn its_overrun_counts_in_periods_that_it_began_in_and_in_windows_of_now() {
    let Service { file, clock, .. } = &service();
    let hour = Duration::from_secs(3_600);
    let policy = Policy::builder()
        .prices(book())
        .estimator(|_: &Call| InputEstimate { expected: 100, ceiling: Some(100) })
        .rule(CostVelocity::new(Usd::dollars(1), hour))
        .rule(VelocityLimit::new(100, hour))
        .rule(Budget::daily(Usd::dollars(1)))
        .store(SqliteStore::open(file).unwrap())
        .clock(clock.clone())
        .build()
        .unwrap();
    let bad = admit(&policy, "ann", TOKENS);
    of_all(&policy);
    damage(file, 1, "x'FF'");
    clock.advance(13 * hour);
    bad.settle(&Usage::tokens(100, TOKENS + 2 + 7));
    let over = usage_cost(0, 7);
    assert_eq!(of_all(&policy), estimate_and(over));
    let spent = |window| spent(&policy, &Scope::Workspace, window);
    assert_eq!(spent(Window::sliding(hour)), (over, Usd::ZERO));
    assert_eq!(spent(Window::day(Zone::UTC)), (Usd::ZERO, Usd::ZERO));
    // The months of workspace and user, and the hour.
    assert_eq!(Report::open(file).unwrap().changes(10).unwrap().len(), 3);
}

#[test]
fn its_overrun_is_booked_beside_an_amount_that_cannot_be_read() {
    let Service { file, policy, .. } = &service();
    let bad = admit(policy, "ann", TOKENS);
    of_all(policy);
    let sql = "UPDATE call SET charges = x'FF'; \
               UPDATE amount SET past = x'FF' WHERE scope IN (SELECT id FROM scope WHERE value = 'ann')";
    Connection::open(file).unwrap().execute_batch(sql).unwrap();
    bad.settle(&Usage::tokens(100, TOKENS + 2 + 7));
    assert_eq!(spent(policy, &Scope::Workspace, month()), (usage_cost(0, 7), estimate(TOKENS)));
}

#[test]
fn an_amount_that_cannot_be_read_is_only_in_the_way_of_those_who_spend_it() {
    let Service { file, clock, policy, .. } = &service();
    std::mem::forget(admit(policy, "ann", TOKENS));
    let sql =
        "UPDATE amount SET past = x'FF' WHERE scope = (SELECT id FROM scope WHERE value = 'ann')";
    Connection::open(file).unwrap().execute_batch(sql).unwrap();
    clock.advance(16 * MINUTE);
    admit(policy, "bob", TOKENS).settle(&Usage::tokens(40, 5));
    assert_eq!(of_all(policy), estimate_and(usage_cost(40, 5)));
    let mut call = Call::new(Provider::OPENAI, Operation::Chat, MODEL)
        .with_labels(Labels::new().with("user", "ann"));
    wait(policy.admit(&mut call)).unwrap_err();
}

#[test]
fn a_check_names_it_and_goes_on() {
    let Service { file, clock, policy, .. } = &service();
    std::mem::forget(admit(policy, "ann", TOKENS));
    admit(policy, "bob", TOKENS).settle(&Usage::tokens(40, 5));
    of_all(policy); // a settle waits for nobody, this waits for it
    assert!(Report::open(file).unwrap().check().unwrap().is_sound());
    for (id, outcome) in [(1, "open"), (2, "actual")] {
        damage(file, id, "x'FF'");
        let check = Report::open(file).unwrap().check().unwrap();
        let [.., fault] = &check.faults[..] else { panic!("{check:?}") };
        let start = format!("what call {id} of 2026-11-22T12:00:00Z booked cannot be read: ");
        assert!(fault.starts_with(&start) && fault.contains(outcome), "{fault}");
        assert!(!check.is_sound() && check.calls == 2 && check.counters > 0, "{check:?}");
    }
    clock.advance(16 * MINUTE);
    of_all(policy);
    let check = Report::open(file).unwrap().check().unwrap();
    let counted = format!("it counts at {} (unreadable)", estimate(TOKENS));
    assert!(check.faults[0].contains(&counted), "{check:?}");
}

#[test]
fn an_invoice_is_compared_with_it_as_what_it_is() {
    let Service { file, clock, policy, .. } = &service();
    for _ in 0..2 {
        std::mem::forget(admit(policy, "ann", TOKENS));
    }
    damage(file, 1, "x'FF'");
    let of_today = Invoice::read("day,usd\n2026-11-22,1\n".as_bytes()).unwrap();
    let yesterday = Invoice::read("day,usd\n2026-11-21,1\n".as_bytes()).unwrap();
    let compared = |invoice| {
        let report = Report::open(file).unwrap();
        let compared = report.reconcile(invoice, &PriceBook::bundled()).unwrap();
        let provider = report.reconcile_provider("openai", invoice, &PriceBook::bundled());
        assert_eq!(provider.unwrap(), compared);
        let in_numbers = |calls: Uncertain| (calls.calls, calls.estimate);
        (compared.recorded, in_numbers(compared.in_flight), in_numbers(compared.unreadable))
    };
    let none = (0, Usd::ZERO);
    let (one, both) = (estimate(TOKENS), estimate_and(estimate(TOKENS)));
    assert_eq!(compared(&of_today), (Usd::ZERO, (2, both), none));
    assert_eq!(compared(&yesterday), (Usd::ZERO, none, none));
    clock.advance(16 * MINUTE);
    of_all(policy);
    assert_eq!(compared(&of_today), (both, none, (1, one)));
    assert_eq!(compared(&yesterday), (Usd::ZERO, none, none));
}

#[test]
fn it_is_pruned_like_others() {
    for charges in NONSENSE {
        let Service { file, clock, policy, .. } = &service();
        let store = SqliteStore::open(file).unwrap();
        std::mem::forget(admit(policy, "ann", TOKENS));
        admit(policy, "bob", TOKENS).settle(&Usage::tokens(40, 5));
        of_all(policy);
        damage(file, 2, charges);
        damage(file, 1, charges);
        clock.advance(16 * MINUTE);
        let all = of_all(policy);
        let tomorrow = Timestamp::from_nanos(noon().as_nanos() + 86_400_000_000_000);
        assert_eq!(wait(store.prune(tomorrow)).unwrap(), 2);
        assert_eq!(of_all(policy), all);
        assert!(Report::open(file).unwrap().recent(10).unwrap().is_empty());
    }
}

/// Keeps what is told of calls that are set aside, by whatever thread.
struct Listener;

static TOLD: Mutex<Vec<String>> = Mutex::new(Vec::new());

impl<S: tracing::Subscriber> Layer<S> for Listener {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        struct Fields(String);
        impl field::Visit for Fields {
            fn record_debug(&mut self, field: &field::Field, value: &dyn fmt::Debug) {
                self.0.push_str(&format!(" {}={value:?}", field.name()));
            }
        }
        let mut fields = Fields(event.metadata().level().to_string());
        event.record(&mut fields);
        TOLD.lock().unwrap().push(fields.0);
    }
}

#[test]
fn it_is_told_of_once() {
    const DISTINCT: u64 = 1_234;
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Listener)).unwrap();
    let Service { file, clock, policy, .. } = &service();
    let bad = admit(policy, "ann", DISTINCT);
    damage(file, 1, "x'FF'");
    clock.advance(16 * MINUTE);
    of_all(policy);
    bad.settle(&Usage::tokens(1, 1));
    of_all(policy);
    let told = TOLD.lock().unwrap();
    let nanos = format!("estimate_nanos={}", estimate(DISTINCT).as_nanos());
    let of_it: Vec<_> = told.iter().filter(|event| event.contains(&nanos)).collect();
    assert_eq!(of_it.len(), 1, "{told:?}");
    assert!(of_it[0].starts_with("ERROR") && of_it[0].contains(" call=1 "), "{of_it:?}");
}
