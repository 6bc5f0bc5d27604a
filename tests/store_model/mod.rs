//! For the contract of stores: a model to compare with, and words to write tests in.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use driftlock::{
    Timestamp, Unit, Window,
    store::{CounterId, CounterKey, Store},
};

pub(crate) mod history;
#[cfg(feature = "sqlite")]
pub(crate) mod in_a_file;
pub(crate) mod model;

pub(crate) const SECOND: u64 = 1_000_000_000;
pub(crate) const MINUTE: u64 = 60 * SECOND;

pub(crate) fn nanos(time: &str) -> u64 {
    time.parse::<Timestamp>().unwrap().as_nanos()
}

pub(crate) fn november() -> u64 {
    nanos("2026-11-22T12:00:00Z")
}

pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => std::thread::yield_now(),
        }
    }
}

pub(crate) fn at(nanos: u64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

pub(crate) fn sliding(nanos: u64) -> Window {
    Window::sliding(Duration::from_nanos(nanos))
}

pub(crate) fn counter(
    store: &impl Store,
    label: Option<&str>,
    unit: Unit,
    window: Window,
) -> CounterId {
    let label = label.map(Into::into);
    store.counter(&CounterKey { workspace: "app".into(), label, unit, window })
}
