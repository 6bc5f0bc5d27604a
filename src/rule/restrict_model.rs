//! Models that may not be used.

use smol_str::SmolStr;

use super::{Condition, IntoRule, Step, Token, Verdict, View, pattern::Pattern};
use crate::{
    call::Call,
    denial::{DenialKind, Deny},
};

/// Denies calls to some models, always or under a condition.
///
/// Names may contain `*`. A name is compared with the model of the call and with
/// the price book's canonical name for it, so `gpt-4o` also stops
/// `gpt-4o-2024-08-06`, and does not stop `gpt-4o-mini`. Models in a body's list
/// of fallbacks are compared too. The rule sees the model as rewritten by rules
/// before it.
///
/// # Example
/// ```
/// use driftlock::{Policy, RestrictModel, rule::label};
///
/// let policy = Policy::builder()
///     .rule(RestrictModel::new(["gpt-4o", "gpt-4"]).when(label("plan").eq("free")))
///     .rule(RestrictModel::allow_only(["gpt-*", "o4-mini"]).named("house models"))
///     .build()?;
/// # Ok::<(), driftlock::BuildError>(())
/// ```
#[doc(alias = "RestrictModelRule")]
#[derive(Clone, Debug)]
pub struct RestrictModel {
    name: SmolStr,
    patterns: Vec<Pattern>,
    allow_only: bool,
    exact: bool,
    condition: Option<Condition>,
}

impl RestrictModel {
    /// Denies these models.
    pub fn new<M: Into<SmolStr>>(models: impl IntoIterator<Item = M>) -> Self {
        Self {
            name: SmolStr::new_static("restrict_model"),
            patterns: models.into_iter().map(Pattern::new).collect(),
            allow_only: false,
            exact: false,
            condition: None,
        }
    }

    /// Denies every model but these.
    pub fn allow_only<M: Into<SmolStr>>(models: impl IntoIterator<Item = M>) -> Self {
        Self { allow_only: true, ..Self::new(models) }
    }

    /// Restricts only calls for which the condition holds. Defaults to all.
    #[must_use]
    pub fn when(mut self, condition: impl Into<Condition>) -> Self {
        self.condition = Some(condition.into());
        self
    }

    /// Compares with the name in the call only, not with the price book's
    /// canonical name. Defaults to both.
    #[must_use]
    pub fn exact(mut self) -> Self {
        self.exact = true;
        self
    }

    /// The name in denials and events. Defaults to `restrict_model`.
    #[must_use]
    pub fn named(mut self, name: impl Into<SmolStr>) -> Self {
        self.name = name.into();
        self
    }

    pub(crate) fn has_closure(&self) -> bool {
        self.condition.as_ref().is_some_and(Condition::has_closure)
    }

    pub(crate) fn condition(&self) -> Option<&Condition> {
        self.condition.as_ref()
    }

    fn applies(&self, call: &Call) -> bool {
        self.condition.as_ref().is_none_or(|condition| condition.holds(call))
    }

    pub(crate) fn decide(&self, view: View<'_>) -> Verdict {
        let call = view.call;
        if !self.applies(call) {
            return Verdict::Allow;
        }
        let fallbacks = call.fallback_models().iter().map(SmolStr::as_str);
        let restricted = std::iter::once(call.model())
            .chain(fallbacks)
            .find(|model| self.restricts(view, model));
        match restricted {
            None => Verdict::Allow,
            Some(model) => Deny::of_kind(
                DenialKind::Restricted,
                format!("the model `{model}` may not be used"),
            )
            .into(),
        }
    }

    fn restricts(&self, view: View<'_>, model: &str) -> bool {
        let named = |name: &str| self.patterns.iter().any(|pattern| pattern.matches(name));
        let canonical = || view.prices.canonical(view.call.provider(), model);
        let listed = named(model) || (!self.exact && canonical().is_some_and(named));
        listed != self.allow_only
    }
}

impl IntoRule for RestrictModel {
    fn into_step(self, _: Token) -> (SmolStr, Step) {
        (self.name.clone(), Step::Restrict(self))
    }
}
