//! A store that takes its time.

use std::{
    collections::VecDeque,
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    thread,
};

use driftlock::{
    Timestamp, Usd,
    store::{
        Adjustment, Answer, CounterId, CounterKey, Hold, Reading, Reservation, ReserveError, Store,
        StoreError,
    },
};

/// A store behind a make-believe network: it answers after some polls, books half-way,
/// gives back what it booked if nobody waits for the answer any more, may be away, and
/// applies what is handed to it only when it is flushed.
pub struct AsyncStore {
    /// A store that answers by itself, sooner or later.
    pub behind: Arc<dyn Store>,
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
    pub fn new(behind: Arc<dyn Store>, polls: usize) -> Arc<Self> {
        let (is_away, handed_over) = Default::default();
        Arc::new(Self { behind, polls: polls.into(), is_away, handed_over })
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
                Handed::Settle(reservation, cost, at) => self.behind.settle(reservation, cost, at),
                Handed::Release(reservation, at) => self.behind.release(reservation, at),
            }
        }
        wait(self.behind.flush()).unwrap();
    }

    fn hand_over(&self, one: Handed) {
        self.handed_over.lock().unwrap().push_back(one);
    }
}

/// Waits, on this thread, for a store that has one of its own.
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => thread::yield_now(),
        }
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
            self.booked = Some(wait(self.store.behind.reserve(self.hold))?);
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
        self.behind.counter(key)
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
        self.behind.extend(reservation, deadline);
    }

    fn read<'a>(
        &'a self,
        counter: CounterId,
        value: &'a str,
        at: Timestamp,
    ) -> Answer<'a, Result<Reading, StoreError>> {
        Answer::pending(async move {
            self.away()?;
            wait(self.behind.read(counter, value, at))
        })
    }

    fn adjust<'a>(&'a self, adjustment: Adjustment<'a>) -> Answer<'a, Result<Reading, StoreError>> {
        Answer::pending(async move {
            self.away()?;
            wait(self.behind.adjust(adjustment))
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
        self.behind.in_flight(at)
    }

    fn is_durable(&self) -> bool {
        false
    }
}
