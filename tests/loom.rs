//! Every interleaving of a few threads on the memory store.
//!
//! Run by `RUSTFLAGS="--cfg loom" cargo test --release --test loom`.
#![cfg(loom)]
#![allow(clippy::unwrap_used)] // tests

use driftlock::{
    Timestamp, Unit, Usd, Window,
    store::{
        Charge, CounterId, CounterKey, Hold, Limit, MemoryStore, Reading, Reservation,
        ReserveError, Store,
    },
};
use loom::{sync::Arc, thread};

const DEADLINE: u64 = 1_000;
/// Far enough that a sweep is due.
const MUCH_LATER: u64 = 700_000_000_000;

fn counter(store: &MemoryStore, label: Option<&str>, window: Window) -> CounterId {
    let (workspace, label) = ("app".into(), label.map(Into::into));
    store.counter(&CounterKey { workspace, label, unit: Unit::Cost, window })
}

fn reserve(store: &MemoryStore, counter: CounterId, amount: u64, at: u64) -> Option<Reservation> {
    let answer = store.reserve_now(&Hold {
        values: &["ada"],
        charges: &[Charge { counter, value: 0 }],
        cost: Usd::nanos(amount),
        limits: &[Limit { charge: 0, ask: amount, limit: 100 }],
        at: Timestamp::from_nanos(at),
        deadline: Timestamp::from_nanos(at + DEADLINE),
        call: None,
    });
    match answer {
        Ok(reservation) => Some(reservation),
        Err(ReserveError::Refused(_)) => None,
        Err(ReserveError::Unavailable(error)) => panic!("{error}"),
    }
}

fn read(store: &MemoryStore, counter: CounterId, at: u64) -> (u64, u64) {
    let Reading { settled, reserved, .. } =
        store.read_now(counter, "ada", Timestamp::from_nanos(at)).unwrap();
    (settled, reserved)
}

#[test]
fn of_two_calls_that_race_for_the_last_room_one_wins() {
    loom::model(|| {
        let store = Arc::new(MemoryStore::new());
        let month = counter(&store, None, Window::Lifetime);
        let other = thread::spawn({
            let store = store.clone();
            move || reserve(&store, month, 60, 1).is_some()
        });
        let won = reserve(&store, month, 60, 2).is_some();
        assert!(won ^ other.join().unwrap());
        assert_eq!(read(&store, month, 2), (0, 60));
    });
}

#[test]
fn a_reserve_sees_all_of_a_settle_or_nothing() {
    loom::model(|| {
        let store = Arc::new(MemoryStore::new());
        let month = counter(&store, None, Window::Lifetime);
        let first = reserve(&store, month, 60, 1).unwrap();
        let other = thread::spawn({
            let store = store.clone();
            move || reserve(&store, month, 60, 2).is_some()
        });
        store.settle(first, Usd::nanos(10), Timestamp::from_nanos(2));
        let reserved = if other.join().unwrap() { 60 } else { 0 };
        assert_eq!(read(&store, month, 2), (10, reserved));
    });
}

#[test]
fn a_reservation_is_settled_or_released_once_also_after_its_deadline() {
    loom::model(|| {
        let store = Arc::new(MemoryStore::new());
        let month = counter(&store, Some("user"), Window::Lifetime);
        let call = reserve(&store, month, 60, 1).unwrap();
        let late = Timestamp::from_nanos(2 + DEADLINE);
        let settle = thread::spawn({
            let store = store.clone();
            move || store.settle(call, Usd::nanos(10), Timestamp::from_nanos(2))
        });
        let release = thread::spawn({
            let store = store.clone();
            move || store.release(call, late)
        });
        let (settled, reserved) = read(&store, month, late.as_nanos());
        assert!([0, 10, 60].contains(&settled) && reserved == 0);
        settle.join().unwrap();
        release.join().unwrap();
        let (settled, reserved) = read(&store, month, late.as_nanos());
        assert!([0, 10].contains(&settled) && reserved == 0);
        assert_eq!(store.open_reservations(), 0);
    });
}

#[test]
fn a_sweep_takes_only_what_nobody_holds() {
    loom::model(|| {
        let store = Arc::new(MemoryStore::new());
        let second = Window::sliding(std::time::Duration::from_secs(1));
        let sum = counter(&store, Some("user"), second);
        let call = reserve(&store, sum, 60, 1).unwrap();
        let sweep = thread::spawn({
            let store = store.clone();
            move || read(&store, sum, MUCH_LATER)
        });
        store.settle(call, Usd::nanos(90), Timestamp::from_nanos(2));
        // Settled in time, all of it has left by now; settled late, the overrun is new.
        sweep.join().unwrap();
        let (settled, reserved) = read(&store, sum, MUCH_LATER);
        assert!([0, 30].contains(&settled) && reserved == 0);
        assert!(reserve(&store, sum, 70, MUCH_LATER).is_some());
    });
}
