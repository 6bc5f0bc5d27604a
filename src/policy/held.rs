//! What a permit holds.
//!
//! It is large, and a permit is moved from the decision to the request to the response.
//! So it has a place of its own, where it is written and read and which it never leaves;
//! what is moved is a pointer. Places are used again: a call takes the last one its
//! thread gave back, and allocates only if there is none.

use std::{cell::RefCell, sync::Arc};

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
    /// Only where somebody listens.
    heard: Option<Heard>,
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
    #[inline(always)] // it is to be written where it stays
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
        self.heard = Some(Heard { span, receipt });
    }

    pub(super) fn receipt(&self) -> Option<&Receipt> {
        self.heard.as_ref()?.receipt.as_ref()
    }

    pub(super) fn span(&self) -> &Span {
        static NONE: Span = Span::none();
        self.heard.as_ref().map_or(&NONE, |heard| &heard.span)
    }
}

/// The place where something is held, or none. It is given back when this is dropped.
#[derive(Default)]
pub(super) struct Place(Option<Box<Option<Held>>>);

/// A thread keeps no more places than this for its next calls.
const MOST_SPARE: usize = 64;

thread_local! {
    static SPARE: RefCell<Vec<Box<Option<Held>>>> = const { RefCell::new(Vec::new()) };
}

impl Place {
    pub(super) const NONE: Self = Self(None);

    /// A place in which nothing is held yet.
    #[inline]
    pub(super) fn empty() -> Self {
        Self(Some(spare().unwrap_or_default()))
    }

    #[inline(always)] // see `empty`
    pub(super) fn hold(&mut self, held: Held) {
        if let Some(place) = &mut self.0 {
            **place = Some(held);
        }
    }

    #[inline]
    pub(super) fn get(&self) -> Option<&Held> {
        self.0.as_deref()?.as_ref()
    }

    #[inline]
    pub(super) fn get_mut(&mut self) -> Option<&mut Held> {
        self.0.as_deref_mut()?.as_mut()
    }
}

/// At the end of a thread there are none any more.
#[inline]
fn spare() -> Option<Box<Option<Held>>> {
    SPARE.try_with(|spare| spare.try_borrow_mut().ok()?.pop()).ok().flatten()
}

impl Drop for Place {
    #[inline]
    fn drop(&mut self) {
        let Some(mut place) = self.0.take() else { return };
        // This may be the last handle of a policy, whose end may run code of others.
        *place = None;
        let _ = SPARE.try_with(|spare| {
            if let Ok(mut spare) = spare.try_borrow_mut()
                && spare.len() < MOST_SPARE
            {
                spare.push(place);
            }
        });
    }
}
