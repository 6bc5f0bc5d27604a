//! A process is killed at random moments under load, again and again, and its file is
//! opened again: invariant 16.
//!
//! The child says what it was told: that a call is reserved, what the provider bills, that
//! a settle was flushed. What it said is what the file must know. The provider bills some
//! calls above what was reserved; only of those may anything be missing, and only if the
//! settle was not in the file yet.
#![cfg(all(unix, feature = "sqlite"))]
#![allow(clippy::unwrap_used)] // in helpers too

use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use child::{Random, hear, lines, say, start, told};
use driftlock::{
    Call, InputEstimate, Labels, ManualClock, MonthlyBudget, Operation, PerUserBudget, Policy,
    Provider, Scope, Timestamp, Usage, Usd,
    store::{SqliteStore, Store},
};
use rusqlite::{Connection, OpenFlags};
use scripted::{MODEL, book, month, noon, usage_cost};

mod child;
mod scripted;

/// Calls in flight in the child.
const IN_FLIGHT: u64 = 24;
/// From one run to the next, so that what was open has expired.
const BETWEEN: Duration = Duration::from_secs(16 * 60);

fn time_of(run: u64) -> Timestamp {
    noon().saturating_add(BETWEEN * u32::try_from(run).unwrap())
}

fn policy(store: &SqliteStore, clock: &ManualClock) -> Policy {
    Policy::builder()
        .prices(book())
        .estimator(|_: &Call| InputEstimate { expected: 100, ceiling: Some(100) })
        .rule(MonthlyBudget::new(Usd::dollars(1_000_000)))
        .rule(PerUserBudget::new().user("broke", Usd::nanos(1)))
        .store(store.clone())
        .clock(clock.clone())
        .build()
        .unwrap()
}

// ---- the child

#[test]
fn part_of_the_child() {
    let Some((file, run)) = told() else { return };
    let run = run.parse().unwrap();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(3).enable_all().build().unwrap();
    runtime.block_on(load(&file, run));
}

async fn load(file: &Path, run: u64) {
    let store = SqliteStore::open(file).unwrap();
    let clock = ManualClock::at(time_of(run));
    let policy = policy(&store, &clock);
    let next = Arc::new(AtomicU64::new(0));
    for lane in 0..IN_FLIGHT {
        let (policy, store, next) = (policy.clone(), store.clone(), Arc::clone(&next));
        let mut random = Random(run * 1_000 + lane);
        tokio::spawn(async move {
            loop {
                let id = format!("{run}-{}", next.fetch_add(1, Ordering::Relaxed));
                // In every other run all calls cost no more than was reserved for them.
                let above = if is_within(run) { 0 } else { 500 };
                make(&policy, &store, &id, above, &mut random).await;
            }
        });
    }
    // Time goes on, so that calls have different ones.
    loop {
        clock.advance(Duration::from_millis(1));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn part_that_makes_a_file() {
    let Some((file, _)) = told() else { return };
    say("opening");
    let _store = SqliteStore::open(&file).unwrap();
    loop {
        thread::park();
    }
}

fn call(id: &str, user: &str, most: u64) -> Call {
    let labels = Labels::new().with("user", user).with("call", id);
    Call::new(Provider::OPENAI, Operation::Chat, MODEL)
        .with_max_output_tokens(most)
        .with_labels(labels)
}

fn is_within(run: u64) -> bool {
    run.is_multiple_of(2)
}

async fn make(policy: &Policy, store: &SqliteStore, id: &str, above: u64, random: &mut Random) {
    let kind = random.below(20);
    if kind == 0 {
        let mut call = call(id, "broke", 10);
        assert!(policy.admit(&mut call).await.unwrap_err().denial().is_some());
        return;
    }
    let (user, most) = (format!("u-{}", random.below(50)), random.below(1_000));
    let mut call = call(id, &user, most);
    let mut permit = policy.admit(&mut call).await.unwrap();
    let reserved = permit.reserved().as_nanos();
    say(format!("reserved {id} {reserved}"));
    if kind == 1 {
        say(format!("billed {id} 0"));
        drop(permit); // nothing was sent
        return flushed(store, id, 0).await;
    }
    permit.sent();
    // Most answer soon, some stream for long.
    let pause = if kind < 5 { random.below(300) } else { random.below(4) };
    tokio::time::sleep(Duration::from_millis(pause)).await;
    match kind {
        2 => {
            say(format!("billed {id} 0"));
            permit.answered(429);
            permit.settle_estimate();
            flushed(store, id, 0).await;
        }
        3 => {
            say(format!("billed {id} {reserved}"));
            permit.answered(502);
            permit.settle_estimate();
            flushed(store, id, reserved).await;
        }
        4 => {
            say(format!("billed {id} {reserved}"));
            std::mem::forget(permit);
        }
        5 => {
            say(format!("billed {id} {}", reserved / 2));
            // Abandoned, on a thread that knows no runtime.
            thread::spawn(move || drop(permit)).join().unwrap();
            flushed(store, id, reserved).await;
        }
        _ => {
            let output = random.below(most + 1 + above);
            let cost = usage_cost(100, output).as_nanos();
            say(format!("billed {id} {cost}"));
            permit.settle(&Usage::tokens(100, output));
            if kind < 15 {
                flushed(store, id, cost).await;
            }
        }
    }
}

async fn flushed(store: &SqliteStore, id: &str, cost: u64) {
    store.flush().await.unwrap();
    say(format!("settled {id} {cost}"));
}

// ---- the parent

/// What one run of the child has said.
#[derive(Debug, Default)]
struct Said {
    reserved: HashMap<String, u64>,
    billed: HashMap<String, u64>,
    settled: HashMap<String, u64>,
}

impl Said {
    fn of(lines: &[String]) -> Self {
        let mut said = Self::default();
        for line in lines {
            let mut words = line.split(' ');
            let (what, id) = (words.next().unwrap(), words.next().unwrap().to_owned());
            let amount = words.next().unwrap().parse().unwrap();
            let calls = match what {
                "reserved" => &mut said.reserved,
                "billed" => &mut said.billed,
                "settled" => &mut said.settled,
                other => panic!("{other}"),
            };
            assert_eq!(calls.insert(id, amount), None, "said twice: {line}");
        }
        said
    }

    /// What must be in the file: what was settled, and the estimates of the rest.
    fn acknowledged(&self) -> u64 {
        let amount = |(id, estimate): (&String, &u64)| {
            let billed = self.billed.get(id).copied();
            // One that was settled and not flushed may count either way.
            let least = billed.map_or(*estimate, |billed| billed.min(*estimate));
            self.settled.get(id).copied().unwrap_or(least)
        };
        self.reserved.iter().map(amount).sum()
    }
}

/// One line of the ledger.
#[derive(Debug)]
struct Row {
    outcome: String,
    estimate: u64,
    cost: u64,
}

fn look(file: &Path) -> Connection {
    Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

fn number(conn: &Connection, sql: &str) -> u64 {
    conn.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap().cast_unsigned()
}

/// The lines of one run, by the number that the child gave the call.
fn rows(conn: &Connection, run: u64) -> HashMap<String, Row> {
    let sql = "SELECT labels ->> 'call', outcome, estimate, cost FROM call \
               WHERE labels ->> 'call' LIKE ?1 AND outcome <> 'denied'";
    let mut statement = conn.prepare(sql).unwrap();
    let row = |row: &rusqlite::Row<'_>| {
        let number = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
        Ok((row.get(0)?, Row { outcome: row.get(1)?, estimate: number(2)?, cost: number(3)? }))
    };
    let rows = statement.query_map([format!("{run}-%")], row).unwrap();
    let mut found = HashMap::new();
    for row in rows {
        let (id, row): (String, Row) = row.unwrap();
        assert!(found.insert(id, row).is_none(), "a call has two lines");
    }
    found
}

/// Sums over all runs.
#[derive(Debug, Default)]
struct Totals {
    runs: u64,
    reserved: u64,
    settled: u64,
    unheard: u64,
    billed: u64,
    recorded: u64,
    shortfall: u64,
    bound: u64,
}

#[test]
fn whenever_a_process_is_killed_its_file_knows_what_it_acknowledged() {
    let runs = std::env::var("DRIFTLOCK_KILLS").map_or(50, |runs| runs.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("driftlock.db");
    let mut random = Random(7);
    let mut totals = Totals::default();
    for run in 0..runs {
        // Sometimes another process has the file open all the time.
        let survivor = (run % 3 == 2).then(|| SqliteStore::open(&file).unwrap());
        let mut child = start("part_of_the_child", &file, &run.to_string());
        let heard = hear(&mut child);
        thread::sleep(Duration::from_micros(random.below(500_000)));
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        let said = Said::of(&heard.join().unwrap());
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(error, "", "the child failed before it was killed");
        let store = survivor.unwrap_or_else(|| SqliteStore::open(&file).unwrap());
        check(&file, &store, run, &said, &mut totals);
    }
    println!("{totals:#?}");
    assert!(totals.settled > runs, "the child did nothing");
    assert!(totals.shortfall <= totals.bound);
}

#[test]
fn a_file_is_opened_although_a_process_was_killed_while_it_was_making_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut random = Random(11);
    let mut unfinished = 0;
    for run in 0..60 {
        let file = directory.path().join(format!("{run}.db"));
        let mut child = start("part_that_makes_a_file", &file, "");
        let mut said = lines(child.stdout.take().unwrap());
        assert_eq!(said.next().as_deref(), Some("opening"));
        thread::sleep(Duration::from_micros(random.below(6_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        unfinished += u32::from(directory.path().join(format!("{run}.db-journal")).exists());
        let error = SqliteStore::open(&file).err();
        assert_eq!(error, None, "run {run}");
    }
    println!("{unfinished} were just begun");
}

/// Looks at the file at the time of the kill, and again when all deadlines are over.
fn check(file: &Path, store: &SqliteStore, run: u64, said: &Said, totals: &mut Totals) {
    let clock = ManualClock::at(time_of(run));
    let policy = policy(store, &clock);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let spend = || runtime.block_on(policy.spend(&Scope::Workspace, month())).unwrap();

    let before = totals.recorded;
    let at_once = spend().total().as_nanos();
    assert!(at_once - before >= said.acknowledged(), "{at_once} less {before}: {said:?}");

    clock.set(time_of(run + 1));
    let spent = spend();
    assert_eq!(spent.reserved, Usd::ZERO);
    runtime.block_on(store.flush()).unwrap();
    let conn = look(file);
    let rows = rows(&conn, run);
    let (mut recorded, mut most) = (0, 0);
    for (id, row) in &rows {
        let (cost, billed) = (row.cost, said.billed.get(id).copied());
        recorded += cost;
        most += billed.unwrap_or(0).max(row.estimate);
        match said.settled.get(id) {
            Some(settled) => assert_eq!((cost, &row.outcome == "expired"), (*settled, false)),
            None if row.outcome == "expired" => assert_eq!(cost, row.estimate),
            None if row.outcome == "not_sent" => assert_eq!(cost, 0),
            None => assert!(billed == Some(cost) || cost == row.estimate, "{id}: {row:?}"),
        }
        let (billed, is_in) = (billed.unwrap_or(0), row.outcome != "expired");
        let shortfall = billed.saturating_sub(cost);
        assert!(shortfall == 0 || !is_within(run), "{id}: {row:?}, billed {billed}");
        totals.shortfall += shortfall;
        totals.bound += if is_in { 0 } else { billed.saturating_sub(row.estimate) };
    }
    for (id, reserved) in &said.reserved {
        assert_eq!(rows.get(id).unwrap().estimate, *reserved, "call {id}");
    }
    let unheard = rows.len() - said.reserved.len();
    assert!(unheard as u64 <= IN_FLIGHT, "{unheard} calls nobody was told of");
    assert!(recorded <= most);
    assert_eq!(spent.settled.as_nanos(), before + recorded, "counted twice or not at all");

    totals.runs += 1;
    totals.reserved += said.reserved.len() as u64;
    totals.settled += said.settled.len() as u64;
    totals.unheard += unheard as u64;
    totals.billed += said.billed.values().sum::<u64>();
    totals.recorded += recorded;
    assert_books_balance(&conn, totals.recorded);
}

/// The counters, the ledger and the sums by day tell the same.
fn assert_books_balance(conn: &Connection, recorded: u64) {
    let whole: String = conn.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(whole, "ok");
    let counter = |label| {
        let sql = format!(
            "SELECT ifnull(sum(used), 0) FROM amount JOIN counter ON counter.id = amount.counter \
             JOIN family ON family.id = counter.family \
             WHERE unit = 'cost' AND window = 'month UTC' AND label IS {label}"
        );
        number(conn, &sql)
    };
    assert_eq!([counter("NULL"), counter("'user'")], [recorded, recorded]);
    assert_eq!(number(conn, "SELECT count(*) FROM amount WHERE open <> 0"), 0);
    assert_eq!(number(conn, "SELECT ifnull(sum(cost), 0) FROM call"), recorded);
    assert_eq!(number(conn, "SELECT count(*) FROM call WHERE deadline IS NOT NULL"), 0);
    let daily = "SELECT ifnull(sum(cost), 0) FROM daily JOIN family ON family.id = daily.family \
                 WHERE label IS NULL";
    assert_eq!(number(conn, daily), recorded);
    let denied = "SELECT count(*) FROM call WHERE outcome = 'denied'";
    let by_day = "SELECT ifnull(sum(calls), 0) FROM denied";
    assert_eq!(number(conn, denied), number(conn, by_day));
}
