//! What the command `driftlock` tells.

mod run;
mod spent;

use std::{
    io::{Read, Write},
    process::{Command, Output, Stdio},
};

use run::{command, json, row, run, said};
use serde_json::Value;
use spent::{Scratch, edit, filled};

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
fn spans_end_where_they_are_told_to_and_days_are_whole() {
    let scratch = Scratch::new();
    let db = filled(&scratch);
    let two = ["--since", "2200-03-11", "--until", "2200-03-13"];
    let text = said(&db, &[&["stats"][..], &two].concat());
    assert!(text.starts_with("2200-03-11 to 2200-03-12 (UTC): $0.0309 for 6 calls"), "{text}");
    assert_eq!(row(&said(&db, &[&["models"][..], &two].concat()), "gpt-4o-mini")[2], "2");
    let users = said(&db, &[&["top-users"][..], &two].concat());
    assert!(users.starts_with("2200-03-11 to 2200-03-12 (UTC)\n"), "{users}");
    assert_eq!(row(&users, "bob")[2], "2");
    let hours = said(&db, &["models", "--since", "24h"]);
    assert!(hours.starts_with("2200-03-14 to 2200-03-15 (UTC, whole days)\n"), "{hours}");
    let calls = json(&db, &["outcomes", "--since", "1h"]);
    assert_eq!(calls[0]["calls"], 3);
}

#[test]
fn outcomes_are_a_table_with_what_they_mean() {
    let scratch = Scratch::new();
    let db = filled(&scratch);
    let text = said(&db, &["outcomes"]);
    assert_eq!(row(&text, "actual")[1..3], ["18", "$0.0927"]);
    assert!(row(&text, "expired")[4].starts_with("the estimate"), "{text}");
    assert_eq!(row(&text, "open")[2], "$0.00");
    said(&db, &["prune", "--before", "2200-03-13"]);
    let text = said(&db, &["outcomes"]);
    assert!(text.ends_with("12 calls pruned, which are not among them\n"), "{text}");
}

#[test]
fn recent_calls_are_found_by_user_label_and_outcome() {
    let scratch = Scratch::new();
    let db = filled(&scratch);
    let count = |args: &[&str]| {
        let all = ["recent", "-n", "100", "--json"];
        said(&db, &[&all[..], args].concat()).lines().count()
    };
    assert_eq!(count(&[]), 27);
    assert_eq!(count(&["--user", "bob"]), 14);
    assert_eq!(count(&["--user", "bob", "--outcome", "denied"]), 6);
    assert_eq!(count(&["--label", "team=search", "--label", "user=bob"]), 14);
    assert_eq!(count(&["--label", "team=sales"]), 0);
}

#[test]
fn tables_are_as_wide_as_there_is_room_and_tell_workspaces_where_there_are_several() {
    let scratch = Scratch::new();
    let db = filled(&scratch);
    edit(&db, "UPDATE call SET model = 'a-model-with-a-name-that-is-rather-long' WHERE id > 20");
    let table = |width: &str, args: &[&str]| {
        let output = command(&db).env("COLUMNS", width).args(args).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    for width in [80, 100, 120] {
        for args in [&["budgets"][..], &["forecast"], &["top-users"], &["models"], &["outcomes"]] {
            let text = table(&width.to_string(), args);
            let widest = text.lines().map(|line| line.chars().count()).max();
            assert!(widest <= Some(width), "{width} {args:?}\n{text}");
        }
    }
    let recent = table("100", &["recent"]);
    assert!(recent.contains('…') && !recent.contains("rather-long"), "{recent}");
    let recent = table("80", &["recent"]);
    let told = "left out: estimate, tokens in, tokens out; a wider terminal or --json shows them\n";
    assert!(recent.ends_with(told), "{recent}");
    let all = table("0", &["recent"]);
    assert!(all.contains("rather-long") && !all.contains("left out"), "{all}");
    assert!(table("", &["budgets"]).contains("workspace ┆ key"));
    let budgets = said(&db, &["budgets"]);
    assert!(!budgets.contains("workspace ┆ key"));
    assert!(budgets.ends_with("limits are those that the last call on each was held to\n"));
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
    let last_day = scratch.file("last-day.csv");
    std::fs::write(&last_day, "day,usd\n2200-03-15,0.02\n").unwrap();
    let in_flight = "\n1 call in flight and not yet recorded, estimated at $0.0";
    for more in [&[][..], &["--provider", "openai"]] {
        let args = [&["reconcile", last_day.to_str().unwrap()], more].concat();
        let text = said(&db, &args);
        assert!(text.contains(in_flight), "{text}");
        assert_eq!(json(&db, &args)["in_flight"]["calls"], 1);
    }
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
    assert_eq!(row(&said(&db, &["budgets"]), key)[0], key);
    assert!(said(&db, &["reset", key]).contains(key));

    let invoice = scratch.file("invoice.csv");
    std::fs::write(&invoice, "day,cost\n\u{1b}[2J,1\n").unwrap();
    let (code, _, error) = run(&db, &["reconcile", invoice.to_str().unwrap()]);
    assert!(code == 1 && !error.contains('\u{1b}'), "{error}");
    assert!(error.contains("line 2: the day `\u{fffd}[2J`"), "{error}");
}

#[test]
fn a_backup_may_have_a_name_that_means_something_else_to_sqlite() {
    let scratch = Scratch::new();
    let db = filled(&scratch);
    for name in [":memory:", "file:copy.db", "file:x?mode=memory"] {
        let run = |db: &str, args: &[&str]| {
            let db = ["--db", db];
            command(db[1].as_ref())
                .current_dir(scratch.file(""))
                .args(db)
                .args(args)
                .output()
                .unwrap()
        };
        let made = run("driftlock.db", &["backup", name]);
        assert!(made.status.success(), "{made:?}");
        assert!(std::fs::metadata(scratch.file(name)).unwrap().len() > 50_000, "{name}");
        let check = run(name, &["check"]);
        assert!(check.status.success(), "{check:?}");
    }
    assert!(db.exists() && !scratch.file("copy.db").exists());
}

#[cfg(unix)]
#[test]
fn a_backup_for_which_there_is_no_room_says_so_and_leaves_nothing() {
    let scratch = Scratch::new();
    let (db, copy) = (filled(&scratch), scratch.file("copy.db"));
    let limited = "trap '' XFSZ; ulimit -f 100; exec \"$0\" backup \"$1\"";
    let mut shell = Command::new("sh");
    shell.env("DRIFTLOCK_DB", &db).args(["-c", limited, env!("CARGO_BIN_EXE_driftlock")]);
    let Output { status, stderr, .. } = shell.arg(&copy).output().unwrap();
    let error = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(1), "{error}");
    assert!(
        error.starts_with("driftlock: could not write: ") && error.contains("copy.db"),
        "{error}"
    );
    assert!(!copy.exists());
}

#[test]
fn a_line_that_makes_no_sense_is_told_so_with_code_2() {
    let scratch = Scratch::new();
    let db = filled(&scratch);
    let ann = "user=ann%40example.com";
    for (args, why) in [
        (&["budget"][..], "unrecognized subcommand"),
        (&["stats", "--since", "yesterday"], "expected 7d, 2w, 24h, 2026-11-01 or all"),
        (&["reset", "ann"], "expected SCOPE[@WINDOW][#calls]"),
        (&["reset", "workspace@mnth"], "is no window"),
        (&["raise", ann, "5"], "say --until DATE or --for 24h"),
        (&["raise", ann, "5", "--until", "2020-01-01"], "has passed; it is 2200-03-15"),
        (&["raise", ann, "-5", "--until", "2200-04-01"], "`-5` is not an amount of US dollars"),
        (&["seed", ann, "1e3"], "is not an amount of US dollars"),
        (&["seed", ann, "10000000000"], "at most $9,223,372,036.85"),
        (&["seed", ann, "99999999999"], "the largest amount"),
        (&["seed", "user=bob@60s#calls", "1.5"], "is no number of calls"),
        (&["raise", ann, "5", "--for", "1mo"], "expected a length like 24h, 7d or 2w"),
        (&["raise", ann, "5", "--for", "1h", "--until", "2200-04-01"], "cannot be used with"),
        (&["prune", "--before", "soon"], "or a time like 2026-12-01T12:00:00Z, or 30d"),
        (&["prune", "--before", "1m"], "keeps whole days, like 30d"),
        (&["prune", "--before", "2200-03-16"], "is in the future; it is 2200-03-15"),
        (&["stats", "--since", "1m"], "say 1d for today, 2d with yesterday"),
        (&["models", "--since", "1h"], "say 1d for today, 2d with yesterday"),
        (&["stats", "--since", "2200-03-12", "--until", "2200-03-12"], "is not after --since"),
        (&["export", "--since", "7d", "--until", "2200-03-01"], "is not after --since"),
        (&["stats", "--until", "soon"], "expected a date like 2026-12-01"),
        (&["recent", "--outcome", "actul"], "[possible values: actual, estimated"),
        (&["recent", "--label", "team"], "expected NAME=VALUE"),
        (&["budgets", ann, "--label", "user"], "cannot be used with"),
        (&["reconcile", "x.csv", "--tolerance", "much"], "expected a share like 1%"),
    ] {
        let (code, stdout, error) = run(&db, args);
        assert_eq!((code, stdout.as_str()), (2, ""), "{args:?}: {error}");
        assert!(error.contains(why), "{args:?}: {error}");
    }
    let (code, _, error) = run(&db, &["bugdets"]);
    assert_eq!((code, error.contains("'budgets'")), (2, true), "{error}");
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
        (&scratch.file(""), "is a directory; name the file of the store in it"),
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
fn programs_are_told_errors_as_json() {
    let scratch = Scratch::new();
    let db = filled(&scratch);
    for (args, code, why) in [
        (&["reset", "user=zoe"][..], 1, "nobody is known as `user=zoe`; some that are known: "),
        (&["bugdets"], 2, "unrecognized subcommand 'bugdets'"),
        (&["stats", "--since", "soon"], 2, "invalid value 'soon' for '--since"),
        (&["raise", "workspace", "5"], 2, "until when? say --until DATE or --for 24h"),
    ] {
        let (exit, stdout, stderr) = run(&db, &[args, &["--json"]].concat());
        assert_eq!((exit, stdout.as_str(), stderr.lines().count()), (code, "", 1), "{stderr}");
        let error: Value = serde_json::from_str(&stderr).unwrap();
        assert!(error["error"].as_str().unwrap().starts_with(why), "{error}");
    }
}

#[test]
fn help_has_examples_for_people() {
    let ask = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_driftlock")).args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stdout).unwrap()
    };
    let help = ask(&["--help"]);
    assert_eq!(ask(&["help"]), help);
    assert!(ask(&["help", "reconcile"]).contains("--tolerance <SHARE|AMOUNT>"));
    for part in ["driftlock stats --since 7d", "SCOPE[@WINDOW][#calls]", "Exit codes", "top-users"]
    {
        assert!(help.contains(part), "{help}");
    }
}
