//! What the memory store promises beyond the contract: bounds.
#![allow(clippy::unwrap_used)] // tests

use std::time::Duration;

use driftlock::{
    Scope, Timestamp, Unit, Usd, Window, Zone,
    store::{
        Adjustment, Charge, CounterId, CounterKey, Hold, Limit, MemoryStore, Reservation,
        ReserveError, Store,
    },
};

const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;

fn november() -> u64 {
    "2026-11-22T12:00:00Z".parse::<Timestamp>().unwrap().as_nanos()
}

fn per_user(store: &MemoryStore, unit: Unit, window: Window) -> CounterId {
    let (workspace, label) = ("app".into(), Some("user".into()));
    store.counter(&CounterKey { workspace, label, unit, window })
}

/// Charges 10 to each of `users`, up to 15.
fn call(store: &MemoryStore, counter: CounterId, users: &[&str], now: u64) -> Option<Reservation> {
    let charges: Vec<_> = (0..users.len() as u8).map(|value| Charge { counter, value }).collect();
    let limits: Vec<_> =
        (0..users.len() as u8).map(|charge| Limit { charge, ask: 10, limit: 15 }).collect();
    let hold = Hold {
        values: users,
        charges: &charges,
        cost: Usd::nanos(10),
        limits: &limits,
        at: Timestamp::from_nanos(now),
        deadline: Timestamp::from_nanos(now + MINUTE),
        call: None,
    };
    match store.reserve_now(&hold) {
        Ok(reservation) => Some(reservation),
        Err(ReserveError::Refused(_)) => None,
        Err(ReserveError::Unavailable(error)) => panic!("{error}"),
    }
}

fn used(store: &MemoryStore, counter: CounterId, user: &str, now: u64) -> u64 {
    store.read_now(counter, user, Timestamp::from_nanos(now)).unwrap().used()
}

fn settle(store: &MemoryStore, call: Reservation, now: u64) {
    store.settle(call, Usd::nanos(10), Timestamp::from_nanos(now));
}

#[test]
fn a_refused_newcomer_leaves_no_trace() {
    let (store, now) = (MemoryStore::new(), november());
    let month = per_user(&store, Unit::Cost, Window::month(Zone::UTC));
    assert!(call(&store, month, &["ada"], now).is_some());
    assert!(call(&store, month, &["bo", "ada"], now).is_none());
    assert_eq!(store.scopes(), 1);
    assert_eq!(used(&store, month, "cy", now), 0);
    assert_eq!(store.scopes(), 1, "reading makes no scope");
    let (at, charges) = (Timestamp::from_nanos(now), &[Charge { counter: month, value: 0 }]);
    let (values, cost) = (&["cy"], Usd::nanos(10));
    let hold = Hold { values, charges, cost, limits: &[], at, deadline: at, call: None };
    assert_eq!((store.peek(&hold), store.scopes()), (None, 1), "nor does peeking");
    let reset = Adjustment { counter: month, value: "cy", delta: -5, reason: "none", at };
    for adjustment in [reset, Adjustment { delta: 0, ..reset }] {
        assert_eq!(store.adjust_now(adjustment).unwrap().used(), 0);
        assert_eq!(store.scopes(), 1, "nor does taking from nothing");
    }
}

#[test]
fn newcomers_above_the_cap_share_one_limit_and_the_known_keep_theirs() {
    let (store, now) = (MemoryStore::builder().max_scopes(2).build(), november());
    let month = per_user(&store, Unit::Cost, Window::month(Zone::UTC));
    for user in ["ada", "bo", "cy"] {
        assert!(call(&store, month, &[user], now).is_some(), "{user} is the first");
    }
    assert!(call(&store, month, &["di"], now).is_none(), "cy took the room of the others");
    assert_eq!(used(&store, month, "di", now), 10, "a newcomer sees what is shared");
    assert_eq!(used(&store, month, Scope::OTHER, now), 10);
    assert!(call(&store, month, &["ada"], now).is_none(), "ada is still known");
    assert_eq!(store.scopes(), 3);
}

#[test]
fn two_newcomers_of_one_call_do_not_both_take_the_shared_room() {
    let (store, now) = (MemoryStore::builder().max_scopes(1).build(), november());
    let month = per_user(&store, Unit::Cost, Window::month(Zone::UTC));
    // The first takes the last scope, the other two would share one, 20 of 15.
    assert!(call(&store, month, &["ada", "bo", "cy"], now).is_none());
    assert_eq!(store.scopes(), 0);
    assert!(call(&store, month, &["ada", "bo"], now).is_some());
    assert!(call(&store, month, &["cy"], now).is_none());
    // The same name twice is one scope as well, known or not.
    let (store, long) = (MemoryStore::new(), "a user name that is too long to be kept inline");
    let month = per_user(&store, Unit::Cost, Window::month(Zone::UTC));
    assert!(call(&store, month, &[long, long], now).is_none());
    assert!(call(&store, month, &[long], now).is_some());
    assert_eq!((store.scopes(), used(&store, month, long, now)), (1, 10));
}

#[test]
fn newcomers_of_one_call_who_fit_together_are_admitted_together() {
    let (store, now) = (MemoryStore::builder().max_scopes(0).build(), november());
    let month = per_user(&store, Unit::Cost, Window::month(Zone::UTC));
    let charges = [0, 1].map(|value| Charge { counter: month, value });
    let admits = |limit| {
        let limits = [0, 1].map(|charge| Limit { charge, ask: 10, limit });
        let (values, charges, limits) = (&["ada", "bo"], &charges, &limits);
        let (at, deadline) = (Timestamp::from_nanos(now), Timestamp::from_nanos(now + MINUTE));
        let cost = Usd::nanos(10);
        store.reserve_now(&Hold { values, charges, cost, limits, at, deadline, call: None }).is_ok()
    };
    assert_eq!([19, 20, 39, 40].map(admits), [false, true, false, true]);
    assert_eq!(used(&store, month, Scope::OTHER, now), 40);
}

/// Lets the sweep come by: it goes a few steps at a time.
fn sweep(store: &MemoryStore, counter: CounterId, from: u64) {
    for step in 0..2_000 {
        used(store, counter, "nobody", from + step * SECOND);
    }
}

#[test]
fn idle_scopes_are_reclaimed_and_live_ones_never() {
    let (store, now) = (MemoryStore::new(), november());
    let minute = per_user(&store, Unit::Cost, Window::sliding(Duration::from_secs(60)));
    let ever = per_user(&store, Unit::Cost, Window::Lifetime);
    for user in 0..500 {
        let call = call(&store, minute, &[&format!("user-{user}")], now).unwrap();
        settle(&store, call, now);
    }
    let spender = call(&store, ever, &["spender"], now).unwrap();
    settle(&store, spender, now);
    sweep(&store, minute, now + 2 * MINUTE);
    assert_eq!(store.scopes(), 1, "only what was spent for ever is left");
    assert_eq!(used(&store, ever, "spender", now), 10);
    let later = now + 100 * MINUTE;
    for user in 500..1_000 {
        assert!(call(&store, minute, &[&format!("user-{user}")], later).is_some());
    }
    assert_eq!(store.scopes(), 501);
}

#[test]
fn what_is_spent_on_any_of_many_counters_keeps_a_scope() {
    let (store, now) = (MemoryStore::new(), november());
    let many: Vec<_> = (1..=9)
        .map(|days| {
            per_user(&store, Unit::Cost, Window::sliding(Duration::from_secs(days * 86_400)))
        })
        .collect();
    for (counter, user) in many.iter().zip(0..) {
        let call = call(&store, *counter, &[&format!("user-{user}")], now).unwrap();
        settle(&store, call, now);
    }
    sweep(&store, many[0], now + MINUTE);
    assert_eq!(store.scopes(), many.len());
    for (counter, user) in many.iter().zip(0..) {
        assert_eq!(used(&store, *counter, &format!("user-{user}"), now), 10);
    }
}

#[test]
fn what_has_left_a_window_does_not_weigh_on_an_overrun() {
    let (store, now) = (MemoryStore::new(), november());
    let minute = per_user(&store, Unit::Cost, Window::sliding(Duration::from_secs(60)));
    let hung = call(&store, minute, &["ada"], now).unwrap();
    for _ in 0..2 {
        let at = Timestamp::from_nanos(now);
        let much = Adjustment { counter: minute, value: "ada", delta: i64::MAX, reason: "", at };
        store.adjust_now(much).unwrap();
    }
    let late = now + 2 * MINUTE;
    store.settle(hung, Usd::nanos(25), Timestamp::from_nanos(late));
    assert_eq!(used(&store, minute, "ada", late), 15);
}

#[test]
fn a_scope_is_kept_while_a_late_settle_may_come() {
    let (store, now) = (MemoryStore::new(), november());
    let minute = per_user(&store, Unit::Cost, Window::sliding(Duration::from_secs(60)));
    let hung = call(&store, minute, &["ada"], now).unwrap();
    sweep(&store, minute, now + 5 * MINUTE);
    assert_eq!((store.scopes(), store.open_reservations()), (1, 0));
    let late = now + 60 * MINUTE;
    store.settle(hung, Usd::nanos(14), Timestamp::from_nanos(late));
    assert_eq!(used(&store, minute, "ada", late), 4, "the overrun");
    assert!(call(&store, minute, &["ada"], late).is_some());
}

#[test]
fn what_is_in_flight_is_known_before_anybody_has_looked_at_deadlines() {
    let ways: [fn(&MemoryStore, CounterId, u64) -> usize; 2] = [
        |store, _, now| store.in_flight(Timestamp::from_nanos(now)),
        |store, counter, now| {
            // It takes note of the time.
            assert!(call(store, counter, &["di"], now).is_some());
            store.open_reservations() - 1
        },
    ];
    for in_flight in ways {
        let (store, now) = (MemoryStore::new(), november());
        let month = per_user(&store, Unit::Cost, Window::month(Zone::UTC));
        assert!(call(&store, month, &["ada"], now).is_some());
        assert!(call(&store, month, &["bo"], now + SECOND / 2).is_some());
        // Looks for the first deadline, and nobody soon again.
        assert!(call(&store, month, &["cy"], now + MINUTE).is_some());
        assert_eq!(in_flight(&store, month, now + MINUTE + SECOND / 2), 1);
    }
}

#[test]
fn forgotten_permits_do_not_pile_up() {
    let (store, now) = (MemoryStore::new(), november());
    let second = per_user(&store, Unit::Cost, Window::sliding(Duration::from_secs(1)));
    let first = call(&store, second, &["ada"], now).unwrap();
    for lost in 1..40_000u64 {
        let user = format!("user-{lost}");
        assert!(call(&store, second, &[&user], now + lost * 10_000_000).is_some());
    }
    let late = now + 20 * MINUTE;
    assert_eq!(used(&store, second, "ada", late), 0);
    assert_eq!(store.open_reservations(), 0);
    sweep(&store, second, late);
    assert!(store.scopes() <= 16_384, "{} scopes are held", store.scopes());
    // Too late to be corrected, and harmless.
    store.settle(first, Usd::dollars(1), Timestamp::from_nanos(late));
    assert_eq!(used(&store, second, "ada", late), 0);
}

#[test]
fn a_burst_of_calls_given_back_leaves_nothing_behind() {
    let (store, now) = (MemoryStore::new(), november());
    let day = per_user(&store, Unit::Cost, Window::sliding(Duration::from_secs(86_400)));
    for burst in 0..10_000 {
        let at = now + burst * 7 * MINUTE;
        let call = call(&store, day, &["ada"], at).unwrap();
        store.release(call, Timestamp::from_nanos(at));
    }
    assert_eq!((store.open_reservations(), used(&store, day, "ada", now)), (0, 0));
    assert_eq!(format!("{store:?}"), "MemoryStore { scopes: 1, open_reservations: 0, .. }");
}
