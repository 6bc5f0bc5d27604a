//! A limit on what one call may cost.

use smol_str::SmolStr;

use super::{IntoRule, Step, Token, Verdict};
use crate::{
    call::Call,
    claim::{Amount, Scope},
    denial::{DenialKind, Deny, Exceeded, Retry},
    usd::Usd,
};

/// Denies a call when its estimate exceeds the limit.
///
/// The estimate is what the call may cost at most, not what it is likely to: the
/// stated output maximum counts in full, for every choice.
///
/// # Example
/// ```
/// use driftlock::{MaxCostPerRequest, Policy, Usd};
///
/// let policy = Policy::builder().rule(MaxCostPerRequest::new(Usd::cents(10))).build()?;
/// # Ok::<(), driftlock::BuildError>(())
/// ```
#[doc(alias = "MaxCostPerRequestRule")]
#[derive(Clone, Debug)]
pub struct MaxCostPerRequest {
    name: SmolStr,
    limit: Usd,
}

impl MaxCostPerRequest {
    /// At most `limit` for one call.
    pub fn new(limit: Usd) -> Self {
        Self { name: SmolStr::new_static("max_cost_per_request"), limit }
    }

    /// The name in denials and events. Defaults to `max_cost_per_request`.
    #[must_use]
    pub fn named(mut self, name: impl Into<SmolStr>) -> Self {
        self.name = name.into();
        self
    }

    /// The most that a call may cost.
    pub(crate) fn limit(&self) -> Usd {
        self.limit
    }

    /// A model without a price is not this rule's matter but the policy's.
    pub(crate) fn decide(&self, call: &Call) -> Verdict {
        match call.estimate() {
            Some(estimate) if estimate.cost > self.limit => Deny::exceeding(
                DenialKind::TooExpensive,
                self.exceeded(estimate.cost),
                Retry::Never,
            )
            .into(),
            _ => Verdict::Allow,
        }
    }

    fn exceeded(&self, asked: Usd) -> Exceeded {
        Exceeded {
            scope: Scope::Workspace,
            window: None,
            limit: Amount::Cost(self.limit),
            used: Amount::Cost(Usd::ZERO),
            reserved: Amount::Cost(Usd::ZERO),
            asked: Amount::Cost(asked),
        }
    }
}

impl IntoRule for MaxCostPerRequest {
    fn into_step(self, _: Token) -> (SmolStr, Step) {
        (self.name.clone(), Step::MaxCost(self))
    }
}
