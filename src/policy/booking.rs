//! Everything a call books, gathered from the plan and from what rules claimed.

use std::borrow::Cow;

use smallvec::SmallVec;
use smol_str::SmolStr;

use super::{
    Policy,
    decide::{Claimed, Progress},
};
use crate::{
    call::Call,
    claim::{Amount, Claim},
    denial::{Denial, DenialKind, Deny, Exceeded},
    labels::Word,
    rule::Step,
    store::{Charge, CounterKey, Facts, Hold, Limit, Refusal},
    usd::Usd,
};

/// Everything a call books and what must hold for it.
pub(super) struct Booking<'c> {
    values: SmallVec<[&'c str; 4]>,
    charges: SmallVec<[Charge; 8]>,
    cost: Usd,
    limits: Cow<'c, [Limit]>,
    /// The rule behind each limit.
    steps: Cow<'c, [u16]>,
    /// The labels of values behind the plan's own, in order.
    extra_labels: Vec<Option<SmolStr>>,
    /// The counters of charges behind the plan's own, in order.
    extra_keys: Vec<CounterKey>,
}

impl Policy {
    pub(super) fn book<'c>(
        &self,
        call: &'c Call,
        progress: &'c Progress,
    ) -> Result<Booking<'c>, Denial> {
        let plan = &self.0.plan;
        let mut booking = Booking {
            cost: progress.quote.cost,
            values: SmallVec::new(),
            charges: SmallVec::from_slice(&plan.charges),
            limits: Cow::Borrowed(&progress.limits),
            steps: Cow::Borrowed(&progress.limit_steps),
            extra_labels: Vec::new(),
            extra_keys: Vec::new(),
        };
        plan.find_values(call, &progress.places, &mut booking.values);
        // Backwards, so that `after` still counts the limits before each claim.
        for claimed in progress.claims.iter().rev() {
            let Some(charge) = self.charge_of(&claimed.claim, &mut booking) else {
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
    fn charge_of<'c>(&self, claim: &'c Claim, booking: &mut Booking<'c>) -> Option<u8> {
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
        booking.charges.push(Charge { counter, value: u8::try_from(slot).ok()? });
        u8::try_from(booking.charges.len() - 1).ok()
    }

    /// Which of the booking's values is this label's value.
    fn slot_of(
        &self,
        label: &Option<SmolStr>,
        value: &str,
        booking: &Booking<'_>,
    ) -> Option<usize> {
        let planned = self.0.plan.scopes.iter().map(|scope| scope.as_ref().map(Word::text));
        let labels = planned.chain(booking.extra_labels.iter().map(Option::as_ref));
        let known =
            |(known, of): (&&str, Option<&SmolStr>)| *known == value && of == label.as_ref();
        booking.values.iter().zip(labels).position(known)
    }

    pub(super) fn hold<'b>(
        &self,
        booking: &'b Booking<'_>,
        call: &Call,
        facts: Option<&'b Facts<'b>>,
    ) -> Hold<'b> {
        Hold {
            values: &booking.values,
            charges: &booking.charges,
            cost: booking.cost,
            limits: &booking.limits,
            at: call.at(),
            deadline: call.at().saturating_add(self.0.settings.deadline),
            call: facts,
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
        let refusal = store.peek(&self.hold(&booking, call, None))?;
        Some(self.exceeded(&booking, refusal))
    }

    pub(super) fn exceeded(&self, booking: &Booking<'_>, refusal: Refusal) -> Denial {
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
            limit: amount(limit.limit.saturating_add(refusal.raised)),
            used: amount(refusal.used),
            reserved: amount(refusal.reserved),
            asked: amount(limit.ask),
        };
        Deny::exceeding(kind, exceeded, refusal.retry).by(name)
    }
}
