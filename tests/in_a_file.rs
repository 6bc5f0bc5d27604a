//! What only a store in a file can get wrong: its thread, its memory of refusals, its
//! place, and what is odd in a file.
#![cfg(all(unix, feature = "sqlite"))]
#![allow(clippy::unwrap_used)] // in helpers too

use std::{
    cell::RefCell,
    fs,
    future::Future,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Mutex, mpsc},
    task::{Context, Wake, Waker},
    thread,
    time::Duration,
};

use driftlock::{
    Retry, Timestamp, Unit, Usd, Window, Zone,
    store::{CounterKey, Hold, Raise, Reservation, ReserveError, SqliteStore, Store},
};
use on_disk::{
    Ask, MINUTE, SECOND, admits, at, directory, hold, key, november, open, read, reserve, spend,
    users, wait,
};
use rusqlite::Connection;

mod child;
mod on_disk;

// ---- refusals from memory

/// Refused twice, the second time from memory.
fn is_out_of_room(store: &SqliteStore, value: &str) {
    let counter = store.counter(&users());
    let ask = Ask { counter, value, amount: 1, limit: 100, now: november() };
    for _ in 0..2 {
        assert_eq!(admits(store, &ask).unwrap_err().used, 100);
    }
}

fn has_room(store: &SqliteStore, value: &str) -> bool {
    let counter = store.counter(&users());
    admits(store, &Ask { counter, value, amount: 1, limit: 100, now: november() }).is_ok()
}

fn reset(store: &SqliteStore, value: &str) {
    wait(store.reset(&users(), value, "a test", at(november()))).unwrap();
}

#[test]
fn a_reset_is_seen_at_once_also_when_more_is_remembered_than_there_is_room_for() {
    let directory = directory();
    let file = directory.path().join("driftlock.db");
    let store = SqliteStore::builder(&file).max_cached(1).open().unwrap();
    for user in ["ada", "bo", "cy"] {
        spend(&store, &users(), user, 100);
        is_out_of_room(&store, user);
    }
    for user in ["ada", "bo", "cy"] {
        reset(&store, user);
        assert!(has_room(&store, user), "{user}");
    }
}

#[test]
fn a_reset_is_seen_at_once_also_after_one_elsewhere() {
    let directory = directory();
    let file = directory.path().join("driftlock.db");
    let (here, elsewhere) = (open(&file), open(&file));
    for user in ["ada", "bo", "cy"] {
        spend(&here, &users(), user, 100);
    }
    is_out_of_room(&here, "ada");
    reset(&elsewhere, "cy");
    is_out_of_room(&here, "bo");
    reset(&here, "bo");
    assert!(has_room(&here, "bo"));
}

#[test]
fn what_each_of_two_takes_back_is_seen_by_the_other_also_by_its_second_caller() {
    let directory = directory();
    let file = directory.path().join("driftlock.db");
    let (one, other) = (open(&file), open(&file));
    for turn in 0..4 {
        let (gives, asks) = if turn % 2 == 0 { (&one, &other) } else { (&other, &one) };
        let users = ["ada", "bo"].map(|user| format!("{user}-{turn}"));
        for user in &users {
            spend(gives, &self::users(), user, 100);
            is_out_of_room(asks, user);
        }
        reset(gives, &users[1]);
        is_out_of_room(asks, &users[0]);
        assert!(has_room(asks, &users[1]), "{turn}");
    }
}

#[test]
fn a_reset_elsewhere_is_seen_although_the_clock_was_set_back() {
    let directory = directory();
    let file = directory.path().join("driftlock.db");
    let (here, elsewhere) = (open(&file), open(&file));
    spend(&here, &users(), "ada", 100);
    is_out_of_room(&here, "ada");
    reset(&elsewhere, "ada");
    let counter = here.counter(&users());
    let earlier = november() - 60 * MINUTE;
    let ask = Ask { counter, value: "ada", amount: 1, limit: 100, now: earlier };
    let sees = |_| {
        thread::sleep(Duration::from_millis(1));
        admits(&here, &ask).is_ok()
    };
    assert!((0..2_000).any(sees), "two seconds later it is not seen");
}

#[test]
fn a_reset_elsewhere_is_seen_although_its_mark_is_lost() {
    let directory = directory();
    let file = directory.path().join("driftlock.db");
    let (here, elsewhere) = (open(&file), open(&file));
    spend(&here, &users(), "ada", 100);
    is_out_of_room(&here, "ada");
    reset(&elsewhere, "ada");
    fs::remove_file(beside(&file, "-epoch")).unwrap();
    let sees = |_| {
        thread::sleep(Duration::from_millis(1));
        has_room(&here, "ada")
    };
    assert!((0..2_000).any(sees), "two seconds later it is not seen");
}

#[test]
fn a_raise_elsewhere_lets_calls_pass_and_ends() {
    let directory = directory();
    let file = directory.path().join("driftlock.db");
    let (here, elsewhere) = (open(&file), open(&file));
    spend(&here, &users(), "ada", 100);
    is_out_of_room(&here, "ada");
    let (now, until) = (november(), november() + MINUTE);
    let (counter, value, reason) = (elsewhere.counter(&users()), "ada", "a test");
    let raise = Raise { counter, value, by: 10, until: at(until), reason, at: at(now) };
    wait(elsewhere.raise(raise)).unwrap();
    let counter = here.counter(&users());
    let ask = |now| Ask { counter, value: "ada", amount: 4, limit: 100, now };
    let sees = |_| {
        thread::sleep(Duration::from_millis(1));
        admits(&here, &ask(now)).is_ok()
    };
    assert!((0..2_000).any(sees));
    assert!(admits(&here, &ask(now)).is_ok());
    // 108 of 110 are used; reserved money is no reason to refuse from memory.
    let refusal = admits(&here, &ask(now)).unwrap_err();
    assert_eq!((refusal.used, refusal.reserved, refusal.raised), (108, 8, 10));
    assert!(admits(&here, &ask(until)).is_err());
}

#[test]
fn a_refusal_from_memory_does_not_tell_of_a_raise_that_has_ended() {
    let directory = directory();
    let store = open(&directory.path().join("driftlock.db"));
    spend(&store, &users(), "ada", 200);
    let (counter, value, now) = (store.counter(&users()), "ada", november());
    let until = now + SECOND / 2;
    let raise = Raise { counter, value, by: 10, until: at(until), reason: "a test", at: at(now) };
    wait(store.raise(raise)).unwrap();
    let raised = |now| {
        admits(&store, &Ask { counter, value, amount: 1, limit: 100, now }).unwrap_err().raised
    };
    assert_eq!([now, until - 1, until].map(raised), [10, 10, 0]);
}

#[test]
fn a_refusal_from_memory_does_not_call_reserved_what_has_expired() {
    let directory = directory();
    let store = open(&directory.path().join("driftlock.db"));
    spend(&store, &users(), "ada", 60);
    let (counter, deadline) = (store.counter(&users()), november() + 15 * MINUTE);
    let ask = |amount, now| Ask { counter, value: "ada", amount, limit: 100, now };
    admits(&store, &ask(40, november())).unwrap();
    let reserved = |now| admits(&store, &ask(50, now)).unwrap_err().reserved;
    assert_eq!([deadline - SECOND / 2, deadline - 1, deadline].map(reserved), [40, 40, 0]);
}

#[test]
fn what_is_reserved_elsewhere_is_no_reason_to_refuse_from_memory() {
    let directory = directory();
    let file = directory.path().join("driftlock.db");
    let (here, elsewhere) = (open(&file), open(&file));
    let ask = |store: &SqliteStore, amount| {
        let counter = store.counter(&users());
        admits(store, &Ask { counter, value: "ada", amount, limit: 100, now: november() })
    };
    spend(&here, &users(), "ada", 50);
    assert_eq!(ask(&here, 60).unwrap_err().used, 50); // so that she is remembered
    let theirs = ask(&elsewhere, 45).unwrap();
    ask(&here, 1).unwrap();
    assert_eq!(ask(&here, 10).unwrap_err().reserved, 46);
    elsewhere.settle(theirs, Usd::ZERO, at(november()));
    wait(elsewhere.flush()).unwrap();
    assert!(ask(&here, 10).is_ok());
}

// ---- the thread

/// Wakes by doing something.
struct Waking<F: Fn() + Send + Sync>(F);

impl<F: Fn() + Send + Sync + 'static> Wake for Waking<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

fn waker(wake: impl Fn() + Send + Sync + 'static) -> Waker {
    Arc::new(Waking(wake)).into()
}

#[test]
fn a_waker_that_panics_costs_nobody_else_anything() {
    let directory = directory();
    let store = open(&directory.path().join("driftlock.db"));
    let counter = store.counter(&users());
    // Another connection holds the file, so that the first poll finds nothing.
    let other = Connection::open(store.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut flush = store.flush();
    let waker = waker(|| panic!("a test's waker"));
    assert!(Pin::new(&mut flush).poll(&mut Context::from_waker(&waker)).is_pending());
    other.execute_batch("COMMIT").unwrap();
    thread::sleep(Duration::from_millis(100)); // until it is called
    drop(flush);
    let ask = Ask { counter, value: "ada", amount: 1, limit: 100, now: november() };
    assert!(admits(&store, &ask).is_ok());
    wait(store.flush()).unwrap();
}

#[test]
fn the_last_handle_may_go_away_in_the_stores_own_thread() {
    let directory = directory();
    let file = directory.path().join("driftlock.db");
    // So that there is something left to do when it has gone: old calls are looked for.
    let store = SqliteStore::builder(&file).retention(Duration::from_secs(1)).open().unwrap();
    let counter = store.counter(&users());
    let ask = Ask { counter, value: "ada", amount: 50, limit: 100, now: november() };
    let call = admits(&store, &ask).unwrap();

    let other = Connection::open(&file).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    // As an executor that is gone: what wakes a task drops it.
    type Task = Pin<Box<dyn Future<Output = ()> + Send>>;
    let task: Arc<Mutex<Option<Task>>> = Arc::default();
    let (sender, ended) = mpsc::channel();
    let mine = Arc::clone(&task);
    let waker = waker(move || {
        let task = mine.lock().unwrap().take();
        drop(task);
        sender.send(()).unwrap();
    });
    let mut future: Task = Box::pin(async move {
        struct Settles(SqliteStore, Reservation);
        impl Drop for Settles {
            fn drop(&mut self) {
                self.0.settle(self.1, Usd::nanos(20), at(november()));
            }
        }
        let settles = Settles(store, call);
        settles.0.read(counter, "ada", at(november() + 120 * MINUTE)).await.unwrap();
    });
    assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    *task.lock().unwrap() = Some(future);
    other.execute_batch("COMMIT").unwrap();
    ended.recv_timeout(Duration::from_secs(10)).unwrap();
    let settled = (0..1_000).any(|_| {
        thread::sleep(Duration::from_millis(1));
        read(&open(&file), &users(), "ada", november()) == (20, 0)
    });
    assert!(settled);
}

#[test]
fn a_call_settles_without_a_runtime_while_unwinding_and_in_a_threads_last_moment() {
    thread_local!(static LAST: RefCell<Option<Settles>> = const { RefCell::new(None) });
    struct Settles(SqliteStore, Reservation, u64);
    impl Drop for Settles {
        fn drop(&mut self) {
            self.0.settle(self.1, Usd::nanos(self.2), at(november()));
        }
    }
    let directory = directory();
    let file = directory.path().join("driftlock.db");
    let store = open(&file);
    let counter = store.counter(&users());
    let [first, second, third] = [1, 2, 4].map(|cost| {
        let ask = Ask { counter, value: "ada", amount: 10, limit: 100, now: november() };
        Settles(store.clone(), admits(&store, &ask).unwrap(), cost)
    });
    drop(store);
    thread::spawn(move || LAST.with(|last| *last.borrow_mut() = Some(first))).join().unwrap();
    let unwound = thread::spawn(move || {
        let _second = second;
        panic!("a test");
    });
    assert!(unwound.join().is_err());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    runtime.spawn(async move {
        let _third = third;
        std::future::pending::<()>().await;
    });
    thread::sleep(Duration::from_millis(20));
    runtime.shutdown_background(); // the last handle goes away in its worker
    let settled = (0..1_000).any(|_| {
        thread::sleep(Duration::from_millis(1));
        read(&open(&file), &users(), "ada", november()) == (7, 0)
    });
    assert!(settled);
}

#[test]
fn thousands_of_settles_that_wait_are_written_when_the_last_handle_goes() {
    let directory = directory();
    let file = directory.path().join("driftlock.db");
    let store = open(&file);
    let counter = store.counter(&users());
    let ask = Ask { counter, value: "ada", amount: 3, limit: u64::MAX, now: november() };
    let asked: Vec<_> = (0..5_000).map(|_| hold(&ask, |hold| futures(&store, hold))).collect();
    let calls: Vec<_> = asked.into_iter().map(|call| wait(call).unwrap()).collect();
    for call in &calls {
        store.settle(*call, Usd::nanos(2), at(november()));
    }
    drop(store);
    assert_eq!(read(&open(&file), &users(), "ada", november()), (10_000, 0));
}

/// A reserve that owns what it asks for.
fn futures(
    store: &SqliteStore,
    hold: Hold<'_>,
) -> impl Future<Output = Result<Reservation, ReserveError>> + use<> {
    let (store, limits, charges) = (store.clone(), hold.limits.to_vec(), hold.charges.to_vec());
    let (value, cost) = (hold.values[0].to_owned(), hold.cost);
    let (at, deadline) = (hold.at, hold.deadline);
    async move {
        let hold = Hold {
            values: &[&value],
            charges: &charges,
            cost,
            limits: &limits,
            at,
            deadline,
            call: None,
        };
        store.reserve(hold).await
    }
}

#[test]
fn an_answer_that_nobody_awaits_gives_everything_back_whenever_it_is_dropped() {
    let directory = directory();
    let store = open(&directory.path().join("driftlock.db"));
    let counter = store.counter(&users());
    let ask = Ask { counter, value: "ada", amount: 60, limit: 100, now: november() };
    for pause in [0, 0, 10, 100, 1_000, 5_000] {
        for polls in 0..3 {
            let mut answer = hold(&ask, |hold| Box::pin(futures(&store, hold)));
            let mut context = Context::from_waker(Waker::noop());
            let is_over = (0..polls).any(|_| answer.as_mut().poll(&mut context).is_ready());
            thread::sleep(Duration::from_micros(pause));
            // What was taken from the answer is the caller's.
            if !is_over {
                drop(answer);
                assert_eq!(read(&store, &users(), "ada", november()), (0, 0));
            } else {
                let (_, reserved) = read(&store, &users(), "ada", november());
                assert_eq!(reserved, 60);
                wait(store.reset(&users(), "ada", "", at(november()))).unwrap();
                return;
            }
            // Reads and changes that were not awaited did nothing, or all of it.
            drop(store.read(counter, "ada", at(november())));
            drop(store.flush());
        }
    }
}

// ---- the place

/// A copy of the file as it is now.
fn backup(file: &Path) -> PathBuf {
    let copy = file.with_extension("backup");
    let conn = Connection::open(file).unwrap();
    conn.execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    copy
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    PathBuf::from(format!("{}{ending}", file.display()))
}

fn delete(file: &Path) {
    for ending in ["", "-wal", "-shm"] {
        fs::remove_file(beside(file, ending)).unwrap();
    }
}

#[test]
fn a_backup_that_is_put_back_does_not_mistake_old_calls_for_new_ones() {
    let directory = directory();
    let file = directory.path().join("driftlock.db");
    let store = open(&file);
    let counter = store.counter(&users());
    let ask = |amount| Ask { counter, value: "ada", amount, limit: 100, now: november() };
    spend(&store, &users(), "ada", 40);
    let copy = backup(&file);
    let lost = [1, 2, 3].map(|amount| admits(&store, &ask(amount)).unwrap());
    spend(&store, &users(), "ada", 60);
    assert!(!has_room(&store, "ada"));

    delete(&file);
    let other = Ask { value: "bo", ..ask(1) };
    let Err(ReserveError::Unavailable(error)) = reserve(&store, &other) else { panic!("admitted") };
    assert!(error.to_string().contains("was deleted or replaced"), "{error}");
    fs::rename(copy, &file).unwrap();
    let new = admits(&store, &ask(10)).unwrap();
    for call in lost {
        store.settle(call, Usd::nanos(1), at(november()));
    }
    assert_eq!(read(&store, &users(), "ada", november()), (40, 10));
    store.settle(new, Usd::nanos(9), at(november()));
    assert_eq!(read(&store, &users(), "ada", november()), (49, 0));
    drop(store);
    assert_eq!(read(&open(&file), &users(), "ada", november()), (49, 0));
}

#[test]
fn a_backup_that_takes_the_place_of_the_file_is_what_counts_from_then_on() {
    let directory = directory();
    let file = directory.path().join("driftlock.db");
    let store = open(&file);
    spend(&store, &users(), "ada", 40);
    let copy = backup(&file);
    spend(&store, &users(), "ada", 60);
    is_out_of_room(&store, "ada");
    delete(&file);
    fs::rename(copy, &file).unwrap();
    assert_eq!(read(&store, &users(), "ada", november()), (40, 0));
    assert!(has_room(&store, "ada"));
}

#[test]
fn part_that_moves_to_another_directory() {
    let Some((directory, _)) = child::told() else { return };
    let (here, there) = (directory.join("here"), directory.join("there"));
    std::env::set_current_dir(&here).unwrap();
    let store = open(Path::new("driftlock.db"));
    spend(&store, &users(), "ada", 100);
    let copy = backup(store.path());
    std::env::set_current_dir(&there).unwrap();
    is_out_of_room(&store, "ada");
    // Put back, it is opened again, from where the process is now.
    delete(store.path());
    fs::rename(copy, here.join("driftlock.db")).unwrap();
    assert!(!has_room(&store, "ada"), "it has forgotten");
    spend(&store, &users(), "ada", 1);
    drop(store);
    assert_eq!(read(&open(&here.join("driftlock.db")), &users(), "ada", november()), (101, 0));
    assert_eq!(fs::read_dir(&there).unwrap().count(), 0);
}

#[test]
fn a_relative_path_is_not_another_file_once_the_process_has_moved() {
    let directory = directory();
    fs::create_dir(directory.path().join("here")).unwrap();
    fs::create_dir(directory.path().join("there")).unwrap();
    let child = child::start("part_that_moves_to_another_directory", directory.path(), "");
    child::ended_well(child);
}

#[test]
fn a_path_is_a_path_whatever_is_in_it() {
    let directory = directory();
    let names = ["a b.db", "ü 🦀.db", "a?mode=memory.db", "a#b.db", "100%25.db", "file:x", "-wal"];
    for name in names {
        let file = directory.path().join(name);
        let store = open(&file);
        assert_eq!(store.path(), file);
        spend(&store, &users(), "ada", 100);
        drop(store);
        assert!(file.is_file(), "{name}");
        is_out_of_room(&open(&file), "ada");
    }
    let found = fs::read_dir(directory.path()).unwrap().map(|file| file.unwrap().file_name());
    let files = found.filter(|name| !name.to_string_lossy().ends_with("-epoch"));
    assert_eq!(files.count(), names.len());
}

#[cfg(unix)]
#[test]
fn a_link_is_the_file_it_points_to() {
    use std::os::unix::fs::symlink;
    let directory = directory();
    let (file, link) = (directory.path().join("driftlock.db"), directory.path().join("link"));
    symlink(&file, &link).unwrap();
    let (by_link, by_name) = (open(&link), open(&file));
    spend(&by_link, &users(), "ada", 100);
    is_out_of_room(&by_name, "ada");
    // The link goes elsewhere: the store does not follow it to a file that knows nothing.
    fs::remove_file(&link).unwrap();
    drop(open(&directory.path().join("other.db")));
    symlink(directory.path().join("other.db"), &link).unwrap();
    let ask = Ask {
        counter: by_link.counter(&users()),
        value: "bo",
        amount: 1,
        limit: 100,
        now: november(),
    };
    assert!(matches!(reserve(&by_link, &ask), Err(ReserveError::Unavailable(_))));
    assert!(reserve(&by_name, &ask).is_ok());
}

#[test]
fn policies_of_two_workspaces_and_handles_of_one_file_do_not_disturb_each_other() {
    let directory = directory();
    let file = directory.path().join("driftlock.db");
    let (first, second) = (open(&file), open(&file));
    let month = Window::month(Zone::UTC);
    let app = key(None, Unit::Cost, month);
    let other = CounterKey { workspace: "other".into(), ..app.clone() };
    let ask = |store: &SqliteStore, key, amount| {
        let counter = store.counter(key);
        admits(store, &Ask { counter, value: "", amount, limit: 100, now: november() })
    };
    // Their numbers for counters are not the same.
    assert_ne!((first.counter(&app), first.counter(&other)), {
        let other = second.counter(&other);
        (second.counter(&app), other)
    });
    let here = ask(&first, &app, 60).unwrap();
    ask(&second, &other, 70).unwrap();
    assert!(ask(&second, &app, 41).is_err());
    assert!(ask(&first, &other, 31).is_err());
    // Either handle may end a call of the file, and only once.
    second.settle(here, Usd::nanos(5), at(november()));
    wait(second.flush()).unwrap();
    first.settle(here, Usd::nanos(99), at(november()));
    first.release(here, at(november()));
    assert_eq!(read(&first, &app, "", november()), (5, 0));
    assert_eq!(read(&second, &other, "", november()), (0, 70));
}

#[test]
fn what_time_it_is_elsewhere_is_known_here() {
    let directory = directory();
    let file = directory.path().join("driftlock.db");
    let (here, elsewhere) = (open(&file), open(&file));
    let (counter, now) = (here.counter(&users()), november());
    admits(&here, &Ask { counter, value: "ada", amount: 10, limit: 100, now }).unwrap();
    assert_eq!(here.in_flight(at(now)), 1);
    assert_eq!(read(&elsewhere, &users(), "ada", now + 15 * MINUTE), (10, 0));
    wait(here.flush()).unwrap();
    assert_eq!(here.in_flight(at(now)), 0);
}

#[test]
fn a_call_made_elsewhere_expires_here() {
    let directory = directory();
    let file = directory.path().join("driftlock.db");
    let (here, elsewhere) = (open(&file), open(&file));
    let (counter, now) = (elsewhere.counter(&users()), november());
    assert_eq!(read(&here, &users(), "ada", now), (0, 0));
    admits(&elsewhere, &Ask { counter, value: "ada", amount: 10, limit: 100, now }).unwrap();
    assert_eq!(read(&here, &users(), "ada", now + 15 * MINUTE), (10, 0));
}

// ---- odd content

#[test]
fn odd_values_amounts_and_times_come_back_after_a_restart_as_they_were() {
    let directory = directory();
    let file = directory.path().join("driftlock.db");
    let long = "ü".repeat(128);
    let values = ["", "\0", "a\0b", "a", "a ", "A", "'; DROP TABLE call; --", "\u{FFFF}", &long];
    let store = open(&file);
    for (place, value) in values.iter().enumerate() {
        spend(&store, &users(), value, 1 + place as i64);
    }
    drop(store);
    let store = open(&file);
    for (place, value) in values.iter().enumerate() {
        assert_eq!(read(&store, &users(), value, november()), (1 + place as u64, 0), "{value:?}");
    }
    let counter = store.counter(&users());
    let ask = |amount, now| Ask { counter, value: "max", amount, limit: u64::MAX, now };
    // A deadline beyond what the file can tell, and the end of time.
    let late = u64::MAX / 2 + 10;
    let call = admits(&store, &ask(u64::MAX - 5, late)).unwrap();
    assert_eq!(read(&store, &users(), "max", late), (0, u64::MAX - 5));
    assert_eq!(admits(&store, &ask(6, late)).unwrap_err().retry, Retry::WhenInFlightSettles);
    store.settle(call, Usd::MAX, at(u64::MAX));
    assert_eq!(read(&store, &users(), "max", u64::MAX), (u64::MAX, 0));
    assert!(admits(&store, &ask(1, u64::MAX)).is_err());
    admits(&store, &ask(0, u64::MAX)).unwrap_err(); // asks for one at least
    drop(store);
    let store = open(&file);
    assert_eq!(read(&store, &users(), "max", 0), (u64::MAX, 0));
}

#[test]
fn the_times_of_a_thousand_calls_survive_a_restart() {
    let directory = directory();
    let file = directory.path().join("driftlock.db");
    let ring = key(None, Unit::Calls, Window::sliding(Duration::from_secs(1)));
    let ask = |store: &SqliteStore, now| {
        let counter = store.counter(&ring);
        admits(store, &Ask { counter, value: "", amount: 1, limit: 1_024, now })
    };
    let now = november();
    for part in 0..4 {
        let store = open(&file);
        for call in part * 256..(part + 1) * 256 {
            ask(&store, now + call * 10).unwrap();
        }
    }
    let store = open(&file);
    let refusal = ask(&store, now + SECOND - 1).unwrap_err();
    assert_eq!((refusal.used, refusal.retry), (1_024, Retry::At(at(now + SECOND))));
    assert!(ask(&store, now + SECOND).is_ok());
    assert!(ask(&store, now + SECOND).is_err());
    assert!(ask(&store, now + SECOND + 10).is_ok());
}

#[test]
fn a_reservation_of_another_file_is_no_reservation() {
    let directory = directory();
    let (one, other) =
        (open(&directory.path().join("one.db")), open(&directory.path().join("other.db")));
    let ask = |store: &SqliteStore| {
        let counter = store.counter(&users());
        admits(store, &Ask { counter, value: "ada", amount: 10, limit: 100, now: november() })
    };
    let (mine, theirs) = (ask(&one).unwrap(), ask(&other).unwrap());
    assert_eq!(mine.key, theirs.key);
    one.settle(theirs, Usd::nanos(1), at(november()));
    one.release(theirs, Timestamp::EPOCH);
    one.extend(theirs, Timestamp::MAX);
    assert_eq!(read(&one, &users(), "ada", november()), (0, 10));
    one.settle(mine, Usd::nanos(2), at(november()));
    assert_eq!(read(&one, &users(), "ada", november()), (2, 0));
}

#[test]
fn a_call_that_is_given_back_makes_room_for_the_next_one_at_once() {
    let directory = directory();
    let store = open(&directory.path().join("driftlock.db"));
    let counter = store.counter(&key(None, Unit::Calls, Window::Lifetime));
    let ask = Ask { counter, value: "", amount: 1, limit: 1, now: november() };
    for turn in 0..2_000 {
        let call = admits(&store, &ask).unwrap_or_else(|refusal| panic!("{turn}: {refusal:?}"));
        for _ in 0..3 {
            assert_eq!(admits(&store, &ask).unwrap_err().used, 1);
        }
        store.release(call, at(november()));
    }
}

#[test]
fn a_late_settle_makes_room_for_the_next_call_at_once() {
    let directory = directory();
    let store = open(&directory.path().join("driftlock.db"));
    let counter = store.counter(&users());
    for turn in 0..1_000 {
        let now = november() + turn * 20 * MINUTE;
        let ask = |now| Ask { counter, value: "ada", amount: 100, limit: 100, now };
        let call =
            admits(&store, &ask(now)).unwrap_or_else(|refusal| panic!("{turn}: {refusal:?}"));
        let late = now + 15 * MINUTE;
        for _ in 0..3 {
            assert_eq!(admits(&store, &ask(late)).unwrap_err().reserved, 0);
        }
        store.settle(call, Usd::ZERO, at(late));
        let next = admits(&store, &ask(late)).unwrap();
        store.settle(next, Usd::ZERO, at(late));
    }
}
