//! What a policy makes of a call that was read.
//!
//! A request is large, and stays where its carrier has put it until it is sent; what the
//! policy changes is written there.

use std::sync::LazyLock;

use bytes::Bytes;
use http::Uri;

use crate::{
    call::{BoxFuture, Call, Operation, Provider},
    carrier::{Carrier, Changes, Intake},
    denial::{DenialKind, Deny},
    error::Error,
    labels::Labels,
    policy::{Admission, Permit, Policy},
    provider::{self, Edits, Endpoint, Format, Layout, Reading},
    telemetry,
    unreadable::Unreadable,
};

/// The address for calls that are read without theirs.
static NOWHERE: LazyLock<Uri> = LazyLock::new(Uri::default);

/// A decision that takes its time.
pub(crate) type Deciding = BoxFuture<'static, Draft>;

/// A call whose decision has taken its time.
pub(crate) struct Draft {
    reading: Reading,
    endpoint: Endpoint,
    uri: Option<Uri>,
    body: Bytes,
    /// The output maximum before the rules.
    stated_output: Option<u64>,
    admitted: Result<Permit, Error>,
}

/// What a call was read from, apart from the request it came with.
struct Source<'a> {
    endpoint: &'a Endpoint,
    uri: Option<&'a Uri>,
    body: &'a mut Bytes,
}

/// Reads a call and asks the policy. The request is then to be sent, unless the decision
/// has to be awaited first; it is metered if there is a permit.
#[inline]
pub(crate) fn decide<C, Req, Res>(
    policy: &Policy,
    carrier: &C,
    labels: Labels,
    intake: &mut Intake<Req>,
    permit: &mut Option<Permit>,
) -> Result<Option<Deciding>, Error>
where
    C: Carrier<Req, Res>,
{
    let (source, request, own) = match intake {
        Intake::Free(_) => return Ok(None),
        Intake::Unmeterable { why, .. } if policy.settings().passes_unreadable() => {
            telemetry::passed(&*why);
            return Ok(None);
        }
        Intake::Unmeterable { why, .. } => return Err(unmeterable(policy, why)),
        Intake::Facts { call, request } => {
            let endpoint = Endpoint::new(Format::OpenAiChat, call.provider().clone());
            let labels = labels.over(call.labels());
            let nothing = nothing(call.provider());
            let mut reading = reading_of(std::mem::replace(&mut **call, nothing));
            // There is no body to write into.
            let source = Source { endpoint: &endpoint, uri: None, body: &mut Bytes::new() };
            return admit(policy, carrier, labels, &mut reading, source, request, permit);
        }
        Intake::Call { endpoint, uri, body, request, labels } => {
            (Source { endpoint, uri: uri.as_deref(), body }, request, labels)
        }
    };
    let uri = source.uri.unwrap_or(&NOWHERE);
    let mut read = provider::read(source.endpoint, uri, source.body);
    // What was read is large, and stays where the reader has written it.
    let reading = match &mut read {
        Ok(reading) => reading,
        Err(error) if policy.settings().passes_unreadable() => {
            telemetry::passed(error);
            carrier.change(request, Changes::none(std::mem::take(source.body)))?;
            return Ok(None);
        }
        Err(Unreadable::Unmeterable { why }) => return Err(unmeterable(policy, why)),
        Err(error) => return Err(policy.refuse(error.clone())),
    };
    if policy.looks_into_bodies() {
        reading.call.set_body(source.body.clone());
    }
    let labels = labels.under(std::mem::take(own));
    admit(policy, carrier, labels, reading, source, request, permit)
}

/// Asks the policy, with what the request itself says of labels winning.
#[inline]
fn admit<C, Req, Res>(
    policy: &Policy,
    carrier: &C,
    labels: Labels,
    reading: &mut Reading,
    source: Source<'_>,
    request: &mut Req,
    permit: &mut Option<Permit>,
) -> Result<Option<Deciding>, Error>
where
    C: Carrier<Req, Res>,
{
    let stated_output = reading.call.max_output_tokens();
    reading.call.set_labels(labels);
    match policy.admit_now(&mut reading.call) {
        Admission::Now(admitted) => {
            let permit = permit.insert(admitted?);
            put_together(carrier, reading, source, stated_output, permit, request)?;
            Ok(None)
        }
        Admission::Later(mut progress) => {
            let policy = policy.clone();
            let nothing = reading_of(nothing(&source.endpoint.provider));
            let mut reading = std::mem::replace(reading, nothing);
            let (endpoint, uri) = (source.endpoint.clone(), source.uri.cloned());
            let body = std::mem::take(source.body);
            Ok(Some(Box::pin(async move {
                let admitted = policy.admit_later(&mut reading.call, &mut progress).await;
                Draft { reading, endpoint, uri, body, stated_output, admitted }
            })))
        }
    }
}

impl Draft {
    /// Writes into the request what was decided.
    pub(crate) fn end<C, Req, Res>(
        self,
        carrier: &C,
        request: &mut Req,
        permit: &mut Option<Permit>,
    ) -> Result<(), Error>
    where
        C: Carrier<Req, Res>,
    {
        let Self { reading, endpoint, uri, mut body, stated_output, admitted } = self;
        let permit = permit.insert(admitted?);
        let source = Source { endpoint: &endpoint, uri: uri.as_ref(), body: &mut body };
        put_together(carrier, &reading, source, stated_output, permit, request)
    }
}

/// Makes the request that is sent: the original one, unless a rule changed the call
/// or the answer has to be asked for its usage.
#[inline]
fn put_together<C, Req, Res>(
    carrier: &C,
    reading: &Reading,
    source: Source<'_>,
    stated_output: Option<u64>,
    permit: &mut Permit,
    request: &mut Req,
) -> Result<(), Error>
where
    C: Carrier<Req, Res>,
{
    let Reading { call, layout, ask_usage } = reading;
    let Source { endpoint, uri, body } = source;
    let is_rewritten = call.is_rewritten();
    let output_changed = call.max_output_tokens() != stated_output;
    let edits = Edits {
        model: is_rewritten.then(|| call.model()),
        include_usage: *ask_usage,
        max_output_tokens: call.max_output_tokens().filter(|_| output_changed),
    };
    permit.expect(endpoint.format, *ask_usage);
    let is_body_changed = provider::prepare(body, layout, &edits);
    let body = std::mem::take(body);
    let uri = match uri {
        Some(uri) if is_rewritten => endpoint.uri_for(uri, call.model()).map_err(Error::inner)?,
        _ => None,
    };
    let Edits { model, include_usage, max_output_tokens } = edits;
    let changes = Changes { body, is_body_changed, uri, model, max_output_tokens, include_usage };
    carrier.change(request, changes)
}

/// Of a call that says all there is: its carrier has read it, or nothing has.
fn reading_of(call: Call) -> Reading {
    Reading { call, layout: Layout::default(), ask_usage: false }
}

/// What is left in the place of a call that was taken.
fn nothing(provider: &Provider) -> Call {
    Call::new(provider.clone(), Operation::Chat, "")
}

fn unmeterable(policy: &Policy, why: &str) -> Error {
    let reason = format!(
        "{why}; say what it is with `Routes` (`.free_at(…)`, `.metered_at(…)`), or send what cannot be \
         metered with `.on_unreadable(OnUnreadable::Pass)`"
    );
    policy.refuse(Deny::of_kind(DenialKind::Unmeterable, reason).by("unmeterable"))
}
