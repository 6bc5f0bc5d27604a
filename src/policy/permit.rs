//! The guard that carries a reservation from the decision to the end of the response.

use std::{fmt, sync::Arc};

use smol_str::SmolStr;
use tracing::Span;

use super::{
    Inner, Receipt,
    held::{Held, Phase, Reply},
    place::Place,
    pricing::Quote,
    settle::End,
};
use crate::{
    call::{Bound, Call},
    denial::Denial,
    error::BoxError,
    meter::Meter,
    provider::{Format, Observed, Told},
    store::Reservation,
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
    /// Nothing once it has settled, and from a policy that is off.
    held: Place,
}

impl Permit {
    #[inline(always)] // what it holds is large, and is to be written where it stays
    pub(super) fn new(
        policy: Arc<Inner>,
        call: &Call,
        version: usize,
        quote: &Quote,
        reservation: Option<Reservation>,
    ) -> Self {
        let mut held = Place::empty();
        held.hold(Held::new(policy, call, version, quote, reservation));
        Self { held }
    }

    /// Tells whoever listens.
    pub(super) fn announce(
        &mut self,
        call: &Call,
        would_deny: Option<Denial>,
        would_use: Option<SmolStr>,
    ) {
        if let Some(held) = self.held.get_mut() {
            held.announce(call, would_deny, would_use);
        }
    }

    /// A permit of a policy that is off: it settles nothing and tells nobody.
    pub(super) fn unmetered() -> Self {
        Self { held: Place::NONE }
    }

    /// What was reserved: the estimate.
    pub fn reserved(&self) -> Usd {
        self.held.get().map_or(Usd::ZERO, |held| held.reserved)
    }

    /// Whether what was reserved is a ceiling.
    pub fn bound(&self) -> Bound {
        self.held.get().map_or(Bound::Assumed, |held| held.bound)
    }

    /// The receipt, if the policy makes them: for responses, or for its callback.
    pub fn receipt(&self) -> Option<&Receipt> {
        self.held.get()?.receipt()
    }

    /// The receipt, if it goes along with the response.
    pub(crate) fn sent_receipt(&self) -> Option<&Receipt> {
        let held = self.held.get()?;
        held.receipt().filter(|_| held.policy.settings.sends_receipts())
    }

    /// The span of this call, with the `gen_ai.*` attributes known so far.
    pub fn span(&self) -> &Span {
        static NONE: Span = Span::none();
        self.held.get().map_or(&NONE, Held::span)
    }

    /// Says that the call is on its way: from now on a drop charges the estimate.
    pub fn sent(&mut self) {
        if let Some(held) = self.held.get_mut()
            && held.phase == Phase::Held
        {
            held.phase = Phase::Sent;
        }
    }

    /// Says that a response has begun, with this HTTP status. How the call settles
    /// depends on it: a call the provider refused is not billed.
    pub fn answered(&mut self, status: u16) {
        if let Some(held) = self.held.get_mut() {
            held.phase = Phase::Answered(status);
        }
    }

    pub(crate) fn expect(&mut self, format: Format, hides_usage: bool) {
        if let Some(held) = self.held.get_mut() {
            held.reply = Reply { format, hides_usage };
        }
    }

    pub(crate) fn reply(&self) -> Reply {
        self.held.get().map_or(Reply::DEFAULT, |held| held.reply)
    }

    /// Settles to the cost of this usage. Usage that contradicts itself or is
    /// absurdly large settles to the estimate.
    pub fn settle(mut self, usage: &Usage) {
        self.end(End::Complete, &Told { usage: Some(usage), ..Told::default() });
    }

    /// Settles to the estimate: the call was made, and its usage is not known. After a
    /// status that is not billed, told by [`answered`](Self::answered), that is nothing.
    pub fn settle_estimate(mut self) {
        self.end(End::Complete, &Told::default());
    }

    /// Gives everything back: nothing was sent.
    pub fn release(mut self) {
        self.end(End::NotSent, &Told::default());
    }

    /// Settles a call whose service failed: nothing, if the error proves that
    /// nothing was sent or holds a status that is not billed, else what the policy says
    /// of ambiguous failures.
    pub fn failed(mut self, error: &BoxError) {
        let Some(held) = self.held.get_mut() else { return };
        let settings = &held.policy.settings;
        let not_sent = held.phase == Phase::Held || settings.is_nothing_sent(error);
        let end = match settings.status_in(error) {
            _ if not_sent => End::NotSent,
            // A client that makes errors of refusals: it was answered all the same.
            Some(status) => {
                held.phase = Phase::Answered(status);
                End::Broken
            }
            None => End::Failed,
        };
        self.end_as_seen(end);
    }

    /// Takes a usage that may not be the last.
    pub(super) fn note(&mut self, usage: &Usage) {
        if let Some(held) = self.held.get_mut() {
            held.seen = Some(*usage);
        }
    }

    /// Settles, the first time it is called.
    #[inline(always)]
    fn end(&mut self, end: End, told: &Told<'_>) {
        // Taken first: should code of others panic on the way, that was it.
        let mut held = std::mem::take(&mut self.held);
        if let Some(held) = held.get_mut() {
            held.end(end, told);
        }
    }

    /// Settles a call that was dropped so far on its way.
    #[inline(never)]
    fn drop_in(&mut self, phase: Phase) {
        match phase {
            Phase::Held => self.end_as_seen(End::NotSent),
            Phase::Sent | Phase::Answered(_) => self.end_as_seen(End::Broken),
        }
    }

    /// The same by what was noted before.
    fn end_as_seen(&mut self, end: End) {
        let seen = self.held.get().and_then(|held| held.seen);
        self.end(end, &Told { usage: seen.as_ref(), ..Told::default() });
    }
}

impl Meter for Permit {
    /// A stream that still flows is not lost: its deadline moves along, half a
    /// deadline at a time so that this is rarely more than a look at the clock.
    fn alive(&mut self) {
        let Some(Held { policy, deadline, reservation, .. }) = self.held.get_mut() else { return };
        let later = policy.clock.now().saturating_add(policy.settings.deadline);
        if later.since(*deadline) > policy.settings.deadline / 2 {
            *deadline = later;
            if let Some(reservation) = *reservation {
                policy.store.get().extend(reservation, later);
            }
        }
    }

    /// What ends on a running total was cut off, however quietly.
    fn complete(mut self, told: &Observed) {
        let was_cut = told.is_partial && !told.is_final;
        self.end(if was_cut { End::Broken } else { End::Complete }, &told.told());
    }

    fn fail(mut self, told: &Observed) {
        self.end(End::Broken, &told.told());
    }

    fn abandon(mut self, told: &Observed) {
        self.end(End::Broken, &told.told());
    }
}

impl Drop for Permit {
    #[inline]
    fn drop(&mut self) {
        if let Some(held) = self.held.get() {
            let phase = held.phase;
            self.drop_in(phase);
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("reserved", &self.reserved())
            .field("bound", &self.bound())
            .field("phase", &self.held.get().map(|held| held.phase))
            .finish_non_exhaustive()
    }
}
