//! The command `driftlock`, run as a person or a program would.

mod spent;

use std::{
    io::{Read, Write},
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use spent::{Scratch, edit, filled};

fn command(db: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_driftlock"));
    command.env_remove("COLUMNS").env("DRIFTLOCK_DB", db);
    command
}

/// Runs it for `prod`, unless it is about the whole file.
fn run(db: &Path, args: &[&str]) -> (i32, String, String) {
    let mut command = command(db);
    if !["backup", "check", "prune"].contains(&args[0]) {
        command.args(["--workspace", "prod"]);
    }
    let Output { status, stdout, stderr } = command.args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// What a command says that succeeds.
fn said(db: &Path, args: &[&str]) -> String {
    let (code, stdout, stderr) = run(db, args);
    assert_eq!((code, stderr.as_str()), (0, ""), "{args:?}: {stdout}");
    stdout
}

fn json(db: &Path, args: &[&str]) -> Value {
    let mut args = args.to_vec();
    args.push("--json");
    serde_json::from_str(&said(db, &args)).unwrap()
}

/// The row of a table that has a cell.
fn row(table: &str, cell: &str) -> Vec<String> {
    let cells = |line: &str| -> Vec<String> {
        line.split(['│', '┆'])
            .map(|cell| cell.trim().to_owned())
            .filter(|cell| !cell.is_empty())
            .collect()
    };
    let mut rows = table.lines().map(cells);
    rows.find(|row| row.iter().any(|known| known == cell))
        .unwrap_or_else(|| panic!("no {cell} in {table}"))
}

#[test]
fn stats_show_totals_a_bar_for_each_day_models_and_denials() {
    let scratch = Scratch::new();
    let db = filled(&scratch);
    edit(&db, "UPDATE daily SET cost = 0 WHERE day = (SELECT min(day) FROM daily)");
    let text = said(&db, &["stats", "--since", "7d"]);
    let first = text.lines().next().unwrap();
    assert!(first.starts_with("2200-03-10 to 2200-03-15 (UTC): $0.0"), "{first}");
    assert!(
        first.contains(" for 19 calls, 18,000 tokens in, 9,000 out; 6 calls denied"),
        "{first}"
    );
    let bars: Vec<_> = text.lines().filter(|line| line.starts_with("2200-03-1")).skip(1).collect();
    assert_eq!(bars.len(), 6);
    assert_eq!(bars[0].trim_end(), "2200-03-10    $0.00");
    assert!(bars[1].starts_with("2200-03-11  $0.0155  █"), "{}", bars[1]);
    // The dearest day takes all there is of 80 columns.
    assert_eq!(bars[5].chars().count(), 80);
    assert_eq!(row(&text, "gpt-4o")[2], "6");
    assert_eq!(row(&text, "restrict_model")[1], "6");

    let stats = json(&db, &["stats", "--since", "2200-03-14"]);
    assert_eq!(stats["totals"]["calls"], 7);
    assert_eq!(stats["totals"]["from"], "2200-03-14");
    assert_eq!(stats["days"][0]["cost"], "0.01545");
    assert_eq!(stats["denials"][0]["rule"], "restrict_model");
}

#[test]
fn models_top_users_and_forecast_are_tables_and_json() {
    let scratch = Scratch::new();
    let db = filled(&scratch);
    assert_eq!(row(&said(&db, &["models"]), "gpt-4o-2024-08-06")[1], "$0.0450");
    assert_eq!(json(&db, &["models"])[0]["model"], "gpt-4o");
    let users = said(&db, &["top-users", "-n", "1"]);
    assert_eq!(row(&users, "ann@example.com")[1..3], ["$0.09", "12"]);
    assert!(!users.contains("bob"));
    assert_eq!(json(&db, &["top-users"])[1]["value"], "bob");
    assert_eq!(json(&db, &["top-users", "--label", "team"])[0]["value"], "search");
    let (code, _, error) = run(&db, &["top-users", "--label", "plan"]);
    assert_eq!(code, 1);
    assert_eq!(error, "driftlock: nothing is counted by the label `plan`, but by team, user\n");

    let forecast = said(&db, &["forecast"]);
    assert!(forecast.contains(" since 2200-03-10 (UTC) is $0.01"), "{forecast}");
    assert!(row(&forecast, "workspace").is_empty() || forecast.contains("lasts"), "{forecast}");
    assert_eq!(json(&db, &["forecast", "--days", "1"])["from"], "2200-03-15");
}

#[test]
fn recent_and_export_give_one_call_to_a_line() {
    let scratch = Scratch::new();
    let db = filled(&scratch);
    let text = said(&db, &["recent", "-n", "30"]);
    assert_eq!(row(&text, "denied (restrict_model)")[2], "gpt-4");
    let lines = said(&db, &["recent", "--json", "-n", "2"]);
    let calls: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((calls.len(), &calls[0]["outcome"]), (2, &"open".into()));

    let csv = said(&db, &["export"]);
    assert_eq!(csv.lines().count(), 1 + 27);
    assert!(csv.starts_with("id,at,outcome,workspace,"), "{csv}");
    let one_day = ["export", "--format", "jsonl", "--since", "2200-03-11", "--until", "2200-03-12"];
    assert_eq!(said(&db, &one_day).lines().count(), 4);
    assert_eq!(said(&db, &["export", "--json"]).lines().count(), 27);
}

#[test]
fn a_pipe_that_is_closed_ends_it_in_silence() {
    let scratch = Scratch::new();
    let db = filled(&scratch);
    // More than a pipe holds.
    edit(&db, "UPDATE call SET model = replace(hex(zeroblob(50000)), '00', 'x')");
    let mut child =
        command(&db).arg("export").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut some = [0; 64];
    child.stdout.take().unwrap().read_exact(&mut some).unwrap();
    let Output { status, stderr, .. } = child.wait_with_output().unwrap();
    assert_eq!((status.code(), String::from_utf8(stderr).unwrap().as_str()), (Some(0), ""));
}

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
    let ann = "user=ann@example.com";
    let table = said(&db, &["budgets"]);
    assert_eq!(row(&table, ann)[2..4], ["$10.00", "$0.09"]);

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
    let ended = json(&db, &["raise", ann, "0"]);
    assert_eq!(ended["after"]["raised"], Value::Null);

    let seeded = json(&db, &["seed", "user=bob@60s#calls", "7"]);
    assert_eq!(seeded["after"]["settled"], 7);
    let seeded = json(&db, &["seed", "workspace", "$12.5"]);
    assert!(seeded["after"]["settled"].as_str().unwrap().starts_with("12.59"), "{seeded}");
    let (code, _, error) = run(&db, &["seed", "user=zoe@mnth", "1"]);
    assert_eq!(code, 1);
    assert!(error.contains("nobody is known as `user=zoe@mnth`; known are"), "{error}");
    assert!(error.contains("user=bob; for somebody who has not called yet, add --new"), "{error}");
    let (code, _, error) = run(&db, &["reset", "user=zoe"]);
    assert_eq!((code, error.contains("--new")), (1, false), "{error}");
    let seeded = json(&db, &["seed", "user=zoe", "1", "--new"]);
    assert_eq!((&seeded["before"], &seeded["after"]["settled"]), (&Value::Null, &"1.00".into()));

    assert!(said(&db, &["check"]).starts_with("everything adds up: 28 calls"));
    let reasons = rusqlite::Connection::open(&db).unwrap().query_row(
        "SELECT group_concat(reason, '; ') FROM adjustment",
        [],
        |row| row.get(0),
    );
    let reasons: String = reasons.unwrap();
    assert!(reasons.starts_with("a gift"), "{reasons}");
    assert!(reasons.ends_with("opening balance; opening balance; opening balance"), "{reasons}");
}

#[test]
fn old_calls_are_pruned_and_the_sums_stay() {
    let scratch = Scratch::new();
    let db = filled(&scratch);
    let before = json(&db, &["stats"]);
    assert_eq!(
        said(&db, &["prune", "--before", "2200-03-13"]),
        "12 calls deleted from the ledger\n"
    );
    assert_eq!(json(&db, &["prune", "--before", "2200-03-13T00:00:00Z"])["pruned"], 0);
    assert_eq!(json(&db, &["stats"]), before);
    assert_eq!(said(&db, &["export"]).lines().count(), 1 + 15);
    assert_eq!(json(&db, &["check"])["mismatches"], Value::Array(Vec::new()));
    let text = said(&db, &["check"]);
    let told = "12 calls pruned: days before 2200-03-14 could not be compared\n";
    assert!(text.starts_with("everything adds up: 16 calls, ") && text.ends_with(told), "{text}");
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

#[test]
fn a_check_that_fails_says_what_and_by_how_much() {
    let scratch = Scratch::new();
    let db = filled(&scratch);
    edit(&db, "UPDATE amount SET used = used + 1 WHERE scope = 1 AND counter = 1");
    let (code, text, error) = run(&db, &["check"]);
    assert_eq!((code, error.as_str()), (1, ""));
    assert!(text.starts_with("prod workspace: settled is "), "{text}");
    assert!(text.contains("it does not add up"), "{text}");
}

#[test]
fn an_invoice_is_read_from_a_file_or_from_standard_input() {
    let scratch = Scratch::new();
    let db = filled(&scratch);
    let invoice = scratch.file("invoice.csv");
    std::fs::write(&invoice, "date,model,amount\n2200-03-11,gpt-4o-2024-08-06,0.02\n").unwrap();
    let text = said(&db, &["reconcile", invoice.to_str().unwrap()]);
    assert_eq!(row(&text, "gpt-4o")[2..], ["$0.0150", "$0.02", "+$0.0050"]);
    assert_eq!(row(&text, "gpt-4o-mini")[3], "missing");
    let total = "recorded $0.0155, billed $0.02, difference +$0.0046 (+29.45%)\n";
    assert!(text.ends_with(total), "{text}");
    for (tolerance, code) in [("29.46%", 0), ("29%", 1), ("0.005", 0), ("$0.004", 1)] {
        let args = ["reconcile", invoice.to_str().unwrap(), "--tolerance", tolerance];
        let (exit, text, error) = run(&db, &args);
        assert_eq!((exit, error.as_str()), (code, ""), "{tolerance}");
        assert_eq!(text.ends_with("more than --tolerance allows\n"), code == 1);
    }
    std::fs::write(&invoice, "when\twhat\tnet\n2200-03\tgpt-4o\t0.09 USD\n").unwrap();
    let text = said(
        &db,
        &[
            &["reconcile", invoice.to_str().unwrap(), "--provider", "openai"][..],
            &["--day-column", "when", "--model-column", "what", "--cost-column", "net"],
        ]
        .concat(),
    );
    assert_eq!(row(&text, "gpt-4o"), ["2200-03", "gpt-4o", "$0.09", "$0.09", "$0.00"]);
    let args = ["reconcile", invoice.to_str().unwrap(), "--day-column", "day"];
    let (code, _, error) = run(&db, &args);
    assert_eq!(code, 1);
    assert!(error.contains("no column `day` among: when, what, net"), "{error}");

    let mut child = command(&db)
        .args(["--workspace", "prod", "reconcile", "-", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"day,usd\n2200-03-11,0.01545\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let compared: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&compared["difference"], &compared["rows"][0]["model"]),
        (&"0.00".into(), &Value::Null)
    );

    std::fs::write(&invoice, "date,amount\n2200-03-11,much\n").unwrap();
    let (code, _, error) = run(&db, &["reconcile", invoice.to_str().unwrap()]);
    assert_eq!(code, 1);
    assert!(error.contains("invoice.csv: line 2: the amount `much`"), "{error}");
}

#[test]
fn what_a_label_says_does_not_reach_the_terminal() {
    let scratch = Scratch::new();
    let db = filled(&scratch);
    edit(&db, "UPDATE scope SET value = 'x' || char(27) || '[2J' || char(10) WHERE value = 'bob'");
    for args in [&["top-users"][..], &["budgets"], &["forecast"], &["recent"]] {
        assert!(!said(&db, args).contains('\u{1b}'), "{args:?}");
    }
    let key = "user=x%1B%5B2J%0A";
    assert_eq!(row(&said(&db, &["budgets"]), key)[1], key);
    assert!(said(&db, &["reset", key]).contains(key));
}

#[test]
fn a_line_that_makes_no_sense_is_told_so_with_code_2() {
    let scratch = Scratch::new();
    let db = filled(&scratch);
    let ann = "user=ann@example.com";
    for (args, why) in [
        (&["budget"][..], "unrecognized subcommand"),
        (&["stats", "--since", "yesterday"], "expected 7d, 2w, 24h, 2026-11-01 or all"),
        (&["reset", "ann"], "expected SCOPE[@WINDOW][#calls]"),
        (&["reset", "workspace@mnth"], "no such window"),
        (&["raise", ann, "5"], "say --until DATE"),
        (&["raise", ann, "5", "--until", "2020-01-01"], "has passed; it is 2200-03-15"),
        (&["raise", ann, "-5", "--until", "2200-04-01"], "`-5` is not an amount of US dollars"),
        (&["seed", ann, "1e3"], "is not an amount of US dollars"),
        (&["seed", ann, "10000000000"], "at most $9,223,372,036.85"),
        (&["seed", ann, "99999999999"], "the largest amount"),
        (&["seed", "user=bob@60s#calls", "1.5"], "is no number of calls"),
        (&["prune", "--before", "soon"], "expected a date like 2026-12-01"),
    ] {
        let (code, stdout, error) = run(&db, args);
        assert_eq!((code, stdout.as_str()), (2, ""), "{args:?}: {error}");
        assert!(error.contains(why), "{args:?}: {error}");
    }
    let output = command(&db).env_remove("DRIFTLOCK_DB").arg("stats").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("say --db FILE"));
}

#[test]
fn a_file_that_is_not_what_it_should_be_is_an_error_and_left_as_it_is() {
    let scratch = Scratch::new();
    let text = scratch.file("text.db");
    std::fs::write(&text, "some notes\n".repeat(100)).unwrap();
    let empty = scratch.file("empty.db");
    std::fs::write(&empty, "").unwrap();
    let missing = scratch.file("missing.db");
    for (db, why) in [
        (&missing, "there is no file"),
        (&text, "is not a file that driftlock's SqliteStore wrote"),
        (&empty, "is not a file that driftlock's SqliteStore wrote"),
    ] {
        for args in
            [&["stats"][..], &["seed", "workspace", "5"], &["prune", "--before", "2026-01-01"]]
        {
            let (code, stdout, error) = run(db, args);
            assert_eq!((code, stdout.as_str()), (1, ""), "{error}");
            assert!(error.contains(why), "{error}");
        }
    }
    assert!(!missing.exists());
    assert_eq!(std::fs::read(&empty).unwrap().len(), 0);

    let db = filled(&scratch);
    let mut unknown = Command::new(env!("CARGO_BIN_EXE_driftlock"));
    let output =
        unknown.arg("--db").arg(&db).args(["--workspace", "prd", "stats"]).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.ends_with("knows no workspace `prd`; it has prod, test\n"), "{error}");
    let mut none = Command::new(env!("CARGO_BIN_EXE_driftlock"));
    let output = none.arg("--db").arg(&db).args(["reset", "workspace"]).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.ends_with("name one: prod, test (--workspace NAME)\n"), "{error}");
    edit(&db, "PRAGMA user_version = 999");
    let (code, _, error) = run(&db, &["stats"]);
    assert_eq!(code, 1);
    assert!(
        error.contains("version 999") && error.contains("use the version of driftlock"),
        "{error}"
    );
}

#[test]
fn help_has_examples_for_people() {
    let output = Command::new(env!("CARGO_BIN_EXE_driftlock")).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    for part in ["driftlock stats --since 7d", "SCOPE[@WINDOW][#calls]", "Exit codes", "top-users"]
    {
        assert!(help.contains(part), "{help}");
    }
}
