//! One governed call, from request to response.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::Uri;
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::{
    call::{BoxFuture, Call},
    carrier::{Carrier, Intake},
    denial::{DenialKind, Deny},
    error::{BoxError, Error},
    labels::Labels,
    nested,
    policy::{Permit, Policy, Progress},
    provider::{self, Edits, Endpoint, Layout, Reading},
    telemetry,
};

pin_project! {
    /// The future of a governed call.
    ///
    /// Named and unboxed: on the way it boxes only if a rule of the user's, or a
    /// store that is not in memory, has to be awaited. Dropped, it settles: before
    /// the call was sent nothing is charged, afterwards the estimate.
    ///
    /// For an example see [`DriftlockLayer`](crate::DriftlockLayer).
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
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<Read, Calling, Req> {
        Reading { #[pin] read: Read },
        Deciding { decision: BoxFuture<'static, (Call, Result<Permit, Error>)>, parts: Option<CallParts<Req>> },
        Calling { #[pin] calling: Calling, permit: Option<Permit> },
        Done,
    }
}

/// A call taken apart, waiting for its permit.
struct CallParts<Req> {
    request: Req,
    body: Bytes,
    original: Original,
}

/// What a call was before the rules, and what is needed to change it.
struct Original {
    layout: Layout,
    endpoint: Endpoint,
    uri: Option<Uri>,
    ask_usage: bool,
    max_output_tokens: Option<u64>,
}

impl<S, C, Req> ResponseFuture<S, C, Req>
where
    S: Service<Req>,
    C: Carrier<Req, S::Response>,
{
    pub(crate) fn govern(
        inner: S,
        carrier: C,
        policy: Policy,
        labels: Labels,
        request: Req,
    ) -> Self {
        let read = carrier.read(request, &policy);
        Self { inner: Some(inner), carrier, policy, labels, state: State::Reading { read } }
    }

    /// Calls at once, while an outer layer that has decided is still on the stack for
    /// layers further in to see.
    pub(crate) fn pass(mut inner: S, carrier: C, policy: Policy, request: Req) -> Self {
        let state = State::Calling { calling: inner.call(request), permit: None };
        Self { inner: None, carrier, policy, labels: Labels::new(), state }
    }
}

/// What to do next with a call.
enum Next<Req> {
    /// Send it, metered if there is a permit.
    Send(Req, Option<Permit>),
    /// Await the decision.
    Await(BoxFuture<'static, (Call, Result<Permit, Error>)>, CallParts<Req>),
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
            let next = match this.state.as_mut().project() {
                StateProjection::Reading { read } => {
                    let intake = ready!(read.poll(cx));
                    let labels = std::mem::take(this.labels);
                    match intake {
                        Ok(intake) => decide(this.policy, this.carrier, labels, intake),
                        Err(error) => Err(this.policy.refuse(error)),
                    }
                }
                StateProjection::Deciding { decision, parts } => {
                    let (call, permit) = ready!(decision.as_mut().poll(cx));
                    match (permit, parts.take()) {
                        (Ok(permit), Some(parts)) => {
                            put_together(this.carrier, &call, permit, parts)
                        }
                        (Err(error), _) => Err(error),
                        (Ok(_), None) => return Poll::Pending,
                    }
                }
                StateProjection::Calling { calling, permit } => {
                    let result = {
                        let span = permit.as_ref().map(|permit| permit.span().clone());
                        let _entered = span.as_ref().map(tracing::Span::enter);
                        ready!(calling.poll(cx))
                    };
                    let permit = permit.take();
                    this.state.set(State::Done);
                    return Poll::Ready(match (result, permit) {
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
            };
            match next {
                Ok(Next::Await(decision, parts)) => {
                    this.state.set(State::Deciding { decision, parts: Some(parts) });
                }
                Ok(Next::Send(request, mut permit)) => {
                    let Some(mut inner) = this.inner.take() else { return Poll::Pending };
                    // Before the call: if it panics, something may have been sent.
                    permit.as_mut().map(Permit::sent);
                    let calling = match &permit {
                        Some(permit) => {
                            let _entered = permit.span().enter();
                            nested::within(this.policy, || inner.call(request))
                        }
                        None => inner.call(request),
                    };
                    this.state.set(State::Calling { calling, permit });
                }
                Err(error) => {
                    drop(this.inner.take());
                    this.state.set(State::Done);
                    return Poll::Ready(Err(error));
                }
            }
        }
    }
}

/// Reads a call and asks the policy.
fn decide<C, Req, Res>(
    policy: &Policy,
    carrier: &C,
    labels: Labels,
    intake: Intake<Req>,
) -> Result<Next<Req>, Error>
where
    C: Carrier<Req, Res>,
{
    let (endpoint, uri, body, request) = match intake {
        Intake::Free(request) => return Ok(Next::Send(request, None)),
        Intake::Unmeterable { why, request } => {
            if policy.settings().passes_unreadable() {
                telemetry::passed(&why);
                return Ok(Next::Send(request, None));
            }
            return Err(policy.refuse(unmeterable(&why).by("unmeterable")));
        }
        Intake::Call { endpoint, uri, body, request } => (endpoint, uri, body, request),
    };
    let nowhere = Uri::default();
    let read = provider::read(&endpoint, uri.as_ref().unwrap_or(&nowhere), &body);
    let Reading { call, layout, ask_usage } = match read {
        Ok(reading) => reading,
        Err(error) if policy.settings().passes_unreadable() => {
            telemetry::passed(&error);
            return Ok(Next::Send(carrier.replace(request, body, None)?, None));
        }
        Err(error) => return Err(policy.refuse(error)),
    };
    let mut call = match policy.looks_into_bodies() {
        true => call.with_body(body.clone()).with_labels(labels),
        false => call.with_labels(labels),
    };
    let max_output_tokens = call.max_output_tokens();
    let original = Original { layout, endpoint, uri, ask_usage, max_output_tokens };
    let parts = CallParts { request, body, original };
    let mut progress = Progress::new();
    match policy.admit_now(&mut call, &mut progress) {
        Some(permit) => put_together(carrier, &call, permit?, parts),
        None => {
            let policy = policy.clone();
            let decision = Box::pin(async move {
                let permit = policy.admit_later(&mut call, &mut progress).await;
                (call, permit)
            });
            Ok(Next::Await(decision, parts))
        }
    }
}

fn unmeterable(why: &str) -> Deny {
    let reason = format!(
        "{why}; say what it is with `Routes` (`.free_at(…)`, `.metered_at(…)`), or send what cannot be \
         metered with `.on_unreadable(OnUnreadable::Pass)`"
    );
    Deny::of_kind(DenialKind::Unmeterable, reason)
}

/// Makes the request that is sent: the original one, unless a rule changed the call
/// or the answer has to be asked for its usage.
fn put_together<C, Req, Res>(
    carrier: &C,
    call: &Call,
    mut permit: Permit,
    parts: CallParts<Req>,
) -> Result<Next<Req>, Error>
where
    C: Carrier<Req, Res>,
{
    let CallParts { request, body, original } = parts;
    let is_rewritten = call.model() != call.requested_model();
    let output_changed = call.max_output_tokens() != original.max_output_tokens;
    let edits = Edits {
        model: is_rewritten.then(|| call.model()),
        include_usage: original.ask_usage,
        max_output_tokens: call.max_output_tokens().filter(|_| output_changed),
    };
    permit.expect(original.endpoint.format, original.ask_usage);
    let body = provider::prepare(&body, &original.layout, &edits).unwrap_or(body);
    let uri = match &original.uri {
        Some(uri) if is_rewritten => {
            original.endpoint.uri_for(uri, call.model()).map_err(Error::inner)?
        }
        _ => None,
    };
    let request = carrier.replace(request, body, uri)?;
    Ok(Next::Send(request, Some(permit)))
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
