//! The counters that a rule may look at.

use std::{fmt, future::Future, pin::Pin};

use serde::Serialize;

use super::Call;
use crate::{
    claim::{Amount, Scope, Unit},
    clock::Timestamp,
    window::Window,
};

impl Call {
    /// What a counter of the policy holds now, `None` before a policy has seen the
    /// call or if its store does not answer.
    ///
    /// Advisory: it may have changed by the time the call is admitted. To enforce a
    /// limit, return a [`Claim`](crate::Claim).
    pub async fn used(&self, scope: Scope, unit: Unit, window: Window) -> Option<Used> {
        match &self.counters {
            Some(counters) => counters.used(scope, unit, window, self.at).await,
            None => None,
        }
    }
}

/// What a counter holds.
///
/// For an example see [`Rule`](crate::Rule).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Used {
    /// By calls that have settled.
    pub settled: Amount,
    /// By calls in flight.
    pub reserved: Amount,
    /// By how much limits are raised by hand now.
    pub raised: Amount,
    /// When a calendar window starts again at zero.
    pub resets_at: Option<Timestamp>,
}

/// A future without its type.
pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The counters a rule may look at, as the policy lends them to a call.
pub(crate) trait Counters: Send + Sync {
    fn used(
        &self,
        scope: Scope,
        unit: Unit,
        window: Window,
        at: Timestamp,
    ) -> BoxFuture<'_, Option<Used>>;
}

impl fmt::Debug for dyn Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counters")
    }
}
