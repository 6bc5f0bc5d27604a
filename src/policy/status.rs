//! Looking at and correcting what a policy has counted.

use std::fmt;

use super::Policy;
use crate::{
    call::Used,
    claim::{Amount, Scope, Unit},
    clock::Timestamp,
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
    /// By how much limits are raised by hand now; see [`Policy::raise_limit`](crate::Policy::raise_limit).
    pub raised: Usd,
    /// When a calendar window starts again at zero.
    pub resets_at: Option<Timestamp>,
}

impl Spend {
    fn from_reading(reading: Reading) -> Self {
        Self {
            settled: Usd::nanos(reading.settled),
            reserved: Usd::nanos(reading.reserved),
            raised: Usd::nanos(reading.raised),
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
        let Used { settled, reserved, raised, resets_at } = used;
        Self { settled: usd(settled), reserved: usd(reserved), raised: usd(raised), resets_at }
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
        let (counter, value) = self.0.counted(scope, Unit::Cost, window)?;
        let (store, at) = (self.0.store.get(), self.0.clock.now());
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
        let (counter, value) = self.0.counted(scope, Unit::Cost, window)?;
        let (store, at, by) = (self.0.store.get(), self.0.clock.now(), by.as_nanos());
        let reading = store.raise(Raise { counter, value, by, until, reason, at }).await?;
        telemetry::raised(scope, window, by, until, reason);
        Ok(Spend::from_reading(reading))
    }

    /// The time, by the policy's clock.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }
}
