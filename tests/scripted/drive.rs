//! An executor of one's own two hands.

use std::{
    future::Future,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use driftlock::BoxError;
use http_body::{Body, Frame};

/// Polls once.
pub fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// What a poll of a body gives.
pub type Polled<B> = Poll<Option<Result<Frame<<B as Body>::Data>, <B as Body>::Error>>>;

/// Polls a body once.
pub fn poll_body<B: Body + Unpin>(body: &mut B) -> Polled<B> {
    Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop()))
}

/// Polls until the future is ready; one that never is fails the test.
pub fn drive<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    for _ in 0..10_000 {
        if let Poll::Ready(output) = poll_once(future.as_mut()) {
            return output;
        }
    }
    panic!("the future never gets ready");
}

/// Reads a body to its end or error, and gives the bytes of each frame.
pub fn read<B>(body: &mut B) -> Result<Vec<Bytes>, BoxError>
where
    B: Body<Data = Bytes, Error = BoxError> + Unpin,
{
    let mut frames = Vec::new();
    for _ in 0..10_000 {
        match poll_body(body) {
            Poll::Pending => {}
            Poll::Ready(None) => return Ok(frames),
            Poll::Ready(Some(Err(error))) => return Err(error),
            Poll::Ready(Some(Ok(frame))) => frames.extend(frame.into_data().ok()),
        }
    }
    panic!("the body never ends");
}
