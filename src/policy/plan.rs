//! Which counters a policy's calls charge, worked out once when it is built.

use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::{
    call::Call,
    claim::{Scope, Unit},
    rule::{Counted, Step},
    store::{Charge, CounterId, CounterKey, Store},
    window::{Window, Zone},
};

/// One counter that every admitted call charges.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) id: CounterId,
    /// Which of the plan's scopes it counts.
    pub(crate) scope: u8,
    pub(crate) key: CounterKey,
}

/// A rule in its place.
#[derive(Debug)]
pub(crate) struct PlannedStep {
    pub(crate) name: SmolStr,
    pub(crate) step: Step,
    /// For a counting rule, which of the plan's counters it limits.
    pub(crate) counter: u8,
}

/// Scopes, counters and rules of a policy, with everything resolved that does not
/// depend on the call.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) workspace: SmolStr,
    /// The label of each scope; the workspace, which is first, has none.
    pub(crate) scopes: Vec<Option<SmolStr>>,
    pub(crate) counters: Vec<Planned>,
    pub(crate) steps: Vec<PlannedStep>,
    has_custom_rules: bool,
    has_user_code: bool,
}

/// Counters and scopes are numbered by a byte.
pub(crate) const MOST: usize = u8::MAX as usize;

impl Plan {
    /// Every call is charged to the month of its workspace, of its user and of each
    /// tracked label, whether a rule asks for it or not: a policy without rules
    /// meters, and a budget added on the 20th knows the month so far.
    ///
    /// `None` if there are more counters than can be numbered.
    pub(crate) fn new(
        workspace: SmolStr,
        tracked: Vec<SmolStr>,
        steps: Vec<(SmolStr, Step)>,
        store: &dyn Store,
    ) -> Option<Self> {
        let mut plan = Self {
            workspace,
            scopes: vec![None],
            counters: Vec::new(),
            steps: Vec::new(),
            has_custom_rules: false,
            has_user_code: false,
        };
        let month = Window::month(Zone::UTC);
        plan.counter(None, Unit::Cost, month, store)?;
        for label in std::iter::once("user".into()).chain(tracked) {
            plan.counter(Some(label), Unit::Cost, month, store)?;
        }
        for (name, step) in steps {
            let counter = match &step {
                Step::Counted(Counted { label, unit, window, .. }) => {
                    plan.counter(label.clone(), *unit, *window, store)?
                }
                _ => 0,
            };
            plan.has_user_code |= step.has_user_code();
            plan.has_custom_rules |= matches!(step, Step::Custom(_));
            plan.steps.push(PlannedStep { name, step, counter });
        }
        plan.sort_by_scope();
        Some(plan)
    }

    /// Puts counters of one scope next to each other, so that a store looks each
    /// scope up once.
    fn sort_by_scope(&mut self) {
        let mut order: Vec<usize> = (0..self.counters.len()).collect();
        order.sort_by_key(|index| self.counters.get(*index).map(|planned| planned.scope));
        for planned in &mut self.steps {
            let moved = order.iter().position(|old| *old == usize::from(planned.counter));
            planned.counter =
                moved.and_then(|new| u8::try_from(new).ok()).unwrap_or(planned.counter);
        }
        // Stable, so this is the order worked out above.
        self.counters.sort_by_key(|planned| planned.scope);
    }

    fn counter(
        &mut self,
        label: Option<SmolStr>,
        unit: Unit,
        window: Window,
        store: &dyn Store,
    ) -> Option<u8> {
        let known = |planned: &Planned| {
            let key = &planned.key;
            (&key.label, key.unit, key.window) == (&label, unit, window)
        };
        if let Some(index) = self.counters.iter().position(known) {
            return u8::try_from(index).ok();
        }
        let scope = self.scopes.iter().position(|known| *known == label).unwrap_or_else(|| {
            self.scopes.push(label.clone());
            self.scopes.len() - 1
        });
        let key = CounterKey { workspace: self.workspace.clone(), label, unit, window };
        let (index, scope) = (u8::try_from(self.counters.len()).ok()?, u8::try_from(scope).ok()?);
        self.counters.push(Planned { id: store.counter(&key), scope, key });
        Some(index)
    }

    /// Whether there are rules of users, which may want to look at counters.
    pub(crate) fn lends_counters(&self) -> bool {
        self.has_custom_rules
    }

    /// Whether a rule may look into the body of a call.
    pub(crate) fn looks_into_bodies(&self) -> bool {
        self.has_user_code
    }

    /// The value of each scope for a call, `""` for the workspace.
    pub(crate) fn values<'c>(&self, call: &'c Call) -> SmallVec<[&'c str; 4]> {
        let value = |label: &Option<SmolStr>| match label {
            None => "",
            Some(key) => call.label(key).unwrap_or(Scope::NONE),
        };
        self.scopes.iter().map(value).collect()
    }

    /// What a call of this cost books on the plan's counters.
    pub(crate) fn charges(&self, cost: u64) -> SmallVec<[Charge; 8]> {
        let amount = |unit| match unit {
            Unit::Cost => cost,
            Unit::Calls => 1,
        };
        let charge = |planned: &Planned| Charge {
            counter: planned.id,
            value: planned.scope,
            amount: amount(planned.key.unit),
        };
        self.counters.iter().map(charge).collect()
    }
}
