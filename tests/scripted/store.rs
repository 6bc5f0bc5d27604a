//! A store that takes its time.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use driftlock::{
    MemoryStore, Timestamp, Usd,
    store::{
        Adjustment, Answer, CounterId, CounterKey, Hold, Reading, Reservation, ReserveError, Store,
        StoreError,
    },
};

/// A store in memory behind a make-believe network: it answers after some polls,
/// books half-way, gives back what it booked if nobody waits for the answer any
/// more, may be away, and applies what is handed to it only when it is flushed.
#[derive(Debug, Default)]
pub struct AsyncStore {
    pub memory: Arc<MemoryStore>,
    /// How many polls an answer takes.
    pub polls: AtomicUsize,
    pub is_away: AtomicBool,
    handed_over: Mutex<VecDeque<Handed>>,
}

#[derive(Debug)]
enum Handed {
    Settle(Reservation, Usd, Timestamp),
    Release(Reservation, Timestamp),
}

impl AsyncStore {
    pub fn new(memory: Arc<MemoryStore>, polls: usize) -> Arc<Self> {
        Arc::new(Self { memory, polls: polls.into(), ..Self::default() })
    }

    fn away(&self) -> Result<(), StoreError> {
        match self.is_away.load(Ordering::Relaxed) {
            true => Err(StoreError::new("away")),
            false => Ok(()),
        }
    }

    /// Applies what was handed over so far.
    pub fn apply(&self) {
        let handed: Vec<_> = self.handed_over.lock().unwrap().drain(..).collect();
        for one in handed {
            match one {
                Handed::Settle(reservation, cost, at) => self.memory.settle(reservation, cost, at),
                Handed::Release(reservation, at) => self.memory.release(reservation, at),
            }
        }
    }

    fn hand_over(&self, one: Handed) {
        self.handed_over.lock().unwrap().push_back(one);
    }
}

/// A reserve under way.
struct Reserving<'a> {
    store: &'a AsyncStore,
    hold: Hold<'a>,
    before: usize,
    after: usize,
    booked: Option<Reservation>,
}

impl Future for Reserving<'_> {
    type Output = Result<Reservation, ReserveError>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        if self.before > 0 {
            self.before -= 1;
            return Poll::Pending;
        }
        if self.booked.is_none() {
            if let Err(error) = self.store.away() {
                return Poll::Ready(Err(ReserveError::Unavailable(error)));
            }
            self.booked = Some(self.store.memory.reserve_now(&self.hold)?);
        }
        if self.after > 0 {
            self.after -= 1;
            return Poll::Pending;
        }
        Poll::Ready(Ok(self.booked.take().unwrap()))
    }
}

impl Drop for Reserving<'_> {
    fn drop(&mut self) {
        if let Some(booked) = self.booked {
            self.store.hand_over(Handed::Release(booked, Timestamp::EPOCH));
        }
    }
}

impl Store for AsyncStore {
    fn counter(&self, key: &CounterKey) -> CounterId {
        self.memory.counter(key)
    }

    fn reserve<'a>(&'a self, hold: Hold<'a>) -> Answer<'a, Result<Reservation, ReserveError>> {
        let polls = self.polls.load(Ordering::Relaxed);
        let (before, after) = (polls / 2, polls - polls / 2);
        Answer::pending(Reserving { store: self, hold, before, after, booked: None })
    }

    fn settle(&self, reservation: Reservation, cost: Usd, at: Timestamp) {
        self.hand_over(Handed::Settle(reservation, cost, at));
    }

    fn release(&self, reservation: Reservation, at: Timestamp) {
        self.hand_over(Handed::Release(reservation, at));
    }

    fn extend(&self, reservation: Reservation, deadline: Timestamp) {
        self.memory.extend(reservation, deadline);
    }

    fn read<'a>(
        &'a self,
        counter: CounterId,
        value: &'a str,
        at: Timestamp,
    ) -> Answer<'a, Result<Reading, StoreError>> {
        Answer::pending(async move {
            self.away()?;
            self.memory.read_now(counter, value, at)
        })
    }

    fn adjust<'a>(&'a self, adjustment: Adjustment<'a>) -> Answer<'a, Result<Reading, StoreError>> {
        Answer::pending(async move {
            self.away()?;
            self.memory.adjust_now(adjustment)
        })
    }

    fn flush(&self) -> Answer<'_, Result<(), StoreError>> {
        Answer::pending(async move {
            self.away()?;
            self.apply();
            Ok(())
        })
    }

    fn in_flight(&self, at: Timestamp) -> usize {
        self.apply();
        self.memory.in_flight(at)
    }

    fn is_durable(&self) -> bool {
        false
    }
}
