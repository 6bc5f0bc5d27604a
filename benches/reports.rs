//! What reports cost on a long history: they come from sums by day, so millions of calls
//! in the ledger should not matter.
//!
//! ```text
//! cargo bench --features sqlite --bench reports            # a minute or two, 5,000,000 calls
//! cargo bench --features sqlite --bench reports -- --quick # some seconds, fewer
//! ```
#![allow(clippy::expect_used)] // a benchmark that cannot run should say so

mod reports_parts;
mod support;

use std::time::Duration;

use driftlock::{
    ManualClock,
    report::{Filter, Format, Report, Span},
};
use reports_parts::{END, History, fill};
use support::{Effort, at_most, heading, median, note, time};

/// What a person at a terminal does not notice, in milliseconds.
const GOAL: f64 = 50.0;

fn main() {
    let effort = Effort::from_args();
    let history =
        History { calls: effort.pick(5_000_000, 50_000), days: 90, users: 2_000, models: 10 };
    let History { calls, days, users, models } = history;
    heading(&format!("reports: {calls} calls over {days} days, {users} users, {models} models"));
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("driftlock.db");
    let took = time(|| fill(&path, history));
    let bytes = std::fs::metadata(&path).expect("a file").len();
    note("the file", bytes as f64 / 1e6, "MB");
    note("filled in", took.as_secs_f64(), "s");

    let report = Report::open(&path).expect("a report").clock(ManualClock::at(END));
    let rounds = effort.pick(21, 3);
    for days in [7, 90] {
        heading(&format!("of {days} days, median of {rounds}"));
        let span = Span::days(days);
        goal(rounds, "totals", || report.totals(span).map(drop));
        goal(rounds, "by day", || report.by_day(span).map(drop));
        goal(rounds, "by model", || report.by_model(span).map(drop));
        goal(rounds, "by user", || report.by_user(span).map(drop));
        goal(rounds, "top users", || report.top_users(span, 10).map(drop));
        goal(rounds, "denials", || report.denials(span).map(drop));
        goal(rounds, "forecast", || report.forecast(days, 20).map(drop));
    }
    heading("of now");
    goal(rounds, "budgets", || report.budgets(50).map(drop));
    goal(rounds, "budgets of users", || report.budgets_by("user", 50).map(drop));
    goal(rounds, "recent", || report.recent(20).map(drop));
    goal(rounds, "changes", || report.changes(20).map(drop));
    goal(rounds, "open and totals of a week", || {
        let report = Report::open(&path)?.clock(ManualClock::at(END));
        report.totals(Span::days(7)).map(drop)
    });

    heading("of every call");
    let took =
        time(|| report.export(Span::all(), Format::JsonLines, std::io::sink()).expect("read"));
    note("export as JSON, per call", per_call(took, calls), "µs");
    let took = time(|| report.export(Span::all(), Format::Csv, std::io::sink()).expect("read"));
    note("export as CSV, per call", per_call(took, calls), "µs");
    let took = time(|| drop(report.outcomes(Span::all()).expect("read")));
    note("outcomes, per call", per_call(took, calls), "µs");
    let took =
        time(|| drop(report.recent_of(&Filter::new().label("user", "nobody"), 20).expect("read")));
    note("a user who has no calls, per call", per_call(took, calls), "µs");
    let copy = directory.path().join("copy.db");
    let took = time(|| report.backup(&copy).expect("copied"));
    note("backup, per call", per_call(took, calls), "µs");
    let mut check = None;
    let took = time(|| check = Some(report.check().expect("read")));
    note("check, per call", per_call(took, calls), "µs");
    let check = check.expect("a check");
    assert!(check.is_sound(), "{:?} {:?}", check.faults, check.mismatches.first());
}

fn goal(
    rounds: usize,
    what: &str,
    mut report: impl FnMut() -> Result<(), driftlock::report::ReportError>,
) {
    let laps = (0..rounds).map(|_| time(|| report().expect("a report")).as_secs_f64() * 1e3);
    at_most(what, median(laps.collect::<Vec<_>>().into_iter()), "ms", GOAL);
}

fn per_call(took: Duration, calls: usize) -> f64 {
    took.as_secs_f64() * 1e6 / calls as f64
}
