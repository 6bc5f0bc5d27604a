//! One governed call, from request to response.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tower_service::Service;

use crate::{
    carrier::{Carrier, Intake},
    deciding::{Deciding, decide},
    error::{BoxError, Error},
    labels::Labels,
    nested,
    policy::{Permit, Policy},
};

pin_project! {
    /// The future of a governed call.
    ///
    /// Named and unboxed: on the way it boxes only if a rule of the user's, or a
    /// store that is not in memory, has to be awaited. Dropped, it settles: before
    /// the call was sent nothing is charged, afterwards the estimate.
    ///
    /// For an example see [`DriftlockLayer`](crate::DriftlockLayer).
    #[project = Projection]
    pub struct ResponseFuture<S, C, Req>
    where
        S: Service<Req>,
        C: Carrier<Req, S::Response>,
    {
        // Taken when the call is sent, or dropped when it is denied, so that a
        // concurrency limit below is free at once.
        inner: Option<S>,
        carrier: C,
        policy: Policy,
        labels: Labels,
        #[pin]
        state: State<C::Read, S::Future, Req>,
        // Large, so it is written here once and stays until the response takes it.
        // Dropped after the call it is for.
        permit: Option<Permit>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<Read, Calling, Req> {
        Reading { #[pin] read: Read },
        Deciding { decision: Deciding, request: Option<Req> },
        Calling { #[pin] calling: Calling },
        Done,
    }
}

impl<S, C, Req> ResponseFuture<S, C, Req>
where
    S: Service<Req>,
    C: Carrier<Req, S::Response>,
{
    #[inline(always)] // it is large, and is to be written where it is going
    pub(crate) fn govern(
        inner: S,
        carrier: C,
        policy: Policy,
        labels: Labels,
        request: Req,
    ) -> Self {
        let state = State::Reading { read: carrier.read(request, &policy) };
        Self { inner: Some(inner), carrier, policy, labels, state, permit: None }
    }

    /// Calls at once, while an outer layer that has decided is still on the stack for
    /// layers further in to see.
    pub(crate) fn pass(mut inner: S, carrier: C, policy: Policy, request: Req) -> Self {
        let state = State::Calling { calling: inner.call(request) };
        Self { inner: None, carrier, policy, labels: Labels::new(), state, permit: None }
    }
}

impl<S, C, Req> Future for ResponseFuture<S, C, Req>
where
    S: Service<Req>,
    S::Error: Into<BoxError>,
    C: Carrier<Req, S::Response>,
{
    type Output = Result<C::Response, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProjection::Reading { read } => {
                    let mut read = read.poll(cx);
                    let decided = match &mut read {
                        Poll::Ready(Ok(intake)) => {
                            let labels = std::mem::take(this.labels);
                            decide(this.policy, this.carrier, labels, intake, this.permit)
                        }
                        Poll::Ready(Err(_)) => Ok(None),
                        Poll::Pending => return Poll::Pending,
                    };
                    let later = match decided {
                        Ok(later) => later,
                        Err(error) => return this.fail(error),
                    };
                    // Large, so it is moved when it is known where to.
                    let request = match read {
                        Poll::Ready(Ok(
                            Intake::Free(request)
                            | Intake::Call { request, .. }
                            | Intake::Facts { request, .. }
                            | Intake::Unmeterable { request, .. },
                        )) => request,
                        // It could not be made, which is nobody's refusal.
                        Poll::Ready(Err(error @ Error::Inner(_))) => return this.fail(error),
                        Poll::Ready(Err(error)) => {
                            let error = this.policy.refuse(error);
                            return this.fail(error);
                        }
                        Poll::Pending => return Poll::Pending,
                    };
                    if let Some(decision) = later {
                        let request = Some(request);
                        this.state.set(State::Deciding { decision, request });
                    } else if !this.send(request) {
                        return Poll::Pending;
                    }
                }
                StateProjection::Deciding { decision, request } => {
                    let draft = ready!(decision.as_mut().poll(cx));
                    let Some(mut request) = request.take() else { return Poll::Pending };
                    if let Err(error) = draft.end(this.carrier, &mut request, this.permit) {
                        return this.fail(error);
                    }
                    if !this.send(request) {
                        return Poll::Pending;
                    }
                }
                StateProjection::Calling { calling } => {
                    let result = {
                        let span = this.permit.as_ref().map(|permit| permit.span().clone());
                        let _entered = span.as_ref().map(tracing::Span::enter);
                        ready!(calling.poll(cx))
                    };
                    this.state.set(State::Done);
                    return Poll::Ready(match (result, this.permit.take()) {
                        (Ok(response), Some(permit)) => Ok(this.carrier.meter(response, permit)),
                        (Ok(response), None) => Ok(this.carrier.pass(response)),
                        (Err(error), permit) => {
                            let error = error.into();
                            if let Some(permit) = permit {
                                permit.failed(&error);
                            }
                            Err(Error::inner(error))
                        }
                    });
                }
                StateProjection::Done => return Poll::Pending,
            }
        }
    }
}

impl<S, C, Req> Projection<'_, S, C, Req>
where
    S: Service<Req>,
    C: Carrier<Req, S::Response>,
{
    /// Calls the inner service, unless it has been called.
    #[inline(always)] // a request is large, and is to be taken from where it was read
    fn send(&mut self, request: Req) -> bool {
        let Some(mut inner) = self.inner.take() else { return false };
        let calling = match self.permit {
            Some(permit) => {
                // Before the call: if it panics, something may have been sent.
                permit.sent();
                let _entered = permit.span().enter();
                nested::within(self.policy, || inner.call(request))
            }
            None => inner.call(request),
        };
        self.state.set(State::Calling { calling });
        true
    }

    /// The call is not sent.
    #[cold]
    fn fail<T>(&mut self, error: Error) -> Poll<Result<T, Error>> {
        drop(self.inner.take());
        // There is one if the request could not be put together again.
        drop(self.permit.take());
        self.state.set(State::Done);
        Poll::Ready(Err(error))
    }
}

impl<S, C, Req> fmt::Debug for ResponseFuture<S, C, Req>
where
    S: Service<Req>,
    C: Carrier<Req, S::Response>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Reading { .. } => "reading",
            State::Deciding { .. } => "deciding",
            State::Calling { .. } => "calling",
            State::Done => "done",
        };
        f.debug_struct("ResponseFuture").field("state", &state).finish_non_exhaustive()
    }
}
