//! The guard that carries a reservation from the decision to the end of the response.

use std::{fmt, sync::Arc};

use tracing::Span;

use super::{Inner, Progress, Receipt, actual::Priced, receipt::ReceiptFacts, settle::End};
use crate::{
    call::{Bound, Call, Provider},
    clock::Timestamp,
    error::BoxError,
    meter::Meter,
    provider::{Format, Observed},
    store::Reservation,
    telemetry,
    usage::Usage,
    usd::Usd,
};

/// What a call was admitted with. Settles exactly once, whatever happens to it.
///
/// | what happens | cost |
/// |---|---|
/// | dropped before [`sent`](Self::sent), or [`release`](Self::release) | nothing, and no call counts |
/// | [`settle`](Self::settle) with usage | the actual cost, also past a limit |
/// | [`settle_estimate`](Self::settle_estimate) | the estimate |
/// | dropped after `sent` | the estimate (or [`OnAbandoned::Seen`](crate::OnAbandoned::Seen)), or what [`see`](Self::see) was told if that is more |
/// | lost, with `mem::forget` for example | the estimate, when its deadline passes |
///
/// # Example
/// See [`Policy::admit`](crate::Policy::admit).
#[must_use = "dropping a permit gives back what it reserved"]
pub struct Permit {
    pub(super) policy: Arc<Inner>,
    pub(super) reservation: Option<Reservation>,
    pub(super) priced: Priced,
    pub(super) reserved: Usd,
    pub(super) bound: Bound,
    pub(super) provider: Provider,
    pub(super) phase: Phase,
    pub(super) seen: Observed,
    pub(super) deadline: Timestamp,
    pub(super) ended: bool,
    reply: Reply,
    receipt: Option<Receipt>,
    span: Span,
}

/// How the response will be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reply {
    pub(crate) format: Format,
    /// Whether a usage chunk was asked for that the caller did not ask for.
    pub(crate) hides_usage: bool,
}

/// How far the call has come, which decides what a drop means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing has been sent.
    Held,
    /// It was sent, and nothing has come back yet.
    Sent,
    /// A response has begun, with this status.
    Answered(u16),
}

impl Permit {
    #[inline(always)] // it is large, and is to be written where it is going
    pub(super) fn new(
        policy: Arc<Inner>,
        call: &Call,
        progress: &mut Progress,
        reservation: Option<Reservation>,
    ) -> Self {
        let bound = call.estimate().map_or(Bound::Assumed, |estimate| estimate.bound);
        policy.tally.count_admitted(bound);
        let reserved = progress.quote.cost;
        let deadline = call.at().saturating_add(policy.settings.deadline);
        let mut permit = Self {
            policy,
            reservation,
            priced: Priced::new(call, progress.version, progress.quote.entry),
            reserved,
            bound,
            provider: call.provider().clone(),
            phase: Phase::Held,
            seen: Observed::default(),
            deadline,
            ended: false,
            reply: Reply { format: Format::OpenAiChat, hides_usage: false },
            receipt: None,
            span: Span::none(),
        };
        // A subscriber is code of others: from here on the permit guards the reservation.
        let (would_deny, would_use) = (progress.would_deny.take(), progress.would_use.take());
        if would_deny.is_some() {
            permit.policy.tally.count_would_deny();
        }
        permit.span =
            telemetry::admitted(call, reserved, would_deny.as_ref(), would_use.as_deref());
        permit.receipt = permit.policy.settings.wants_receipts().then(|| {
            Receipt::new(ReceiptFacts {
                provider: call.provider().clone(),
                labels: call.labels().clone(),
                requested_model: call.requested_model().into(),
                model: call.model_name().clone(),
                reserved,
                bound,
                would_deny,
                would_use,
            })
        });
        permit
    }

    /// A permit of a policy that is off: it settles nothing and tells nobody.
    pub(super) fn unmetered(policy: Arc<Inner>, call: &Call) -> Self {
        Self {
            policy,
            reservation: None,
            priced: Priced::default(),
            reserved: Usd::ZERO,
            bound: Bound::Assumed,
            provider: call.provider().clone(),
            phase: Phase::Held,
            seen: Observed::default(),
            deadline: Timestamp::MAX,
            ended: true,
            reply: Reply { format: Format::OpenAiChat, hides_usage: false },
            receipt: None,
            span: Span::none(),
        }
    }

    /// What was reserved: the estimate.
    pub fn reserved(&self) -> Usd {
        self.reserved
    }

    /// Whether what was reserved is a ceiling.
    pub fn bound(&self) -> Bound {
        self.bound
    }

    /// The receipt, if the policy makes them: for responses, or for its callback.
    pub fn receipt(&self) -> Option<&Receipt> {
        self.receipt.as_ref()
    }

    /// The receipt, if it goes along with the response.
    pub(crate) fn sent_receipt(&self) -> Option<&Receipt> {
        self.receipt().filter(|_| self.policy.settings.sends_receipts())
    }

    /// The span of this call, with the `gen_ai.*` attributes known so far.
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// Says that the call is on its way: from now on a drop charges the estimate.
    pub fn sent(&mut self) {
        if self.phase == Phase::Held {
            self.phase = Phase::Sent;
        }
    }

    /// Says that a response has begun, with this HTTP status. How the call settles
    /// depends on it: a call the provider refused is not billed.
    pub fn answered(&mut self, status: u16) {
        self.phase = Phase::Answered(status);
    }

    pub(crate) fn expect(&mut self, format: Format, hides_usage: bool) {
        self.reply = Reply { format, hides_usage };
    }

    pub(crate) fn reply(&self) -> Reply {
        self.reply
    }

    /// Settles to the cost of this usage. Usage that contradicts itself or is
    /// absurdly large settles to the estimate.
    pub fn settle(mut self, usage: &Usage) {
        self.seen.usage = Some(*usage);
        self.end(End::Complete);
    }

    /// Settles to the estimate: the call was made, and its usage is not known. After a
    /// status that is not billed, told by [`answered`](Self::answered), that is nothing.
    pub fn settle_estimate(mut self) {
        self.seen.usage = None;
        self.end(End::Complete);
    }

    /// Gives everything back: nothing was sent.
    pub fn release(mut self) {
        self.end(End::NotSent);
    }

    /// Settles a call whose service failed: nothing, if the error proves that
    /// nothing was sent or holds a status that is not billed, else what the policy says
    /// of ambiguous failures.
    pub fn failed(mut self, error: &BoxError) {
        let not_sent = self.phase == Phase::Held || self.policy.settings.is_nothing_sent(error);
        let end = match self.policy.settings.status_in(error) {
            _ if not_sent => End::NotSent,
            // A client that makes errors of refusals: it was answered all the same.
            Some(status) => {
                self.answered(status);
                End::Broken
            }
            None => End::Failed,
        };
        self.end(end);
    }
}

impl Meter for Permit {
    fn observe(&mut self, observed: &Observed) {
        self.seen.clone_from(observed);
    }

    /// A stream that still flows is not lost: its deadline moves along, half a
    /// deadline at a time so that this is rarely more than a look at the clock.
    fn alive(&mut self) {
        let now = self.policy.clock.now();
        let later = now.saturating_add(self.policy.settings.deadline);
        if later.since(self.deadline) > self.policy.settings.deadline / 2 {
            self.deadline = later;
            if let Some(reservation) = self.reservation {
                self.policy.store.get().extend(reservation, later);
            }
        }
    }

    fn complete(mut self) {
        self.end(End::Complete);
    }

    fn fail(mut self) {
        self.end(End::Broken);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.end(match self.phase {
            Phase::Held => End::NotSent,
            Phase::Sent | Phase::Answered(_) => End::Broken,
        });
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("reserved", &self.reserved)
            .field("bound", &self.bound)
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}
