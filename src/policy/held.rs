//! What a permit holds.

use std::sync::Arc;

use smol_str::SmolStr;
use tracing::Span;

use super::{Inner, Receipt, actual::Priced, pricing::Quote, receipt::ReceiptFacts};
use crate::{
    call::{Bound, Call, Provider},
    clock::Timestamp,
    denial::Denial,
    provider::Format,
    store::Reservation,
    telemetry,
    usage::Usage,
    usd::Usd,
};

/// A reservation, and what its settlement depends on.
pub(super) struct Held {
    pub(super) policy: Arc<Inner>,
    pub(super) reservation: Option<Reservation>,
    pub(super) priced: Priced,
    pub(super) reserved: Usd,
    pub(super) bound: Bound,
    pub(super) provider: Provider,
    pub(super) phase: Phase,
    pub(super) deadline: Timestamp,
    pub(super) reply: Reply,
    /// Only where somebody listens; else it is not to take room.
    heard: Option<Box<Heard>>,
    /// What was said of its usage before its end, where no body passes through a layer.
    pub(super) seen: Option<Usage>,
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

impl Reply {
    pub(super) const DEFAULT: Self = Self { format: Format::OpenAiChat, hides_usage: false };
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

impl Held {
    #[inline(always)] // it is large, and is to be written in its place
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
            priced: Priced::new(call, version, quote),
            reserved: quote.cost,
            bound,
            provider: call.provider().clone(),
            phase: Phase::Held,
            deadline: Timestamp::from_nanos(deadline),
            reply: Reply::DEFAULT,
            heard: None,
            seen: None,
        }
    }

    /// Tells whoever listens. A subscriber is code of others, so this comes when the
    /// permit guards the reservation.
    #[inline(never)]
    pub(super) fn announce(
        &mut self,
        call: &Call,
        would_deny: Option<Denial>,
        would_use: Option<SmolStr>,
    ) {
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
    }

    pub(super) fn receipt(&self) -> Option<&Receipt> {
        self.heard.as_ref()?.receipt.as_ref()
    }

    /// Whether anybody listens.
    #[inline]
    pub(super) fn is_heard(&self) -> bool {
        self.heard.is_some()
    }

    /// Lets go of who listens.
    pub(super) fn hush(&mut self) {
        self.heard = None;
    }

    pub(super) fn span(&self) -> &Span {
        static NONE: Span = Span::none();
        self.heard.as_ref().map_or(&NONE, |heard| &heard.span)
    }
}
