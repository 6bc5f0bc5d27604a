//! Every end of a call has a rule.

use super::{
    OnAbandoned, OnAmbiguous,
    admit::StoreHandle,
    answered::Answered,
    held::{Held, Phase},
};
use crate::{
    clock::Timestamp,
    provider::Told,
    settled::{Settled, SettledHow},
    store::{Ending, Store},
    telemetry::{self, guarded},
    usd::Usd,
};

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Its answer was read to the end.
    Complete,
    /// Its answer broke off or was not read to the end.
    Broken,
    /// It failed without an answer.
    Failed,
    /// Nothing was sent.
    NotSent,
}

/// What a status says about billing.
enum Billing {
    /// The call was served.
    Served,
    /// The call was turned down, which no provider bills.
    Refused,
    /// Something broke on the way, perhaps after the model had run.
    Ambiguous,
}

fn billing(phase: Phase) -> Billing {
    match phase {
        Phase::Held | Phase::Sent | Phase::Answered(200..=299) => Billing::Served,
        Phase::Answered(408 | 499) => Billing::Ambiguous,
        // Redirects send the same call elsewhere; 503 and 529 say "overloaded".
        Phase::Answered(100..=199 | 300..=499 | 503 | 529) => Billing::Refused,
        Phase::Answered(_) => Billing::Ambiguous,
    }
}

impl Held {
    /// Settles by what the response has told.
    #[inline(always)] // of most ends much is known where they are
    pub(super) fn end(&mut self, end: End, told: &Told<'_>) {
        let answered = self.policy.answered(&self.priced, &self.provider, told);
        // Most calls end so: all is told, and nobody listens.
        if end == End::Complete
            && !told.is_partial
            && !self.is_heard()
            && !telemetry::is_heard()
            && let Some(cost) = self.priced.plain_cost(answered, told)
        {
            return self.conclude(cost, SettledHow::Actual, told);
        }
        self.end_at_length(end, answered, told);
    }

    #[inline(never)]
    fn end_at_length(&mut self, end: End, answered: Answered, told: &Told<'_>) {
        let actual = self.policy.actual_cost(&self.priced, answered, told);
        let (cost, how) = self.verdict(end, actual, told.is_partial);
        self.conclude(cost, how, told);
        self.report(cost, how, told);
        // Events come last: a subscriber is code of others.
        if actual.is_none() && (told.usage.is_some() || told.contradictory) {
            guarded(|| self.span().in_scope(|| telemetry::unbelievable(told.usage)));
        }
        if self.is_heard() {
            guarded(|| self.hush());
        }
    }

    /// Tells the store.
    #[inline(always)]
    fn conclude(&self, cost: Usd, how: SettledHow, told: &Told<'_>) {
        let Some(reservation) = self.reservation else { return };
        if how == SettledHow::NotSent {
            return self.policy.store.get().release(reservation, Timestamp::EPOCH);
        }
        // Only an overrun is booked at the time of settling; a refund goes back to where it
        // was taken, so the clock need not be read for it.
        let is_over = cost > self.reserved;
        let at = if is_over { self.policy.clock.now() } else { Timestamp::EPOCH };
        match &self.policy.store {
            // It does not write calls down.
            StoreHandle::Memory(store) => store.settle(reservation, cost, at),
            StoreHandle::Other(store) => {
                let ending = Ending { how, model: told.model, usage: told.usage };
                store.conclude(reservation, cost, at, &ending);
            }
        }
    }

    fn verdict(&self, end: End, actual: Option<Usd>, is_partial: bool) -> (Usd, SettledHow) {
        let estimate = self.reserved;
        let ambiguous = || match self.policy.settings.on_ambiguous {
            OnAmbiguous::Estimate => (estimate, SettledHow::Ambiguous),
            OnAmbiguous::Nothing => (Usd::ZERO, SettledHow::Ambiguous),
        };
        match (end, billing(self.phase), actual) {
            (End::NotSent, ..) => (Usd::ZERO, SettledHow::NotSent),
            (End::Failed, _, seen) => {
                // What was seen of its answer proves that it ran.
                let (cost, how) = ambiguous();
                (cost.max(seen.unwrap_or(Usd::ZERO)), how)
            }
            // More was done than was told.
            (End::Complete, _, Some(seen)) if is_partial => {
                (seen.max(estimate), SettledHow::Estimated)
            }
            (End::Complete, _, Some(actual)) => (actual, SettledHow::Actual),
            (End::Complete | End::Broken, Billing::Refused, None) => {
                (Usd::ZERO, SettledHow::Refused)
            }
            (End::Broken, Billing::Refused, Some(actual)) => (actual, SettledHow::Actual),
            (End::Complete, Billing::Served, None) => (estimate, SettledHow::Estimated),
            (End::Complete | End::Broken, Billing::Ambiguous, None) => ambiguous(),
            (End::Broken, Billing::Served | Billing::Ambiguous, seen) => {
                let seen = seen.unwrap_or(Usd::ZERO);
                let floor = match self.policy.settings.on_abandoned {
                    OnAbandoned::Estimate => estimate,
                    OnAbandoned::Seen => Usd::ZERO,
                };
                (seen.max(floor), SettledHow::Abandoned)
            }
        }
    }

    #[inline]
    fn report(&self, cost: Usd, how: SettledHow, told: &Told<'_>) {
        self.policy.tally.count_settled(how);
        if self.receipt().is_some() || telemetry::is_heard() {
            self.tell_settled(cost, how, told);
        }
    }

    #[inline(never)]
    fn tell_settled(&self, cost: Usd, how: SettledHow, told: &Told<'_>) {
        let settled = Settled { cost, reserved: self.reserved, how, usage: told.usage.copied() };
        if let Some(receipt) = self.receipt() {
            guarded(|| receipt.settle(settled));
            if let Some(on_settled) = &self.policy.settings.on_settled
                && !guarded(|| on_settled(&settled, receipt))
            {
                guarded(telemetry::callback_panicked);
            }
        }
        guarded(|| telemetry::settled(self.span(), &self.provider, told, &settled));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use crate::{
        CostVelocity, Permit,
        call::{Call, Operation, Provider},
        claim::Scope,
        clock::ManualClock,
        meter::Meter,
        policy::{
            OnAmbiguous, Policy, Settings, Spend, Stats,
            actual::tests::told,
            plain::tests::{calls, policy, settings},
        },
        provider::{Observed, Told},
        usage::Usage,
        usd::Usd,
        window::{Window, Zone},
    };

    #[derive(Clone, Copy, Debug)]
    enum Way {
        Settle,
        SettleEstimate,
        Complete,
        Fail,
        Abandon,
        Drop,
    }

    fn end(mut permit: Permit, way: Way, status: Option<u16>, told: &Observed) {
        permit.sent();
        if let Some(status) = status {
            permit.answered(status);
        }
        match (way, &told.usage) {
            (Way::Settle, Some(usage)) => permit.settle(usage),
            (Way::SettleEstimate, _) => permit.settle_estimate(),
            (Way::Complete | Way::Settle, _) => permit.complete(told),
            (Way::Fail, _) => permit.fail(told),
            (Way::Abandon, _) => permit.abandon(told),
            (Way::Drop, _) => drop(permit),
        }
    }

    async fn so_far(policy: &Policy) -> (Spend, Stats) {
        let month = Window::month(Zone::UTC);
        (policy.spend(&Scope::Workspace, month).await.unwrap(), policy.stats())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(50))]

        #[test]
        fn a_call_settles_the_same_where_nobody_listens(
            calls in prop::collection::vec(
                (
                    calls(),
                    told(),
                    any::<(bool, bool)>(),
                    prop::sample::select(vec![
                        Way::Settle, Way::Settle, Way::SettleEstimate, Way::Complete, Way::Fail,
                        Way::Abandon, Way::Drop,
                    ]),
                    prop::sample::select(vec![None, Some(200), Some(429), Some(500)]),
                ),
                50,
            ),
            settings in settings(),
        ) {
            let heard = policy(Settings { receipts: true, ..settings.clone() });
            let quiet = policy(settings);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            for (facts, (usage, told), (is_partial, is_final), way, status) in calls {
                let Told { model, service_tier, region, contradictory, .. } = told;
                let mut observed = Observed::default();
                (observed.usage, observed.contradictory) = (usage, contradictory);
                (observed.is_partial, observed.is_final) = (is_partial, is_final);
                observed.model = model.map(Into::into);
                observed.service_tier = service_tier.map(Into::into);
                observed.region = region.map(Into::into);
                let [quietly, loudly] = [&quiet, &heard].map(|policy| runtime.block_on(async {
                    match policy.admit(&mut facts.call()).await {
                        Ok(permit) => end(permit, way, status, &observed),
                        Err(error) => return Err(error.to_string()),
                    }
                    Ok(so_far(policy).await)
                }));
                prop_assert_eq!(quietly, loudly, "{:?} {:?} {:?} {:?}", facts, way, status, observed);
            }
        }
    }

    #[tokio::test]
    async fn a_call_is_charged_the_price_in_force_when_it_was_admitted() {
        let clock = ManualClock::at("2026-11-30T23:59:59Z".parse().unwrap());
        let policy = Policy::builder().clock(clock.clone()).receipts(true).build().unwrap();
        let admit = async || {
            let mut call = Call::new(Provider::GOOGLE, Operation::Chat, "gemini-4-argon");
            policy.admit(&mut call).await.unwrap()
        };
        let charged = |permit: crate::Permit| {
            let receipt = permit.receipt().unwrap().clone();
            permit.settle(&Usage::tokens(1_000_000, 0));
            receipt.try_settled().unwrap().cost
        };
        let before = admit().await;
        clock.set("2026-12-01T00:00:00Z".parse().unwrap());
        let after = admit().await;
        assert_eq!(charged(before), Usd::dollars(2));
        assert_eq!(charged(after), Usd::dollars(4));
    }

    #[tokio::test]
    async fn an_overrun_is_spent_when_the_call_settles() {
        const MINUTE: Duration = Duration::from_secs(60);
        let clock = ManualClock::at("2026-11-30T12:00:00Z".parse().unwrap());
        let rule = CostVelocity::new(Usd::dollars(100), MINUTE);
        let policy = Policy::builder().clock(clock.clone()).rule(rule).build().unwrap();
        let mut call = Call::new(Provider::OPENAI, Operation::Chat, "gpt-4o");
        let permit = policy.admit(&mut call).await.unwrap();
        let reserved = permit.reserved();
        clock.advance(MINUTE * 5 / 6);
        permit.settle(&Usage::tokens(0, 1_000_000));
        clock.advance(MINUTE / 2);
        let spent = policy.spend(&Scope::Workspace, Window::sliding(MINUTE)).await.unwrap();
        assert_eq!(spent.settled, Usd::dollars(10).saturating_sub(reserved));
    }

    #[tokio::test]
    async fn an_answer_that_tells_less_than_was_done_costs_the_estimate_at_least() {
        for receipts in [false, true] {
            let policy = Policy::builder().receipts(receipts).build().unwrap();
            let mut call = Call::new(Provider::OPENAI, Operation::Chat, "gpt-4o");
            let mut permit = policy.admit(&mut call).await.unwrap();
            let reserved = permit.reserved();
            permit.sent();
            let mut told = Observed::default();
            told.usage = Some(Usage::tokens(1, 1));
            (told.is_partial, told.is_final) = (true, true);
            permit.complete(&told);
            let (spent, stats) = so_far(&policy).await;
            assert_eq!((spent.settled, spent.reserved), (reserved, Usd::ZERO));
            assert_eq!((stats.estimated, stats.abandoned), (1, 0));
        }
    }

    #[tokio::test]
    async fn what_was_answered_stays_answered() {
        let policy = Policy::builder().build().unwrap();
        let mut call = Call::new(Provider::OPENAI, Operation::Chat, "gpt-4o");
        let mut permit = policy.admit(&mut call).await.unwrap();
        permit.answered(429);
        permit.sent();
        permit.settle_estimate();
        assert_eq!(so_far(&policy).await.0.settled, Usd::ZERO);
    }

    #[tokio::test]
    async fn a_call_that_fails_costs_what_was_seen_of_its_answer() {
        let policy =
            Policy::builder().on_ambiguous(OnAmbiguous::Nothing).receipts(true).build().unwrap();
        for (seen, cost) in [(None, Usd::ZERO), (Some((0, 1_000_000)), Usd::dollars(10))] {
            let mut call = Call::new(Provider::OPENAI, Operation::Chat, "gpt-4o");
            let mut permit = policy.admit(&mut call).await.unwrap();
            let receipt = permit.receipt().unwrap().clone();
            permit.sent();
            if let Some((input, output)) = seen {
                permit.see(&Usage::tokens(input, output));
            }
            permit.failed(&"reset".into());
            assert_eq!(receipt.try_settled().unwrap().cost, cost);
        }
    }
}
