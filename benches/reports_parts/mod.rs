//! A file with a long history, written past the store because that is sooner done.

#![allow(clippy::expect_used, unreachable_pub)] // as the benchmark

use std::{collections::HashMap, path::Path};

use driftlock::{Timestamp, store::SqliteStore};
use rusqlite::{Connection, params};

use crate::support::Random;

/// How much of a history.
#[derive(Clone, Copy, Debug)]
pub struct History {
    pub calls: usize,
    pub days: usize,
    pub users: usize,
    pub models: usize,
}

/// When it ends: shortly before a month does.
pub const END: Timestamp = Timestamp::from_nanos(1_795_824_000_000_000_000); // 2026-11-28
const MONTH_ENDS: u64 = 1_796_083_200_000_000_000; // 2026-12-01
const MONTH_BEGINS: u64 = 1_793_491_200_000_000_000; // 2026-11-01
const DAY: u64 = 86_400_000_000_000;

/// Family, day, scope and model.
type Line = (i64, i64, i64, Option<usize>);
/// Calls, cost, tokens in and out.
type Sums = [i64; 4];

/// Writes a history of calls that all ended, one of a hundred denied, with the sums that a
/// store would have kept.
pub fn fill(path: &Path, history: History) {
    drop(SqliteStore::open(path).expect("a store"));
    let mut db = Connection::open(path).expect("a connection");
    db.execute_batch(
        "PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF; PRAGMA journal_mode = OFF;
         INSERT INTO family VALUES (1, 'default', NULL), (2, 'default', 'user');
         INSERT INTO counter VALUES (1, 1, 'cost', 'month UTC'), (2, 2, 'cost', 'month UTC'),
             (3, 2, 'calls', 'sliding 60000000000');
         INSERT INTO scope VALUES (1, 1, '')",
    )
    .expect("tables");
    let work = db.transaction().expect("begun");
    let mut daily: HashMap<Line, Sums> = HashMap::new();
    let mut month: HashMap<i64, i64> = HashMap::new();
    calls(&work, history, &mut daily, &mut month);
    sums(&work, history, &daily, &month);
    let (now, last) = (END.as_nanos() as i64, history.calls as i64);
    work.execute("UPDATE store SET now = ?1, last_call = ?2", [now, last]).expect("written");
    work.commit().expect("committed");
    db.execute_batch("PRAGMA journal_mode = WAL").expect("as it was");
}

fn model(number: usize) -> String {
    format!("claude-sonnet-4-5-202509{number:02}")
}

fn calls(
    db: &Connection,
    history: History,
    daily: &mut HashMap<Line, Sums>,
    month: &mut HashMap<i64, i64>,
) {
    let sql = "INSERT INTO call (id, at, outcome, estimate, cost, charges, workspace, provider, \
               operation, requested_model, model, labels, prices, rule, input_tokens, \
               output_tokens) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'default', 'anthropic', 'chat', \
               ?7, ?7, ?8, '2026-11-20', ?9, ?10, ?11)";
    let mut statement = db.prepare(sql).expect("a statement");
    let mut random = Random::new();
    let names: Vec<String> = (0..history.models).map(model).collect();
    let length = history.days as u64 * DAY;
    let begin = END.as_nanos() - length;
    for id in 1..=history.calls as u64 {
        let at = begin + (u128::from(length) * u128::from(id - 1) / history.calls as u128) as u64;
        let user = 2 + random.below(history.users) as i64;
        let model = random.below(history.models);
        let labels = format!("{{\"user\":\"user-{user:05}\"}}");
        let name = names[model].as_str();
        if random.below(100) == 0 {
            let none: Option<i64> = None;
            let (rule, charges) = (Some("monthly_budget"), None::<Vec<u8>>);
            let row = params![
                id as i64, at as i64, "denied", 5_000_000, 0, charges, name, labels, rule, none,
                none
            ];
            statement.execute(row).expect("written");
            continue;
        }
        let (cost, tokens) = (1_000_000 + random.below(9_000_000) as i64, [700, 120]);
        // Months before this one end when they do; only that of this month is compared.
        let ends = if at >= MONTH_BEGINS { MONTH_ENDS } else { MONTH_BEGINS };
        let lasts = ends - at;
        let booked = [(1i64, 1i64, lasts), (2, user, lasts), (3, user, 60_000_000_000)];
        let charges = postcard::to_stdvec(booked.as_slice()).expect("bytes");
        let rule: Option<&str> = None;
        let row = params![
            id as i64, at as i64, "actual", 10_000_000, cost, charges, name, labels, rule,
            tokens[0], tokens[1]
        ];
        statement.execute(row).expect("written");
        // Models are told of the workspace only.
        for (family, scope, model) in [(1, 1, Some(model)), (2, user, None)] {
            let line = daily.entry((family, (at / DAY) as i64, scope, model)).or_default();
            let add: Sums = [1, cost, tokens[0], tokens[1]];
            line.iter_mut().zip(add).for_each(|(sum, number)| *sum += number);
            if at >= MONTH_BEGINS {
                *month.entry(scope).or_default() += cost;
            }
        }
    }
}

fn sums(db: &Connection, history: History, daily: &HashMap<Line, Sums>, month: &HashMap<i64, i64>) {
    let sql = "INSERT INTO daily VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, ?9)";
    let mut statement = db.prepare(sql).expect("a statement");
    let mut lines: Vec<_> = daily.iter().collect();
    lines.sort_unstable();
    for ((family, day, scope, number), [calls, cost, input, output]) in lines {
        let row = params![
            family,
            day,
            scope,
            number.map_or_else(String::new, model),
            calls,
            cost,
            calls * 10_000_000,
            input,
            output
        ];
        statement.execute(row).expect("written");
    }
    db.execute_batch(
        "INSERT INTO denied SELECT workspace, at / 86400000000000, rule, count(*), sum(estimate) \
         FROM call WHERE outcome = 'denied' GROUP BY 1, 2, 3",
    )
    .expect("written");
    let mut scope = db.prepare("INSERT INTO scope VALUES (?1, 2, ?2)").expect("a statement");
    let sql = "INSERT INTO amount VALUES (?1, ?2, ?3, 0, ?4, NULL, ?5, 0, 0)";
    let mut amount = db.prepare(sql).expect("a statement");
    let cap = 100_000_000_000_000i64;
    for user in 2..2 + history.users as i64 {
        scope.execute(params![user, format!("user-{user:05}")]).expect("written");
        let spent = month.get(&user).copied().unwrap_or(0);
        amount.execute(params![user, 2, spent, MONTH_ENDS as i64, cap / 100]).expect("written");
        let minute = END.as_nanos() as i64 - user;
        amount.execute(params![user, 3, 1, minute, 60]).expect("written");
    }
    let spent = month.get(&1).copied().unwrap_or(0);
    amount.execute(params![1, 1, spent, MONTH_ENDS as i64, cap]).expect("written");
}
