//! How much goes unmetered while the store does not answer.

use std::sync::atomic::{AtomicU64, Ordering};

use super::OnOutage;
use crate::usd::Usd;

/// The estimates of calls that were let through since the store answered last.
#[derive(Debug, Default)]
pub(super) struct Outage(AtomicU64);

impl Outage {
    /// Whether a call of this estimate may be sent unmetered; then it counts.
    pub(super) fn admits(&self, on_outage: OnOutage, estimate: Usd) -> bool {
        let most = match on_outage {
            OnOutage::Deny => return false,
            OnOutage::Allow => return true,
            OnOutage::AllowUpTo(most) => most.as_nanos(),
        };
        let within = |sent: u64| sent.checked_add(estimate.as_nanos()).filter(|sum| *sum <= most);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within).is_ok()
    }

    /// The store has answered.
    pub(super) fn end(&self) {
        if self.0.load(Ordering::Relaxed) > 0 {
            self.0.store(0, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_is_used_up_and_is_there_again_for_the_next_outage() {
        let outage = Outage::default();
        let up_to = OnOutage::AllowUpTo(Usd::cents(10));
        let mut admits = |cents| outage.admits(up_to, Usd::cents(cents));
        assert_eq!([6, 6, 4, 1].map(&mut admits), [true, false, true, false]);
        assert!(!outage.admits(up_to, Usd::MAX));
        outage.end();
        assert!(outage.admits(up_to, Usd::cents(10)));
        assert!(outage.admits(OnOutage::Allow, Usd::MAX));
        assert!(!outage.admits(OnOutage::Deny, Usd::ZERO));
    }
}
