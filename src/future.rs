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
    carrier::{Carrier, Changes, Intake},
    denial::{DenialKind, Deny},
    error::{BoxError, Error},
    labels::Labels,
    nested,
    policy::{Admission, Permit, Policy},
    provider::{self, Edits, Endpoint, Format, Layout, Reading},
    telemetry,
    unreadable::Unreadable,
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
        // Large, so it is written here once and stays until the response takes it.
        // Dropped after the call it is for.
        permit: Option<Permit>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<Read, Calling, Req> {
        Reading { #[pin] read: Read },
        Deciding { decision: BoxFuture<'static, (Draft, Result<Permit, Error>)>, request: Option<Req> },
        Calling { #[pin] calling: Calling },
        Done,
    }
}

/// A call as it was read, apart from the request it came with.
struct Draft {
    reading: Reading,
    endpoint: Endpoint,
    uri: Option<Uri>,
    body: Bytes,
    /// The output maximum before the rules.
    max_output_tokens: Option<u64>,
}

impl Draft {
    /// Of a call that its carrier has read: there is no body to write into.
    fn of(call: Call) -> Self {
        let endpoint = Endpoint::new(Format::OpenAiChat, call.provider().clone());
        let max_output_tokens = call.max_output_tokens();
        let reading = Reading { call, layout: Layout::default(), ask_usage: false };
        Self { reading, endpoint, uri: None, body: Bytes::new(), max_output_tokens }
    }
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

/// What to do next with a call.
enum Next<Req> {
    /// Send it, metered if there is a permit.
    Send(Req),
    /// Await the decision.
    Await(BoxFuture<'static, (Draft, Result<Permit, Error>)>, Req),
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
                StateProjection::Reading { read } => match ready!(read.poll(cx)) {
                    Ok(intake) => {
                        let labels = std::mem::take(this.labels);
                        decide(this.policy, this.carrier, &labels, intake, this.permit)
                    }
                    // The request could not be made, which is nobody's refusal.
                    Err(error @ Error::Inner(_)) => Err(error),
                    Err(error) => Err(this.policy.refuse(error)),
                },
                StateProjection::Deciding { decision, request } => {
                    let (mut draft, permit) = ready!(decision.as_mut().poll(cx));
                    let Some(request) = request.take() else { return Poll::Pending };
                    permit.and_then(|permit| {
                        let permit = this.permit.insert(permit);
                        put_together(this.carrier, &mut draft, permit, request).map(Next::Send)
                    })
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
            };
            match next {
                Ok(Next::Await(decision, request)) => {
                    this.state.set(State::Deciding { decision, request: Some(request) });
                }
                Ok(Next::Send(request)) => {
                    let Some(mut inner) = this.inner.take() else { return Poll::Pending };
                    let calling = match this.permit {
                        Some(permit) => {
                            // Before the call: if it panics, something may have been sent.
                            permit.sent();
                            let _entered = permit.span().enter();
                            nested::within(this.policy, || inner.call(request))
                        }
                        None => inner.call(request),
                    };
                    this.state.set(State::Calling { calling });
                }
                Err(error) => {
                    drop(this.inner.take());
                    // There is one if the request could not be put together again.
                    drop(this.permit.take());
                    this.state.set(State::Done);
                    return Poll::Ready(Err(error));
                }
            }
        }
    }
}

/// Reads a call and asks the policy.
#[inline]
fn decide<C, Req, Res>(
    policy: &Policy,
    carrier: &C,
    labels: &Labels,
    intake: Intake<Req>,
    permit: &mut Option<Permit>,
) -> Result<Next<Req>, Error>
where
    C: Carrier<Req, Res>,
{
    let (endpoint, uri, body, request, own) = match intake {
        Intake::Free(request) => return Ok(Next::Send(request)),
        Intake::Unmeterable { why, request } => {
            if policy.settings().passes_unreadable() {
                telemetry::passed(&why);
                return Ok(Next::Send(request));
            }
            return Err(policy.refuse(unmeterable(&why).by("unmeterable")));
        }
        Intake::Facts { call, request } => {
            let labels = labels.over(call.labels());
            return admit(policy, carrier, labels, Draft::of(*call), request, permit);
        }
        Intake::Call { endpoint, uri, body, request, labels } => {
            (endpoint, uri, body, request, labels)
        }
    };
    let nowhere = Uri::default();
    let reading = match provider::read(&endpoint, uri.as_ref().unwrap_or(&nowhere), &body) {
        Ok(reading) => reading,
        Err(error) if policy.settings().passes_unreadable() => {
            telemetry::passed(&error);
            return Ok(Next::Send(carrier.replace(request, Changes::none(body))?));
        }
        Err(Unreadable::Unmeterable { why }) => {
            return Err(policy.refuse(unmeterable(why).by("unmeterable")));
        }
        Err(error) => return Err(policy.refuse(error)),
    };
    let max_output_tokens = reading.call.max_output_tokens();
    let mut draft = Draft { reading, endpoint, uri, body, max_output_tokens };
    if policy.looks_into_bodies() {
        draft.reading.call.set_body(draft.body.clone());
    }
    admit(policy, carrier, labels.over(&own), draft, request, permit)
}

/// Asks the policy, with what the request itself says of labels winning.
#[inline(always)] // a draft is large, and is to stay where it is
fn admit<C, Req, Res>(
    policy: &Policy,
    carrier: &C,
    labels: Labels,
    mut draft: Draft,
    request: Req,
    permit: &mut Option<Permit>,
) -> Result<Next<Req>, Error>
where
    C: Carrier<Req, Res>,
{
    let call = &mut draft.reading.call;
    call.set_labels(labels);
    match policy.admit_now(call) {
        Admission::Now(admitted) => {
            let permit = permit.insert(admitted?);
            put_together(carrier, &mut draft, permit, request).map(Next::Send)
        }
        Admission::Later(mut progress) => {
            let policy = policy.clone();
            let decision = Box::pin(async move {
                let admitted = policy.admit_later(&mut draft.reading.call, &mut progress).await;
                (draft, admitted)
            });
            Ok(Next::Await(decision, request))
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
    draft: &mut Draft,
    permit: &mut Permit,
    request: Req,
) -> Result<Req, Error>
where
    C: Carrier<Req, Res>,
{
    let Draft {
        reading: Reading { call, layout, ask_usage },
        endpoint,
        uri,
        body,
        max_output_tokens,
    } = draft;
    let is_rewritten = call.model() != call.requested_model();
    let output_changed = call.max_output_tokens() != *max_output_tokens;
    let edits = Edits {
        model: is_rewritten.then(|| call.model()),
        include_usage: *ask_usage,
        max_output_tokens: call.max_output_tokens().filter(|_| output_changed),
    };
    permit.expect(endpoint.format, *ask_usage);
    let body = provider::prepare(body, layout, &edits).unwrap_or_else(|| std::mem::take(body));
    let uri = match uri {
        Some(uri) if is_rewritten => endpoint.uri_for(uri, call.model()).map_err(Error::inner)?,
        _ => None,
    };
    let Edits { model, include_usage, max_output_tokens } = edits;
    carrier.replace(request, Changes { body, uri, model, max_output_tokens, include_usage })
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
