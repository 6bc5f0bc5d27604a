//! Events and spans, with OpenTelemetry's `gen_ai.*` names. Never any text of a prompt.
//!
//! `docs/events.md` has the table of them, for users.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tracing::{Span, debug, debug_span, field::Empty, info, level_filters::LevelFilter, warn};

use crate::{
    call::{Call, Provider},
    claim::Scope,
    clock::Timestamp,
    denial::Denial,
    error::Error,
    labels::{LabelError, Labels},
    provider::Told,
    settled::Settled,
    usage::Usage,
    usd::Usd,
    window::Window,
};

/// Runs code of others, a subscriber, a waker or a callback, where a panic of theirs may not
/// go on: inside `drop`, where a second one would abort, or in a thread that others need.
/// Says whether there was none.
pub(crate) fn guarded(tell: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(tell)).is_ok()
}

/// A call was admitted: opens its span. Without anybody who listens, and with nothing
/// to say, that is a comparison.
#[inline(always)]
pub(crate) fn admitted(
    call: &Call,
    reserved: Usd,
    would_deny: Option<&Denial>,
    would_use: Option<&str>,
) -> Span {
    match is_heard() || would_deny.is_some() || would_use.is_some() {
        true => tell_admitted(call, reserved, would_deny, would_use),
        false => Span::none(),
    }
}

/// Whether anybody may listen.
#[inline]
pub(crate) fn is_heard() -> bool {
    LevelFilter::current() >= LevelFilter::DEBUG
}

#[inline(never)]
fn tell_admitted(
    call: &Call,
    reserved: Usd,
    would_deny: Option<&Denial>,
    would_use: Option<&str>,
) -> Span {
    let span = debug_span!(
        target: "driftlock",
        "driftlock.call",
        gen_ai.provider.name = call.provider().name(),
        gen_ai.operation.name = call.operation().name(),
        gen_ai.request.model = call.model(),
        gen_ai.response.model = Empty,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        driftlock.user = call.user(),
        driftlock.cost_nanos = Empty,
    );
    debug!(target: "driftlock", parent: &span, { driftlock.requested_model = call.requested_model(), driftlock.reserved_nanos = reserved.as_nanos(), driftlock.bound = call.estimate().map_or("unpriced", |estimate| estimate.bound.name()) }, "admitted");
    if let Some(denial) = would_deny {
        info!(target: "driftlock", parent: &span, { driftlock.rule = denial.rule(), %denial }, "would deny");
    }
    if let Some(model) = would_use {
        info!(target: "driftlock", parent: &span, { driftlock.would_use = model }, "would rewrite");
    }
    span
}

/// A call was not admitted.
pub(crate) fn refused(call: &Call, error: &Error) {
    match error {
        Error::Denied(denial) => {
            info!(target: "driftlock", { gen_ai.provider.name = call.provider().name(), gen_ai.request.model = call.model(), driftlock.user = call.user(), driftlock.rule = denial.rule(), %denial }, "denied")
        }
        other => warn!(target: "driftlock", { error = %other }, "refused"),
    }
}

/// A request could not be read or metered.
pub(crate) fn not_sent(error: &Error) {
    warn!(target: "driftlock", { %error }, "refused");
}

/// A call has settled.
#[inline(always)]
pub(crate) fn settled(span: &Span, provider: &Provider, told: &Told<'_>, settled: &Settled) {
    if is_heard() {
        tell_settled(span, provider, told, settled);
    }
}

#[inline(never)]
fn tell_settled(span: &Span, provider: &Provider, told: &Told<'_>, settled: &Settled) {
    if !span.is_disabled() {
        if let Some(model) = told.model {
            span.record("gen_ai.response.model", model);
        }
        if let Some(usage) = &settled.usage {
            span.record("gen_ai.usage.input_tokens", usage.input_tokens);
            span.record("gen_ai.usage.output_tokens", usage.output_tokens);
        }
        span.record("driftlock.cost_nanos", settled.cost.as_nanos());
    }
    debug!(target: "driftlock", parent: span, { gen_ai.provider.name = provider.name(), driftlock.cost_nanos = settled.cost.as_nanos(), driftlock.reserved_nanos = settled.reserved.as_nanos(), driftlock.how = settled.how.name() }, "settled");
}

/// A usage cannot be true, or cannot be read.
pub(crate) fn unbelievable(usage: Option<&Usage>) {
    warn!(target: "driftlock", { ?usage }, "usage contradicts itself or is absurd; settled at the estimate");
}

/// A model without a price was let through.
pub(crate) fn unpriced(call: &Call) {
    warn!(target: "driftlock", { gen_ai.provider.name = call.provider().name(), gen_ai.request.model = call.model() }, "no known price; counted as free");
}

/// A rule counts by a label that calls lack. Once for each rule; values are not told.
pub(crate) fn unlabelled(rule: &str, label: Option<&str>, labels: &Labels) {
    let has: Vec<_> = labels.iter().map(|(key, _)| key).collect();
    warn!(target: "driftlock", { driftlock.rule = rule, label, ?has }, "a call without the label this rule counts by; all such calls share the value `(none)`");
}

/// Whoever asked is not told why, so that somebody is.
#[cfg(feature = "axum")]
pub(crate) fn provider_failed(cause: &dyn std::fmt::Display) {
    warn!(target: "driftlock", { %cause }, "the provider could not be asked");
}

/// Labels are too many or too long, and observing refuses nothing.
pub(crate) fn unlabelled_for(error: &LabelError) {
    warn!(target: "driftlock", { %error }, "counted without labels");
}

/// The store did not answer and the policy lets calls through.
pub(crate) fn outage(call: &Call, error: &dyn std::fmt::Display) {
    warn!(target: "driftlock", { gen_ai.request.model = call.model(), why = %error }, "sent unmetered");
}

/// A store does not answer any more.
#[cfg(feature = "sqlite")]
pub(crate) fn store_is_away(error: &dyn std::fmt::Display) {
    warn!(target: "driftlock", { %error }, "the store does not answer");
}

/// It does again.
#[cfg(feature = "sqlite")]
pub(crate) fn store_is_back() {
    info!(target: "driftlock", "the store answers again");
}

/// The clock says an earlier time than the store has seen.
#[cfg(feature = "sqlite")]
pub(crate) fn clock_behind(by: std::time::Duration) {
    warn!(target: "driftlock", { ?by }, "the clock is behind the time that the store has seen: until it has caught up, \
         periods do not end and windows stand still");
}

/// What calls cost could not be written down: they count at their estimates.
#[cfg(feature = "sqlite")]
pub(crate) fn unwritten(calls: usize) {
    warn!(target: "driftlock", { calls }, "settles could not be written; these calls count at their estimates");
}

/// One row of the ledger cannot be read.
#[cfg(feature = "sqlite")]
pub(crate) fn set_aside(call: u64, estimate_nanos: u64, why: &str) {
    tracing::error!(target: "driftlock", { call, estimate_nanos, why }, "a call in the file cannot be read and was set aside: it stays counted at its estimate, \
         and what it really cost lets nothing be given back");
}

/// More calls are denied than can be written down.
#[cfg(feature = "sqlite")]
pub(crate) fn lines_lost(lines: u64) {
    warn!(target: "driftlock", { lines }, "calls that were denied or sent unmetered are missing in the ledger: there were too many at once, or no room is left");
}

/// A request that cannot be read or metered is let through.
pub(crate) fn passed(why: &dyn std::fmt::Display) {
    warn!(target: "driftlock", { %why }, "sent unmetered");
}

/// A long budget on a store that forgets.
pub(crate) fn forgetful(rule: &str, workspace: &str) {
    warn!(target: "driftlock", { driftlock.rule = rule, workspace }, "this budget is kept in memory: it starts again at zero when the process does, and counts this \
         process only; `.ephemeral_ok()` says that this is meant");
}

/// A policy is built that denies nothing.
pub(crate) fn not_enforcing(mode: &dyn std::fmt::Debug, by_environment: bool) {
    warn!(target: "driftlock", { ?mode, by_environment }, "limits are not enforced in this mode");
}

/// The price book is older than it should be.
pub(crate) fn stale_prices(as_of: &str) {
    warn!(target: "driftlock", { as_of }, "the price book is more than 90 days old");
}

/// Two stores count one workspace.
pub(crate) fn twins(workspace: &str) {
    warn!(
        target: "driftlock",
        { workspace },
        "two stores in memory count this workspace apart, so its limits hold for each alone; share one \
         with `.memory_store(…)`, or give the policies different workspaces"
    );
}

/// Settled spend was changed by hand.
pub(crate) fn adjusted(scope: &Scope, window: Window, delta_nanos: i64, reason: &str) {
    info!(target: "driftlock", { %scope, %window, delta_nanos, reason }, "adjusted");
}

/// A limit was raised by hand.
pub(crate) fn raised(scope: &Scope, window: Window, by_nanos: u64, until: Timestamp, reason: &str) {
    info!(target: "driftlock", { %scope, %window, by_nanos, %until, reason }, "raised");
}

/// A user's callback panicked.
pub(crate) fn callback_panicked() {
    warn!(target: "driftlock", "the `on_settled` callback panicked");
}

/// A compressed response cannot be read.
pub(crate) fn encoded_response() {
    warn!(target: "driftlock", "a response has a content-encoding and cannot be metered; settled at the estimate. \
         Put decompression below driftlock");
}
