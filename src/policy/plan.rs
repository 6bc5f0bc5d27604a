//! Which counters a policy's calls charge, worked out once when it is built.

use std::sync::atomic::AtomicBool;

use smallvec::SmallVec;
use smol_str::SmolStr;

use super::{admit::StoreHandle, shortcut::Shortcut};
use crate::{
    call::Call,
    claim::{Scope, Unit},
    labels::{Labels, Word},
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

impl Planned {
    pub(super) fn charge(&self) -> Charge {
        Charge { counter: self.id, value: self.scope }
    }
}

/// Where in a call's labels the value of each scope is: looked up once, used by every
/// rule that counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places(SmallVec<[u8; 16]>);

impl Places {
    const MISSING: u8 = u8::MAX;

    /// Whether a call lacks the label of a scope.
    #[inline]
    pub(crate) fn lacks(&self, scope: usize) -> bool {
        self.0.get(scope).is_none_or(|position| *position == Self::MISSING)
    }

    /// The value of a scope on a call; `None` if the call lacks the label.
    #[inline]
    pub(crate) fn value<'c>(&self, call: &'c Call, scope: usize) -> Option<&'c Word> {
        match self.0.get(scope) {
            Some(&Self::MISSING) | None => None,
            Some(&position) => call.labels().at(usize::from(position)),
        }
    }
}

/// A rule in its place.
#[derive(Debug)]
pub(crate) struct PlannedStep {
    pub(crate) name: SmolStr,
    pub(crate) step: Step,
    /// For a counting rule, which of the plan's counters it limits, and its scope.
    pub(crate) counter: u8,
    pub(crate) scope: u8,
    /// Whether it was told that calls lack its label.
    pub(crate) warned: AtomicBool,
}

/// Scopes, counters and rules of a policy, with everything resolved that does not
/// depend on the call.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) workspace: SmolStr,
    /// The label of each scope; the workspace, which is first, has none.
    pub(crate) scopes: Vec<Option<Word>>,
    pub(crate) counters: Vec<Planned>,
    pub(crate) steps: Vec<PlannedStep>,
    /// What every call books.
    pub(crate) charges: Vec<Charge>,
    has_custom_rules: bool,
    has_user_code: bool,
    /// On a store in memory, the short way through a decision.
    pub(crate) shortcut: Option<Shortcut>,
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
        store: &StoreHandle,
    ) -> Option<Self> {
        let memory = store.memory();
        let store = store.get();
        let mut plan = Self {
            workspace,
            scopes: vec![None],
            counters: Vec::new(),
            steps: Vec::new(),
            charges: Vec::new(),
            has_custom_rules: false,
            has_user_code: false,
            shortcut: None,
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
            let scope = plan.counters.get(usize::from(counter)).map_or(0, |planned| planned.scope);
            let warned = AtomicBool::new(false);
            plan.steps.push(PlannedStep { name, step, counter, scope, warned });
        }
        plan.group_by_scope();
        plan.charges = plan.counters.iter().map(Planned::charge).collect();
        plan.shortcut = memory
            .and_then(|store| Shortcut::new(&plan.scopes, &plan.counters, &plan.steps, store));
        Some(plan)
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
        let of = label.clone().map(Word::key);
        let scope = self.scopes.iter().position(|known| *known == of).unwrap_or_else(|| {
            self.scopes.push(of);
            self.scopes.len() - 1
        });
        let key = CounterKey { workspace: self.workspace.clone(), label, unit, window };
        let (index, scope) = (u8::try_from(self.counters.len()).ok()?, u8::try_from(scope).ok()?);
        self.counters.push(Planned { id: store.counter(&key), scope, key });
        Some(index)
    }

    /// Puts the counters of one scope side by side, so that a store has to find each
    /// scope only once.
    fn group_by_scope(&mut self) {
        let mut old: Vec<usize> = (0..self.counters.len()).collect();
        old.sort_by_key(|index| self.counters[*index].scope);
        for step in &mut self.steps {
            let new = old.iter().position(|index| *index == usize::from(step.counter));
            step.counter = new.and_then(|index| u8::try_from(index).ok()).unwrap_or(0);
        }
        self.counters.sort_by_key(|planned| planned.scope);
    }

    /// Whether there are rules of users, which may want to look at counters.
    pub(crate) fn lends_counters(&self) -> bool {
        self.has_custom_rules
    }

    /// Whether a rule may look into the body of a call.
    pub(crate) fn looks_into_bodies(&self) -> bool {
        self.has_user_code
    }

    /// Looks up the labels of the scopes.
    pub(crate) fn find_labels(&self, labels: &Labels) -> Places {
        let place = |label: &Option<Word>| {
            let position = label.as_ref().and_then(|key| labels.position(key));
            position.and_then(|position| u8::try_from(position).ok()).unwrap_or(Places::MISSING)
        };
        Places(self.scopes.iter().map(place).collect())
    }

    /// The value of each scope for a call, `""` for the workspace.
    pub(crate) fn find_values<'c>(
        &self,
        call: &'c Call,
        places: &Places,
        values: &mut SmallVec<[&'c str; 4]>,
    ) {
        values.push(""); // the workspace is the first scope
        for scope in 1..self.scopes.len() {
            let value = places.value(call, scope);
            values.push(value.map_or(Scope::NONE, |value| value.text()));
        }
    }
}
