//! A graceful end.

use std::time::Duration;

use super::Policy;
use crate::store::StoreError;

/// Between two looks at what is still open.
const PAUSE: Duration = Duration::from_millis(5);

impl Policy {
    /// Waits until no call of this process is in flight on this policy's store, and everything that was
    /// settled is applied: the last thing a service does before it ends, when it has
    /// stopped making calls. A call whose permit is lost is waited for until its
    /// deadline, so put a timeout around this.
    ///
    /// Without it a durable store loses no more than calls that were in flight: those
    /// count at their estimate when their deadline passes.
    ///
    /// # Errors
    /// [`StoreError`] if the store could not apply what it was handed.
    ///
    /// # Example
    /// ```
    /// use std::time::Duration;
    /// use driftlock::{Call, Operation, Policy, Provider};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// let policy = Policy::builder().build()?;
    /// let mut call = Call::new(Provider::OPENAI, Operation::Chat, "gpt-4o-mini");
    /// let permit = policy.admit(&mut call).await?;
    /// assert!(tokio::time::timeout(Duration::from_millis(20), policy.drain()).await.is_err());
    ///
    /// drop(permit);
    /// policy.drain().await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn drain(&self) -> Result<(), StoreError> {
        let store = self.0.store.get();
        while store.in_flight(self.0.clock.now()) > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        store.flush().await
    }
}
