//! A random history, told to a store and to the model alike.

use driftlock::{
    Retry, Unit, Usd, Window, Zone,
    store::{
        Adjustment, Charge, CounterId, Hold, Limit, Reading, Reservation, ReserveError, Store,
    },
};
use proptest::prelude::*;

use super::{
    MINUTE, SECOND, at, counter,
    model::{Entry, Model, Span},
    nanos, sliding, wait,
};

/// The counters of a history. The first four are the workspace's.
fn counters() -> Vec<(Option<&'static str>, Unit, Window, Span)> {
    let user = Some("user");
    vec![
        (None, Unit::Cost, Window::month(Zone::UTC), Span::Month),
        (None, Unit::Cost, sliding(MINUTE), Span::Buckets(MINUTE)),
        (None, Unit::Calls, sliding(10 * SECOND), Span::Exact(10 * SECOND)),
        (None, Unit::Cost, Window::Lifetime, Span::Lifetime),
        (user, Unit::Cost, Window::month(Zone::UTC), Span::Month),
        (user, Unit::Calls, Window::day(Zone::UTC), Span::Day),
        (user, Unit::Cost, sliding(10 * MINUTE), Span::Buckets(10 * MINUTE)),
    ]
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Reserve {
        which: u8,
        user: usize,
        amount: u64,
        more: u64,
        room: u64,
        deadline: u64,
    },
    Settle {
        call: usize,
        cost: u64,
    },
    Release {
        call: usize,
    },
    Extend {
        call: usize,
        by: u64,
    },
    Adjust {
        counter: usize,
        user: usize,
        delta: i64,
    },
    Wait {
        nanos: u64,
    },
    Rewind {
        nanos: u64,
    },
    /// Tries the last refused hold again, at the time it was told or just before.
    Retry {
        early: bool,
    },
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let wait = prop_oneof![
        0..3 * SECOND,
        0..30 * SECOND,
        (1..70u64).prop_map(|seconds| seconds * SECOND),
        0..20 * MINUTE,
        0..40_000 * SECOND,
    ];
    prop_oneof![
        8 => (1..128u8, 0..2usize, 0..60u64, prop_oneof![Just(0), 0..40u64], 40..200u64,
              prop_oneof![Just(15 * MINUTE), 0..30 * SECOND])
            .prop_map(|(which, user, amount, more, room, deadline)| Step::Reserve {
                which, user, amount, more, room, deadline }),
        6 => (0..60usize, 0..90u64).prop_map(|(call, cost)| Step::Settle { call, cost }),
        2 => (0..60usize).prop_map(|call| Step::Release { call }),
        1 => (0..60usize, 0..60 * SECOND).prop_map(|(call, by)| Step::Extend { call, by }),
        1 => (0..7usize, 0..2usize, -120..80i64)
            .prop_map(|(counter, user, delta)| Step::Adjust { counter, user, delta }),
        4 => wait.prop_map(|nanos| Step::Wait { nanos }),
        1 => (0..3_000 * SECOND).prop_map(|nanos| Step::Rewind { nanos }),
        2 => any::<bool>().prop_map(|early| Step::Retry { early }),
    ]
}

const USERS: [&str; 2] = ["ada", "bo"];

/// Counter, value and amount.
type Charges = Vec<(usize, String, u64)>;

/// A store, the model of it, and what is needed to go on.
pub(crate) struct History<S> {
    store: S,
    ids: Vec<CounterId>,
    model: Model,
    calls: Vec<Reservation>,
    clock: u64,
    refused: Option<(Charges, Vec<Limit>, u64)>,
}

impl<S: Store> History<S> {
    pub(crate) fn new(store: S) -> Self {
        let ids = counters().iter().map(|one| counter(&store, one.0, one.1, one.2)).collect();
        let counters = counters().iter().map(|one| (one.1, one.3)).collect();
        let model = Model { counters, log: Vec::new() };
        let clock = nanos("2026-11-30T20:00:00Z");
        Self { store, ids, model, calls: Vec::new(), clock, refused: None }
    }

    fn note(&mut self, entry: Entry) {
        self.model.log.push((self.clock, entry));
    }

    fn take(&mut self, step: &Step) {
        let now = at(self.clock);
        match *step {
            Step::Reserve { which, user, amount, more, room, deadline } => {
                let named = (0..7).filter(|counter| which >> counter & 1 == 1);
                let value = |counter| if counter < 4 { "" } else { USERS[user] };
                let charges: Vec<_> = named
                    .map(|counter| {
                        let calls = self.model.counters[counter].0 == Unit::Calls;
                        (counter, value(counter).to_owned(), if calls { 1 } else { amount })
                    })
                    .collect();
                let limit = |(index, charge): (usize, &(usize, String, u64))| {
                    let calls = self.model.counters[charge.0].0 == Unit::Calls;
                    let (ask, limit) = if calls { (1, room / 20) } else { (amount + more, room) };
                    Limit { charge: index as u8, ask, limit }
                };
                let limits = charges.iter().enumerate().map(limit).collect();
                self.reserve(charges, limits, deadline);
            }
            Step::Retry { early } => {
                let Some((charges, limits, time)) = self.refused.clone() else { return };
                self.clock = self.clock.max(time - u64::from(early));
                self.reserve(charges, limits, 15 * MINUTE);
            }
            Step::Settle { call, cost } if call < self.calls.len() => {
                self.note(Entry::Settled(call, cost));
                self.store.settle(self.calls[call], Usd::nanos(cost), now);
            }
            Step::Release { call } if call < self.calls.len() => {
                self.note(Entry::Released(call));
                self.store.release(self.calls[call], now);
            }
            Step::Extend { call, by } if call < self.calls.len() => {
                self.note(Entry::Extended(call, self.clock + by));
                // An extension carries no time of its own.
                wait(self.store.read(self.ids[0], "", now)).unwrap();
                self.store.extend(self.calls[call], at(self.clock + by));
            }
            // Exact calls follow the limits claimed, which an adjustment has none of.
            Step::Adjust { counter, user, delta } if counter != 2 => {
                let value = if counter < 4 { "" } else { USERS[user] };
                self.note(Entry::Adjusted(counter, value.into(), delta));
                let counter = self.ids[counter];
                let reason = "a test";
                let adjustment = Adjustment { counter, value, delta, reason, at: now };
                wait(self.store.adjust(adjustment)).unwrap();
            }
            Step::Wait { nanos } => self.clock += nanos,
            Step::Rewind { nanos } => self.clock -= nanos,
            _ => {}
        }
    }

    fn reserve(&mut self, charges: Charges, limits: Vec<Limit>, deadline: u64) {
        let values: Vec<&str> = charges.iter().map(|charge| charge.1.as_str()).collect();
        let mut distinct = values.clone();
        distinct.dedup();
        let place = |value: &str| distinct.iter().position(|one| *one == value).unwrap() as u8;
        let booked: Vec<Charge> = charges
            .iter()
            .map(|(counter, value, _)| Charge { counter: self.ids[*counter], value: place(value) })
            .collect();
        let is_cost =
            |charge: &&(usize, String, u64)| self.model.counters[charge.0].0 == Unit::Cost;
        let cost = charges.iter().find(is_cost).map_or(0, |charge| charge.2);
        let (lasts, deadline) = (deadline, self.clock + deadline);
        let hold = Hold {
            values: &distinct,
            charges: &booked,
            cost: Usd::nanos(cost),
            limits: &limits,
            at: at(self.clock),
            deadline: at(deadline),
            call: None,
        };
        let expected = self.model.decide(&charges, &limits, self.clock);
        let before = self.readings();
        match wait(self.store.reserve(hold)) {
            Ok(reservation) => {
                assert_eq!(expected, Ok(()), "admitted");
                self.calls.push(reservation);
                self.note(Entry::Reserved(charges.clone(), lasts));
                self.limits_hold(&charges, &limits, deadline);
            }
            Err(ReserveError::Refused(refusal)) => {
                assert_eq!(expected, Err(refusal), "refused");
                self.note(Entry::Asked);
                assert_eq!(self.readings(), before, "a refusal changed something");
                if let Retry::At(time) = refusal.retry {
                    self.retry_is_exact(&charges, &limits, time.as_nanos());
                    self.refused = Some((charges, limits, time.as_nanos()));
                }
            }
            Err(ReserveError::Unavailable(error)) => panic!("{error}"),
        }
    }

    /// Invariant 1.
    fn limits_hold(&self, charges: &[(usize, String, u64)], limits: &[Limit], deadline: u64) {
        for limit in limits {
            let (counter, value, _) = &charges[usize::from(limit.charge)];
            let reading = wait(self.store.read(self.ids[*counter], value, at(self.clock))).unwrap();
            assert!(reading.used() <= limit.limit, "{reading:?} exceeds {limit:?} ({deadline})");
        }
    }

    /// Invariant 10, in the model; `Step::Retry` tries it on the store. No time can
    /// be promised where one of the limits waits for calls in flight.
    fn retry_is_exact(&self, charges: &[(usize, String, u64)], limits: &[Limit], time: u64) {
        let waits = |limit: &Limit| {
            let alone = self.model.decide(charges, std::slice::from_ref(limit), self.clock);
            alone.is_err_and(|refusal| refusal.retry == Retry::WhenInFlightSettles)
        };
        if !limits.iter().any(waits) {
            assert!(self.model.decide(charges, limits, time - 1).is_err(), "room too early");
            assert_eq!(self.model.decide(charges, limits, time), Ok(()), "no room in time");
        }
    }

    fn readings(&self) -> Vec<Reading> {
        wait(self.store.flush()).unwrap();
        let all = (0..self.ids.len()).flat_map(|counter| {
            let values = if counter < 4 { &[""][..] } else { &USERS[..] };
            values.iter().map(move |value| (counter, *value))
        });
        all.map(|(counter, value)| {
            let reading = wait(self.store.read(self.ids[counter], value, at(self.clock))).unwrap();
            let expected = self.model.reading(counter, value, self.clock);
            assert_eq!(reading, expected, "counter {counter} of {value:?}");
            reading
        })
        .collect()
    }

    /// Invariants 3, 6 and 7 at every step; 8 at the end.
    pub(crate) fn run(mut self, steps: Vec<Step>) {
        for step in steps {
            self.take(&step);
            self.note(Entry::Asked);
            self.readings();
        }
        for call in 0..self.calls.len() {
            self.take(&Step::Settle { call, cost: 1 });
        }
        assert!(self.readings().iter().all(|reading| reading.reserved == 0));
    }
}
