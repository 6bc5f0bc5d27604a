//! Monthly budgets that differ from user to user.

use hashbrown::HashMap;
use smol_str::SmolStr;

use super::{Counted, IntoRule, LimitSource, Step, Token, budget::in_zone};
use crate::{
    call::Call,
    claim::Unit,
    denial::DenialKind,
    usd::Usd,
    window::{Window, Zone},
};

/// A monthly budget for each user: the user's own, else the default, else none.
///
/// The user is the label `user` (also written `user_id`). Calls without a user
/// share the user `(none)` and its default limit; [`require_user`](Self::require_user)
/// denies them.
///
/// # Example
/// ```
/// use driftlock::{PerUserBudget, Policy, Usd};
///
/// let policy = Policy::builder()
///     .rule(
///         PerUserBudget::new()
///             .user("power_user", Usd::dollars(20))
///             .user("free_tier", Usd::dollars(1))
///             .default_limit(Usd::dollars(5)),
///     )
///     .build()?;
/// # Ok::<(), driftlock::BuildError>(())
/// ```
#[doc(alias = "PerUserBudgetRule")]
#[derive(Clone, Debug)]
pub struct PerUserBudget {
    counted: Counted,
    limits: HashMap<SmolStr, u64>,
    default: Option<u64>,
    from: Option<LimitSource>,
}

impl PerUserBudget {
    /// No user has a limit yet.
    pub fn new() -> Self {
        let month = Window::month(Zone::UTC);
        let mut counted = Counted::new("per_user_budget", DenialKind::Budget, Unit::Cost, month, 0);
        counted.label = Some(SmolStr::new_static("user"));
        Self { counted, limits: HashMap::new(), default: None, from: None }
    }

    /// This user's own limit.
    #[must_use]
    pub fn user(mut self, user: impl Into<SmolStr>, limit: Usd) -> Self {
        self.limits.insert(user.into(), limit.as_nanos());
        self
    }

    /// The limit of users without one of their own. Defaults to none.
    #[must_use]
    pub fn default_limit(mut self, limit: Usd) -> Self {
        self.default = Some(limit.as_nanos());
        self
    }

    /// Takes the limit from each call instead; `None` is no limit.
    #[must_use]
    pub fn limit_from(
        mut self,
        limit: impl Fn(&Call) -> Option<Usd> + Send + Sync + 'static,
    ) -> Self {
        let from = move |call: &Call| limit(call).map(Usd::as_nanos);
        self.from = Some(LimitSource::From(std::sync::Arc::new(from)));
        self
    }

    /// Denies a call that does not say for which user it is. Defaults to
    /// counting it under `(none)`.
    #[must_use]
    pub fn require_user(mut self) -> Self {
        self.counted.required = true;
        self
    }

    /// The name in denials and events. Defaults to `per_user_budget`.
    #[must_use]
    pub fn named(mut self, name: impl Into<SmolStr>) -> Self {
        self.counted.name = name.into();
        self
    }

    /// The zone in which months begin. Defaults to UTC.
    #[must_use]
    pub fn time_zone(mut self, zone: Zone) -> Self {
        self.counted.window = in_zone(self.counted.window, zone);
        self
    }
}

impl Default for PerUserBudget {
    fn default() -> Self {
        Self::new()
    }
}

impl IntoRule for PerUserBudget {
    fn into_step(mut self, _: Token) -> (SmolStr, Step) {
        let by_value = LimitSource::by_value(self.limits, self.default);
        self.counted.limit = self.from.unwrap_or(by_value);
        (self.counted.name.clone(), Step::Counted(self.counted))
    }
}
