//! What a store answers: at once, later, or not at all.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

/// A store's answer: at hand, or to be awaited.
///
/// A store in memory answers at once, and then a decision needs no await and no
/// allocation.
///
/// For an example see [`MemoryStore`](crate::MemoryStore).
pub enum Answer<'a, T> {
    /// At hand. Holds `None` only after it was taken by polling.
    Ready(Option<T>),
    /// To be awaited.
    Pending(Pin<Box<dyn Future<Output = T> + Send + 'a>>),
}

impl<'a, T> Answer<'a, T> {
    /// An answer at hand.
    pub fn ready(value: T) -> Self {
        Self::Ready(Some(value))
    }

    /// An answer to be awaited.
    pub fn pending(future: impl Future<Output = T> + Send + 'a) -> Self {
        Self::Pending(Box::pin(future))
    }
}

impl<T: Unpin> Future for Answer<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match &mut *self {
            // Polled after completion, which the contract of `Future` leaves open.
            Self::Ready(value) => value.take().map_or(Poll::Pending, Poll::Ready),
            Self::Pending(future) => future.as_mut().poll(cx),
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Answer<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready(value) => f.debug_tuple("Ready").field(value).finish(),
            Self::Pending(_) => f.debug_tuple("Pending").finish(),
        }
    }
}

/// A store did not answer or refused to.
///
/// For an example see [`MemoryStore`](crate::MemoryStore).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreError {
    message: String,
}

impl StoreError {
    /// An error with a message for operators.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for StoreError {}
