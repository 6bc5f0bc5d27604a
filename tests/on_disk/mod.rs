//! Stores in files, and words to write tests of them in.
#![allow(dead_code, unreachable_pub)] // not every test uses all of it
#![allow(clippy::unwrap_used)] // tests

use std::{
    future::Future,
    path::Path,
    pin::pin,
    task::{Context, Poll, Waker},
    thread,
};

use driftlock::{
    Timestamp, Unit, Usd, Window,
    store::{
        Adjustment, Charge, CounterId, CounterKey, Hold, Limit, Reading, Refusal, Reservation,
        ReserveError, SqliteStore, Store,
    },
};
use tempfile::TempDir;

pub const SECOND: u64 = 1_000_000_000;
pub const MINUTE: u64 = 60 * SECOND;

pub fn at(nanos: u64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

pub fn november() -> u64 {
    "2026-11-22T12:00:00Z".parse::<Timestamp>().unwrap().as_nanos()
}

/// Waits without a runtime.
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => thread::yield_now(),
        }
    }
}

/// A directory in memory, where there is a place for that.
pub fn directory() -> TempDir {
    let shared_memory = Path::new("/dev/shm");
    if shared_memory.is_dir() { tempfile::tempdir_in(shared_memory) } else { tempfile::tempdir() }
        .unwrap()
}

pub fn open(file: &Path) -> SqliteStore {
    SqliteStore::open(file).unwrap()
}

pub fn key(label: Option<&str>, unit: Unit, window: Window) -> CounterKey {
    CounterKey { workspace: "app".into(), label: label.map(Into::into), unit, window }
}

/// What a user may spend in a life.
pub fn users() -> CounterKey {
    key(Some("user"), Unit::Cost, Window::Lifetime)
}

/// Asks one counter for room.
pub struct Ask<'a> {
    pub counter: CounterId,
    pub value: &'a str,
    pub amount: u64,
    pub limit: u64,
    pub now: u64,
}

pub fn hold<R>(ask: &Ask<'_>, then: impl FnOnce(Hold<'_>) -> R) -> R {
    let Ask { counter, value, amount, limit, now } = *ask;
    then(Hold {
        values: &[value],
        charges: &[Charge { counter, value: 0 }],
        cost: Usd::nanos(amount),
        limits: &[Limit { charge: 0, ask: amount.max(1), limit }],
        at: at(now),
        deadline: at(now.saturating_add(15 * MINUTE)),
        call: None,
    })
}

pub fn reserve(store: &SqliteStore, ask: &Ask<'_>) -> Result<Reservation, ReserveError> {
    hold(ask, |hold| wait(store.reserve(hold)))
}

pub fn admits(store: &SqliteStore, ask: &Ask<'_>) -> Result<Reservation, Refusal> {
    match reserve(store, ask) {
        Ok(reservation) => Ok(reservation),
        Err(ReserveError::Refused(refusal)) => Err(refusal),
        Err(ReserveError::Unavailable(error)) => panic!("{error}"),
    }
}

pub fn read(store: &SqliteStore, key: &CounterKey, value: &str, now: u64) -> (u64, u64) {
    wait(store.flush()).unwrap();
    let Reading { settled, reserved, .. } =
        wait(store.read(store.counter(key), value, at(now))).unwrap();
    (settled, reserved)
}

pub fn spend(store: &SqliteStore, key: &CounterKey, value: &str, delta: i64) {
    let counter = store.counter(key);
    let at = at(november());
    wait(store.adjust(Adjustment { counter, value, delta, reason: "a test", at })).unwrap();
}
