//! Keeping user code from taking a policy down with it.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use crate::call::BoxFuture;

/// A future whose panic is an answer: `None`.
pub(super) struct CatchUnwind<'a, T>(pub(super) BoxFuture<'a, T>);

impl<T> Future for CatchUnwind<'_, T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        match catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(cx))) {
            Ok(poll) => poll.map(Some),
            Err(_) => Poll::Ready(None),
        }
    }
}

/// `None` if the future takes longer. Outside a Tokio runtime there is no timer to
/// ask, and no limit.
pub(super) async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    if tokio::runtime::Handle::try_current().is_err() {
        return Some(future.await);
    }
    let mut future = std::pin::pin!(future);
    // Most rules answer at once; a timer is made only for one that does not, and
    // only if the runtime has timers.
    if let Poll::Ready(output) =
        std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
    {
        return Some(output);
    }
    let timer = catch_unwind(|| Box::pin(tokio::time::sleep(limit)));
    let Ok(mut timer) = timer else { return Some(future.await) };
    std::future::poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        timer.as_mut().poll(cx).map(|()| None)
    })
    .await
}
