//! Reports of what a store has written.

mod spent;

use std::time::Duration;

use driftlock::{
    Call, Clock, ManualClock, Operation, Permit, Policy, Provider, Scope, Timestamp, Unit, Usage,
    Usd, Window, Zone,
    report::{Changed, ChangedBy, Day, Filter, Format, Key, Report, ReportError, Span},
    store::{Adjustment, CounterKey, Raise, SqliteStore, Store},
};
use spent::{NOW, Scratch, edit, filled};

fn day(text: &str) -> Day {
    text.parse().unwrap()
}

fn nanos(nanos: u64) -> Usd {
    Usd::nanos(nanos)
}

/// What a call of the fixture costs.
const BIG: u64 = 7_500_000;
const SMALL: u64 = 450_000;

fn estimate_of_a_small_call(report: &Report) -> u64 {
    let calls = report.recent(1_000).unwrap();
    let expired = calls.iter().find(|call| call.outcome == "expired").unwrap();
    assert_eq!(expired.cost, expired.estimate);
    expired.cost.as_nanos()
}

#[test]
fn spend_is_told_by_day_model_user_and_label() {
    let scratch = Scratch::new();
    let report = Report::open(filled(&scratch)).unwrap();
    let expired = estimate_of_a_small_call(&report);
    let prod = report.workspace("prod").unwrap();

    let totals = prod.totals(Span::all()).unwrap();
    let all = 6 * (2 * BIG + SMALL) + expired;
    assert_eq!((totals.spent.calls, totals.spent.cost), (19, nanos(all)));
    assert_eq!((totals.from, totals.to), (day("2200-03-10"), day("2200-03-15")));
    assert_eq!((totals.spent.input_tokens, totals.spent.output_tokens), (18_000, 9_000));
    assert_eq!(totals.denied, 6);
    assert!(totals.denied_estimate > Usd::ZERO);

    let days = prod.by_day(Span::days(3)).unwrap();
    assert_eq!(days.len(), 3);
    assert_eq!(days[0].day, day("2200-03-13"));
    assert_eq!(days[0].spent.cost, nanos(2 * BIG + SMALL));
    assert_eq!(days[2].spent.cost, nanos(2 * BIG + SMALL + expired));

    let models = prod.by_model(Span::days(1)).unwrap();
    let costs: Vec<_> = models.iter().map(|one| (one.model.as_str(), one.spent.calls)).collect();
    assert_eq!(costs, [("gpt-4o", 1), ("gpt-4o-2024-08-06", 1), ("gpt-4o-mini", 2)]);

    let users = prod.by_user(Span::all()).unwrap();
    assert_eq!(
        (users[0].value.as_str(), users[0].spent.cost),
        ("ann@example.com", nanos(12 * BIG))
    );
    assert_eq!((users[1].value.as_str(), users[1].spent.calls), ("bob", 7));
    assert_eq!(prod.top_users(Span::all(), 1).unwrap(), users[..1]);
    assert_eq!(prod.top("user_id", Span::all(), 5).unwrap(), users);

    let teams = prod.by_label("team", Span::all()).unwrap();
    assert_eq!((teams.len(), teams[0].spent.cost), (1, nanos(all)));

    let denials = prod.denials(Span::days(2)).unwrap();
    assert_eq!((denials[0].rule.as_str(), denials[0].calls), ("restrict_model", 2));
}

#[test]
fn a_users_day_is_one_sum_and_may_be_several_in_an_older_file() {
    let scratch = Scratch::new();
    let path = filled(&scratch);
    let count = "SELECT count(*) FROM daily JOIN scope ON scope.id = scope WHERE value LIKE 'ann%'";
    let db = rusqlite::Connection::open(&path).unwrap();
    let days: i64 = db.query_row(count, [], |row| row.get(0)).unwrap();
    assert_eq!(days, 6);
    let before = Report::open(&path).unwrap().by_user(Span::all()).unwrap();
    edit(
        &path,
        "UPDATE daily SET calls = 1, cost = cost / 2, estimate = estimate / 2, \
         input_tokens = input_tokens / 2, output_tokens = output_tokens / 2 WHERE calls = 2 AND model = ''; \
         INSERT INTO daily SELECT family, day, scope, 'gpt-4o', calls, cost, estimate, input_tokens, \
         cached_input_tokens, output_tokens FROM daily WHERE model = '' AND scope IN \
         (SELECT id FROM scope WHERE value LIKE 'ann%')",
    );
    let report = Report::open(&path).unwrap();
    assert_eq!(report.by_user(Span::all()).unwrap()[0], before[0]);
    assert_eq!(report.top_users(Span::all(), 1).unwrap()[0], before[0]);
}

#[test]
fn workspaces_are_summed_unless_one_is_named() {
    let scratch = Scratch::new();
    let path = filled(&scratch);
    let all = Report::open(&path).unwrap();
    assert_eq!(all.workspaces().unwrap(), ["prod", "test"]);
    assert_eq!(all.totals(Span::all()).unwrap().spent.calls, 20);
    assert_eq!(all.by_user(Span::all()).unwrap().len(), 3);
    let test = Report::open(&path).unwrap().workspace("test").unwrap();
    assert_eq!(test.totals(Span::all()).unwrap().spent.calls, 1);
    assert_eq!(test.calls(Span::all()).unwrap().count(), 1);
    let unknown = Report::open(&path).unwrap().workspace("tset").unwrap_err();
    assert!(unknown.to_string().ends_with("it has prod, test"), "{unknown}");
    let unknown = all.by_label("plan", Span::all()).unwrap_err();
    assert!(unknown.to_string().ends_with("but by team, user"), "{unknown}");
}

#[test]
fn budgets_say_what_is_left_and_when_they_reset() {
    let scratch = Scratch::new();
    let report = Report::open(filled(&scratch)).unwrap();
    let expired = estimate_of_a_small_call(&report);
    let prod = report.workspace("prod").unwrap();

    let budgets = prod.budgets(100).unwrap();
    assert_eq!(budgets[0].key.to_string(), "workspace");
    let month = prod.budget(&"workspace".parse().unwrap()).unwrap();
    assert_eq!(budgets[0], month);
    let all = nanos(6 * (2 * BIG + SMALL) + expired);
    assert_eq!(month.settled, driftlock::Amount::Cost(all));
    let open = prod.recent(1).unwrap()[0].estimate;
    assert_eq!(month.reserved, driftlock::Amount::Cost(open));
    let left = Usd::dollars(100).saturating_sub(all).saturating_sub(open);
    assert_eq!(month.remaining, Some(driftlock::Amount::Cost(left)));
    assert_eq!(month.resets_at.unwrap().to_string(), "2200-04-01T00:00:00Z");

    let team = prod.budget(&"team=search@day/Europe/Berlin".parse().unwrap()).unwrap();
    assert_eq!(team.limit, Some(driftlock::Amount::Cost(Usd::dollars(5))));
    assert_eq!(team.resets_at.unwrap().to_string(), "2200-03-15T23:00:00Z");
    let pace = prod.budget(&"user=bob@60s#calls".parse().unwrap()).unwrap();
    assert_eq!(pace.settled, driftlock::Amount::Calls(0));
    assert_eq!(pace.limit, Some(driftlock::Amount::Calls(60)));
    let json = serde_json::to_value(&pace).unwrap();
    assert_eq!((&json["limit"], &json["key"]), (&60.into(), &"user=bob@60s#calls".into()));
    for budget in &budgets {
        assert_eq!(prod.budget(&budget.key).unwrap(), *budget);
    }
    assert_eq!(prod.budgets(2).unwrap(), budgets[..2]);
    assert!(budgets.is_sorted_by_key(|budget| budget.key.unit == Unit::Calls), "money is first");
    let of_teams = prod.budgets_by("team", 10).unwrap();
    assert_eq!((of_teams.len(), &of_teams[0].key), (1, &team.key));
    assert_eq!(prod.budgets_by("user_id", 10).unwrap().len(), 4);
    let unknown = prod.budgets_by("plan", 10).unwrap_err();
    assert!(unknown.to_string().ends_with("but by team, user"), "{unknown}");
}

#[test]
fn a_key_that_nobody_knows_is_answered_with_what_is_known() {
    let scratch = Scratch::new();
    let path = filled(&scratch);
    let report = Report::open(&path).unwrap();
    let month = |scope| Key::cost(scope, Window::month(Zone::UTC));
    let several = report.budget(&month(Scope::Workspace)).unwrap_err();
    assert!(matches!(several, ReportError::WhichWorkspace { .. }), "{several}");
    let prod = report.workspace("prod").unwrap();
    let nobody = prod.budget(&month(Scope::user("bo"))).unwrap_err();
    assert!(nobody.to_string().contains("user=ann%40example.com, user=bob"), "{nobody}");
    let nothing = prod.budget(&"user=bob@week".parse().unwrap()).unwrap_err();
    let known = "team=…@day/Europe/Berlin, user=…, user=…@60s#calls, workspace";
    assert!(nothing.to_string().ends_with(known), "{nothing}");
    edit(&path, "UPDATE scope SET value = 'bob@day' WHERE value = 'bob'");
    for (text, meant) in [
        ("user=bob@day", "user=bob%40day"),
        ("user=bob@day#calls", "user=bob%40day#calls"),
        ("team=bob@day", ""),
        ("user=rob@day", ""),
    ] {
        let error = prod.budget(&text.parse().unwrap()).unwrap_err().to_string();
        let told = format!("part of the value, it is `{meant}`");
        assert_eq!(error.ends_with(&told), !meant.is_empty(), "{error}");
    }
    edit(&path, "UPDATE scope SET value = 'bob@60s#calls' WHERE value = 'bob@day'");
    let error = prod.budget(&"user=bob@60s#calls".parse().unwrap()).unwrap_err().to_string();
    assert!(error.ends_with("it is `user=bob%4060s%23calls`"), "{error}");
    let counter = prod.counter(&month(Scope::user("nobody yet"))).unwrap();
    assert_eq!((counter.workspace.as_str(), counter.unit), ("prod", Unit::Cost));
}

#[test]
fn a_forecast_goes_on_as_in_the_last_days() {
    let scratch = Scratch::new();
    let path = filled(&scratch);
    edit(&path, "UPDATE daily SET cost = 1000000000 * calls");
    let prod = Report::open(&path).unwrap().workspace("prod").unwrap();
    let forecast = prod.forecast(7, 10).unwrap();
    // Five days, half a day and ten minutes of 19 dollars.
    assert_eq!(forecast.from, day("2200-03-10"));
    assert_eq!(forecast.spent, Usd::dollars(19));
    let time = u128::from(forecast.at.as_nanos() - forecast.from.start().as_nanos());
    let per_day = 19_000_000_000u128 * 86_400_000_000_000 / time;
    assert_eq!(u128::from(forecast.per_day.as_nanos()), per_day);
    let in_30_days = 19_000_000_000u128 * 86_400_000_000_000 * 30 / time;
    assert_eq!(u128::from(forecast.in_30_days.as_nanos()), in_30_days);

    let month = &forecast.budgets[0];
    assert_eq!(month.key.to_string(), "workspace");
    assert_eq!(month.days_left, Some(28));
    assert!(month.lasts, "it resets in 16 days");
    let team =
        forecast.budgets.iter().find(|one| one.key.to_string().starts_with("team=search@day"));
    let team = team.unwrap();
    assert_eq!((team.days_left, team.lasts), (Some(1), true));
    let forecast = prod.forecast(7, 1).unwrap();
    assert_eq!(forecast.budgets.len(), 1);
}

#[test]
fn the_ledger_is_told_from_a_time_on_and_in_its_order() {
    let scratch = Scratch::new();
    let report = Report::open(filled(&scratch)).unwrap();
    let all: Vec<_> = report.calls(Span::all()).unwrap().map(Result::unwrap).collect();
    assert_eq!(all.len(), 24 + 4);
    assert!(all.is_sorted_by_key(|call| (call.id, call.at)));
    let outcomes = |outcome: &str| all.iter().filter(|call| call.outcome == outcome).count();
    let told = ["actual", "denied", "not_sent", "expired", "open"].map(outcomes);
    assert_eq!(told, [19, 6, 1, 1, 1]);
    assert_eq!(all[0].labels["user"], "ann@example.com");
    assert_eq!((all[0].input_tokens, all[0].cost), (Some(1_000), nanos(BIG)));
    assert_eq!(all[3].rule.as_deref(), Some("restrict_model"));

    let from: Timestamp = NOW.parse().unwrap();
    let last_day = report.calls(Span::since(from)).unwrap().count();
    assert_eq!(last_day, 4 + 4);
    let before = report.calls(Span::all().until(from)).unwrap().count();
    assert_eq!(before, 20);
    let never = report.calls(Span::since(Timestamp::MAX)).unwrap().count();
    assert_eq!(never, 0);
    let mut recent = report.recent(3).unwrap();
    recent.reverse();
    assert_eq!(recent, all[all.len() - 3..]);
}

#[test]
fn calls_are_found_by_their_labels_and_outcomes() {
    let scratch = Scratch::new();
    let path = filled(&scratch);
    edit(&path, "UPDATE call SET labels = NULL WHERE id = 1");
    edit(&path, "UPDATE call SET labels = '{\"a\\\"b\":\"c\"}' WHERE id = 2");
    let prod = Report::open(&path).unwrap().workspace("prod").unwrap();
    let count = |filter: Filter| prod.recent_of(&filter, 100).unwrap().len();
    assert_eq!(count(Filter::new()), 27);
    assert_eq!(prod.recent_of(&Filter::new(), 5).unwrap(), prod.recent(5).unwrap());
    assert_eq!(count(Filter::new().label("user", "ann@example.com")), 11);
    assert_eq!(count(Filter::new().label("user_id", "bob")), 14);
    assert_eq!(count(Filter::new().label("user", "bob").outcome("denied")), 6);
    assert_eq!(count(Filter::new().label("user", "bob").label("team", "none")), 0);
    assert_eq!(count(Filter::new().label("user", "(none)")), 2);
    assert_eq!(count(Filter::new().label("a\"b", "c")), 1);
    assert_eq!(count(Filter::new().label("user' OR 1=1 --", "c")), 0);
    assert_eq!(count(Filter::new().outcome("expired")), 1);
}

#[test]
fn outcomes_tell_how_certain_the_money_is() {
    let scratch = Scratch::new();
    let path = filled(&scratch);
    let report = Report::open(&path).unwrap();
    let expired = estimate_of_a_small_call(&report);
    let prod = report.workspace("prod").unwrap();
    let outcomes = prod.outcomes(Span::all()).unwrap();
    let told: Vec<_> = outcomes.iter().map(|one| (one.outcome.as_str(), one.calls)).collect();
    let rest = [("denied", 6), ("not_sent", 1), ("open", 1)];
    assert_eq!((told[..2].to_vec(), &told[2..]), (vec![("actual", 18), ("expired", 1)], &rest[..]));
    assert_eq!(outcomes[0].cost, nanos(6 * (2 * BIG + SMALL)));
    assert_eq!(outcomes[1].cost, nanos(expired));
    assert_eq!(outcomes[4].cost, Usd::ZERO);
    assert!(outcomes[4].estimate > Usd::ZERO);
    edit(&path, "UPDATE call SET outcome = 'unmetered', charges = NULL, cost = 0 WHERE id = 1");
    let unmetered = prod.outcomes(Span::all()).unwrap();
    let unmetered = unmetered.iter().find(|one| one.outcome == "unmetered").unwrap();
    assert_eq!((unmetered.calls, unmetered.cost), (1, Usd::ZERO));
    let a_day = Span::since(day("2200-03-11").start()).until(day("2200-03-12").start());
    let calls = prod.outcomes(a_day).unwrap().iter().map(|one| one.calls).sum::<u64>();
    assert_eq!(calls, 4);
}

#[test]
fn what_was_changed_by_hand_is_told_with_its_reason() {
    let scratch = Scratch::new();
    let path = filled(&scratch);
    let report = Report::open(&path).unwrap().workspace("prod").unwrap();
    let bob: Key = "user=bob".parse().unwrap();
    let pace: Key = "user=bob@60s#calls".parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let store = SqliteStore::open(&path).unwrap();
        let at = |second| {
            let now = report.now().unwrap();
            now.saturating_add(std::time::Duration::from_secs(second))
        };
        let key = report.counter(&bob).unwrap();
        let until = "2200-03-20T00:00:00Z".parse().unwrap();
        let (counter, by, reason) = (store.counter(&key), 5_000_000_000, "a launch");
        let raise = Raise { counter, value: "bob", by, until, reason, at: at(1) };
        store.raise(raise).await.unwrap();
        store.reset(&key, "bob", "a gift", at(2)).await.unwrap();
        let counter = store.counter(&report.counter(&pace).unwrap());
        let (delta, reason) = (3, "by other means");
        let change = Adjustment { counter, value: "bob", delta, reason, at: at(3) };
        store.adjust(change).await.unwrap();
    });
    let changes = report.changes(10).unwrap();
    let told: Vec<_> =
        changes.iter().map(|one| (one.key.to_string(), one.what, one.reason.as_str())).collect();
    let expected = [
        ("user=bob@60s#calls".into(), Changed::Adjusted, "by other means"),
        ("user=bob".into(), Changed::Adjusted, "a gift"),
        ("user=bob".into(), Changed::Raised, "a launch"),
    ];
    assert_eq!(told, expected);
    assert_eq!((changes[0].amount, changes[0].until), (ChangedBy::Calls(3), None));
    assert!(matches!(changes[1].amount, ChangedBy::Cost(usd) if usd.as_nanos() < 0));
    assert_eq!(changes[1].until.unwrap().to_string(), "2200-04-01T00:00:00Z");
    let json = serde_json::to_value(&changes[2]).unwrap();
    assert_eq!((&json["amount"], &json["what"]), (&"5.00".into(), &"raised".into()));
    assert_eq!(json["until"], "2200-03-20T00:00:00Z");
    assert_eq!(report.changes(1).unwrap(), changes[..1]);
    let test = Report::open(&path).unwrap().workspace("test").unwrap();
    assert!(test.changes(10).unwrap().is_empty());
}

#[test]
fn an_export_has_every_call_as_csv_and_as_lines_of_json() {
    let scratch = Scratch::new();
    let path = filled(&scratch);
    edit(&path, "UPDATE call SET model = 'a \"model\", with\nlines' WHERE id = 1");
    let report = Report::open(&path).unwrap();
    let mut csv = Vec::new();
    assert_eq!(report.export(Span::all(), Format::Csv, &mut csv).unwrap(), 28);
    let mut reader = csv::Reader::from_reader(&csv[..]);
    let names = reader.headers().unwrap().clone();
    let at = |name| names.iter().position(|known| known == name).unwrap();
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 28);
    assert_eq!(&rows[0][at("model")], "a \"model\", with\nlines");
    assert_eq!(&rows[0][at("cost")], "0.0075");
    assert_eq!(&rows[0][at("user")], "ann@example.com");
    let labels: serde_json::Value = serde_json::from_str(&rows[0][at("labels")]).unwrap();
    assert_eq!(labels["team"], "search");

    let mut lines = Vec::new();
    assert_eq!(report.export(Span::all(), Format::JsonLines, &mut lines).unwrap(), 28);
    let lines: Vec<serde_json::Value> = String::from_utf8(lines)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 28);
    assert_eq!((&lines[0]["cost"], &lines[0]["input_tokens"]), (&"0.0075".into(), &1_000.into()));
}

#[test]
fn a_check_finds_what_does_not_add_up() {
    let scratch = Scratch::new();
    let path = filled(&scratch);
    let report = Report::open(&path).unwrap();
    let check = report.check().unwrap();
    assert!(check.is_sound(), "{check:?}");
    assert_eq!(check.calls, 28);
    // In prod: months of all, ann and bob, and the team's day. In test the same, of carl.
    assert_eq!(check.counters, 4 + 3);
    // Six days of prod, its users and its teams, and what was denied; one of test.
    assert_eq!(check.days, 6 * 4 + 3);

    let broken = |sql: &str| {
        let copy = scratch.file("copy.db");
        for end in ["", "-wal", "-shm"] {
            let name = |path: &std::path::Path| format!("{}{end}", path.display());
            let _ = std::fs::remove_file(name(&copy));
            let _ = std::fs::copy(name(&path), name(&copy));
        }
        edit(&copy, sql);
        let check = Report::open(&copy).unwrap().check().unwrap();
        assert!(!check.is_sound(), "{sql}");
        let said = check
            .mismatches
            .iter()
            .map(|one| format!("{} {} {}", one.of, one.number, one.kept - one.adds_up_to));
        said.chain(check.faults.clone()).collect::<Vec<_>>().join("; ")
    };
    let workspace = "scope = (SELECT min(id) FROM scope) AND counter = 1";
    let used = format!("UPDATE amount SET used = used + 5 WHERE {workspace}");
    assert_eq!(broken(&used), "prod workspace settled 5");
    let open = format!("UPDATE amount SET used = used + 5, open = open + 5 WHERE {workspace}");
    assert_eq!(broken(&open), "prod workspace reserved 5");
    let lost = format!("DELETE FROM amount WHERE {workspace}");
    assert!(broken(&lost).contains("prod workspace reserved -"));
    let daily = "UPDATE daily SET cost = cost + 7 WHERE (family, day, scope, model) = (SELECT family, day, scope, model FROM daily LIMIT 1)";
    assert_eq!(broken(daily), "prod 2200-03-10 cost 7");
    assert!(
        broken("DELETE FROM call WHERE outcome = 'denied'").contains("denied 2200-03-11 calls 1")
    );
    assert!(broken("DELETE FROM denied").contains("prod denied 2200-03-10 calls -1"));
    assert!(
        broken("PRAGMA foreign_keys = OFF; DELETE FROM counter").contains("`amount` belongs to")
    );
    let adjusted = "INSERT INTO adjustment (at, scope, counter, until, delta, reason) \
                    SELECT 1, scope, counter, until, -3, 'x' FROM amount LIMIT 1";
    assert!(broken(adjusted).contains("settled 3"));
}

#[test]
fn a_backup_is_made_while_the_store_writes_and_opens_as_a_store() {
    let scratch = Scratch::new();
    let path = filled(&scratch);
    let report = Report::open(&path).unwrap();
    let store = SqliteStore::open(&path).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(spent::fill(&path));
    let copy = scratch.file("copy.db");
    let bytes = report.backup(&copy).unwrap();
    assert_eq!(bytes, std::fs::metadata(&copy).unwrap().len());
    drop(SqliteStore::open(&copy).unwrap());
    let copied = Report::open(&copy).unwrap();
    assert!(copied.check().unwrap().is_sound());
    assert_eq!(copied.budgets(100).unwrap(), report.budgets(100).unwrap());
    assert_eq!(copied.calls(Span::all()).unwrap().count(), 28 + 28);
    drop(store);

    assert!(matches!(report.backup(&copy), Err(ReportError::Write(_))));
    assert!(matches!(report.backup(scratch.file("no/such.db")), Err(ReportError::Write(_))));
    let half = scratch.file("half.db");
    edit(
        &path,
        "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = 99999 WHERE name = 'call'",
    );
    Report::open(&path).unwrap().backup(&half).unwrap_err();
    assert!(!half.exists());
}

#[test]
fn what_was_adjusted_and_pruned_still_adds_up() {
    let scratch = Scratch::new();
    let path = filled(&scratch);
    let report = Report::open(&path).unwrap().workspace("prod").unwrap();
    let key: Key = "user=ann%40example.com".parse().unwrap();
    let counter = report.counter(&key).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let store = SqliteStore::open(&path).unwrap();
        let at = report.now().unwrap();
        store.reset(&counter, key.value(), "test", at).await.unwrap();
        let before: Timestamp = "2200-03-13T00:00:00Z".parse().unwrap();
        assert_eq!(store.prune(before).await.unwrap(), 12);
    });
    let check = report.check().unwrap();
    assert!(check.is_sound(), "{check:?}");
    assert_eq!((check.calls, check.counters), (16, 7));
    // All days that are left.
    assert_eq!(check.days, 3 * 4 + 3);
    assert_eq!(report.totals(Span::all()).unwrap().spent.calls, 19);
    let ann = report.budget(&key).unwrap();
    assert_eq!(ann.settled, driftlock::Amount::Cost(Usd::ZERO));
    assert_eq!(ann.reserved, driftlock::Amount::Cost(report.recent(1).unwrap()[0].estimate));
}

async fn admit(policy: &Policy) -> Permit {
    let mut call = Call::new(Provider::OPENAI, Operation::Chat, "gpt-4o");
    let mut permit = policy.admit(&mut call).await.unwrap();
    permit.sent();
    permit
}

#[test]
fn a_call_that_was_open_when_others_were_pruned_does_not_hide_that_they_were() {
    let scratch = Scratch::new();
    let path = scratch.file("driftlock.db");
    let store = SqliteStore::open(&path).unwrap();
    let clock = ManualClock::at("2200-03-10T12:00:00Z".parse().unwrap());
    let policy = Policy::builder().store(store.clone()).clock(clock.clone()).build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let open = admit(&policy).await;
        admit(&policy).await.settle_estimate();
        clock.advance(Duration::from_secs(2 * 86_400));
        assert_eq!(store.prune(clock.now()).await.unwrap(), 1);
        admit(&policy).await.settle_estimate();
        open.settle_estimate();
        policy.drain().await.unwrap();
    });
    let check = Report::open(&path).unwrap().check().unwrap();
    assert!(check.is_sound(), "{check:?}");
    assert_eq!((check.calls, check.pruned), (2, 1));
    assert_eq!(check.complete_from.unwrap().to_string(), "2200-03-11");
}

#[test]
fn a_call_that_is_pruned_after_later_ones_does_not_hide_that_they_were() {
    const DAY: Duration = Duration::from_secs(86_400);
    let scratch = Scratch::new();
    let path = scratch.file("driftlock.db");
    let store = SqliteStore::open(&path).unwrap();
    let clock = ManualClock::at("2200-03-10T12:00:00Z".parse().unwrap());
    let policy = Policy::builder().store(store.clone()).clock(clock.clone()).deadline(3 * DAY);
    let policy = policy.build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let open = admit(&policy).await;
        clock.advance(DAY);
        admit(&policy).await.settle_estimate();
        clock.advance(DAY);
        assert_eq!(store.prune(clock.now()).await.unwrap(), 1);
        open.settle_estimate();
        policy.drain().await.unwrap();
        assert_eq!(store.prune(clock.now()).await.unwrap(), 1);
    });
    let check = Report::open(&path).unwrap().check().unwrap();
    assert!(check.is_sound(), "{check:?}");
    assert_eq!((check.calls, check.pruned), (0, 2));
    assert_eq!(check.complete_from.unwrap().to_string(), "2200-03-12");
}

#[test]
fn what_calls_give_back_after_a_reset_still_adds_up() {
    let scratch = Scratch::new();
    let path = scratch.file("driftlock.db");
    let store = SqliteStore::open(&path).unwrap();
    let clock = ManualClock::at("2200-03-10T12:00:00Z".parse().unwrap());
    let policy = Policy::builder().store(store.clone()).clock(clock.clone()).build().unwrap();
    let (workspace, window) = ("default".into(), Window::month(Zone::UTC));
    let month = CounterKey { workspace, label: None, unit: Unit::Cost, window };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for ends in [|permit: Permit| permit.settle(&Usage::tokens(1, 1)), Permit::release] {
        runtime.block_on(async {
            let late = admit(&policy).await;
            clock.advance(Duration::from_secs(16 * 60));
            store.reset(&month, "", "test", clock.now()).await.unwrap();
            ends(late);
            policy.drain().await.unwrap();
        });
        let check = Report::open(&path).unwrap().check().unwrap();
        assert!(check.is_sound(), "{check:?}");
    }
}

#[test]
fn numbers_near_the_largest_are_added_up_without_a_failure() {
    let scratch = Scratch::new();
    let path = filled(&scratch);
    edit(&path, "UPDATE daily SET cost = -1, calls = 9223372036854775807, input_tokens = -2");
    edit(&path, "UPDATE denied SET calls = -1, estimate = 9223372036854775807");
    edit(&path, "UPDATE call SET cost = -1, estimate = -1");
    edit(&path, "UPDATE amount SET used = -1, open = 0, cap = -1, raised = -1, raised_until = -1");
    let report = Report::open(&path).unwrap();
    let totals = report.totals(Span::all()).unwrap();
    assert_eq!((totals.spent.cost, totals.spent.calls), (Usd::MAX, u64::MAX));
    assert_eq!((totals.denied, totals.spent.input_tokens), (u64::MAX, u64::MAX));
    assert_eq!(report.by_day(Span::all()).unwrap()[0].spent.cost, Usd::MAX);
    assert_eq!(report.by_model(Span::all()).unwrap()[0].spent.cost, Usd::MAX);
    assert_eq!(report.by_user(Span::all()).unwrap()[0].spent.cost, Usd::MAX);
    assert!(report.budgets(10).unwrap().iter().all(|one| one.raised_until == Some(Timestamp::MAX)));
    let forecast = report.forecast(7, 10).unwrap();
    assert_eq!(forecast.in_30_days, Usd::MAX);
    assert_eq!(forecast.budgets[0].days_left, Some(0));
    assert_eq!(report.recent(1).unwrap()[0].cost, Usd::MAX);
    report.check().unwrap();
    edit(&path, "UPDATE call SET id = -9223372036854775807 - 1 WHERE id = 1");
    report.check().unwrap();
    assert_eq!(report.calls(Span::all()).unwrap().map(Result::unwrap).count(), 28);
}

#[test]
fn a_check_tells_that_the_files_time_is_far_ahead_of_the_clock() {
    let scratch = Scratch::new();
    let path = filled(&scratch);
    let now = Report::open(&path).unwrap().now().unwrap();
    for (minutes, is_ahead) in [(0, false), (5, false), (6, true), (60 * 24 * 400, true)] {
        let ahead = Duration::from_secs(60 * minutes);
        let clock = Timestamp::from_nanos(now.as_nanos() - ahead.as_nanos() as u64);
        let report = Report::open(&path).unwrap().clock(ManualClock::at(clock));
        let check = report.check().unwrap();
        assert_eq!((check.time, check.clock), (now, clock));
        assert_eq!(check.is_ahead_by(), is_ahead.then_some(ahead));
        assert!(check.is_sound());
    }
}

#[test]
fn what_takes_all_that_a_counter_can_hold_adds_up() {
    let scratch = Scratch::new();
    let path = filled(&scratch);
    let report = Report::open(&path).unwrap().workspace("prod").unwrap();
    let key: Key = "user=bob".parse().unwrap();
    let counter = report.counter(&key).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let store = SqliteStore::open(&path).unwrap();
    let at = report.now().unwrap();
    let (value, reason) = (key.value(), "test");
    let add = |delta| {
        let counter = driftlock::store::Store::counter(&store, &counter);
        let adjustment = driftlock::store::Adjustment { counter, value, delta, reason, at };
        runtime.block_on(driftlock::store::Store::adjust(&store, adjustment)).unwrap()
    };
    let sound = || assert!(report.check().unwrap().is_sound(), "{:?}", report.check().unwrap());
    for delta in [i64::MAX, i64::MAX, i64::MAX, i64::MIN, i64::MAX] {
        add(delta);
        sound();
    }
    let reading = runtime.block_on(store.reset(&counter, value, reason, at)).unwrap();
    assert_eq!(reading.settled, 0);
    sound();
}

#[test]
fn what_is_no_file_of_a_store_is_refused_and_left_as_it_is() {
    let scratch = Scratch::new();
    let missing = scratch.file("missing.db");
    assert!(matches!(Report::open(&missing), Err(ReportError::Missing { .. })));
    assert!(!missing.exists());

    let foreign = |name: &str, bytes: &[u8]| {
        let path = scratch.file(name);
        std::fs::write(&path, bytes).unwrap();
        assert!(matches!(Report::open(&path), Err(ReportError::Foreign { .. })), "{name}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    };
    foreign("empty.db", b"");
    foreign(
        "text.db",
        "not a database at all, but long enough to be looked at".repeat(40).as_bytes(),
    );
    let other = scratch.file("other.db");
    edit(&other, "CREATE TABLE call (id INTEGER)");
    foreign("other.db", &std::fs::read(&other).unwrap());
    assert!(matches!(Report::open(std::env::temp_dir()), Err(ReportError::Directory { .. })));

    let path = filled(&scratch);
    edit(&path, "PRAGMA user_version = 99");
    assert!(matches!(Report::open(&path), Err(ReportError::Newer { version: 99, .. })));
    edit(&path, "PRAGMA user_version = 1");
    assert!(matches!(Report::open(&path), Err(ReportError::Older { version: 1, .. })));
}

#[test]
fn a_damaged_file_is_an_error_or_a_failed_check_and_never_a_panic() {
    let scratch = Scratch::new();
    let path = filled(&scratch);
    edit(&path, "PRAGMA wal_checkpoint(TRUNCATE)");
    let good = std::fs::read(&path).unwrap();
    let copy = scratch.file("bad.db");
    let mut found = 0;
    for page in 1..good.len() / 4_096 {
        let mut bad = good.clone();
        bad[page * 4_096..][..64].fill(0xa5);
        std::fs::write(&copy, &bad).unwrap();
        let Ok(report) = Report::open(&copy) else {
            found += 1;
            continue;
        };
        let sound = report.check().is_ok_and(|check| check.is_sound());
        found += usize::from(!sound);
        let _ = report.totals(Span::all());
        let _ = report.by_user(Span::all());
        let _ = report.budgets(10);
        let _ = report.forecast(7, 10);
        let _ = report.recent(10);
        let _ = report.export(Span::all(), Format::Csv, std::io::sink());
    }
    assert_eq!(found, good.len() / 4_096 - 1);
    edit(&path, "UPDATE amount SET past = x'ff'; UPDATE call SET labels = '{' WHERE id = 1");
    let report = Report::open(&path).unwrap();
    assert!(matches!(report.budgets(10), Err(ReportError::Damaged { .. })));
    assert!(matches!(
        report.calls(Span::all()).unwrap().next(),
        Some(Err(ReportError::Damaged { .. }))
    ));
}

#[test]
fn a_report_is_read_while_the_store_writes() {
    let scratch = Scratch::new();
    let path = scratch.file("driftlock.db");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(spent::fill(&path));
    let report = Report::open(&path).unwrap();
    let calls = report.calls(Span::all()).unwrap();
    let before = report.totals(Span::all()).unwrap().spent.calls;
    runtime.block_on(spent::fill(&path));
    assert_eq!(report.totals(Span::all()).unwrap().spent.calls, before + 19);
    assert_eq!(calls.count(), 28);
    let check = report.check().unwrap();
    assert!(check.is_sound(), "{check:?}");
}

#[test]
fn reports_of_a_file_in_which_nothing_happened_are_empty() {
    let scratch = Scratch::new();
    let path = scratch.file("driftlock.db");
    drop(SqliteStore::open(&path).unwrap());
    let report = Report::open(&path).unwrap();
    let totals = report.totals(Span::days(7)).unwrap();
    assert_eq!((totals.spent.calls, totals.from), (0, totals.to));
    assert_eq!(report.by_day(Span::all()).unwrap().len(), 1);
    assert!(report.by_model(Span::all()).unwrap().is_empty());
    assert!(report.budgets(10).unwrap().is_empty());
    assert_eq!(report.forecast(7, 10).unwrap().in_30_days, Usd::ZERO);
    assert!(report.recent(10).unwrap().is_empty());
    assert_eq!(report.export(Span::all(), Format::JsonLines, std::io::sink()).unwrap(), 0);
    assert!(report.check().unwrap().is_sound());
    assert!(report.outcomes(Span::all()).unwrap().is_empty());
    assert!(report.changes(10).unwrap().is_empty());
    assert_eq!(report.pruned().unwrap(), 0);
    for error in [
        report.by_user(Span::all()).unwrap_err(),
        report.budgets_by("user", 5).unwrap_err(),
        report.budget(&"workspace".parse().unwrap()).unwrap_err(),
        report.workspace("prod").unwrap_err(),
    ] {
        let told = error.to_string();
        assert!(told.ends_with(": no policy has been built on this file yet"), "{told}");
    }
}

#[test]
fn a_report_may_be_made_in_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<Report>();
    is_send::<ReportError>();
}
