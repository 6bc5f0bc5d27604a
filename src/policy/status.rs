//! Looking at and correcting what a policy has counted.

use std::{
    fmt,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use super::Policy;
use crate::{
    call::{Bound, Used},
    claim::{Amount, Scope, Unit},
    clock::Timestamp,
    settled::SettledHow,
    store::{Adjustment, Raise, Reading, StoreError},
    telemetry,
    usd::Usd,
    window::Window,
};

/// Spend within a window.
///
/// For an example see [`Policy::spend`](crate::Policy::spend).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Spend {
    /// By calls that have settled.
    pub settled: Usd,
    /// Held by calls in flight.
    pub reserved: Usd,
    /// When a calendar window starts again at zero.
    pub resets_at: Option<Timestamp>,
}

impl Spend {
    fn from_reading(reading: Reading) -> Self {
        Self {
            settled: Usd::nanos(reading.settled),
            reserved: Usd::nanos(reading.reserved),
            resets_at: reading.resets_at,
        }
    }

    /// Settled plus reserved.
    pub fn total(&self) -> Usd {
        self.settled.saturating_add(self.reserved)
    }
}

impl From<Used> for Spend {
    fn from(used: Used) -> Self {
        let usd = |amount| match amount {
            Amount::Cost(usd) => usd,
            Amount::Calls(_) => Usd::ZERO,
        };
        Self { settled: usd(used.settled), reserved: usd(used.reserved), resets_at: used.resets_at }
    }
}

/// Spend could not be told or changed.
///
/// For an example see [`Policy::spend`](crate::Policy::spend).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpendError {
    /// No rule looks at this window of this scope, so it is not counted.
    NotCounted {
        /// For whom.
        scope: Scope,
        /// Over which time.
        window: Window,
    },
    /// The store did not answer.
    Store(StoreError),
}

impl fmt::Display for SpendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotCounted { scope, window } => write!(
                f,
                "nothing counts the spend of {scope} {window}: the month (UTC) of the workspace, of users \
                 and of tracked labels is always counted, anything else if a rule looks at it"
            ),
            Self::Store(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl std::error::Error for SpendError {}

impl From<StoreError> for SpendError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// How many calls a policy has seen since it was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Admitted with a reservation that is a ceiling.
    pub admitted_hard: u64,
    /// Admitted with a reservation that is an assumption.
    pub admitted_assumed: u64,
    /// Denied, unreadable, or without an answer of the store.
    pub denied: u64,
    /// How often a rule met a call without the label it counts by.
    pub unlabelled: u64,
    /// Settled at the estimate because no usage was reported.
    pub estimated: u64,
    /// Settled without the answer having been read to its end.
    pub abandoned: u64,
    /// Settled after a failure that leaves open whether the call was billed.
    pub ambiguous: u64,
    /// While observing: admitted although a rule would have denied it.
    pub would_deny: u64,
    /// Admitted and not counted, because the store did not answer.
    pub unmetered: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Tally {
    hard: AtomicU64,
    assumed: AtomicU64,
    denied: AtomicU64,
    unlabelled: AtomicU64,
    estimated: AtomicU64,
    abandoned: AtomicU64,
    ambiguous: AtomicU64,
    would_deny: AtomicU64,
    unmetered: AtomicU64,
    warned: AtomicBool,
}

impl Tally {
    pub(super) fn count_admitted(&self, bound: Bound) {
        let count = match bound {
            Bound::Hard => &self.hard,
            Bound::Assumed => &self.assumed,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_denied(&self) {
        self.denied.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_would_deny(&self) {
        self.would_deny.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_unmetered(&self) {
        self.unmetered.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts the ends that a person may want to look at.
    pub(super) fn count_settled(&self, how: SettledHow) {
        let count = match how {
            SettledHow::Estimated => &self.estimated,
            SettledHow::Abandoned => &self.abandoned,
            SettledHow::Ambiguous => &self.ambiguous,
            SettledHow::Actual | SettledHow::Refused | SettledHow::NotSent => return,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts, and warns the first time.
    pub(super) fn count_unlabelled(&self, warn: impl FnOnce()) {
        self.unlabelled.fetch_add(1, Ordering::Relaxed);
        if !self.warned.swap(true, Ordering::Relaxed) {
            warn();
        }
    }
}

impl Policy {
    /// What the calls of a scope have spent within a window.
    ///
    /// The month of the workspace, of each user and of each tracked label is always
    /// counted; another window is counted if a rule looks at it.
    ///
    /// # Errors
    /// [`SpendError`] if nothing counts this, or the store does not answer.
    ///
    /// # Example
    /// ```
    /// use driftlock::{Policy, Scope, Usd, Window, Zone};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let policy = Policy::builder().build()?;
    /// let month = policy.spend(&Scope::user("u-17"), Window::month(Zone::UTC)).await?;
    /// assert_eq!(month.settled, Usd::ZERO);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn spend(&self, scope: &Scope, window: Window) -> Result<Spend, SpendError> {
        let now = self.0.clock.now();
        self.0.read(scope, Unit::Cost, window, now).await.map(Spend::from)
    }

    /// Adds spend that driftlock did not see, an opening balance for example.
    ///
    /// # Errors
    /// [`SpendError`] if nothing counts this, or the store does not answer.
    pub async fn add_spend(
        &self,
        scope: &Scope,
        window: Window,
        amount: Usd,
        reason: &str,
    ) -> Result<Spend, SpendError> {
        let delta = i64::try_from(amount.as_nanos()).unwrap_or(i64::MAX);
        self.adjust(scope, window, delta, reason).await
    }

    /// Takes back settled spend: a credit, a correction. Settled spend does not
    /// fall below zero, and what calls in flight hold is not touched.
    ///
    /// # Errors
    /// [`SpendError`] if nothing counts this, or the store does not answer.
    pub async fn remove_spend(
        &self,
        scope: &Scope,
        window: Window,
        amount: Usd,
        reason: &str,
    ) -> Result<Spend, SpendError> {
        let delta = i64::try_from(amount.as_nanos()).unwrap_or(i64::MAX);
        self.adjust(scope, window, -delta, reason).await
    }

    async fn adjust(
        &self,
        scope: &Scope,
        window: Window,
        delta: i64,
        reason: &str,
    ) -> Result<Spend, SpendError> {
        let (key, value) = self.0.counter_key(scope, Unit::Cost, window);
        let store = self.0.store.get();
        if !store.knows(&key) {
            return Err(SpendError::NotCounted { scope: scope.clone(), window });
        }
        let at = self.0.clock.now();
        let counter = store.counter(&key);
        let reading = store.adjust(Adjustment { counter, value, delta, reason, at }).await?;
        telemetry::adjusted(scope, window, delta, reason);
        Ok(Spend::from_reading(reading))
    }

    /// Raises every limit on what the calls of a scope may spend within a window by an
    /// amount, until a time, in place of what they were raised by before; zero ends that.
    /// It needs a durable store, holds for all processes that share it, and survives
    /// restarts.
    ///
    /// # Errors
    /// [`SpendError`] if nothing counts this, the store cannot raise limits or does not
    /// answer.
    ///
    /// # Example
    /// ```
    /// use std::time::Duration;
    /// use driftlock::{Policy, Scope, Usd, Window, Zone};
    ///
    /// # async fn raise(policy: Policy) -> Result<(), driftlock::SpendError> {
    /// let until = policy.now().saturating_add(Duration::from_secs(24 * 60 * 60));
    /// let (ann, month) = (Scope::user("ann"), Window::month(Zone::UTC));
    /// policy.raise_limit(&ann, month, Usd::dollars(50), until, "launch day").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn raise_limit(
        &self,
        scope: &Scope,
        window: Window,
        by: Usd,
        until: Timestamp,
        reason: &str,
    ) -> Result<Spend, SpendError> {
        let (key, value) = self.0.counter_key(scope, Unit::Cost, window);
        let store = self.0.store.get();
        if !store.knows(&key) {
            return Err(SpendError::NotCounted { scope: scope.clone(), window });
        }
        let (counter, by, at) = (store.counter(&key), by.as_nanos(), self.0.clock.now());
        let reading = store.raise(Raise { counter, value, by, until, reason, at }).await?;
        telemetry::raised(scope, window, by, until, reason);
        Ok(Spend::from_reading(reading))
    }

    /// The time, by the policy's clock.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// How many calls it has seen.
    pub fn stats(&self) -> Stats {
        let tally = &self.0.tally;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Stats {
            admitted_hard: read(&tally.hard),
            admitted_assumed: read(&tally.assumed),
            denied: read(&tally.denied),
            unlabelled: read(&tally.unlabelled),
            estimated: read(&tally.estimated),
            abandoned: read(&tally.abandoned),
            ambiguous: read(&tally.ambiguous),
            would_deny: read(&tally.would_deny),
            unmetered: read(&tally.unmetered),
        }
    }
}
