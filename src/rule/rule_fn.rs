//! Closures as rules.

use std::fmt;

use smol_str::SmolStr;

use super::{IntoRule, Step, Token, Verdict};
use crate::call::Call;

/// A rule from a closure, run on the fast path without a box.
///
/// The closure returns a [`Verdict`] or what becomes one: a
/// [`Deny`](crate::Deny), an `Option<Deny>`, a [`Claim`](crate::Claim) or several.
///
/// # Example
/// ```
/// use driftlock::{Deny, Policy, rule_fn};
///
/// let policy = Policy::builder()
///     .rule(rule_fn("no_long_prompts", |call| {
///         (call.input().text_bytes > 100_000).then(|| Deny::new("prompts up to 100 kB"))
///     }))
///     .build()?;
/// # Ok::<(), driftlock::BuildError>(())
/// ```
pub fn rule_fn<F, V>(name: impl Into<SmolStr>, function: F) -> RuleFn
where
    F: Fn(&Call) -> V + Send + Sync + 'static,
    V: Into<Verdict>,
{
    RuleFn { name: name.into(), function: Box::new(move |call| function(call).into()) }
}

/// The rule made by [`rule_fn`].
///
/// For an example see [`rule_fn()`](fn@crate::rule_fn).
pub struct RuleFn {
    name: SmolStr,
    function: Box<dyn Fn(&Call) -> Verdict + Send + Sync>,
}

impl RuleFn {
    pub(crate) fn decide(&self, call: &Call) -> Verdict {
        (self.function)(call)
    }
}

impl IntoRule for RuleFn {
    fn into_step(self, _: Token) -> (SmolStr, Step) {
        (self.name.clone(), Step::Function(self))
    }
}

impl fmt::Debug for RuleFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuleFn").field("name", &self.name).finish_non_exhaustive()
    }
}
