//! The guard that carries a reservation from the decision to the end of the response.

use std::{fmt, sync::Arc};

use smol_str::SmolStr;
use tracing::Span;

use super::{Inner, Receipt, actual::Priced, pricing::Quote, receipt::ReceiptFacts, settle::End};
use crate::{
    call::{Bound, Call, Provider},
    clock::Timestamp,
    denial::Denial,
    error::BoxError,
    meter::Meter,
    provider::{Format, Observed, Told},
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
    deadline: Timestamp,
    pub(super) ended: bool,
    reply: Reply,
    /// Only where somebody listens, because a permit is moved a few times.
    heard: Option<Box<Heard>>,
    /// What was said of its usage before its end, where no body passes through a layer.
    seen: Option<Box<Usage>>,
}

/// What of a call others look at.
struct Heard {
    span: Span,
    receipt: Option<Receipt>,
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
        version: usize,
        quote: &Quote,
        reservation: Option<Reservation>,
    ) -> Self {
        let bound = call.estimate().map_or(Bound::Assumed, |estimate| estimate.bound);
        policy.tally.count_admitted(bound);
        let deadline = call.at().as_nanos().saturating_add(policy.deadline_nanos);
        Self {
            policy,
            reservation,
            priced: Priced::new(call, version, quote.entry),
            reserved: quote.cost,
            bound,
            provider: call.provider().clone(),
            phase: Phase::Held,
            deadline: Timestamp::from_nanos(deadline),
            ended: false,
            reply: Reply { format: Format::OpenAiChat, hides_usage: false },
            heard: None,
            seen: None,
        }
    }

    /// Tells whoever listens. A subscriber is code of others, so this comes when the
    /// permit guards the reservation.
    #[inline(never)]
    pub(super) fn announced(
        mut self,
        call: &Call,
        would_deny: Option<Denial>,
        would_use: Option<SmolStr>,
    ) -> Self {
        if would_deny.is_some() {
            self.policy.tally.count_would_deny();
        }
        let span =
            telemetry::admitted(call, self.reserved, would_deny.as_ref(), would_use.as_deref());
        let receipt = self.policy.settings.wants_receipts().then(|| {
            Receipt::new(ReceiptFacts {
                provider: call.provider().clone(),
                labels: call.labels().clone(),
                requested_model: call.requested_model().into(),
                model: call.model_name().clone(),
                reserved: self.reserved,
                bound: self.bound,
                would_deny,
                would_use,
            })
        });
        self.heard = Some(Box::new(Heard { span, receipt }));
        self
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
            deadline: Timestamp::MAX,
            ended: true,
            reply: Reply { format: Format::OpenAiChat, hides_usage: false },
            heard: None,
            seen: None,
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
        self.heard.as_ref()?.receipt.as_ref()
    }

    /// The receipt, if it goes along with the response.
    pub(crate) fn sent_receipt(&self) -> Option<&Receipt> {
        self.receipt().filter(|_| self.policy.settings.sends_receipts())
    }

    /// The span of this call, with the `gen_ai.*` attributes known so far.
    pub fn span(&self) -> &Span {
        static NONE: Span = Span::none();
        self.heard.as_ref().map_or(&NONE, |heard| &heard.span)
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
        self.end(End::Complete, Told { usage: Some(usage), ..Told::default() });
    }

    /// Settles to the estimate: the call was made, and its usage is not known. After a
    /// status that is not billed, told by [`answered`](Self::answered), that is nothing.
    pub fn settle_estimate(mut self) {
        self.end(End::Complete, Told::default());
    }

    /// Gives everything back: nothing was sent.
    pub fn release(mut self) {
        self.end(End::NotSent, Told::default());
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
        let seen = self.seen.take();
        self.end(end, Told { usage: seen.as_deref(), ..Told::default() });
    }

    /// Takes a usage that may not be the last.
    pub(super) fn note(&mut self, usage: &Usage) {
        match &mut self.seen {
            Some(seen) => **seen = *usage,
            None => self.seen = Some(Box::new(*usage)),
        }
    }
}

impl Meter for Permit {
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

    /// What ends on a running total was cut off, however quietly.
    fn complete(mut self, told: &Observed) {
        let was_cut = told.is_partial && !told.is_final;
        self.end(if was_cut { End::Broken } else { End::Complete }, told.told());
    }

    fn fail(mut self, told: &Observed) {
        self.end(End::Broken, told.told());
    }

    fn abandon(mut self, told: &Observed) {
        self.end(End::Broken, told.told());
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let end = match self.phase {
            Phase::Held => End::NotSent,
            Phase::Sent | Phase::Answered(_) => End::Broken,
        };
        let seen = self.seen.take();
        self.end(end, Told { usage: seen.as_deref(), ..Told::default() });
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
