//! Admitting calls: the front door of a policy.

use std::{fmt, sync::Arc};

use super::{
    Mode, Permit, PolicyBuilder, Settings,
    decide::{Flow, Progress},
    outage::Outage,
    plan::Plan,
    pricing::{InputEstimator, Prices, Quote},
    stats::Tally,
    status::SpendError,
};
use crate::{
    apart::Apart,
    call::{BoxFuture, Call, Counters, Used},
    claim::{Amount, Scope, Unit},
    clock::{Clock, Timestamp},
    denial::Deny,
    error::Error,
    labels::Labels,
    price::PriceBook,
    store::{CounterId, CounterKey, MemoryStore, Store},
    telemetry,
    unreadable::Unreadable,
    window::Window,
};

/// Ordered rules, prices, a store and settings of one workspace. Clones are one
/// policy.
///
/// # Example
/// See [`Policy::admit`] and [`PolicyBuilder`].
#[derive(Clone)]
pub struct Policy(pub(crate) Arc<Inner>);

#[repr(align(128))] // apart from the number of its handles, which every call changes
pub(crate) struct Inner {
    pub(crate) plan: Plan,
    pub(crate) settings: Settings,
    pub(crate) prices: Prices,
    pub(crate) store: StoreHandle,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) estimator: InputEstimator,
    pub(crate) workspace_mark: u64,
    /// How long a reservation is open.
    pub(crate) deadline_nanos: u64,
    pub(crate) tally: Apart<Tally>,
    pub(super) outage: Outage,
}

/// The store in memory is called directly, so that a decision needs no box.
pub(crate) enum StoreHandle {
    Memory(Arc<MemoryStore>),
    Other(Arc<dyn Store>),
}

impl StoreHandle {
    pub(crate) fn memory(&self) -> Option<&MemoryStore> {
        match self {
            Self::Memory(store) => Some(store),
            Self::Other(_) => None,
        }
    }

    pub(crate) fn get(&self) -> &dyn Store {
        match self {
            Self::Memory(store) => store.as_ref(),
            Self::Other(store) => store.as_ref(),
        }
    }
}

/// How far a decision got without awaiting anything.
#[allow(clippy::large_enum_variant)] // the larger one is rare
pub(crate) enum Admission {
    /// It is made.
    Now(Result<Permit, Error>),
    /// Something has to be awaited first.
    Later(Progress),
}

impl Policy {
    /// Starts a policy; see [`PolicyBuilder`].
    pub fn builder() -> PolicyBuilder {
        PolicyBuilder::new()
    }

    /// Runs the rules and reserves what the call may cost.
    ///
    /// The call gets its time, labels and estimate, and leaves with the model that
    /// was admitted. The permit settles what it reserved, exactly once, whatever
    /// happens to it; dropped before [`Permit::sent`] it gives everything back.
    ///
    /// Dropping the future before it ends gives everything back, too.
    ///
    /// # Errors
    /// [`Error::Denied`] if a rule said no, [`Error::Unreadable`] if the labels are
    /// too many or too long, [`Error::Store`] if the store did not answer. Nothing
    /// is charged then.
    ///
    /// # Example
    /// ```
    /// use std::time::Duration;
    /// use driftlock::{Call, Operation, Policy, Provider, Usage, VelocityLimit};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let policy = Policy::builder().rule(VelocityLimit::new(1, Duration::from_secs(60))).build()?;
    /// let mut call = Call::new(Provider::OPENAI, Operation::Chat, "gpt-4o-mini");
    ///
    /// let mut permit = policy.admit(&mut call).await?;
    /// permit.sent();
    /// permit.settle(&Usage::tokens(10, 5));
    ///
    /// let denied = policy.admit(&mut call).await.unwrap_err();
    /// assert_eq!(denied.denial().unwrap().rule(), "velocity_limit");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn admit(&self, call: &mut Call) -> Result<Permit, Error> {
        match self.admit_now(call) {
            Admission::Now(result) => result,
            Admission::Later(mut progress) => self.admit_later(call, &mut progress).await,
        }
    }

    /// Decides without awaiting where that is possible: built-in rules and
    /// closures, on a store in memory.
    #[inline(always)] // a permit is to be written where it is going
    pub(crate) fn admit_now(&self, call: &mut Call) -> Admission {
        if self.0.settings.mode == Mode::Off {
            return Admission::Now(Ok(Permit::unmetered()));
        }
        if let Err(error) = self.begin(call) {
            return Admission::Now(Err(self.refused(call, error)));
        }
        let (version, book) = self.0.prices.current();
        let quoted = self.quote(call, book);
        if let Ok(quote) = &quoted
            && let Some(shortcut) = &self.0.plan.shortcut
            && let StoreHandle::Memory(store) = &self.0.store
            && let Some(reservation) = self.reserve_shortly(shortcut, store, call, book, quote)
        {
            let policy = Arc::clone(&self.0);
            let mut permit = Permit::new(policy, call, version, quote, Some(reservation));
            if self.is_heard() {
                permit.announce(call, None, None);
            }
            return Admission::Now(Ok(permit));
        }
        self.admit_at_length(call, version, quoted)
    }

    #[inline(never)]
    fn admit_at_length(
        &self,
        call: &mut Call,
        version: usize,
        quoted: Result<Quote, Deny>,
    ) -> Admission {
        let mut progress = match self.set_out(call, version, quoted) {
            Ok(progress) => progress,
            Err(denial) => return Admission::Now(Err(self.refused(call, denial.into()))),
        };
        let flow = self.run_rules(call, &mut progress).map_err(Error::from);
        let admitted = match (flow, &self.0.store) {
            (Ok(Flow::Done), StoreHandle::Memory(store)) => {
                self.reserve_in_memory(store, call, &mut progress)
            }
            (Ok(Flow::Done | Flow::Await(_)), _) => return Admission::Later(progress),
            (Err(error), _) => Err(error),
        };
        Admission::Now(admitted.map_err(|error| self.refused(call, error)))
    }

    /// Continues where [`admit_now`](Self::admit_now) had to stop.
    pub(crate) async fn admit_later(
        &self,
        call: &mut Call,
        progress: &mut Progress,
    ) -> Result<Permit, Error> {
        match self.finish(call, progress).await {
            Ok(permit) => Ok(permit),
            Err(error) => Err(self.refused(call, error)),
        }
    }

    async fn finish(&self, call: &mut Call, progress: &mut Progress) -> Result<Permit, Error> {
        while let Flow::Await(step) = self.run_rules(call, progress)? {
            let verdict = self.ask(step, call).await;
            self.apply(step, verdict, call, progress)?;
        }
        self.reserve(call, progress).await
    }

    #[inline]
    fn begin(&self, call: &mut Call) -> Result<(), Error> {
        let Inner { settings, clock, .. } = &*self.0;
        call.decide_at(clock.now());
        if !settings.default_labels.is_empty() {
            call.set_labels(settings.default_labels.over(call.labels()));
        }
        if let Err(error) = call.labels().check() {
            if settings.mode != Mode::Observe {
                return Err(Unreadable::from(error).into());
            }
            telemetry::unlabelled_for(&error);
            call.set_labels(Labels::new());
        }
        Ok(())
    }

    /// Whether anybody is told of admitted calls.
    #[inline]
    pub(super) fn is_heard(&self) -> bool {
        self.0.settings.wants_receipts() || telemetry::is_heard()
    }

    /// Whether a call needs its body for the decision.
    pub(crate) fn looks_into_bodies(&self) -> bool {
        self.0.plan.looks_into_bodies() || matches!(self.0.estimator, InputEstimator::Own(_))
    }

    /// A number that stands for the workspace on its store, never zero.
    pub(crate) fn workspace_mark(&self) -> u64 {
        self.0.workspace_mark
    }

    /// A request that cannot be metered.
    pub(crate) fn refuse(&self, error: impl Into<Error>) -> Error {
        let error = error.into();
        self.0.tally.count_denied();
        telemetry::not_sent(&error);
        error
    }

    fn refused(&self, call: &mut Call, error: Error) -> Error {
        call.lend(None);
        self.0.tally.count_denied();
        let store = self.0.store.get();
        if let Error::Denied(denial) = &error
            && store.keeps_ledger()
        {
            let estimate = call.estimate().map(|estimate| estimate.cost);
            let facts = self.facts(call, self.0.prices.current().1);
            store.deny(&facts, denial.rule(), estimate, call.at());
        }
        telemetry::refused(call, &error);
        error
    }

    /// Its settings.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// The workspace whose counters it charges.
    pub fn workspace(&self) -> &str {
        &self.0.plan.workspace
    }

    /// The prices in force.
    pub fn prices(&self) -> PriceBook {
        self.0.prices.current().1.clone()
    }

    /// Puts new prices into force, for calls admitted from now on. Calls in flight
    /// settle at the prices they were admitted with.
    ///
    /// Every book ever in force is kept as long as the policy; an overlay shares
    /// the book under it, so this is small for overlays.
    pub fn set_prices(&self, prices: PriceBook) {
        self.0.prices.set(prices);
    }
}

/// Lent to calls for custom rules to look at.
impl Counters for Inner {
    fn used(
        &self,
        scope: Scope,
        unit: Unit,
        window: Window,
        at: Timestamp,
    ) -> BoxFuture<'_, Option<Used>> {
        Box::pin(async move { self.read(&scope, unit, window, at).await.ok() })
    }
}

impl Inner {
    pub(crate) async fn read(
        &self,
        scope: &Scope,
        unit: Unit,
        window: Window,
        at: Timestamp,
    ) -> Result<Used, SpendError> {
        let (counter, value) = self.counted(scope, unit, window)?;
        let reading = self.store.get().read(counter, value, at).await?;
        Ok(Used {
            settled: Amount::of(unit, reading.settled),
            reserved: Amount::of(unit, reading.reserved),
            raised: Amount::of(unit, reading.raised),
            resets_at: reading.resets_at,
        })
    }

    /// The counter of a scope, if anything is counted there.
    pub(super) fn counted<'s>(
        &self,
        scope: &'s Scope,
        unit: Unit,
        window: Window,
    ) -> Result<(CounterId, &'s str), SpendError> {
        let (key, value) = self.counter_key(scope, unit, window);
        let store = self.store.get();
        match store.knows(&key) {
            true => Ok((store.counter(&key), value)),
            false => Err(SpendError::NotCounted { scope: scope.clone(), window }),
        }
    }

    pub(crate) fn counter_key<'s>(
        &self,
        scope: &'s Scope,
        unit: Unit,
        window: Window,
    ) -> (CounterKey, &'s str) {
        let (label, value) = match scope {
            Scope::Workspace => (None, ""),
            Scope::Label { key, value } => (Some(key.clone()), value.as_str()),
        };
        let workspace = self.plan.workspace.clone();
        (CounterKey { workspace, label, unit, window }, value)
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules: Vec<_> = self.0.plan.steps.iter().map(|step| &step.name).collect();
        f.debug_struct("Policy")
            .field("workspace", &self.0.plan.workspace)
            .field("rules", &rules)
            .field("settings", &self.0.settings)
            .finish_non_exhaustive()
    }
}
