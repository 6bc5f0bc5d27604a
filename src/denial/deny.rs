//! What a rule says when it says no.

use smol_str::SmolStr;

use super::{Denial, DenialKind, Exceeded, Retry, denial::Facts, exceeded::describe};
use crate::clock::Timestamp;

/// A custom rule's refusal.
///
/// # Example
/// ```
/// use driftlock::{Deny, Verdict};
///
/// let verdict: Verdict = Deny::new("no weekend spend").with("weekday", "Sunday").into();
/// # let _ = verdict;
/// ```
// Boxed, because verdicts are passed around and few of them are denials.
#[derive(Clone, Debug, PartialEq)]
pub struct Deny(Box<Facts>);

impl Deny {
    /// A refusal with a reason for operators.
    pub fn new(reason: impl Into<String>) -> Self {
        Self::of_kind(DenialKind::Custom, reason)
    }

    /// Attaches a value, found again with [`Denial::metadata`].
    #[must_use]
    pub fn with(mut self, key: impl Into<SmolStr>, value: impl Into<serde_json::Value>) -> Self {
        self.0.metadata.push((key.into(), value.into()));
        self
    }

    /// Says from when on the call may be tried again. Defaults to never.
    #[must_use]
    pub fn retry_at(mut self, time: Timestamp) -> Self {
        self.0.retry = Retry::At(time);
        self
    }

    pub(crate) fn of_kind(kind: DenialKind, reason: impl Into<String>) -> Self {
        Self(Box::new(Facts {
            rule: SmolStr::default(), // named when the policy takes it, in `by`
            kind,
            reason: reason.into(),
            exceeded: None,
            retry: Retry::Never,
            metadata: Vec::new(),
        }))
    }

    pub(crate) fn exceeding(kind: DenialKind, exceeded: Exceeded, retry: Retry) -> Self {
        let mut deny = Self::of_kind(kind, describe(&exceeded));
        (deny.0.exceeded, deny.0.retry) = (Some(exceeded), retry);
        deny
    }

    pub(crate) fn kind(&self) -> DenialKind {
        self.0.kind
    }

    pub(crate) fn by(mut self, rule: impl Into<SmolStr>) -> Denial {
        self.0.rule = rule.into();
        Denial(self.0)
    }
}
