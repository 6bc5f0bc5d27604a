//! Every end of a call has a rule.

use super::{OnAbandoned, OnAmbiguous, Permit, Settled, SettledHow, permit::Phase};
use crate::{clock::Timestamp, telemetry, usd::Usd};

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

impl Permit {
    /// Settles, the first time it is called.
    pub(super) fn end(&mut self, end: End) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let (cost, how) = self.verdict(end);
        if let Some(reservation) = self.reservation {
            let store = self.policy.store.get();
            match how {
                SettledHow::NotSent => store.release(reservation, Timestamp::EPOCH),
                // Only an overrun is booked at the time of settling; a refund goes
                // back to where it was taken, so the clock need not be read for it.
                _ if cost <= self.reserved => store.settle(reservation, cost, Timestamp::EPOCH),
                _ => store.settle(reservation, cost, self.policy.clock.now()),
            }
        }
        self.report(cost, how);
    }

    fn verdict(&self, end: End) -> (Usd, SettledHow) {
        let actual = self.actual();
        let estimate = self.reserved;
        let ambiguous = || match self.policy.settings.on_ambiguous {
            OnAmbiguous::Estimate => (estimate, SettledHow::Ambiguous),
            OnAmbiguous::Nothing => (Usd::ZERO, SettledHow::Ambiguous),
        };
        match (end, billing(self.phase), actual) {
            (End::NotSent, ..) => (Usd::ZERO, SettledHow::NotSent),
            (End::Failed, ..) => ambiguous(),
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

    /// The cost of the usage seen, `None` if none was seen or it cannot be true.
    fn actual(&self) -> Option<Usd> {
        let seen = &self.seen;
        let cost = |usage| self.policy.actual_cost(&self.priced, &self.provider, seen, usage);
        let actual = seen.usage.as_ref().and_then(cost);
        if actual.is_none() && (seen.usage.is_some() || seen.contradictory) {
            self.span().in_scope(|| telemetry::unbelievable(seen.usage.as_ref()));
        }
        actual
    }

    fn report(&self, cost: Usd, how: SettledHow) {
        let settled = Settled { cost, reserved: self.reserved, how, usage: self.seen.usage };
        telemetry::settled(self.span(), &self.provider, &self.seen, &settled);
        if how == SettledHow::Estimated {
            self.policy.tally.count_estimated();
        }
        if let Some(receipt) = self.receipt() {
            receipt.settle(settled);
        }
        if let Some(on_settled) = &self.policy.settings.on_settled {
            // A callback runs inside `drop`, where a second panic would abort.
            let call = std::panic::AssertUnwindSafe(|| on_settled(&settled));
            if std::panic::catch_unwind(call).is_err() {
                telemetry::callback_panicked();
            }
        }
    }
}
