//! Every clause of the contract of `Store`, for every store.
//!
//! The functions here take a way to make an empty store. A new store adds one line
//! at the end.
#![allow(clippy::unwrap_used)] // tests

use driftlock::{
    Retry, Unit, Usd, Window, Zone,
    store::{
        Adjustment, Charge, CounterId, Hold, Limit, Reading, Refusal, Reservation, ReserveError,
        Store,
    },
};
use proptest::prelude::*;
use store_model::{
    MINUTE, SECOND, at, counter,
    history::{History, step},
    nanos, november, sliding, wait,
};

mod store_model;

/// Reserves `amount` on one counter of the workspace, for 15 minutes.
fn try_one(
    store: &impl Store,
    counter: CounterId,
    amount: u64,
    limit: u64,
    now: u64,
) -> Result<Reservation, Refusal> {
    let hold = Hold {
        values: &[""],
        charges: &[Charge { counter, value: 0 }],
        cost: Usd::nanos(amount),
        limits: &[Limit { charge: 0, ask: amount, limit }],
        at: at(now),
        deadline: at(now.saturating_add(15 * MINUTE)),
        call: None,
    };
    match wait(store.reserve(hold)) {
        Ok(reservation) => Ok(reservation),
        Err(ReserveError::Refused(refusal)) => Err(refusal),
        Err(ReserveError::Unavailable(error)) => panic!("{error}"),
    }
}

fn read(store: &impl Store, counter: CounterId, now: u64) -> (u64, u64) {
    wait(store.flush()).unwrap();
    let reading = wait(store.read(counter, "", at(now))).unwrap();
    (reading.settled, reading.reserved)
}

fn adjust(store: &impl Store, counter: CounterId, delta: i64, now: u64) -> Reading {
    let adjustment = Adjustment { counter, value: "", delta, reason: "a test", at: at(now) };
    wait(store.adjust(adjustment)).unwrap()
}

// ---- random histories: invariants 1, 3, 4, 5, 6, 7, 8, 10, 17

fn any_history_equals_its_naive_replay<S: Store>(make: fn() -> S) {
    let mut config = ProptestConfig::with_cases(200);
    config.failure_persistence = None;
    proptest!(config, |(steps in prop::collection::vec(step(), 1..50))| {
        History::new(make()).run(steps);
    });
}

// ---- sliding windows: invariants 9 and 11

/// Arrivals that hurt: bursts, exact returns of the window, and one tick around it.
fn gaps(window: u64) -> impl Strategy<Value = Vec<u64>> {
    let gap = prop_oneof![
        4 => Just(0),
        2 => Just(1),
        2 => 0..window / 4,
        1 => Just(window - 1),
        1 => Just(window),
        1 => Just(window / 60),
        1 => Just(window + window / 60),
    ];
    prop::collection::vec(gap, 1..120)
}

fn calls_are_limited_exactly_in_every_window<S: Store>(make: fn() -> S) {
    let mut config = ProptestConfig::with_cases(200);
    config.failure_persistence = None;
    let window = 6_000_000;
    proptest!(config, |(gaps in gaps(window), most in 1..9usize)| {
        let store = make();
        let ring = counter(&store, None, Unit::Calls, sliding(window));
        let mut admitted: Vec<u64> = Vec::new();
        let mut now = november();
        for gap in gaps {
            now += gap;
            let in_window = admitted.iter().filter(|time| **time > now - window).count();
            match try_one(&store, ring, 1, most as u64, now) {
                Ok(call) => {
                    prop_assert!(in_window < most);
                    store.settle(call, Usd::ZERO, at(now));
                    admitted.push(now);
                }
                Err(refusal) => {
                    prop_assert_eq!(in_window, most);
                    let leaves = admitted[admitted.len() - most] + window;
                    prop_assert_eq!(refusal.retry, Retry::At(at(leaves)));
                }
            }
        }
    });
}

fn sums_never_exceed_the_limit_and_deny_little_too_long<S: Store>(make: fn() -> S) {
    let mut config = ProptestConfig::with_cases(200);
    config.failure_persistence = None;
    let window = 6_000_000;
    proptest!(config, |(gaps in gaps(window), amounts in prop::collection::vec(1..40u64, 120))| {
        let store = make();
        let sum = counter(&store, None, Unit::Cost, sliding(window));
        let mut admitted: Vec<(u64, u64)> = Vec::new();
        let mut now = november();
        for (gap, amount) in gaps.into_iter().zip(amounts) {
            now += gap;
            let spent_in = |span: u64| -> u64 {
                admitted.iter().filter(|one| one.0 > now - span).map(|one| one.1).sum()
            };
            let (least, most) = (spent_in(window), spent_in(window + window / 60));
            match try_one(&store, sum, amount, 100, now) {
                Ok(_) => {
                    prop_assert!(least + amount <= 100);
                    admitted.push((now, amount));
                }
                Err(_) => prop_assert!(most + amount > 100),
            }
        }
    });
}

/// Above 1,024 calls a window may count in buckets, but never admits too many.
fn many_calls_are_limited_conservatively<S: Store>(make: fn() -> S) {
    let (store, second, most) = (make(), SECOND, 2_000);
    let ring = counter(&store, None, Unit::Calls, sliding(second));
    let mut admitted: Vec<u64> = Vec::new();
    for call in 0..9_000 {
        let now = november() + call * 400_000;
        if try_one(&store, ring, 1, most, now).is_ok() {
            let first = admitted.partition_point(|time| *time <= now - second);
            assert!(((admitted.len() - first) as u64) < most);
            admitted.push(now);
        }
    }
    assert!(admitted.len() > 6_500, "{} of 9,000 in 3.6 s", admitted.len());
}

fn a_larger_limit_later_never_forgets_calls<S: Store>(make: fn() -> S) {
    let (store, now) = (make(), november());
    let ring = counter(&store, None, Unit::Calls, sliding(SECOND));
    for call in 0..5 {
        try_one(&store, ring, 1, 5, now + call).unwrap();
    }
    assert!(try_one(&store, ring, 1, 5, now + 5).is_err());
    for call in 5..1_500 {
        try_one(&store, ring, 1, 1_500, now + call).unwrap();
    }
    assert!(try_one(&store, ring, 1, 1_500, now + SECOND - 1).is_err());
    assert!(try_one(&store, ring, 1, 1_500, now + SECOND + SECOND / 30).is_ok());
}

fn a_call_given_back_makes_room_at_once<S: Store>(make: fn() -> S) {
    let (store, now) = (make(), november());
    let ring = counter(&store, None, Unit::Calls, sliding(SECOND));
    let first = try_one(&store, ring, 1, 2, now).unwrap();
    try_one(&store, ring, 1, 2, now + 1).unwrap();
    let refusal = try_one(&store, ring, 1, 2, now + 2).unwrap_err();
    assert_eq!(refusal.retry, Retry::At(at(now + SECOND)));
    store.release(first, at(now + 2));
    assert!(try_one(&store, ring, 1, 2, now + 2).is_ok());
    let refusal = try_one(&store, ring, 1, 2, now + 3).unwrap_err();
    assert_eq!(refusal.retry, Retry::At(at(now + 1 + SECOND)));
}

// ---- budgets: invariants 2 and 17

fn a_budget_is_overrun_only_by_what_calls_overran<S: Store>(make: fn() -> S) {
    let mut config = ProptestConfig::with_cases(100);
    config.failure_persistence = None;
    let call = (1..60u64, 0..90u64, any::<bool>());
    proptest!(config, |(calls in prop::collection::vec(call, 1..60))| {
        let (store, now) = (make(), november());
        let month = counter(&store, None, Unit::Cost, Window::month(Zone::UTC));
        let (mut open, mut overrun) = (Vec::new(), 0);
        for (estimate, cost, waits) in calls {
            if let Ok(call) = try_one(&store, month, estimate, 300, now) {
                open.push((call, estimate, cost));
            }
            while let Some((call, estimate, cost)) = if waits { None } else { open.pop() } {
                store.settle(call, Usd::nanos(cost), at(now));
                overrun += cost.saturating_sub(estimate);
            }
            let (settled, _) = read(&store, month, now);
            prop_assert!(settled <= 300 + overrun);
        }
    });
}

fn a_month_ends_at_its_exact_instant_and_keeps_its_own_settles<S: Store>(make: fn() -> S) {
    let store = make();
    let month = counter(&store, None, Unit::Cost, Window::month(Zone::UTC));
    let turn = nanos("2026-12-01T00:00:00Z");
    let old = try_one(&store, month, 80, 100, turn - 2).unwrap();
    let refusal = try_one(&store, month, 80, 100, turn - 1).unwrap_err();
    assert_eq!((refusal.used, refusal.reserved), (80, 80));
    assert_eq!(refusal.retry, Retry::WhenInFlightSettles);
    let reading = wait(store.read(month, "", at(turn - 1))).unwrap();
    assert_eq!(reading.resets_at, Some(at(turn)));
    try_one(&store, month, 100, 100, turn).unwrap();
    // The overrun of a call belongs to the month the call was admitted in.
    store.settle(old, Usd::nanos(500), at(turn));
    assert_eq!(read(&store, month, turn), (0, 100));
}

fn what_is_spent_comes_back_when_the_period_ends<S: Store>(make: fn() -> S) {
    let store = make();
    let now = november();
    let month = counter(&store, None, Unit::Cost, Window::month(Zone::UTC));
    let call = try_one(&store, month, 80, 100, now).unwrap();
    store.settle(call, Usd::nanos(80), at(now));
    let refusal = try_one(&store, month, 21, 100, now).unwrap_err();
    assert_eq!(refusal.retry, Retry::At(at(nanos("2026-12-01T00:00:00Z"))));
    assert_eq!(try_one(&store, month, 101, 100, now).unwrap_err().retry, Retry::Never);
    let ever = counter(&store, None, Unit::Cost, Window::Lifetime);
    adjust(&store, ever, 80, now);
    assert_eq!(try_one(&store, ever, 21, 100, now).unwrap_err().retry, Retry::Never);
    assert!(try_one(&store, ever, 20, 100, u64::MAX).is_ok());
    assert!(try_one(&store, ever, 1, 100, u64::MAX).is_err());
}

fn a_clock_that_steps_back_brings_nothing_back<S: Store>(make: fn() -> S) {
    let store = make();
    let month = counter(&store, None, Unit::Cost, Window::month(Zone::UTC));
    let december = nanos("2026-12-01T00:00:00Z");
    let call = try_one(&store, month, 70, 100, december).unwrap();
    store.settle(call, Usd::nanos(70), at(december));
    assert_eq!(read(&store, month, december - SECOND), (70, 0));
    assert!(try_one(&store, month, 31, 100, december - SECOND).is_err());
}

// ---- ends of a reservation

fn a_reservation_ends_once<S: Store>(make: fn() -> S) {
    let (store, now) = (make(), november());
    let month = counter(&store, None, Unit::Cost, Window::month(Zone::UTC));
    let first = try_one(&store, month, 50, 100, now).unwrap();
    let second = try_one(&store, month, 50, 100, now).unwrap();
    store.settle(first, Usd::nanos(10), at(now));
    store.settle(first, Usd::nanos(99), at(now));
    store.release(first, at(now));
    assert_eq!(read(&store, month, now), (10, 50));
    store.release(second, at(now));
    store.settle(second, Usd::nanos(99), at(now));
    assert_eq!(read(&store, month, now), (10, 0));
    store.settle(Reservation { key: u64::MAX, tag: 0 }, Usd::MAX, at(now));
    store.release(Reservation { key: 0, tag: 0 }, at(now));
    assert_eq!(read(&store, month, now), (10, 0));
}

fn a_deadline_settles_and_a_late_settle_corrects<S: Store>(make: fn() -> S) {
    let (store, now) = (make(), november());
    let month = counter(&store, None, Unit::Cost, Window::month(Zone::UTC));
    let [hung, lost, long] = [40, 30, 20].map(|ask| try_one(&store, month, ask, 100, now).unwrap());
    store.extend(long, at(now + 30 * MINUTE));
    store.extend(long, at(now + MINUTE)); // never to an earlier time
    let late = now + 15 * MINUTE;
    assert_eq!(read(&store, month, late - 1), (0, 90));
    assert_eq!(read(&store, month, late), (70, 20));
    store.extend(lost, at(late + MINUTE)); // too late
    store.settle(hung, Usd::nanos(5), at(late));
    store.settle(hung, Usd::nanos(6), at(late));
    assert_eq!(read(&store, month, late), (35, 20));
    assert_eq!(read(&store, month, now + 30 * MINUTE), (55, 0));
    store.release(long, at(now + 31 * MINUTE)); // nothing was sent after all
    assert_eq!(read(&store, month, now + 31 * MINUTE), (35, 0));
}

fn an_extension_after_the_deadline_is_too_late<S: Store>(make: fn() -> S) {
    let (store, now) = (make(), november());
    let month = counter(&store, None, Unit::Cost, Window::month(Zone::UTC));
    let first = try_one(&store, month, 10, 100, now).unwrap();
    let second = try_one(&store, month, 20, 100, now + SECOND / 2).unwrap();
    // Other calls pass, but nobody looks at what is reserved.
    try_one(&store, month, 1, 100, now + 15 * MINUTE).unwrap();
    try_one(&store, month, 1, 100, now + 15 * MINUTE + SECOND / 2).unwrap();
    store.extend(first, at(now + 60 * MINUTE));
    store.extend(second, at(now + 60 * MINUTE));
    assert_eq!(read(&store, month, now + 15 * MINUTE + SECOND / 2), (30, 2));
}

fn a_refusal_knows_what_is_reserved_now<S: Store>(make: fn() -> S) {
    let (store, now) = (make(), november());
    let month = counter(&store, None, Unit::Cost, Window::month(Zone::UTC));
    for half in 0..2 {
        try_one(&store, month, 10, 100, now + half * SECOND / 2).unwrap();
    }
    try_one(&store, month, 1, 100, now + 15 * MINUTE).unwrap();
    let refusal = try_one(&store, month, 80, 100, now + 15 * MINUTE + SECOND / 2).unwrap_err();
    assert_eq!((refusal.used, refusal.reserved), (21, 1));
}

fn an_overrun_of_a_sliding_sum_counts_from_when_it_is_known<S: Store>(make: fn() -> S) {
    let (store, now) = (make(), november());
    let minute = counter(&store, None, Unit::Cost, sliding(MINUTE));
    let call = try_one(&store, minute, 10, 100, now).unwrap();
    store.settle(call, Usd::nanos(35), at(now + 50 * SECOND));
    assert_eq!(read(&store, minute, now + 50 * SECOND), (35, 0));
    assert_eq!(read(&store, minute, now + 61 * SECOND), (25, 0));
    assert_eq!(read(&store, minute, now + 111 * SECOND), (0, 0));
    let gone = try_one(&store, minute, 10, 100, now + 200 * SECOND).unwrap();
    assert_eq!(read(&store, minute, now + 300 * SECOND), (0, 0));
    store.settle(gone, Usd::nanos(12), at(now + 300 * SECOND));
    assert_eq!(read(&store, minute, now + 300 * SECOND), (2, 0));
}

// ---- holds, adjustments, overflow

fn a_hold_is_all_or_nothing_and_names_the_first_limit<S: Store>(make: fn() -> S) {
    let (store, now) = (make(), november());
    let month = counter(&store, None, Unit::Cost, Window::month(Zone::UTC));
    let user = counter(&store, Some("user"), Unit::Cost, Window::month(Zone::UTC));
    let charges = [(month, 0), (user, 1)];
    let charges = charges.map(|(counter, value)| Charge { counter, value });
    let limits = [(0, 1_000), (1, 50), (0, 10), (1, 1_000)].map(|(charge, limit)| Limit {
        charge,
        ask: 60,
        limit,
    });
    let mut hold = Hold {
        values: &["", "ada"],
        charges: &charges,
        cost: Usd::nanos(60),
        limits: &limits,
        at: at(now),
        deadline: at(now + MINUTE),
        call: None,
    };
    let Err(ReserveError::Refused(refusal)) = wait(store.reserve(hold)) else { panic!("admitted") };
    assert_eq!(refusal, Refusal { limit: 1, used: 0, reserved: 0, raised: 0, retry: Retry::Never });
    assert_eq!(read(&store, month, now), (0, 0));
    hold.limits = &[];
    assert!(wait(store.reserve(hold)).is_ok());
    assert_eq!(wait(store.read(user, "ada", at(now))).unwrap().reserved, 60);
    assert_eq!(wait(store.read(user, "bo", at(now))).unwrap().reserved, 0);
}

fn a_call_may_ask_for_more_than_it_is_charged<S: Store>(make: fn() -> S) {
    let (store, now) = (make(), november());
    let counter = counter(&store, None, Unit::Cost, Window::month(Zone::UTC));
    let admits = |ask| {
        let hold = Hold {
            values: &[""],
            charges: &[Charge { counter, value: 0 }],
            cost: Usd::nanos(10),
            limits: &[Limit { charge: 0, ask, limit: 100 }],
            at: at(now),
            deadline: at(now + MINUTE),
            call: None,
        };
        wait(store.reserve(hold)).is_ok()
    };
    assert_eq!([100, 91, 90].map(admits), [true, false, true]);
    assert_eq!(read(&store, counter, now), (0, 20));
}

fn an_adjustment_leaves_reservations_alone<S: Store>(make: fn() -> S) {
    let (store, now) = (make(), november());
    let month = counter(&store, None, Unit::Cost, Window::month(Zone::UTC));
    let call = try_one(&store, month, 30, 100, now).unwrap();
    let reading = adjust(&store, month, 50, now);
    assert_eq!((reading.settled, reading.reserved), (50, 30));
    assert!(try_one(&store, month, 21, 100, now).is_err());
    let reading = adjust(&store, month, i64::MIN, now);
    assert_eq!((reading.settled, reading.reserved), (0, 30));
    store.settle(call, Usd::nanos(20), at(now));
    assert_eq!(read(&store, month, now), (20, 0));
    let calls = counter(&store, None, Unit::Calls, sliding(MINUTE));
    adjust(&store, calls, 3, now);
    assert!(try_one(&store, calls, 1, 3, now).is_err());
}

/// What counts as settled can be taken, though nobody has looked at deadlines yet.
fn an_adjustment_takes_what_a_deadline_has_settled<S: Store>(make: fn() -> S) {
    let (store, now) = (make(), november());
    let month = counter(&store, None, Unit::Cost, Window::month(Zone::UTC));
    for half in 0..2 {
        try_one(&store, month, 30, 100, now + half * SECOND / 2).unwrap();
    }
    // Looks for the first deadline, and nobody soon again.
    try_one(&store, month, 10, 100, now + 15 * MINUTE).unwrap();
    let reading = adjust(&store, month, -50, now + 15 * MINUTE + SECOND / 2);
    assert_eq!((reading.settled, reading.reserved), (10, 10));
}

fn a_reset_before_a_late_settle_never_goes_below_zero<S: Store>(make: fn() -> S) {
    let (store, now) = (make(), november());
    let month = counter(&store, None, Unit::Cost, Window::month(Zone::UTC));
    let hung = try_one(&store, month, 30, 100, now).unwrap();
    let late = now + 20 * MINUTE;
    try_one(&store, month, 40, 100, late).unwrap();
    adjust(&store, month, -1_000, late);
    store.settle(hung, Usd::nanos(5), at(late));
    assert_eq!(read(&store, month, late), (0, 40));
}

fn an_overflow_denies<S: Store>(make: fn() -> S) {
    let (store, now) = (make(), november());
    for window in [Window::month(Zone::UTC), sliding(MINUTE), Window::Lifetime] {
        let counter = counter(&store, None, Unit::Cost, window);
        let first = try_one(&store, counter, u64::MAX - 1, u64::MAX, now).unwrap();
        assert_eq!(try_one(&store, counter, 2, u64::MAX, now).unwrap_err().limit, 0);
        adjust(&store, counter, i64::MAX, now);
        assert!(try_one(&store, counter, 1, u64::MAX, now).is_err());
        // What is above the ceiling is not known, so nothing comes back.
        store.settle(first, Usd::ZERO, at(now));
        assert!(try_one(&store, counter, 1, u64::MAX, now).is_err());
    }
}

fn counters_are_known_by_what_they_mean<S: Store>(make: fn() -> S) {
    let store = make();
    let month = counter(&store, None, Unit::Cost, Window::month(Zone::UTC));
    assert_eq!(month, counter(&store, None, Unit::Cost, Window::month(Zone::UTC)));
    assert_ne!(month, counter(&store, None, Unit::Calls, Window::month(Zone::UTC)));
    assert_ne!(month, counter(&store, None, Unit::Cost, Window::day(Zone::UTC)));
    assert_ne!(month, counter(&store, Some("user"), Unit::Cost, Window::month(Zone::UTC)));
}

/// Nothing a caller can pass makes a store panic.
fn a_senseless_hold_is_an_error<S: Store>(make: fn() -> S) {
    let (store, now) = (make(), november());
    let counter = counter(&store, None, Unit::Cost, Window::month(Zone::UTC));
    let charge = Charge { counter, value: 0 };
    let limit = Limit { charge: 9, ask: 1, limit: 1 };
    let foreign = Charge { counter: CounterId(u32::MAX), ..charge };
    let user = self::counter(&store, Some("user"), Unit::Cost, Window::month(Zone::UTC));
    let [next, nobody] = [1, 9].map(|value| Charge { value, ..charge });
    // No value is of two labels.
    let mixed = [charge, Charge { counter: user, value: 0 }];
    // Booked twice, it would pass a limit that has room for it once.
    let twice = [charge, charge];
    let cases: [(&[Charge], &[Limit]); 6] = [
        (&[charge], &[limit]),
        (&[foreign], &[]),
        (&[next], &[]),
        (&[nobody], &[]),
        (&mixed, &[]),
        (&twice, &[]),
    ];
    for (charges, limits) in cases {
        let (at, deadline) = (at(now), at(now + MINUTE));
        let cost = Usd::nanos(1);
        let hold = Hold { values: &[""], charges, cost, limits, at, deadline, call: None };
        assert!(matches!(wait(store.reserve(hold)), Err(ReserveError::Unavailable(_))));
    }
    assert!(wait(store.read(CounterId(u32::MAX), "", at(now))).is_err());
    assert_eq!(read(&store, counter, now), (0, 0));
}

/// Two values may be the same: what both are charged has to fit.
fn one_value_given_twice_is_charged_twice<S: Store>(make: fn() -> S) {
    let (store, now) = (make(), november());
    let counter = counter(&store, Some("user"), Unit::Cost, Window::month(Zone::UTC));
    let charges = [0, 1].map(|value| Charge { counter, value });
    let fits = |limit| {
        let limits = [0, 1].map(|charge| Limit { charge, ask: 10, limit });
        let (at, deadline) = (at(now), at(now + MINUTE));
        let (values, cost) = (&["ada", "ada"], Usd::nanos(10));
        let hold =
            Hold { values, charges: &charges, cost, limits: &limits, at, deadline, call: None };
        wait(store.reserve(hold)).is_ok()
    };
    assert_eq!([19, 20, 39, 40].map(fits), [false, true, false, true]);
}

/// Threads that race for room never get more than there is.
fn racing_calls_never_exceed_a_limit<S: Store>(make: fn() -> S) {
    let (store, now) = (make(), november());
    let month = counter(&store, None, Unit::Cost, Window::month(Zone::UTC));
    let race = || (0..300).filter(|_| try_one(&store, month, 1, 500, now).is_ok()).count();
    let admitted: usize = std::thread::scope(|scope| {
        let racers: Vec<_> = (0..4).map(|_| scope.spawn(race)).collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).sum()
    });
    assert_eq!(admitted, 500);
    assert_eq!(read(&store, month, now), (0, 500));
}

macro_rules! contract {
    ($module:ident, $make:expr, $($clause:ident),* $(,)?) => {
        mod $module {
            $(#[test] fn $clause() { super::$clause($make); })*
        }
    };
}

/// Runs every clause over a store.
macro_rules! every_clause {
    ($module:ident, $make:expr) => {
        contract!(
            $module,
            $make,
            any_history_equals_its_naive_replay,
            calls_are_limited_exactly_in_every_window,
            sums_never_exceed_the_limit_and_deny_little_too_long,
            many_calls_are_limited_conservatively,
            a_larger_limit_later_never_forgets_calls,
            a_call_given_back_makes_room_at_once,
            a_budget_is_overrun_only_by_what_calls_overran,
            a_month_ends_at_its_exact_instant_and_keeps_its_own_settles,
            what_is_spent_comes_back_when_the_period_ends,
            a_clock_that_steps_back_brings_nothing_back,
            a_reservation_ends_once,
            a_deadline_settles_and_a_late_settle_corrects,
            an_extension_after_the_deadline_is_too_late,
            a_refusal_knows_what_is_reserved_now,
            an_overrun_of_a_sliding_sum_counts_from_when_it_is_known,
            a_hold_is_all_or_nothing_and_names_the_first_limit,
            a_call_may_ask_for_more_than_it_is_charged,
            an_adjustment_leaves_reservations_alone,
            an_adjustment_takes_what_a_deadline_has_settled,
            a_reset_before_a_late_settle_never_goes_below_zero,
            an_overflow_denies,
            counters_are_known_by_what_they_mean,
            a_senseless_hold_is_an_error,
            one_value_given_twice_is_charged_twice,
            racing_calls_never_exceed_a_limit,
        );
    };
}

every_clause!(memory, driftlock::store::MemoryStore::new);

#[cfg(feature = "sqlite")]
every_clause!(sqlite, crate::store_model::in_a_file::Temporary::new);
