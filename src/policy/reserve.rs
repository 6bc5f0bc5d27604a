//! One reserve of everything the rules claimed.

use std::{borrow::Cow, sync::Arc};

use smallvec::SmallVec;
use smol_str::SmolStr;

use super::{
    Mode, OnOutage, Permit, Policy, UnknownPrice,
    decide::{Claimed, Progress},
    pricing::unknown_price,
};
use crate::{
    call::Call,
    claim::{Amount, Claim, Unit},
    denial::{Denial, DenialKind, Deny, Exceeded},
    error::Error,
    rule::Step,
    store::{Charge, CounterKey, Hold, Limit, MemoryStore, Refusal, Reservation, ReserveError},
    telemetry,
    usd::Usd,
};

/// Everything a call books and what must hold for it.
struct Booking<'c> {
    values: SmallVec<[&'c str; 4]>,
    charges: SmallVec<[Charge; 8]>,
    limits: Cow<'c, [Limit]>,
    /// The rule behind each limit.
    steps: Cow<'c, [u16]>,
    /// The labels of values behind the plan's own, in order.
    extra_labels: Vec<Option<SmolStr>>,
    /// The counters of charges behind the plan's own, in order.
    extra_keys: Vec<CounterKey>,
}

impl Policy {
    /// Reserves on a store in memory, without awaiting.
    pub(super) fn reserve_in_memory(
        &self,
        store: &MemoryStore,
        call: &mut Call,
        progress: &mut Progress,
    ) -> Result<Permit, Error> {
        self.before_reserve(call, progress)?;
        if progress.claims.is_empty()
            && let Ok(reservation) = self.reserve_plainly(store, call, progress)
        {
            return Ok(self.grant(call, progress, Some(reservation)));
        }
        self.reserve_in_detail(store, call, progress)
    }

    /// Reserves where the plan's counters are all there is to charge.
    #[inline]
    fn reserve_plainly(
        &self,
        store: &MemoryStore,
        call: &Call,
        progress: &Progress,
    ) -> Result<Reservation, ReserveError> {
        let (mut values, mut charges) = (SmallVec::new(), SmallVec::new());
        self.0.plan.find_values(call, &progress.places, &mut values);
        self.0.plan.find_charges(progress.quote.cost.as_nanos(), &mut charges);
        store.reserve_now(&Hold {
            values: &values,
            charges: &charges,
            limits: &progress.limits,
            at: call.at(),
            deadline: call.at().saturating_add(self.0.settings.deadline),
        })
    }

    /// The same for whatever is not simply admitted: claims of custom rules, and
    /// refusals, which are asked for again to be explained.
    #[inline(never)]
    fn reserve_in_detail(
        &self,
        store: &MemoryStore,
        call: &mut Call,
        progress: &mut Progress,
    ) -> Result<Permit, Error> {
        let (reserved, denied) = {
            let booking = self.book(call, progress)?;
            let hold = self.hold(&booking, call);
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
            let hold = self.hold(&booking, call);
            let store = self.0.store.get();
            match store.reserve(hold).await {
                Err(ReserveError::Refused(refusal)) => {
                    let denial = self.exceeded(&booking, refusal);
                    let again = Hold { limits: &[], ..hold };
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
            let free = |unit| unit == Unit::Cost;
            let steps = std::mem::take(&mut progress.limit_steps);
            let limits = std::mem::take(&mut progress.limits);
            for (limit, step) in
                limits.into_iter().zip(steps).filter(|(_, step)| !free(self.unit_of(*step)))
            {
                progress.limits.push(limit);
                progress.limit_steps.push(step);
            }
            progress.claims.retain(|claimed| !free(claimed.claim.unit));
        }
        Ok(())
    }

    fn unit_of(&self, step: u16) -> Unit {
        match self.0.plan.steps.get(usize::from(step)).map(|planned| &planned.step) {
            Some(Step::Counted(counted)) => counted.unit,
            _ => Unit::Calls,
        }
    }

    fn book<'c>(&self, call: &'c Call, progress: &'c Progress) -> Result<Booking<'c>, Denial> {
        let plan = &self.0.plan;
        let cost = progress.quote.cost.as_nanos();
        let mut booking = Booking {
            values: SmallVec::new(),
            charges: SmallVec::new(),
            limits: Cow::Borrowed(&progress.limits),
            steps: Cow::Borrowed(&progress.limit_steps),
            extra_labels: Vec::new(),
            extra_keys: Vec::new(),
        };
        plan.find_values(call, &progress.places, &mut booking.values);
        plan.find_charges(cost, &mut booking.charges);
        // Backwards, so that `after` still counts the limits before each claim.
        for claimed in progress.claims.iter().rev() {
            let Some(charge) = self.charge_of(&claimed.claim, cost, &mut booking) else {
                let step = usize::from(claimed.step);
                let name =
                    plan.steps.get(step).map(|planned| planned.name.clone()).unwrap_or_default();
                // The decision has counted them.
                return Err(
                    Deny::of_kind(DenialKind::RuleFailed, "its claims cannot be booked").by(name)
                );
            };
            let Claimed { claim, step, after, ask } = claimed;
            booking.limits.to_mut().insert(*after, Limit { charge, ask: *ask, limit: claim.limit });
            booking.steps.to_mut().insert(*after, *step);
        }
        Ok(booking)
    }

    /// The charge for a custom claim: one of the plan's, one already added, or a new one.
    fn charge_of<'c>(&self, claim: &'c Claim, cost: u64, booking: &mut Booking<'c>) -> Option<u8> {
        let (key, value) = self.0.counter_key(&claim.scope, claim.unit, claim.window);
        let store = self.0.store.get();
        let counter = store.counter(&key);
        let known = |charge: &Charge| {
            charge.counter == counter
                && booking.values.get(usize::from(charge.value)) == Some(&value)
        };
        if let Some(index) = booking.charges.iter().position(known) {
            return u8::try_from(index).ok();
        }
        let slot = match self.slot_of(&key.label, value, booking) {
            Some(slot) => slot,
            None => {
                booking.values.push(value);
                booking.extra_labels.push(key.label.clone());
                booking.values.len() - 1
            }
        };
        booking.extra_keys.push(key);
        let slot = u8::try_from(slot).ok()?;
        let amount = match claim.unit {
            Unit::Cost => cost,
            Unit::Calls => 1,
        };
        booking.charges.push(Charge { counter, value: slot, amount });
        u8::try_from(booking.charges.len() - 1).ok()
    }

    /// Which of the booking's values is this label's value.
    fn slot_of(
        &self,
        label: &Option<SmolStr>,
        value: &str,
        booking: &Booking<'_>,
    ) -> Option<usize> {
        let labels = self.0.plan.scopes.iter().chain(&booking.extra_labels);
        booking.values.iter().zip(labels).position(|(known, of)| *known == value && of == label)
    }

    fn hold<'b>(&self, booking: &'b Booking<'_>, call: &Call) -> Hold<'b> {
        Hold {
            values: &booking.values,
            charges: &booking.charges,
            limits: &booking.limits,
            at: call.at(),
            deadline: call.at().saturating_add(self.0.settings.deadline),
        }
    }

    /// The earliest rule that is out of room already, where the store can tell at once.
    pub(super) fn peek(&self, call: &Call, progress: &Progress) -> Option<Denial> {
        let super::admit::StoreHandle::Memory(store) = &self.0.store else { return None };
        if progress.limits.is_empty() && progress.claims.is_empty() {
            return None;
        }
        let mut booking = self.book(call, progress).ok()?;
        // What asks for nothing, as the cost of a call without a price, is not in its way.
        booking
            .limits
            .to_mut()
            .iter_mut()
            .filter(|limit| limit.ask == 0)
            .for_each(|limit| limit.limit = u64::MAX);
        let refusal = store.peek(&self.hold(&booking, call))?;
        Some(self.exceeded(&booking, refusal))
    }

    fn exceeded(&self, booking: &Booking<'_>, refusal: Refusal) -> Denial {
        let plan = &self.0.plan;
        let step = booking.steps.get(refusal.limit).map_or(0, |step| usize::from(*step));
        let name = plan.steps.get(step).map(|planned| planned.name.clone()).unwrap_or_default();
        let Some(limit) = booking.limits.get(refusal.limit) else {
            return Deny::of_kind(DenialKind::Budget, "a limit has no room").by(name);
        };
        let index = usize::from(limit.charge);
        let planned = plan.counters.get(index).map(|planned| &planned.key);
        let key =
            planned.or_else(|| booking.extra_keys.get(index.checked_sub(plan.counters.len())?));
        let value = booking
            .charges
            .get(index)
            .and_then(|charge| booking.values.get(usize::from(charge.value)));
        let (Some(key), Some(value)) = (key, value) else {
            return Deny::of_kind(DenialKind::Budget, "a limit has no room").by(name);
        };
        let kind = match plan.steps.get(step).map(|planned| &planned.step) {
            Some(Step::Counted(counted)) => counted.kind,
            _ if key.window.sliding_nanos().is_some() => DenialKind::Velocity,
            _ => DenialKind::Budget,
        };
        let amount = |number| Amount::of(key.unit, number);
        let exceeded = Exceeded {
            scope: key.scope(value),
            window: Some(key.window),
            limit: amount(limit.limit),
            used: amount(refusal.used),
            reserved: amount(refusal.reserved),
            asked: amount(limit.ask),
        };
        Deny::exceeding(kind, exceeded, refusal.retry).by(name)
    }

    fn after_reserve(
        &self,
        call: &mut Call,
        progress: &mut Progress,
        reserved: Result<Reservation, ReserveError>,
        denied: Option<Denial>,
    ) -> Result<Permit, Error> {
        let reservation = match reserved {
            Ok(reservation) => Some(reservation),
            Err(ReserveError::Refused(_)) => {
                return Err(denied.unwrap_or_else(|| Deny::new("no room").by("store")).into());
            }
            Err(ReserveError::Unavailable(error)) => {
                if self.0.settings.on_outage == OnOutage::Deny && !self.observes() {
                    return Err(error.into());
                }
                telemetry::outage(call, &error);
                None
            }
        };
        progress.would_deny = progress.would_deny.take().or(denied);
        Ok(self.grant(call, progress, reservation))
    }

    #[inline(always)] // the permit is large, and is to be written where it is going
    fn grant(
        &self,
        call: &mut Call,
        progress: &mut Progress,
        reservation: Option<Reservation>,
    ) -> Permit {
        call.lend(None);
        Permit::new(Arc::clone(&self.0), call, progress, reservation)
    }
}
