//! A cheaper model for some calls.

use smol_str::SmolStr;

use super::{Condition, IntoRule, Step, Token, Verdict, View};
use crate::{
    call::{Call, Operation},
    denial::{DenialKind, Deny},
    price::{Asked, Entry},
};

/// Swaps the model of calls for which a condition holds, by their labels for example.
///
/// The target is used only if it is not dearer for this call, unless
/// [`always`](Self::always); a call whose model costs less already is left alone.
/// A target of another provider, or one that cannot take the call's tools, media
/// or output schema, denies the call, unless [`otherwise`](Self::otherwise) skips
/// the swap. An output maximum above the target's is lowered to it.
///
/// # Example
/// ```
/// use driftlock::{Otherwise, Policy, TagBasedModelDowngrade, rule::label};
///
/// let policy = Policy::builder()
///     .rule(
///         TagBasedModelDowngrade::new(label("plan").eq("free"), "gpt-4o-mini")
///             .otherwise(Otherwise::Skip),
///     )
///     .build()?;
/// # Ok::<(), driftlock::BuildError>(())
/// ```
#[doc(alias = "TagBasedModelDowngradeRule")]
#[derive(Clone, Debug)]
pub struct TagBasedModelDowngrade {
    name: SmolStr,
    condition: Condition,
    target: SmolStr,
    always: bool,
    otherwise: Otherwise,
}

/// What to do with a call that the target of a downgrade cannot take.
///
/// For an example see [`TagBasedModelDowngrade`](crate::TagBasedModelDowngrade).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Otherwise {
    /// Deny it; the default, because the rule was meant to save.
    #[default]
    Deny,
    /// Leave its model as it is.
    Skip,
}

impl TagBasedModelDowngrade {
    /// Uses `target` for calls for which `condition` holds.
    pub fn new(condition: impl Into<Condition>, target: impl Into<SmolStr>) -> Self {
        Self {
            name: SmolStr::new_static("tag_based_model_downgrade"),
            condition: condition.into(),
            target: target.into(),
            always: false,
            otherwise: Otherwise::default(),
        }
    }

    /// Uses the target also where it is dearer. Defaults to not.
    #[must_use]
    pub fn always(mut self) -> Self {
        self.always = true;
        self
    }

    /// What to do with a call the target cannot take. Defaults to denying it.
    #[must_use]
    pub fn otherwise(mut self, otherwise: Otherwise) -> Self {
        self.otherwise = otherwise;
        self
    }

    /// The name in denials and events. Defaults to `tag_based_model_downgrade`.
    #[must_use]
    pub fn named(mut self, name: impl Into<SmolStr>) -> Self {
        self.name = name.into();
        self
    }

    pub(crate) fn target(&self) -> &str {
        &self.target
    }

    pub(crate) fn has_closure(&self) -> bool {
        self.condition.has_closure()
    }

    pub(crate) fn condition(&self) -> &Condition {
        &self.condition
    }

    fn applies(&self, call: &Call) -> bool {
        self.condition.holds(call) && call.model() != self.target
    }

    pub(crate) fn decide(&self, view: View<'_>) -> Verdict {
        let call = view.call;
        if !self.applies(call) {
            return Verdict::Allow;
        }
        let find = |model| view.prices.find(call.provider(), model).map(|id| view.prices.entry(id));
        let Some(target) = find(&self.target) else {
            return self.unfit(view, "has no price with this provider");
        };
        if let Some(why) = misfit(target, view) {
            return self.unfit(view, why);
        }
        let dearer = find(call.model()).is_some_and(|current| is_dearer(target, current, view));
        if dearer && !self.always {
            return Verdict::Allow;
        }
        Verdict::Rewrite(self.target.clone())
    }

    fn unfit(&self, view: View<'_>, why: &str) -> Verdict {
        match self.otherwise {
            Otherwise::Skip => Verdict::Allow,
            Otherwise::Deny => {
                let (model, target) = (view.call.model(), &self.target);
                let reason = format!("`{model}` is to be replaced by `{target}`, which {why}");
                Deny::of_kind(DenialKind::Restricted, reason).into()
            }
        }
    }
}

impl IntoRule for TagBasedModelDowngrade {
    fn into_step(self, _: Token) -> (SmolStr, Step) {
        (self.name.clone(), Step::Downgrade(self))
    }
}

/// Whether the target may cost more for this call's tokens than the model it has.
fn is_dearer(target: &Entry, current: &Entry, view: View<'_>) -> bool {
    let call = view.call;
    let Some(estimate) = call.estimate() else { return false };
    let asked = Asked {
        tier: call.service_tier(),
        region: call.region(),
        media: call.needs().media || call.input().media > 0,
        ..Asked::default()
    };
    let cost = |entry: &Entry| {
        let price = entry.price_at(call.at());
        price.ceiling(estimate.input_tokens, estimate.output_tokens, &asked)
    };
    cost(target) > cost(current)
}

/// What the call needs and the target cannot do, as far as the book knows.
fn misfit(target: &Entry, view: View<'_>) -> Option<&'static str> {
    let needs = view.call.needs();
    let abilities = target.abilities();
    match () {
        () if view.call.operation() == Operation::Embeddings => {
            (!abilities.embeddings).then_some("does not embed")
        }
        () if !view.call.fallback_models().is_empty() => {
            Some("would leave the call's list of fallback models as it is")
        }
        () if !abilities.chat => Some("does not answer in text"),
        () if needs.tools && !abilities.tools => Some("cannot use tools"),
        () if needs.media && !abilities.media => Some("cannot take the call's media"),
        () if needs.schema && !abilities.schema => Some("cannot follow an output schema"),
        () => None,
    }
}
