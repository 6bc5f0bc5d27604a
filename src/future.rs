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
    call::{BoxFuture, Call, Operation},
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

/// What a call was read from, apart from the request it came with.
struct Source {
    endpoint: Endpoint,
    uri: Option<Uri>,
    body: Bytes,
}

/// A call whose decision takes its time.
struct Draft {
    reading: Reading,
    source: Source,
    /// The output maximum before the rules.
    max_output_tokens: Option<u64>,
}

/// Of a call that says all there is: its carrier has read it, or nothing has.
fn reading_of(call: Call) -> Reading {
    Reading { call, layout: Layout::default(), ask_usage: false }
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
                    let (draft, permit) = ready!(decision.as_mut().poll(cx));
                    let Some(request) = request.take() else { return Poll::Pending };
                    permit.and_then(|permit| {
                        let permit = this.permit.insert(permit);
                        let Draft { reading, source, max_output_tokens } = draft;
                        let send = put_together(
                            this.carrier,
                            &reading,
                            source,
                            max_output_tokens,
                            permit,
                            request,
                        );
                        send.map(Next::Send)
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
    let (source, request, own) = match intake {
        Intake::Free(request) => return Ok(Next::Send(request)),
        Intake::Unmeterable { why, request } => {
            if policy.settings().passes_unreadable() {
                telemetry::passed(&why);
                return Ok(Next::Send(request));
            }
            return Err(policy.refuse(unmeterable(&why).by("unmeterable")));
        }
        Intake::Facts { call, request } => {
            let endpoint = Endpoint::new(Format::OpenAiChat, call.provider().clone());
            // There is no body to write into.
            let source = Source { endpoint, uri: None, body: Bytes::new() };
            let labels = labels.over(call.labels());
            let mut reading = reading_of(*call);
            return admit(policy, carrier, labels, &mut reading, source, request, permit);
        }
        Intake::Call { endpoint, uri, body, request, labels } => {
            (Source { endpoint, uri, body }, request, labels)
        }
    };
    let nowhere = Uri::default();
    let uri = source.uri.as_ref().unwrap_or(&nowhere);
    let mut read = provider::read(&source.endpoint, uri, &source.body);
    // What was read is large, and stays where the reader has written it.
    let reading = match &mut read {
        Ok(reading) => reading,
        Err(error) if policy.settings().passes_unreadable() => {
            telemetry::passed(error);
            return Ok(Next::Send(carrier.replace(request, Changes::none(source.body))?));
        }
        Err(Unreadable::Unmeterable { why }) => {
            return Err(policy.refuse(unmeterable(why).by("unmeterable")));
        }
        Err(error) => return Err(policy.refuse(error.clone())),
    };
    if policy.looks_into_bodies() {
        reading.call.set_body(source.body.clone());
    }
    admit(policy, carrier, labels.over(&own), reading, source, request, permit)
}

/// Asks the policy, with what the request itself says of labels winning.
#[inline(always)] // a request is large, and is to be written where it is going
fn admit<C, Req, Res>(
    policy: &Policy,
    carrier: &C,
    labels: Labels,
    reading: &mut Reading,
    source: Source,
    request: Req,
    permit: &mut Option<Permit>,
) -> Result<Next<Req>, Error>
where
    C: Carrier<Req, Res>,
{
    let max_output_tokens = reading.call.max_output_tokens();
    reading.call.set_labels(labels);
    match policy.admit_now(&mut reading.call) {
        Admission::Now(admitted) => {
            let permit = permit.insert(admitted?);
            let send = put_together(carrier, reading, source, max_output_tokens, permit, request);
            send.map(Next::Send)
        }
        Admission::Later(mut progress) => {
            let policy = policy.clone();
            let nothing = Call::new(source.endpoint.provider.clone(), Operation::Chat, "");
            let reading = std::mem::replace(reading, reading_of(nothing));
            let mut draft = Draft { reading, source, max_output_tokens };
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
#[inline(always)] // see `admit`
fn put_together<C, Req, Res>(
    carrier: &C,
    reading: &Reading,
    source: Source,
    stated_output: Option<u64>,
    permit: &mut Permit,
    request: Req,
) -> Result<Req, Error>
where
    C: Carrier<Req, Res>,
{
    let Reading { call, layout, ask_usage } = reading;
    let Source { endpoint, uri, body } = source;
    let is_rewritten = call.model() != call.requested_model();
    let output_changed = call.max_output_tokens() != stated_output;
    let edits = Edits {
        model: is_rewritten.then(|| call.model()),
        include_usage: *ask_usage,
        max_output_tokens: call.max_output_tokens().filter(|_| output_changed),
    };
    permit.expect(endpoint.format, *ask_usage);
    let body = provider::prepare(&body, layout, &edits).unwrap_or(body);
    let uri = match uri {
        Some(uri) if is_rewritten => endpoint.uri_for(&uri, call.model()).map_err(Error::inner)?,
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
