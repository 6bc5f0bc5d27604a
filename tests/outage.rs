//! A file that is full, locked, read-only, damaged, gone, or no file of driftlock's: a
//! clear error or the policy's answer to outages, never a panic, and never a call that is
//! admitted because something was forgotten.
#![cfg(all(unix, feature = "sqlite"))]
#![allow(clippy::unwrap_used)] // in helpers too

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use driftlock::{
    Call, Error, InputEstimate, Labels, ManualClock, MonthlyBudget, OnOutage, Operation, Permit,
    Policy, Provider, Scope, Usage, Usd,
    store::{Hold, OpenError, ReserveError, SqliteStore, Store},
};
use on_disk::{
    Ask, admits, at, directory, hold, november, open, read, reserve, spend, users, wait,
};
use rusqlite::Connection;
use scripted::{MODEL, book, estimate, month, noon, usage_cost};

mod on_disk;
mod scripted;

/// A budget of $1.
fn policy(store: &SqliteStore, on_outage: OnOutage) -> (Policy, ManualClock) {
    let clock = ManualClock::at(noon());
    let policy = Policy::builder()
        .prices(book())
        .estimator(|_: &Call| InputEstimate { expected: 100, ceiling: Some(100) })
        .rule(MonthlyBudget::new(Usd::dollars(1)))
        .store(store.clone())
        .clock(clock.clone())
        .on_outage(on_outage)
        .build()
        .unwrap();
    (policy, clock)
}

/// About a cent.
fn admit(policy: &Policy, user: &str) -> Result<Permit, Error> {
    let labels = Labels::new().with("user", user);
    let mut call = Call::new(Provider::OPENAI, Operation::Chat, MODEL)
        .with_max_output_tokens(1_000)
        .with_labels(labels);
    let mut permit = wait(policy.admit(&mut call))?;
    permit.sent();
    Ok(permit)
}

/// What the store said, where it did not answer.
fn outage(policy: &Policy) -> String {
    match admit(policy, "somebody") {
        Err(Error::Store(error)) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

fn is_admitted_unmetered(policy: &Policy) {
    admit(policy, "somebody").unwrap().settle(&Usage::tokens(100, 1_000));
}

fn spent(policy: &Policy) -> Usd {
    wait(policy.spend(&Scope::Workspace, month())).unwrap().total()
}

/// Tries again until it is so, for as long as a person would wait.
fn soon(is_so: impl Fn() -> bool) {
    for _ in 0..5_000 {
        if is_so() {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("not within five seconds");
}

fn skipped(why: &str) {
    println!("SKIPPED: {why}");
}

// ---- full

#[test]
fn a_file_that_may_not_grow_denies_and_what_was_handed_over_is_written_when_it_may() {
    let directory = directory();
    let file = directory.path().join("driftlock.db");
    let store = SqliteStore::builder(&file).max_bytes(400_000).open().unwrap();
    let (policy, clock) = policy(&store, OnOutage::Deny);
    let (lenient, _) = self::policy(&store, OnOutage::Allow);
    // Each of them will be a line among the sums by day.
    let late: Vec<Permit> =
        (0..90).map(|call| admit(&policy, &format!("late-{call:x>200}")).unwrap()).collect();
    let mut calls = 0;
    let error = loop {
        match admit(&policy, &format!("{calls:x>200}")) {
            Ok(permit) => {
                permit.settle(&Usage::tokens(0, 1));
                calls += 1;
            }
            Err(Error::Denied(denial)) => panic!("{denial}"),
            Err(error) => break error.to_string(),
        }
    };
    assert!(error.contains("no room is left for the file"), "{error}");
    // A smaller call may still have found some.
    while let Ok(permit) = admit(&policy, "somebody") {
        permit.settle(&Usage::tokens(0, 1));
        calls += 1;
    }
    assert!(outage(&policy).contains("no room is left"));
    is_admitted_unmetered(&lenient);
    for permit in late {
        permit.settle(&Usage::tokens(0, 1));
        calls += 1;
    }

    // Without a restart: the old lines of the ledger make room.
    clock.advance(Duration::from_secs(60));
    let pruned = wait(store.prune(clock_time(&clock))).unwrap();
    assert!(pruned > 50, "{pruned}");
    let permit = admit(&policy, "somebody").unwrap();
    drop(permit);
    wait(store.flush()).unwrap();
    let all = usage_cost(0, 1).saturating_mul(calls).saturating_add(estimate(1_000));
    assert_eq!(spent(&policy), all);
}

fn clock_time(clock: &ManualClock) -> driftlock::Timestamp {
    driftlock::Clock::now(clock)
}

/// A place for a test that ends with it.
struct Mount(tempfile::TempDir);

impl Mount {
    /// Only root may, and not everywhere.
    fn new(arguments: &[&str], source: Option<&Path>) -> Option<Self> {
        let place = directory();
        let source = source.unwrap_or(Path::new("none"));
        let mount = Command::new("mount").args(arguments).arg(source).arg(place.path()).output();
        mount.is_ok_and(|mount| mount.status.success()).then_some(Self(place))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a failed test still has the file open.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_denies_and_when_there_is_room_again_all_goes_on() {
    let Some(mount) = Mount::new(&["-t", "tmpfs", "-o", "size=4m"], None) else {
        return skipped("a full disk: no disk can be mounted");
    };
    let store = open(&mount.0.path().join("driftlock.db"));
    let (policy, _) = policy(&store, OnOutage::Deny);
    let (lenient, _) = self::policy(&store, OnOutage::Allow);
    let (first, second) = (admit(&policy, "ada").unwrap(), admit(&policy, "bo").unwrap());
    first.settle(&Usage::tokens(0, 1));
    wait(store.flush()).unwrap();

    let ballast = mount.0.path().join("ballast");
    let mut out = fs::File::create(&ballast).unwrap();
    while out.write(&[0; 4_096]).is_ok_and(|written| written > 0) {}
    // What is in the log already has room there; that is not much.
    let error = (0..1_000).find_map(|call| match admit(&policy, &format!("{call:x>250}")) {
        Ok(permit) => {
            permit.release();
            None
        }
        Err(Error::Store(error)) => Some(error.to_string()),
        Err(error) => panic!("{error}"),
    });
    let error = error.expect("the disk is not full");
    assert!(error.contains("no room is left") || error.contains("the disk failed"), "{error}");
    second.settle(&Usage::tokens(0, 2));
    outage(&policy);
    is_admitted_unmetered(&lenient);

    fs::remove_file(ballast).unwrap();
    drop(out);
    let third = admit(&policy, "cy").unwrap();
    third.settle(&Usage::tokens(0, 4));
    wait(store.flush()).unwrap();
    assert_eq!(spent(&policy), usage_cost(0, 7));
    drop((policy, lenient));
    let file = store.path().to_owned();
    drop(store);
    let (policy, _) = self::policy(&open(&file), OnOutage::Deny);
    assert_eq!(spent(&policy), usage_cost(0, 7));
}

// ---- locked

#[test]
fn a_locked_file_is_waited_for_once_and_then_every_call_fails_at_once_until_it_is_back() {
    let directory = directory();
    let file = directory.path().join("driftlock.db");
    let timeout = Duration::from_millis(300);
    let store = SqliteStore::builder(&file).timeout(timeout).open().unwrap();
    let (policy, _) = policy(&store, OnOutage::Deny);
    let (lenient, _) = self::policy(&store, OnOutage::Allow);
    let (first, second) = (admit(&policy, "ada").unwrap(), admit(&policy, "bo").unwrap());

    let other = Connection::open(&file).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = outage(&policy);
    assert!(error.contains("another process holds the file"), "{error}");
    first.settle(&Usage::tokens(0, 1));
    second.release();
    // Each of them would wait for minutes altogether.
    for _ in 0..1_000 {
        outage(&policy);
        is_admitted_unmetered(&lenient);
    }
    assert!(wait(policy.spend(&Scope::Workspace, month())).is_err());
    assert!(wait(store.flush()).is_err());

    other.execute_batch("COMMIT").unwrap();
    soon(|| wait(store.flush()).is_ok());
    assert_eq!(spent(&policy), usage_cost(0, 1));
    admit(&policy, "ada").unwrap().settle(&Usage::tokens(0, 1));
    wait(store.flush()).unwrap();
    assert_eq!(spent(&policy), usage_cost(0, 2));
}

#[test]
fn what_is_handed_over_while_the_file_is_locked_is_written_although_the_last_handle_goes() {
    let directory = directory();
    let file = directory.path().join("driftlock.db");
    let timeout = Duration::from_millis(10);
    let store = SqliteStore::builder(&file).timeout(timeout).open().unwrap();
    let counter = store.counter(&users());
    let ask = Ask { counter, value: "ada", amount: 10, limit: 100, now: november() };
    let call = admits(&store, &ask).unwrap();
    let other = Connection::open(&file).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    store.settle(call, Usd::nanos(3), at(november()));
    assert!(wait(store.flush()).is_err());
    let release = thread::spawn(move || {
        thread::sleep(Duration::from_millis(300));
        other.execute_batch("COMMIT").unwrap();
    });
    drop(store);
    release.join().unwrap();
    assert_eq!(read(&open(&file), &users(), "ada", november()), (3, 0));
}

#[test]
fn when_a_locked_file_is_back_what_waited_is_written_unasked_and_others_are_waited_for_again() {
    let directory = directory();
    let file = directory.path().join("driftlock.db");
    let timeout = Duration::from_millis(500);
    let store = SqliteStore::builder(&file).timeout(timeout).open().unwrap();
    let counter = store.counter(&users());
    let ask = Ask { counter, value: "ada", amount: 10, limit: 100, now: november() };
    let call = admits(&store, &ask).unwrap();
    let other = Connection::open(&file).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    store.settle(call, Usd::nanos(3), at(november()));
    assert!(wait(store.flush()).is_err());
    other.execute_batch("COMMIT").unwrap();
    let open = "SELECT count(*) FROM call WHERE outcome = 'open'";
    soon(|| other.query_row(open, [], |row| row.get::<_, i64>(0)) == Ok(0));

    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let release = thread::spawn(move || {
        thread::sleep(Duration::from_millis(100));
        other.execute_batch("COMMIT").unwrap();
    });
    assert!(reserve(&store, &ask).is_ok());
    release.join().unwrap();
}

#[test]
fn a_file_that_others_hold_cannot_be_opened_and_that_is_known_in_time() {
    let directory = directory();
    let file = directory.path().join("driftlock.db");
    let other = Connection::open(&file).unwrap();
    // A new file is no log yet, which is another way to be locked.
    other.execute_batch("BEGIN EXCLUSIVE; CREATE TABLE one (a)").unwrap();
    let timeout = Duration::from_millis(200);
    let (said, heard) = std::sync::mpsc::channel();
    let builder = SqliteStore::builder(&file).timeout(timeout);
    thread::spawn(move || said.send(builder.open().unwrap_err()));
    let error = heard.recv_timeout(Duration::from_secs(5)).expect("no answer in time");
    assert!(matches!(error, OpenError::Unavailable { .. }), "{error:?}");
    assert!(error.to_string().contains("another process holds the file"), "{error}");
    other.execute_batch("ROLLBACK").unwrap();
    drop(other);

    let store = open(&file);
    let other = Connection::open(&file).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = SqliteStore::builder(&file).timeout(timeout).open().unwrap_err();
    assert!(error.to_string().contains("another process holds the file"), "{error}");
    drop(store);
}

// ---- again and again

/// Calls go on while the file is disturbed, and whatever was admitted is settled once.
fn goes_on_while(store: &SqliteStore, disturb: impl Fn(u64)) {
    let (policy, _) = policy(store, OnOutage::Deny);
    let is_over = AtomicBool::new(false);
    let (admitted, failed) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for lane in 0..8 {
            let (policy, is_over, admitted, failed) = (&policy, &is_over, &admitted, &failed);
            scope.spawn(move || {
                let mut turn = 0u64;
                while !is_over.load(Ordering::Relaxed) {
                    turn += 1;
                    match admit(policy, &format!("{lane}-{}-{:x>200}", turn % 50, "")) {
                        Ok(permit) if turn.is_multiple_of(7) => permit.release(),
                        Ok(permit) => {
                            admitted.fetch_add(1, Ordering::Relaxed);
                            permit.settle(&Usage::tokens(0, 1));
                        }
                        Err(Error::Store(_)) => {
                            failed.fetch_add(1, Ordering::Relaxed);
                            thread::sleep(Duration::from_micros(200));
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
        (0..15).for_each(&disturb);
        is_over.store(true, Ordering::Relaxed);
    });
    soon(|| wait(store.flush()).is_ok());
    let (admitted, failed) = (admitted.into_inner(), failed.into_inner());
    println!("{admitted} admitted, {failed} failed");
    assert!(admitted > 0 && failed > 0);
    assert_eq!(spent(&policy), usage_cost(0, 1).saturating_mul(admitted));
    let conn = Connection::open(store.path()).unwrap();
    let number = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap() as u64;
    assert_eq!(number("SELECT count(*) FROM call WHERE outcome = 'actual'"), admitted);
    assert_eq!(number("SELECT count(*) FROM call WHERE outcome = 'open'"), 0);
    let daily = "SELECT sum(calls) FROM daily JOIN scope ON scope.id = scope WHERE value = ''";
    assert_eq!(number(daily), admitted);
}

#[test]
fn calls_that_go_on_while_the_file_is_locked_now_and_then_are_settled_once() {
    let directory = directory();
    let file = directory.path().join("driftlock.db");
    let timeout = Duration::from_millis(2);
    let store = SqliteStore::builder(&file).timeout(timeout).open().unwrap();
    let other = Connection::open(&file).unwrap();
    // SQLite would wait too long between two tries, where another commits all the time.
    other.busy_timeout(Duration::ZERO).unwrap();
    goes_on_while(&store, |turn| {
        soon(|| other.execute_batch("BEGIN IMMEDIATE").is_ok());
        thread::sleep(Duration::from_millis(turn % 5 * 4));
        other.execute_batch("COMMIT").unwrap();
        thread::sleep(Duration::from_millis(60));
    });
}

#[test]
fn calls_that_go_on_while_the_disk_is_full_now_and_then_are_settled_once() {
    let Some(mount) = Mount::new(&["-t", "tmpfs", "-o", "size=32m"], None) else {
        return skipped("a full disk: no disk can be mounted");
    };
    let store = open(&mount.0.path().join("driftlock.db"));
    let ballast = mount.0.path().join("ballast");
    goes_on_while(&store, |_| {
        let mut out = fs::File::create(&ballast).unwrap();
        let filled = |_: &usize| out.write(&[0; 65_536]).is_ok_and(|written| written > 0);
        (0..).take_while(filled).for_each(drop);
        thread::sleep(Duration::from_millis(20));
        fs::remove_file(&ballast).unwrap();
        thread::sleep(Duration::from_millis(20));
    });
}

// ---- read-only

#[test]
fn a_file_that_may_not_be_written_is_refused() {
    let source = directory();
    drop(open(&source.path().join("driftlock.db")));
    let Some(mount) = Mount::new(&["--bind", "-o", "ro"], Some(source.path())) else {
        return skipped("a read-only disk: no disk can be mounted");
    };
    let file = mount.0.path().join("driftlock.db");
    if fs::OpenOptions::new().write(true).open(&file).is_ok() {
        return skipped("a read-only disk: the one that was mounted can be written");
    }
    let error = SqliteStore::open(&file).unwrap_err();
    assert_eq!(error, OpenError::ReadOnly { path: file });
    assert!(error.to_string().ends_with("may not be written by this process"), "{error}");
    let error = SqliteStore::open(mount.0.path().join("new.db")).unwrap_err();
    assert!(error.to_string().contains("the file cannot be opened"), "{error}");
}

// ---- damaged

/// A file in which `ada` has spent all of 100.
fn spent_by_ada(file: &Path) {
    let store = open(file);
    for user in 0..300 {
        spend(&store, &users(), &format!("{user:x>60}"), 1);
    }
    spend(&store, &users(), "ada", 100);
}

fn ask<R>(store: &SqliteStore, then: impl FnOnce(&SqliteStore, Hold<'_>) -> R) -> R {
    let counter = store.counter(&users());
    let ask = Ask { counter, value: "ada", amount: 1, limit: 100, now: november() };
    hold(&ask, |hold| then(store, hold))
}

fn pages(file: &Path) -> usize {
    let page = 4_096;
    usize::try_from(fs::metadata(file).unwrap().len()).unwrap() / page
}

/// Writes nonsense over a page, as a failing disk would.
fn damage(file: &Path, page: usize, with: u8) {
    let mut bytes = fs::read(file).unwrap();
    let mut noise = 7u8;
    for byte in &mut bytes[page * 4_096..(page + 1) * 4_096] {
        noise = noise.wrapping_mul(61).wrapping_add(with);
        *byte = if with == 0 { 0 } else { noise };
    }
    // Into the same file: it may be open.
    let mut out = fs::OpenOptions::new().write(true).open(file).unwrap();
    out.write_all(&bytes).unwrap();
}

#[test]
fn a_damaged_file_is_refused_and_left_as_it_was() {
    let directory = directory();
    let (whole, file) = (directory.path().join("whole.db"), directory.path().join("driftlock.db"));
    spent_by_ada(&whole);
    let mut refused = 0;
    for page in 0..pages(&whole) {
        for with in [0, 1] {
            fs::copy(&whole, &file).unwrap();
            damage(&file, page, with);
            let before = fs::read(&file).unwrap();
            match SqliteStore::open(&file) {
                Err(error) => {
                    refused += 1;
                    let is_clear =
                        matches!(error, OpenError::Damaged { .. } | OpenError::NotOurs { .. });
                    assert!(is_clear, "page {page}: {error:?}");
                    assert!(fs::read(&file).unwrap() == before, "page {page} was changed");
                }
                Ok(store) => {
                    let answer = ask(&store, |store, hold| wait(store.reserve(hold)));
                    assert!(answer.is_err(), "page {page}: admitted");
                }
            }
            let _ = fs::remove_file(directory.path().join("driftlock.db-shm"));
            let _ = fs::remove_file(directory.path().join("driftlock.db-wal"));
        }
    }
    assert!(refused > pages(&whole), "{refused} of {} times two", pages(&whole));
}

#[test]
fn a_damaged_file_is_left_as_it_was_with_its_log() {
    let directory = directory();
    let (whole, file) = (directory.path().join("whole.db"), directory.path().join("driftlock.db"));
    spent_by_ada(&whole);
    let store = open(&whole);
    spend(&store, &users(), "bo", 1);
    // As after a kill: the log has something that the file has not.
    for ending in ["", "-wal"] {
        let of = |path: &Path| PathBuf::from(format!("{}{ending}", path.display()));
        fs::copy(of(&whole), of(&file)).unwrap();
    }
    drop(store);
    for page in 2..pages(&file) {
        damage(&file, page, 1);
    }
    let log = directory.path().join("driftlock.db-wal");
    let before = (fs::read(&file).unwrap(), fs::read(&log).unwrap());
    let error = SqliteStore::open(&file).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
    assert!(error.to_string().contains("the file is damaged"), "{error}");
    assert!((fs::read(&file).unwrap(), fs::read(&log).unwrap()) == before, "it was changed");
}

#[test]
fn a_page_that_is_damaged_while_the_file_is_open_is_an_error_and_no_admission() {
    let directory = directory();
    let (whole, file) = (directory.path().join("whole.db"), directory.path().join("driftlock.db"));
    spent_by_ada(&whole);
    let mut errors = 0;
    for page in 1..pages(&whole) {
        for with in [0, 1] {
            fs::copy(&whole, &file).unwrap();
            let store = open(&file);
            damage(&file, page, with);
            for _ in 0..3 {
                match ask(&store, |store, hold| wait(store.reserve(hold))) {
                    Ok(_) => panic!("page {page}: admitted"),
                    Err(ReserveError::Refused(refusal)) => assert_eq!(refusal.used, 100),
                    Err(ReserveError::Unavailable(error)) => {
                        errors += 1;
                        assert!(error.to_string().contains("damaged"), "page {page}: {error}");
                    }
                }
            }
            drop(store);
            let _ = fs::remove_file(directory.path().join("driftlock.db-shm"));
            let _ = fs::remove_file(directory.path().join("driftlock.db-wal"));
        }
    }
    assert!(errors > 0);
}

// ---- gone

fn beside(file: &Path, ending: &str) -> PathBuf {
    PathBuf::from(format!("{}{ending}", file.display()))
}

#[test]
fn a_file_that_is_deleted_or_replaced_denies_until_it_is_put_back() {
    let directory = directory();
    let file = directory.path().join("driftlock.db");
    let store = open(&file);
    let (policy, _) = policy(&store, OnOutage::Deny);
    let (lenient, _) = self::policy(&store, OnOutage::Allow);
    let permit = admit(&policy, "ada").unwrap();

    let away = directory.path().join("away.db");
    for ending in ["", "-wal", "-shm"] {
        fs::rename(beside(&file, ending), beside(&away, ending)).unwrap();
    }
    let error = outage(&policy);
    assert!(error.contains("was deleted or replaced while it was in use"), "{error}");
    is_admitted_unmetered(&lenient);
    permit.settle(&Usage::tokens(0, 1));
    // One that knows nothing is no substitute.
    drop(open(&file));
    assert!(outage(&policy).contains("was deleted or replaced"));
    for ending in ["", "-wal", "-shm"] {
        fs::rename(beside(&away, ending), beside(&file, ending)).unwrap();
    }
    wait(store.flush()).unwrap();
    assert_eq!(spent(&policy), usage_cost(0, 1));
}

#[test]
fn a_file_whose_log_is_deleted_denies_and_has_forgotten_nothing_when_it_is_opened_again() {
    let directory = directory();
    let file = directory.path().join("driftlock.db");
    let store = open(&file);
    spend(&store, &users(), "ada", 60);
    fs::remove_file(beside(&file, "-wal")).unwrap();
    // What is written now would be lost when the process is killed.
    let counter = store.counter(&users());
    let ask = Ask { counter, value: "ada", amount: 1, limit: 100, now: november() };
    for _ in 0..2 {
        let Err(ReserveError::Unavailable(error)) = reserve(&store, &ask) else {
            panic!("admitted")
        };
        assert!(error.to_string().contains("driftlock.db-wal was deleted"), "{error}");
    }
    drop(store);
    assert_eq!(read(&open(&file), &users(), "ada", november()), (60, 0));
}

// ---- time

#[test]
fn a_clock_that_is_set_back_brings_nothing_back_also_after_a_restart() {
    let directory = directory();
    let file = directory.path().join("driftlock.db");
    let december: driftlock::Timestamp = "2026-12-01T00:00:00Z".parse().unwrap();
    for restart in 0..2 {
        let store = open(&file);
        let (policy, clock) = policy(&store, OnOutage::Deny);
        let time = if restart == 0 { december } else { noon() };
        clock.set(time);
        while let Ok(permit) = admit(&policy, "ada") {
            permit.settle(&Usage::tokens(100, 1_000));
        }
        clock.set(noon());
        let denied = admit(&policy, "ada").unwrap_err();
        assert_eq!(denied.denial().unwrap().rule(), "monthly_budget");
        assert!(spent(&policy) > Usd::cents(98));
        let conn = Connection::open(&file).unwrap();
        let calls: i64 = conn
            .query_row("SELECT count(*) FROM call WHERE outcome <> 'denied'", [], |row| row.get(0))
            .unwrap();
        assert_eq!(calls, 99);
    }
}

// ---- no file of driftlock's

/// Refused, with this in the error, and nothing has changed.
fn is_refused(file: &Path, says: &str) -> OpenError {
    // But for where SQLite keeps who reads what, and an empty log.
    let is_content = |path: &PathBuf| {
        let name = path.to_string_lossy();
        let is_empty = fs::metadata(path).unwrap().len() == 0;
        path.is_file() && !name.ends_with("-shm") && !(name.ends_with("-wal") && is_empty)
    };
    let content = || {
        let paths = fs::read_dir(file.parent().unwrap()).unwrap();
        let paths = paths.map(|entry| entry.unwrap().path()).filter(is_content);
        let mut all: Vec<_> = paths.map(|path| (fs::read(&path).unwrap(), path)).collect();
        all.sort();
        all
    };
    let before = content();
    let error = SqliteStore::open(file).unwrap_err();
    assert!(error.to_string().contains(says), "{error}");
    assert!(content() == before, "{}: something was changed", file.display());
    error
}

#[test]
fn what_is_no_file_of_driftlocks_is_refused_and_left_as_it_was() {
    let directory = directory();
    let place = |name: &str| directory.path().join(name);
    let text = place("text.db");
    fs::write(&text, "Dear diary, ".repeat(1_000)).unwrap();
    is_refused(&text, "is not a file of driftlock's; nothing was changed");
    fs::write(place("short.db"), "x").unwrap();
    is_refused(&place("short.db"), "is not a file of driftlock's");

    for mode in ["DELETE", "WAL"] {
        let file = place(mode);
        let conn = Connection::open(&file).unwrap();
        conn.query_row(&format!("PRAGMA journal_mode = {mode}"), [], |_| Ok(())).unwrap();
        conn.execute_batch("CREATE TABLE store (a); INSERT INTO store VALUES (1)").unwrap();
        // Also while it is in use, with its log beside it.
        is_refused(&file, "is not a file of driftlock's; nothing was changed");
        drop(conn);
        is_refused(&file, "is not a file of driftlock's; nothing was changed");
    }

    let newer = place("newer.db");
    drop(open(&newer));
    let conn = Connection::open(&newer).unwrap();
    conn.execute_batch("PRAGMA user_version = 9").unwrap();
    // It may have a reason for that.
    conn.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(())).unwrap();
    drop(conn);
    let error = is_refused(&newer, "written by a newer driftlock (tables of version 9");
    assert!(matches!(error, OpenError::Newer { found: 9, .. }));

    let hollow = place("hollow.db");
    drop(open(&hollow));
    let conn = Connection::open(&hollow).unwrap();
    conn.execute_batch("DROP TABLE store").unwrap();
    drop(conn);
    let error = is_refused(&hollow, "hollow.db: the file");
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
}

#[test]
fn what_is_no_place_for_a_file_is_refused() {
    let directory = directory();
    let error = SqliteStore::open(directory.path().join("no/such/driftlock.db")).unwrap_err();
    assert!(error.to_string().ends_with(": its directory does not exist"), "{error}");
    assert!(matches!(error, OpenError::Unavailable { .. }), "{error:?}");
    fs::create_dir(directory.path().join("directory")).unwrap();
    is_refused(&directory.path().join("directory"), "it is a directory");
    for name in ["", ":memory:"] {
        let error = SqliteStore::open(name).unwrap_err();
        assert!(matches!(error, OpenError::NoFile { .. }), "{error:?}");
        assert!(error.to_string().contains("MemoryStore"), "{error}");
    }
    let error = SqliteStore::open("a\0b").unwrap_err();
    assert!(matches!(error, OpenError::Unavailable { .. }), "{error:?}");
}

#[test]
fn an_empty_file_becomes_a_store() {
    let directory = directory();
    let file = directory.path().join("driftlock.db");
    fs::write(&file, "").unwrap();
    spend(&open(&file), &users(), "ada", 5);
    assert_eq!(read(&open(&file), &users(), "ada", november()), (5, 0));
}
