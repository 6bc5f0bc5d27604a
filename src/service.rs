//! The service.

use std::task::{Context, Poll};

use tower_service::Service;

use crate::{
    carrier::{Auto, Carrier},
    error::{BoxError, Error},
    future::ResponseFuture,
    labels, nested,
    policy::{Mode, Policy},
};

/// A governed client, made by [`DriftlockLayer`](crate::DriftlockLayer).
///
/// `poll_ready` is the inner service's. Nothing is decided or charged before the
/// future of a call is first polled.
///
/// For an example see [`DriftlockLayer`](crate::DriftlockLayer).
#[derive(Clone, Debug)]
pub struct Driftlock<S, C = Auto> {
    inner: S,
    policy: Policy,
    carrier: C,
}

impl<S, C> Driftlock<S, C> {
    pub(crate) fn new(inner: S, policy: Policy, carrier: C) -> Self {
        Self { inner, policy, carrier }
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The inner service.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// The inner service.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, C, Req> Service<Req> for Driftlock<S, C>
where
    S: Service<Req> + Clone,
    S::Error: Into<BoxError>,
    C: Carrier<Req, S::Response>,
{
    type Response = C::Response;
    type Error = Error;
    type Future = ResponseFuture<S, C, Req>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx).map_err(Error::inner)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        // The clone is not ready: the service that is goes with the call.
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        let (carrier, policy) = (self.carrier.clone(), self.policy.clone());
        if policy.settings().mode() == Mode::Off {
            return ResponseFuture::pass(inner, carrier, policy, request);
        }
        // An outer layer of the same workspace has decided this call already, also for
        // layers further in.
        if nested::take(&policy) {
            let pass = || ResponseFuture::pass(inner, carrier, policy, request);
            return nested::within(&self.policy, pass);
        }
        // Now, because the future may be polled by another task.
        ResponseFuture::govern(inner, carrier, policy, labels::current(), request)
    }
}
