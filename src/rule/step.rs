//! The form in which a policy runs its rules.

use smol_str::SmolStr;

use super::{
    Counted, ErasedRule, LimitSource, MaxCostPerRequest, RestrictModel, RuleFn,
    TagBasedModelDowngrade, Verdict,
};
use crate::{call::Call, labels::Word, price::PriceBook};

/// What [`PolicyBuilder::rule`](crate::PolicyBuilder::rule) takes: a built-in rule,
/// a [`rule_fn`](super::rule_fn), or any type that implements [`Rule`](super::Rule).
///
/// # Example
/// See [`Rule`](super::Rule).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a rule",
    label = "expected a built-in rule, `rule_fn(name, closure)` or a type that implements `Rule`",
    note = "implement `driftlock::Rule` with `async fn evaluate(&self, call: &Call) -> Verdict`"
)]
pub trait IntoRule {
    #[doc(hidden)]
    fn into_step(self, token: Token) -> (SmolStr, Step);
}

/// Only this crate can make one, so only it can implement [`IntoRule`].
#[derive(Debug)]
pub struct Token(pub(crate) ());

/// One rule, ready to run. Built-in rules are variants, so that running them costs
/// no indirect call and no allocation; `dyn` is for rules of users.
#[derive(Debug)]
pub enum Step {
    /// A limit on a counter.
    Counted(Counted),
    /// A limit on a single call.
    MaxCost(MaxCostPerRequest),
    /// Models that may not be used.
    Restrict(RestrictModel),
    /// A cheaper model for some calls.
    Downgrade(TagBasedModelDowngrade),
    /// A closure.
    Function(RuleFn),
    /// A user's `async fn`.
    Custom(Box<dyn ErasedRule>),
}

/// What built-in rules may look at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub(crate) call: &'a Call,
    pub(crate) prices: &'a PriceBook,
}

impl Step {
    /// The verdict of a rule that neither counts nor awaits; `None` for the others.
    pub(crate) fn decide(&self, view: View<'_>) -> Option<Verdict> {
        match self {
            Self::MaxCost(rule) => Some(rule.decide(view.call)),
            Self::Restrict(rule) => Some(rule.decide(view)),
            Self::Downgrade(rule) => Some(rule.decide(view)),
            Self::Function(rule) => Some(rule.decide(view.call)),
            Self::Counted(_) | Self::Custom(_) => None,
        }
    }

    /// Whether a built-in rule that does not count lets a call pass as it is.
    pub(crate) fn passes(&self, view: View<'_>) -> bool {
        matches!(self.decide(view), Some(Verdict::Allow))
    }

    /// The label, and its values, without which a call passes unseen; `None` if that
    /// depends on more.
    pub(crate) fn guard(&self) -> Option<(&Word, &[Word])> {
        match self {
            Self::Restrict(rule) => rule.condition()?.label_in(),
            Self::Downgrade(rule) => rule.condition().label_in(),
            _ => None,
        }
    }

    /// Whether code of the user's runs in it, which may look into a call's body.
    pub(crate) fn has_user_code(&self) -> bool {
        match self {
            Self::Counted(rule) => matches!(rule.limit, LimitSource::From(_)),
            Self::Restrict(rule) => rule.has_closure(),
            Self::Downgrade(rule) => rule.has_closure(),
            Self::MaxCost(_) => false,
            _ => true,
        }
    }
}
