//! What became of one call's money.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use smol_str::SmolStr;
use tokio::sync::Notify;

use crate::{
    call::{Bound, Provider},
    denial::Denial,
    labels::Labels,
    settled::Settled,
    usd::Usd,
};

/// What one admitted call asked for, reserved, and in the end cost.
///
/// With [`PolicyBuilder::receipts`](crate::PolicyBuilder::receipts) it is in the
/// extensions of each response; clones share one outcome.
///
/// # Example
/// ```no_run
/// use driftlock::Receipt;
///
/// # async fn show(response: http::Response<()>) {
/// if let Some(receipt) = response.extensions().get::<Receipt>() {
///     println!("reserved {}", receipt.reserved());
///     let settled = receipt.settled().await; // once the body was read or dropped
///     println!("cost {}", settled.cost);
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct Receipt(Arc<Shared>);

struct Shared {
    facts: ReceiptFacts,
    settled: OnceLock<Settled>,
    done: Notify,
}

/// What is known of a call when it is admitted.
#[derive(Clone, Debug)]
pub(crate) struct ReceiptFacts {
    pub(crate) provider: Provider,
    pub(crate) labels: Labels,
    pub(crate) requested_model: SmolStr,
    pub(crate) model: SmolStr,
    pub(crate) reserved: Usd,
    pub(crate) bound: Bound,
    pub(crate) would_deny: Option<Denial>,
    pub(crate) would_use: Option<SmolStr>,
}

impl Receipt {
    pub(crate) fn new(facts: ReceiptFacts) -> Self {
        Self(Arc::new(Shared { facts, settled: OnceLock::new(), done: Notify::new() }))
    }

    pub(crate) fn settle(&self, settled: Settled) {
        if self.0.settled.set(settled).is_ok() {
            self.0.done.notify_waiters();
        }
    }

    /// Whose API the call went to.
    pub fn provider(&self) -> &Provider {
        &self.0.facts.provider
    }

    /// The labels of the call: for whom it was.
    pub fn labels(&self) -> &Labels {
        &self.0.facts.labels
    }

    /// The model the caller asked for.
    pub fn requested_model(&self) -> &str {
        &self.0.facts.requested_model
    }

    /// The model that was sent.
    pub fn model(&self) -> &str {
        &self.0.facts.model
    }

    /// What was reserved.
    pub fn reserved(&self) -> Usd {
        self.0.facts.reserved
    }

    /// Whether what was reserved is a ceiling.
    pub fn bound(&self) -> Bound {
        self.0.facts.bound
    }

    /// While observing: the denial that enforcing would have given.
    pub fn would_deny(&self) -> Option<&Denial> {
        self.0.facts.would_deny.as_ref()
    }

    /// While observing: the model that enforcing would have sent.
    pub fn would_use(&self) -> Option<&str> {
        self.0.facts.would_use.as_deref()
    }

    /// What the call cost, if it has settled.
    pub fn try_settled(&self) -> Option<Settled> {
        self.0.settled.get().copied()
    }

    /// Waits until the call has settled: its body was read to the end or dropped.
    pub async fn settled(&self) -> Settled {
        loop {
            // Registered before looking, so that a settlement in between is not missed.
            let mut done = std::pin::pin!(self.0.done.notified());
            done.as_mut().enable();
            if let Some(settled) = self.try_settled() {
                return settled;
            }
            done.await;
        }
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt")
            .field("facts", &self.0.facts)
            .field("settled", &self.try_settled())
            .finish()
    }
}
