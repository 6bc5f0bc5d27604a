//! One reserve of everything the rules claimed.

use std::sync::Arc;

use super::{Mode, Permit, Policy, UnknownPrice, decide::Progress, pricing::unknown_price};
use crate::{
    call::Call,
    claim::Unit,
    denial::{Denial, DenialKind, Deny},
    error::Error,
    price::PriceBook,
    rule::Step,
    store::{Facts, Hold, MemoryStore, Reservation, ReserveError, StoreError},
    telemetry,
    usd::Usd,
};

impl Policy {
    /// Reserves on a store in memory, without awaiting.
    pub(super) fn reserve_in_memory(
        &self,
        store: &MemoryStore,
        call: &mut Call,
        progress: &mut Progress,
    ) -> Result<Permit, Error> {
        self.before_reserve(call, progress)?;
        let (reserved, denied) = {
            let booking = self.book(call, progress)?;
            let hold = self.hold(&booking, call, None);
            match store.reserve_now(&hold) {
                Ok(reservation) => (Ok(reservation), None),
                Err(ReserveError::Refused(refusal)) => {
                    let denial = self.exceeded(&booking, refusal);
                    let again = Hold { limits: &[], ..hold };
                    (
                        if self.observes() {
                            store.reserve_now(&again)
                        } else {
                            Err(ReserveError::Refused(refusal))
                        },
                        Some(denial),
                    )
                }
                Err(error) => (Err(error), None),
            }
        };
        self.after_reserve(call, progress, reserved, denied)
    }

    /// Reserves on any store.
    pub(super) async fn reserve(
        &self,
        call: &mut Call,
        progress: &mut Progress,
    ) -> Result<Permit, Error> {
        if let super::admit::StoreHandle::Memory(store) = &self.0.store {
            return self.reserve_in_memory(store, call, progress);
        }
        self.before_reserve(call, progress)?;
        let (reserved, denied) = {
            let booking = self.book(call, progress)?;
            let store = self.0.store.get();
            let book = store.keeps_ledger().then(|| self.0.prices.get(progress.version));
            let facts = book.map(|book| self.facts(call, book));
            let hold = self.hold(&booking, call, facts.as_ref());
            match store.reserve(hold).await {
                Err(ReserveError::Refused(refusal)) => {
                    let denial = self.exceeded(&booking, refusal);
                    let would_deny = Some(denial.rule());
                    let facts = facts.map(|facts| Facts { would_deny, ..facts });
                    let again = Hold { limits: &[], call: facts.as_ref(), ..hold };
                    let reserved = match self.observes() {
                        true => store.reserve(again).await,
                        false => Err(ReserveError::Refused(refusal)),
                    };
                    (reserved, Some(denial))
                }
                other => (other, None),
            }
        };
        self.after_reserve(call, progress, reserved, denied)
    }

    /// What a ledger keeps of a call.
    pub(super) fn facts<'c>(&'c self, call: &'c Call, book: &'c PriceBook) -> Facts<'c> {
        Facts {
            workspace: &self.0.plan.workspace,
            provider: call.provider().name(),
            operation: call.operation().name(),
            requested_model: call.requested_model(),
            model: call.model(),
            labels: call.labels(),
            prices: book.as_of(),
            would_deny: None,
        }
    }

    fn observes(&self) -> bool {
        self.0.settings.mode == Mode::Observe
    }

    /// Every rule has run: a model without a price is denied now, not earlier,
    /// because a rule may have replaced it.
    #[inline]
    fn before_reserve(&self, call: &mut Call, progress: &mut Progress) -> Result<(), Denial> {
        if !progress.quote.known {
            match self.0.settings.unknown_price {
                UnknownPrice::Deny => {
                    self.deny(None, unknown_price(call.model(), call.provider()), call, progress)?
                }
                UnknownPrice::Allow | UnknownPrice::Assume(_) => telemetry::unpriced(call),
            }
        }
        if progress.quote.cost == Usd::MAX {
            // It would pass a limit of as much, and a counter that is full forgets by how much.
            let why = format!("it may cost more than can be counted, which is {}", Usd::MAX);
            self.deny(None, Deny::of_kind(DenialKind::TooExpensive, why), call, progress)?;
        }
        let final_cost = progress.quote.cost.as_nanos();
        progress.restore(call);
        if progress.is_repriced {
            // Each limit is checked against the larger of what was claimed and the final cost.
            for (limit, step) in progress.limits.iter_mut().zip(&progress.limit_steps) {
                if self.unit_of(*step) == Unit::Cost {
                    limit.ask = limit.ask.max(final_cost);
                }
            }
            for claimed in
                progress.claims.iter_mut().filter(|claimed| claimed.claim.unit == Unit::Cost)
            {
                claimed.ask = claimed.ask.max(final_cost);
            }
        }
        if final_cost == 0 {
            // A price of zero makes no claim on money, not even on a budget overdrawn.
            // The limits stay in their places, which claims count on.
            for (limit, step) in progress.limits.iter_mut().zip(&progress.limit_steps) {
                if self.unit_of(*step) == Unit::Cost {
                    (limit.ask, limit.limit) = (0, u64::MAX);
                }
            }
            progress.claims.retain(|claimed| claimed.claim.unit != Unit::Cost);
        }
        Ok(())
    }

    fn unit_of(&self, step: u16) -> Unit {
        match self.0.plan.steps.get(usize::from(step)).map(|planned| &planned.step) {
            Some(Step::Counted(counted)) => counted.unit,
            _ => Unit::Calls,
        }
    }

    fn after_reserve(
        &self,
        call: &mut Call,
        progress: &mut Progress,
        reserved: Result<Reservation, ReserveError>,
        denied: Option<Denial>,
    ) -> Result<Permit, Error> {
        let reservation = match reserved {
            Ok(reservation) => {
                self.0.outage.end();
                Some(reservation)
            }
            Err(ReserveError::Refused(_)) => {
                self.0.outage.end();
                return Err(denied.unwrap_or_else(|| Deny::new("no room").by("store")).into());
            }
            Err(ReserveError::Unavailable(error)) => {
                let on_outage = self.0.settings.on_outage;
                let admits = self.0.outage.admits(on_outage, progress.quote.cost);
                if !admits && !self.observes() {
                    return Err(error.into());
                }
                self.note_unmetered(call, progress, &error);
                None
            }
        };
        progress.would_deny = progress.would_deny.take().or(denied);
        Ok(self.grant(call, progress, reservation))
    }

    /// A call goes out without being counted.
    fn note_unmetered(&self, call: &Call, progress: &Progress, error: &StoreError) {
        let (store, estimate) = (self.0.store.get(), progress.quote.cost);
        self.0.tally.count_unmetered();
        if store.keeps_ledger() {
            let book = self.0.prices.get(progress.version);
            store.unmetered(&self.facts(call, book), estimate, call.at());
        }
        telemetry::outage(call, error);
    }

    fn grant(
        &self,
        call: &mut Call,
        progress: &mut Progress,
        reservation: Option<Reservation>,
    ) -> Permit {
        call.lend(None);
        let policy = Arc::clone(&self.0);
        let mut permit = Permit::new(policy, call, progress.version, &progress.quote, reservation);
        let (would_deny, would_use) = (progress.would_deny.take(), progress.would_use.take());
        if self.is_heard() || would_deny.is_some() || would_use.is_some() {
            permit.announce(call, would_deny, would_use);
        }
        permit
    }
}
