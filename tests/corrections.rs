//! What the command `driftlock` changes, and copies.

mod run;
mod spent;

use std::process::Output;

use driftlock::{MonthlyBudget, PerUserBudget, Policy, Usd, store::SqliteStore};
use run::{command, json, row, run, said};
use serde_json::Value;
use spent::{Scratch, edit, filled};

#[test]
fn a_budget_is_reset_raised_and_seeded_by_its_key() {
    let scratch = Scratch::new();
    let db = filled(&scratch);
    let budgets = json(&db, &["budgets"]);
    assert_eq!(budgets[0]["key"], "workspace");
    for budget in budgets.as_array().unwrap() {
        let key = budget["key"].as_str().unwrap();
        assert_eq!(json(&db, &["budgets", key])[0], *budget);
    }
    let ann = "user=ann%40example.com";
    let table = said(&db, &["budgets"]);
    assert_eq!(row(&table, ann)[1..3], ["$10.00", "$0.09"]);

    let changed = json(&db, &["reset", ann, "--reason", "a gift"]);
    assert_eq!(
        (&changed["before"]["settled"], &changed["after"]["settled"]),
        (&"0.09".into(), &"0.00".into())
    );
    assert_eq!(changed["before"]["reserved"], changed["after"]["reserved"]);
    let again = said(&db, &["reset", ann]);
    assert!(again.starts_with("before and after:"), "{again}");

    let raised = json(&db, &["raise", ann, "2.50", "--until", "2200-04-10"]);
    assert_eq!(raised["after"]["raised"], "2.50");
    assert_eq!(raised["after"]["raised_until"], "2200-04-10T00:00:00Z");
    let replaced = said(&db, &["raise", ann, "1", "--for", "24h"]);
    let was = "takes the place of the raise before, which was +$2.50 until 2200-04-10\n";
    assert!(replaced.ends_with(was), "{replaced}");
    assert!(row(&replaced, "+$1.00 until 2200-03-16 12:10:01Z").len() > 4, "{replaced}");
    let ended = json(&db, &["raise", ann, "0"]);
    assert_eq!(ended["after"]["raised"], Value::Null);

    let seeded = json(&db, &["seed", "user=bob@60s#calls", "7"]);
    assert_eq!(seeded["after"]["settled"], 7);
    let seeded = json(&db, &["seed", "workspace", "$12.5"]);
    assert!(seeded["after"]["settled"].as_str().unwrap().starts_with("12.59"), "{seeded}");
    let (code, _, error) = run(&db, &["seed", "user=zoe", "1"]);
    assert_eq!(code, 1);
    assert!(error.contains("nobody is known as `user=zoe`; some that are known: "), "{error}");
    assert!(error.contains("user=bob; for somebody who has not called yet, add --new"), "{error}");
    let (code, _, error) = run(&db, &["reset", "user=zoe"]);
    assert_eq!((code, error.contains("--new")), (1, false), "{error}");
    let seeded = json(&db, &["seed", "user=zoe", "1", "--new"]);
    assert_eq!((&seeded["before"], &seeded["after"]["settled"]), (&Value::Null, &"1.00".into()));

    let check = said(&db, &["check"]);
    assert!(check.starts_with("everything adds up: 28 calls"));
    let ahead = "\nWARNING: the file's time is 2200-03-15 12:10:01Z, the clock's 20";
    assert!(check.contains(ahead), "{check}");
    let reasons = rusqlite::Connection::open(&db).unwrap().query_row(
        "SELECT group_concat(reason, '; ') FROM adjustment",
        [],
        |row| row.get(0),
    );
    let reasons: String = reasons.unwrap();
    assert!(reasons.starts_with("a gift"), "{reasons}");
    assert!(reasons.ends_with("opening balance; opening balance; opening balance"), "{reasons}");

    let changes = said(&db, &["changes"]);
    assert_eq!(row(&changes, "a gift")[1..5], [ann, "settled", "-$0.09", "2200-04-01"]);
    assert_eq!(row(&changes, "+7")[1..3], ["user=bob@60s#calls", "settled"]);
    assert_eq!(row(&changes, "+$2.50")[2..], ["limits", "+$2.50", "2200-04-10", "raised by hand"]);
    assert_eq!(json(&db, &["changes", "-n", "1"])[0]["key"], "user=zoe");
}

#[test]
fn a_raise_that_raises_nothing_is_told_so() {
    let scratch = Scratch::new();
    let db = filled(&scratch);
    let told = said(&db, &["raise", "user=zoe", "1", "--for", "7d", "--new"]);
    assert!(
        told.ends_with("nothing has limited `user=zoe` so far; the raise counts once it does\n"),
        "{told}"
    );
    let told = said(&db, &["raise", "user=bob", "1", "--for", "7d"]);
    assert!(!told.contains("nothing has limited"), "{told}");
}

#[test]
fn a_workspace_need_not_be_new() {
    let scratch = Scratch::new();
    let db = scratch.file("driftlock.db");
    drop(SqliteStore::open(&db).unwrap());
    let fresh = |args: &[&str]| {
        let Output { status, stdout, stderr } = command(&db).args(args).output().unwrap();
        let text = String::from_utf8([stdout, stderr].concat()).unwrap();
        (status.code(), text)
    };
    assert_eq!(fresh(&["budgets"]), (Some(0), "nothing was counted yet\n".into()));
    let (code, error) = fresh(&["seed", "workspace", "5"]);
    assert_eq!(code, Some(1));
    assert!(error.ends_with("no policy has been built on this file yet\n"), "{error}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let policy = Policy::builder()
        .rule(MonthlyBudget::new(Usd::dollars(100)))
        .rule(PerUserBudget::new().default_limit(Usd::dollars(10)))
        .store(SqliteStore::open(&db).unwrap());
    runtime.block_on(policy.build().unwrap().drain()).unwrap();
    let (code, text) = fresh(&["raise", "workspace", "5", "--for", "7d"]);
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = fresh(&["seed", "workspace", "5"]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(row(&text, "$5.00")[..2], ["workspace", "–"]);
    let (code, error) = fresh(&["seed", "user=ann", "5"]);
    assert_eq!(code, Some(1));
    assert!(error.contains("nobody was counted by this yet; for somebody who"), "{error}");
    let (code, text) = fresh(&["check"]);
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn a_key_survives_a_shell_as_it_is_printed() {
    let scratch = Scratch::new();
    let db = filled(&scratch);
    edit(&db, "UPDATE scope SET value = '(none)' WHERE value = 'bob'");
    let keys = json(&db, &["budgets", "--label", "user"]);
    let line: Vec<&str> =
        keys.as_array().unwrap().iter().map(|budget| budget["key"].as_str().unwrap()).collect();
    assert!(line.contains(&"user=%28none%29"), "{line:?}");
    let shell = std::process::Command::new("sh")
        .args(["-c", &format!("printf '%s ' {}", line.join(" "))])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(shell.stdout).unwrap().trim_end(), line.join(" "));
    assert_eq!(json(&db, &["budgets", "user=(none)"]), json(&db, &["budgets", "user=%28none%29"]));
    edit(&db, "UPDATE call SET labels = NULL");
    for args in [["top-users"], ["recent"]] {
        assert!(row(&said(&db, &args), "(none)").len() > 4, "{args:?}");
    }
    let (code, _, error) = run(&db, &["reset", "user=ann@example.com"]);
    assert_eq!(code, 2);
    assert!(error.contains("in a value, `@` is written %40: user=ann%40example.com"), "{error}");
}

#[test]
fn old_calls_are_pruned_and_the_sums_stay() {
    let scratch = Scratch::new();
    let db = filled(&scratch);
    let before = json(&db, &["stats"]);
    assert_eq!(
        said(&db, &["prune", "--before", "2200-03-13"]),
        "kept: calls since 2200-03-13 UTC, those in flight, and all counters and sums by day\n\
         12 calls deleted from the ledger\n"
    );
    assert_eq!(json(&db, &["prune", "--before", "2200-03-13T00:00:00Z"])["pruned"], 0);
    let again = json(&db, &["prune", "--before", "3d"]);
    assert_eq!((&again["pruned"], &again["before"]), (&0.into(), &"2200-03-13T00:00:00Z".into()));
    assert_eq!(json(&db, &["stats"]), before);
    assert_eq!(said(&db, &["export"]).lines().count(), 1 + 15);
    assert_eq!(json(&db, &["check"])["mismatches"], Value::Array(Vec::new()));
    let text = said(&db, &["check"]);
    let told = "12 calls pruned: days before 2200-03-13 could not be compared\n";
    assert!(text.starts_with("everything adds up: 16 calls, ") && text.contains(told), "{text}");
}

#[test]
fn what_is_done_to_the_whole_file_is_not_done_to_a_workspace() {
    let scratch = Scratch::new();
    let db = filled(&scratch);
    for args in [&["check"][..], &["prune", "--before", "2200-03-13"], &["backup", "copy.db"]] {
        let (code, stdout, error) = run(&db, &[args, &["--workspace", "prod"]].concat());
        assert_eq!((code, stdout.as_str()), (2, ""), "{args:?}");
        assert!(error.contains("the whole file, all its workspaces"), "{error}");
    }
    assert_eq!(said(&db, &["export"]).lines().count(), 1 + 27);
}

#[test]
fn a_backup_is_a_file_of_its_own_and_never_written_over_another() {
    let scratch = Scratch::new();
    let db = filled(&scratch);
    let copy = scratch.file("copy.db");
    let name = copy.to_str().unwrap();
    let told = said(&db, &["backup", name]);
    assert!(told.starts_with(&format!("{name} has all that was in the file")), "{told}");
    assert!(said(&copy, &["check"]).starts_with("everything adds up: 28 calls"));
    assert_eq!(said(&copy, &["export"]), said(&db, &["export"]));
    let (code, _, error) = run(&db, &["backup", name]);
    assert_eq!(code, 1);
    assert!(error.contains("copy.db: File exists"), "{error}");
    said(&copy, &["seed", "workspace", "1"]);
}
