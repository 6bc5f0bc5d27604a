//! Several processes on one file.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used)] // in helpers too

use std::{
    io::{Write, stdin},
    path::Path,
    process::Child,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use child::{Random, ended_well, lines, say, start, told};
use driftlock::{
    Call, Clock, Error, InputEstimate, Labels, MonthlyBudget, Operation, PerUserBudget, Policy,
    Provider, SystemClock, Unit, Usage, Usd,
    store::{Adjustment, CounterKey, Raise, SqliteStore, Store},
};
use on_disk::{directory, november, open, read, spend, users, wait};
use rusqlite::{Connection, OpenFlags};
use scripted::{MODEL, book, month, usage_cost};

mod child;
mod on_disk;
mod scripted;

/// How many processes share a file.
const PROCESSES: u64 = 4;
/// How often each of them is denied before it gives up.
const DENIALS: u64 = 300;

fn policy(store: &SqliteStore) -> Policy {
    Policy::builder()
        .prices(book())
        .estimator(|_: &Call| InputEstimate { expected: 100, ceiling: Some(100) })
        .rule(MonthlyBudget::new(Usd::dollars(1)))
        .rule(PerUserBudget::new().user("ada", Usd::cents(10)))
        .store(store.clone())
        .clock(SystemClock)
        .build()
        .unwrap()
}

fn call(user: &str, most: u64) -> Call {
    Call::new(Provider::OPENAI, Operation::Chat, MODEL)
        .with_max_output_tokens(most)
        .with_labels(Labels::new().with("user", user))
}

// ---- the children

#[test]
fn part_of_a_child() {
    let Some((file, task)) = told() else { return };
    let (task, number) = task.split_once(' ').unwrap();
    say("ready");
    stdin().read_line(&mut String::new()).unwrap();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
    match task {
        "open" => {
            let store = open(&file);
            spend(&store, &users(), number, 1);
            spend(&store, &users(), "all", 1);
            say("opened");
        }
        "spend" => runtime.block_on(spend_all(&file, number.parse().unwrap())),
        "ask" => runtime.block_on(ask_again_and_again(&file)),
        other => panic!("{other}"),
    }
}

/// Makes calls of all sizes until it has been denied many times.
async fn spend_all(file: &Path, number: u64) {
    let policy = policy(&open(file));
    let (admitted, denied) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let lanes = (0..8).map(|lane| {
        let (policy, admitted, denied) =
            (policy.clone(), Arc::clone(&admitted), Arc::clone(&denied));
        let mut random = Random(number * 100 + lane);
        tokio::spawn(async move {
            while denied.load(Ordering::Relaxed) < DENIALS {
                let most = random.below(200);
                match policy.admit(&mut call(&format!("u-{}", random.below(9)), most)).await {
                    Ok(mut permit) => {
                        permit.sent();
                        admitted.fetch_add(1, Ordering::Relaxed);
                        tokio::time::sleep(Duration::from_micros(random.below(2_000))).await;
                        match random.below(10) {
                            0 => permit.settle(&Usage::tokens(100, random.below(most + 1))),
                            1 => permit.release(),
                            _ => permit.settle_estimate(),
                        }
                    }
                    Err(Error::Denied(_)) => {
                        denied.fetch_add(1, Ordering::Relaxed);
                        tokio::task::yield_now().await;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        })
    });
    for lane in lanes.collect::<Vec<_>>() {
        lane.await.unwrap();
    }
    policy.drain().await.unwrap();
    say(format!("{} {}", admitted.load(Ordering::Relaxed), denied.load(Ordering::Relaxed)));
}

/// Is denied until somebody else does something about it, twice.
async fn ask_again_and_again(file: &Path) {
    let policy = policy(&open(file));
    for _ in 0..2 {
        let mut denied = 0;
        let mut permit = loop {
            match policy.admit(&mut call("ada", 1_000)).await {
                Ok(permit) => break permit,
                Err(Error::Denied(_)) => denied += 1,
                Err(error) => panic!("{error}"),
            }
            if denied == 1_000 {
                say("denied");
            }
            // As a caller who has something else to do.
            tokio::time::sleep(Duration::from_micros(100)).await;
        };
        say(format!("admitted after {denied}"));
        permit.sent();
        permit.settle(&ten_cents());
        policy.drain().await.unwrap();
    }
}

fn ten_cents() -> Usage {
    Usage::tokens(0, 10_000)
}

// ---- the parent

/// Starts them, and has them begin at one moment.
fn together(
    task: &str,
    file: &Path,
    how_many: u64,
) -> Vec<(Child, impl Iterator<Item = String> + use<>)> {
    let start = |number| {
        let mut child = start("part_of_a_child", file, &format!("{task} {number}"));
        let out = child.stdout.take().unwrap();
        (child, lines(out))
    };
    let mut children: Vec<_> = (0..how_many).map(start).collect();
    for (_, lines) in &mut children {
        assert_eq!(lines.next().unwrap(), "ready");
    }
    for (child, _) in &mut children {
        child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }
    children
}

#[test]
fn a_file_that_is_not_there_may_be_made_by_four_processes_at_once() {
    for _ in 0..5 {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("driftlock.db");
        for (child, mut lines) in together("open", &file, PROCESSES) {
            let said = lines.next();
            ended_well(child);
            assert_eq!(said.as_deref(), Some("opened"));
        }
        let store = open(&file);
        assert_eq!(read(&store, &users(), "all", november()), (PROCESSES, 0));
        for number in 0..PROCESSES {
            assert_eq!(read(&store, &users(), &number.to_string(), november()), (1, 0));
        }
    }
}

#[test]
fn four_processes_spend_one_budget_to_its_end_and_never_more() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("driftlock.db");
    drop(open(&file));
    let observer = Connection::open_with_flags(&file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let used = || -> u64 {
        let sql = "SELECT ifnull(max(used), 0) FROM amount JOIN scope ON scope.id = scope \
                   WHERE value = ''";
        observer.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap().cast_unsigned()
    };
    let mut children = together("spend", &file, PROCESSES);
    let (mut looks, cap) = (0, Usd::dollars(1).as_nanos());
    while children.iter_mut().any(|(child, _)| child.try_wait().unwrap().is_none()) {
        let used = used();
        assert!(used <= cap, "{used} of {cap}");
        looks += 1;
    }
    let mut all = 0;
    for (child, mut lines) in children {
        let said = lines.next();
        ended_well(child);
        let said = said.unwrap();
        let (admitted, denied) = said.split_once(' ').unwrap();
        println!("{admitted} admitted, {denied} denied");
        let admitted: u64 = admitted.parse().unwrap();
        assert!(admitted > 0, "starved");
        all += admitted;
    }
    let used = used();
    println!("{all} calls, {used} of {cap} used, looked at {looks} times");
    assert!(used <= cap && used >= cap / 100 * 99, "{used} of {cap}");
    assert!(looks > 10);
}

#[test]
fn who_is_refused_from_memory_soon_sees_what_another_process_gives() {
    let directory = directory();
    let file = directory.path().join("driftlock.db");
    let store = open(&file);
    let (workspace, label) = ("default".into(), Some("user".into()));
    let month = CounterKey { workspace, label, unit: Unit::Cost, window: month() };
    let (counter, value, at) = (store.counter(&month), "ada", SystemClock.now());
    let delta = i64::try_from(usage_cost(0, 10_000).as_nanos()).unwrap();
    wait(store.adjust(Adjustment { counter, value, delta, reason: "a test", at })).unwrap();
    let (child, mut lines) = together("ask", &file, 1).pop().unwrap();
    for gift in ["a reset", "a raise"] {
        assert_eq!(lines.next().as_deref(), Some("denied"));
        let given = SystemClock.now();
        if gift == "a reset" {
            wait(store.reset(&month, value, "a test", given)).unwrap();
        } else {
            let (by, until) = (Usd::cents(2).as_nanos(), given.saturating_add(Duration::MAX));
            let (counter, reason) = (store.counter(&month), "a test");
            let raise = Raise { counter, value, by, until, reason, at: given };
            wait(store.raise(raise)).unwrap();
        }
        let said = lines.next().unwrap();
        let took = SystemClock.now().since(given);
        println!("{gift}: {said} denials, {took:?} later");
        assert!(said.starts_with("admitted"), "{said}");
        assert!(took < Duration::from_secs(2), "{took:?}");
    }
    ended_well(child);
}
