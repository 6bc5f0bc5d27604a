//! Rules of users.

use std::{fmt, future::Future, pin::Pin};

use smol_str::SmolStr;

use super::{IntoRule, Step, Token, Verdict};
use crate::call::Call;

/// A rule of your own, as a plain `async fn`.
///
/// It sees the call's model, messages, parameters, labels, estimate and time. To
/// enforce a limit return a [`Claim`](crate::Claim): a counter that is only read
/// is out of date by the time the call is admitted.
///
/// A panic, or taking longer than the policy's rule time limit (one second by
/// default), denies the call with [`DenialKind::RuleFailed`](crate::DenialKind::RuleFailed).
///
/// # Example
/// A team's daily budget that comes from a directory service:
/// ```
/// use driftlock::{Call, Claim, Policy, Rule, Scope, Usd, Verdict, Window, Zone};
///
/// # async fn look_up(_team: &str) -> Usd { Usd::dollars(5) }
/// #[derive(Debug)]
/// struct TeamBudget;
///
/// impl Rule for TeamBudget {
///     async fn evaluate(&self, call: &Call) -> Verdict {
///         let Some(team) = call.label("team") else { return Verdict::Allow };
///         let limit = look_up(team).await;
///         Claim::cost(Scope::label("team", team), Window::day(Zone::UTC), limit).into()
///     }
/// }
/// let policy = Policy::builder().rule(TeamBudget).build()?;
/// # Ok::<(), driftlock::BuildError>(())
/// ```
pub trait Rule: Send + Sync + 'static {
    /// What this rule says about a call.
    fn evaluate(&self, call: &Call) -> impl Future<Output = Verdict> + Send;

    /// The name in denials and events. Defaults to the type's name in snake case.
    fn name(&self) -> SmolStr {
        snake_case(std::any::type_name::<Self>())
    }
}

impl<R: Rule> IntoRule for R {
    fn into_step(self, _: Token) -> (SmolStr, Step) {
        (self.name(), Step::Custom(Box::new(self)))
    }
}

/// [`Rule`] without its type, which costs a box for each evaluation.
pub trait ErasedRule: Send + Sync + 'static {
    #[doc(hidden)]
    fn evaluate_boxed<'a>(
        &'a self,
        call: &'a Call,
    ) -> Pin<Box<dyn Future<Output = Verdict> + Send + 'a>>;
}

impl<R: Rule> ErasedRule for R {
    fn evaluate_boxed<'a>(
        &'a self,
        call: &'a Call,
    ) -> Pin<Box<dyn Future<Output = Verdict> + Send + 'a>> {
        Box::pin(self.evaluate(call))
    }
}

impl fmt::Debug for dyn ErasedRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("custom rule")
    }
}

/// `my_crate::rules::BlockWeekends<T>` becomes `block_weekends`.
fn snake_case(type_name: &str) -> SmolStr {
    let path = type_name.split('<').next().unwrap_or(type_name);
    let name = path.rsplit("::").next().unwrap_or(path);
    let mut snake = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_type() {
        assert_eq!(snake_case("a::b::BlockWeekends<a::C>"), "block_weekends");
        assert_eq!(snake_case("Plain"), "plain");
    }
}
