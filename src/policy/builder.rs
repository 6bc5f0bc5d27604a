//! Putting a policy together.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use smol_str::SmolStr;

use super::{
    BuildError, InputBound, Mode, OnAbandoned, OnAmbiguous, OnOutage, OnUnreadable, Policy,
    Receipt, Settings, UnknownPrice,
    admit::{Inner, StoreHandle},
    outage::Outage,
    plan::Plan,
    pricing::{InputEstimator, Prices},
    twins,
};
use crate::{
    apart::Apart,
    claim::Unit,
    clock::{Clock, SystemClock, saturating_nanos},
    error::BoxError,
    estimate::{BytesEstimator, Estimator, OpenEnded, OutputBound},
    labels::{Labels, canonical},
    price::PriceBook,
    provider::Routes,
    rule::{Counted, IntoRule, Step, Token},
    settled::Settled,
    store::{MemoryStore, Store},
    telemetry,
    window::Window,
};

/// Collects rules and settings; every setting has a default.
///
/// # Example
/// ```
/// use std::time::Duration;
/// use driftlock::{MaxCostPerRequest, MonthlyBudget, Policy, Usd, VelocityLimit};
///
/// let policy = Policy::builder()
///     .rule(MonthlyBudget::new(Usd::dollars(100)))
///     .rule(MaxCostPerRequest::new(Usd::cents(10)))
///     .rule(VelocityLimit::new(60, Duration::from_secs(60)))
///     .workspace("search-team")
///     .build()?;
/// assert_eq!(policy.workspace(), "search-team");
/// # Ok::<(), driftlock::BuildError>(())
/// ```
///
/// Where the rules have nothing to say, the settings decide:
/// ```
/// use driftlock::{
///     InputBound, Mode, OnAbandoned, OnAmbiguous, OnOutage, OnUnreadable, OpenEnded, OutputBound,
///     Policy, Price, UnknownPrice, Usd,
/// };
///
/// let dear = Price::per_mtok(Usd::dollars(15), Usd::dollars(60));
/// let policy = Policy::builder()
///     .mode(Mode::Observe)                                        // report, deny nothing
///     .unknown_price(UnknownPrice::Assume(Box::new(dear)))        // new models count as dear ones
///     .input_bound(InputBound::Ceiling)                           // as many tokens as bytes
///     .output_bound(OutputBound::ModelLimit)                      // when a call states no maximum
///     .open_ended(OpenEnded::ContextLimit)                        // when the input is elsewhere
///     .on_abandoned(OnAbandoned::Seen)                            // streams dropped half-way
///     .on_ambiguous(OnAmbiguous::Nothing)                         // timeouts and bad gateways
///     .on_unreadable(OnUnreadable::Pass)                          // what cannot be metered
///     .on_outage(OnOutage::AllowUpTo(Usd::dollars(5)))             // when the store does not answer
///     .build()?;
/// # Ok::<(), driftlock::BuildError>(())
/// ```
#[must_use = "a policy is made by `build`"]
pub struct PolicyBuilder {
    workspace: SmolStr,
    steps: Vec<(SmolStr, Step)>,
    tracked: Vec<SmolStr>,
    settings: Settings,
    prices: PriceBook,
    store: StoreHandle,
    clock: Arc<dyn Clock>,
    estimator: InputEstimator,
    ephemeral_ok: bool,
}

/// The most rules a policy may have: they are numbered by 16 bits.
const MOST_RULES: usize = u16::MAX as usize;
/// The environment variable that overrides the mode.
pub(super) const MODE_VARIABLE: &str = "DRIFTLOCK_MODE";

impl PolicyBuilder {
    pub(super) fn new() -> Self {
        Self {
            workspace: SmolStr::new_static("default"),
            steps: Vec::new(),
            tracked: Vec::new(),
            settings: Settings::default(),
            prices: PriceBook::bundled(),
            store: StoreHandle::Memory(Arc::new(MemoryStore::new())),
            clock: Arc::new(SystemClock),
            estimator: InputEstimator::Bytes(BytesEstimator::default()),
            ephemeral_ok: false,
        }
    }

    /// Adds a rule behind those added so far. Rules run in order and the first
    /// denial wins.
    pub fn rule(mut self, rule: impl IntoRule) -> Self {
        self.steps.push(rule.into_step(Token(())));
        self
    }

    /// Whose calls these are. Counters belong to a workspace. Defaults to `default`.
    pub fn workspace(mut self, workspace: impl Into<SmolStr>) -> Self {
        self.workspace = workspace.into();
        self
    }

    /// Counts the monthly spend of each value of a label, beside the workspace and
    /// each user, which are always counted. Labels that rules count by need not be
    /// named. Defaults to none.
    pub fn track_label(mut self, key: impl Into<SmolStr>) -> Self {
        self.tracked.push(canonical(key.into()));
        self
    }

    /// Whether to enforce, watch or do nothing. Defaults to [`Mode::Enforce`]; the
    /// environment variable `DRIFTLOCK_MODE` wins over this.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.settings.mode = mode;
        self
    }

    /// Where the time comes from. Defaults to [`SystemClock`].
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// A store in memory to be shared with other policies, or with its own bounds.
    /// Defaults to a new [`MemoryStore`].
    pub fn memory_store(mut self, store: Arc<MemoryStore>) -> Self {
        self.store = StoreHandle::Memory(store);
        self
    }

    /// Any other store. To go on using it elsewhere, give an [`Arc`] or a clone of it.
    pub fn store(mut self, store: impl Store) -> Self {
        self.store = StoreHandle::Other(Arc::new(store));
        self
    }

    /// Says that budgets in memory, which start again at zero when the process does
    /// and count this process only, are what is wanted. Defaults to a warning.
    pub fn ephemeral_ok(mut self) -> Self {
        self.ephemeral_ok = true;
        self
    }

    /// What tokens cost. Defaults to [`PriceBook::bundled`].
    pub fn prices(mut self, prices: PriceBook) -> Self {
        self.prices = prices;
        self
    }

    /// What to do with a model without a known price. Defaults to [`UnknownPrice::Deny`].
    pub fn unknown_price(mut self, unknown: UnknownPrice) -> Self {
        self.settings.unknown_price = unknown;
        self
    }

    /// How many input tokens are expected. Defaults to [`BytesEstimator`].
    pub fn estimator(mut self, estimator: impl Estimator + 'static) -> Self {
        self.estimator = InputEstimator::Own(Box::new(estimator));
        self
    }

    /// How many input tokens are reserved. Defaults to [`InputBound::Expected`].
    pub fn input_bound(mut self, bound: InputBound) -> Self {
        self.settings.input_bound = bound;
        self
    }

    /// How many output tokens are reserved for a call that states no maximum.
    /// Defaults to [`OutputBound::Assume`] with 4,096.
    pub fn output_bound(mut self, bound: OutputBound) -> Self {
        self.settings.output_bound = bound;
        self
    }

    /// What to reserve for calls whose input is not in the request. Defaults to
    /// [`OpenEnded::Assume`] with 32,000 tokens.
    pub fn open_ended(mut self, open_ended: OpenEnded) -> Self {
        self.settings.open_ended = open_ended;
        self
    }

    /// Makes every reservation a ceiling: as many input tokens as there are bytes,
    /// an output maximum put into calls that state none, and calls that cannot be
    /// bounded denied.
    pub fn strict(self, max_output_tokens: u64) -> Self {
        self.input_bound(InputBound::Ceiling)
            .output_bound(OutputBound::Inject(max_output_tokens))
            .open_ended(OpenEnded::Deny)
    }

    /// Denies calls without a user under every rule that counts users. Defaults to
    /// counting them under the user `(none)`.
    pub fn require_user(mut self) -> Self {
        self.settings.require_user = true;
        self
    }

    /// What an answer costs that was not read to its end. Defaults to
    /// [`OnAbandoned::Estimate`].
    pub fn on_abandoned(mut self, on_abandoned: OnAbandoned) -> Self {
        self.settings.on_abandoned = on_abandoned;
        self
    }

    /// What a call costs that failed and may have been billed. Defaults to
    /// [`OnAmbiguous::Estimate`].
    pub fn on_ambiguous(mut self, on_ambiguous: OnAmbiguous) -> Self {
        self.settings.on_ambiguous = on_ambiguous;
        self
    }

    /// What to do with requests that cannot be read or metered. Defaults to
    /// [`OnUnreadable::Deny`]; single paths are set with [`routes`](Self::routes).
    pub fn on_unreadable(mut self, on_unreadable: OnUnreadable) -> Self {
        self.settings.on_unreadable = on_unreadable;
        self
    }

    /// What to do when the store does not answer. Defaults to [`OnOutage::Deny`].
    pub fn on_outage(mut self, on_outage: OnOutage) -> Self {
        self.settings.on_outage = on_outage;
        self
    }

    /// When a call of which nothing more is heard counts as settled at its
    /// estimate; a stream that flows moves it along. Defaults to 15 minutes, at
    /// least one second.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.settings.deadline = deadline.max(Duration::from_secs(1));
        self
    }

    /// The most bytes of a request body that are read; larger ones are refused.
    /// Defaults to 32 MiB.
    pub fn body_cap(mut self, bytes: u64) -> Self {
        self.settings.body_cap = bytes;
        self
    }

    /// How long a custom rule may take. Defaults to one second.
    pub fn rule_timeout(mut self, limit: Duration) -> Self {
        self.settings.rule_timeout = limit;
        self
    }

    /// Which paths and hosts are metered, free or denied, and which are asked for
    /// usage in streams. Defaults to [`Routes::default`].
    pub fn routes(mut self, routes: Routes) -> Self {
        self.settings.routes = routes;
        self
    }

    /// Labels of calls that do not say otherwise. Defaults to none.
    pub fn default_labels(mut self, labels: Labels) -> Self {
        self.settings.default_labels = labels;
        self
    }

    /// Recognises errors of the wrapped service that prove that nothing was sent: a
    /// circuit breaker's rejection for example. Such calls cost nothing and count
    /// for no limit. A refused connection, and the refusal of a driftlock layer further
    /// in, are always recognised; the features `reqwest`, `hyper-util` and `retry` add
    /// that their clients could not connect and that Tower's `LoadShed` was overloaded.
    /// A timeout proves nothing.
    ///
    /// # Example
    /// ```
    /// use driftlock::{BoxError, Policy};
    ///
    /// let policy = Policy::builder()
    ///     .nothing_sent(|error: &BoxError| error.to_string() == "the circuit is open")
    ///     .build()?;
    /// # Ok::<(), driftlock::BuildError>(())
    /// ```
    pub fn nothing_sent(
        mut self,
        says: impl Fn(&BoxError) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.settings.nothing_sent.push(Arc::new(says));
        self
    }

    /// Says that the wrapped client retries on its own, so that its last error, and a
    /// status in it, prove nothing about the attempts before it. Defaults to not.
    pub fn hidden_retries(mut self) -> Self {
        self.settings.hidden_retries = true;
        self
    }

    /// Puts a [`Receipt`](crate::Receipt) into the extensions of each response.
    /// Defaults to not, because it costs a few allocations.
    pub fn receipts(mut self, receipts: bool) -> Self {
        self.settings.receipts = receipts;
        self
    }

    /// Is told of every settled call, with its receipt, from wherever it settled,
    /// also from `drop`: it should be quick and must not block. Costs an allocation
    /// for each call.
    pub fn on_settled(
        mut self,
        callback: impl Fn(&Settled, &Receipt) + Send + Sync + 'static,
    ) -> Self {
        self.settings.on_settled = Some(Arc::new(callback));
        self
    }

    /// Makes the policy.
    ///
    /// # Errors
    /// [`BuildError`] says which rule or setting cannot work.
    pub fn build(mut self) -> Result<Policy, BuildError> {
        let chosen = self.settings.mode;
        self.settings.mode = mode_from(std::env::var(MODE_VARIABLE).ok(), chosen)?;
        if self.settings.mode != Mode::Enforce {
            telemetry::not_enforcing(&self.settings.mode, self.settings.mode != chosen);
        }
        self.settings.default_labels.check().map_err(BuildError::Labels)?;
        if self.steps.len() > MOST_RULES {
            return Err(BuildError::TooMany);
        }
        self.steps.iter().try_for_each(|(name, step)| check(name, step))?;
        self.warn_if_forgetful();
        if self.prices.is_stale(self.clock.now()) {
            telemetry::stale_prices(self.prices.as_of());
        }
        if let StoreHandle::Memory(store) = &self.store {
            twins::note(&self.workspace, store);
        }
        let plan = Plan::new(self.workspace, self.tracked, self.steps, &self.store)
            .ok_or(BuildError::TooMany)?;
        let workspace_mark = mark_of(&plan.workspace, &self.store);
        let deadline_nanos = saturating_nanos(self.settings.deadline);
        Ok(Policy(Arc::new(Inner {
            plan,
            settings: self.settings,
            prices: Prices::new(self.prices),
            store: self.store,
            clock: self.clock,
            estimator: self.estimator,
            workspace_mark,
            deadline_nanos,
            tally: Apart::default(),
            outage: Outage::default(),
        })))
    }

    fn warn_if_forgetful(&self) {
        let long = |step: &Step| match step {
            Step::Counted(counted) => match counted.window {
                Window::Lifetime | Window::Calendar(..) => counted.unit == Unit::Cost,
                Window::Sliding(_) => false,
            },
            _ => false,
        };
        let first = self.steps.iter().find(|(_, step)| long(step));
        if let Some((name, _)) =
            first.filter(|_| !self.ephemeral_ok && !self.store.get().is_durable())
        {
            telemetry::forgetful(name, &self.workspace);
        }
    }
}

/// Stands for a workspace on a store. Zero is kept for "none".
fn mark_of(workspace: &str, store: &StoreHandle) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    workspace.hash(&mut hasher);
    store.get().identity().hash(&mut hasher);
    hasher.finish().max(1)
}

fn mode_from(variable: Option<String>, otherwise: Mode) -> Result<Mode, BuildError> {
    match variable {
        None => Ok(otherwise),
        Some(text) if text.trim().is_empty() => Ok(otherwise),
        Some(text) => text.parse().map_err(|()| BuildError::Mode(text.chars().take(40).collect())),
    }
}

fn check(name: &SmolStr, step: &Step) -> Result<(), BuildError> {
    match step {
        Step::Counted(Counted { window: Window::Sliding(length), .. }) if length.is_zero() => {
            Err(BuildError::ZeroWindow { rule: name.clone() })
        }
        Step::Downgrade(rule) if rule.target().is_empty() => {
            Err(BuildError::NoTarget { rule: name.clone() })
        }
        _ => Ok(()),
    }
}

impl fmt::Debug for PolicyBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicyBuilder")
            .field("workspace", &self.workspace)
            .field("rules", &self.steps)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_wins_and_is_checked() {
        assert_eq!(mode_from(None, Mode::Observe), Ok(Mode::Observe));
        assert_eq!(mode_from(Some(" Off ".into()), Mode::Enforce), Ok(Mode::Off));
        let error = mode_from(Some("of".into()), Mode::Enforce).unwrap_err();
        assert!(error.to_string().contains("DRIFTLOCK_MODE is `of`"), "{error}");
    }
}
