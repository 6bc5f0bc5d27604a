//! The short way through a decision, which most calls take.
//!
//! Most calls are admitted as they are, under rules that come with the crate. For
//! those nothing needs to be gathered and kept in order: each counter has one limit,
//! the smallest, and all that matters of the other rules is that they let the call
//! pass. Whatever is not that simple, above all a call that is to be denied and told
//! why, has changed nothing so far and goes the long way.

use super::{
    Policy,
    plan::{Planned, PlannedStep},
    pricing::Quote,
};
use crate::{
    call::Call,
    claim::{Scope, Unit},
    labels::Word,
    price::PriceBook,
    rule::{LimitSource, Step, View},
    store::{self, MemoryStore, Reservation},
};

/// More than policies have. Where one has more, its calls go the long way.
const MOST_SCOPES: usize = MemoryStore::MOST_RUNS;
const MOST_COUNTERS: usize = 12;

/// What of a plan the short way needs.
#[derive(Debug)]
pub(crate) struct Shortcut {
    plan: store::Plan,
    /// For each counter, the smallest limit that holds for all calls.
    limits: [u64; MOST_COUNTERS],
    /// The rules that have to look at the call.
    looks: Vec<usize>,
    /// Those of the plan.
    scopes: Vec<Scoped>,
}

#[derive(Debug)]
struct Scoped {
    label: Option<Word>,
    /// Whether a rule counts by it, which has something to say where it is missing.
    is_counted: bool,
}

impl Shortcut {
    /// For rules in their places on a store in memory; `None` if there is no short way:
    /// code of the user's has to run once and in order.
    pub(super) fn new(
        scopes: &[Option<Word>],
        counters: &[Planned],
        steps: &[PlannedStep],
        store: &MemoryStore,
    ) -> Option<Self> {
        let is_large = scopes.len() > MOST_SCOPES || counters.len() > MOST_COUNTERS;
        if is_large || steps.iter().any(|planned| planned.step.has_user_code()) {
            return None;
        }
        let mut smallest = [u64::MAX; MOST_COUNTERS];
        let scoped = |label: &Option<Word>| Scoped { label: label.clone(), is_counted: false };
        let mut scopes: Vec<_> = scopes.iter().map(scoped).collect();
        let (mut looks, mut limits) = (Vec::new(), Vec::new());
        for (index, planned) in steps.iter().enumerate() {
            let Step::Counted(rule) = &planned.step else {
                looks.push(index);
                continue;
            };
            scopes.get_mut(usize::from(planned.scope))?.is_counted = true;
            let counter = usize::from(planned.counter);
            match rule.limit {
                LimitSource::Fixed(limit) => {
                    let known = smallest.get_mut(counter)?;
                    *known = limit.min(*known);
                    limits.push((counters.get(counter)?.id, limit));
                }
                LimitSource::ByValue { .. } if rule.unit == Unit::Cost => looks.push(index),
                // A store is to know the largest limit on calls before it counts them.
                LimitSource::ByValue { .. } | LimitSource::From(_) => return None,
            }
        }
        let charges: Vec<_> = counters.iter().map(Planned::charge).collect();
        let plan = store.plan(&charges, &limits)?;
        Some(Self { plan, limits: smallest, looks, scopes })
    }
}

impl Policy {
    /// Reserves for a call that has a price, if nothing is against it. `None` says
    /// nothing, and has changed nothing.
    #[inline]
    pub(super) fn reserve_shortly(
        &self,
        short: &Shortcut,
        store: &MemoryStore,
        call: &Call,
        prices: &PriceBook,
        quote: &Quote,
    ) -> Option<Reservation> {
        let cost = quote.cost.as_nanos();
        if !quote.known || cost == u64::MAX {
            return None;
        }
        let (mut words, mut values) = ([None; MOST_SCOPES], [""; MOST_SCOPES]);
        for ((word, value), scope) in words.iter_mut().zip(&mut values).zip(&short.scopes) {
            if let Some(key) = &scope.label {
                *word = call.labels().of(key);
                *value = match word {
                    Some(word) => word.text(),
                    None if scope.is_counted => return None,
                    None => Scope::NONE,
                };
            }
        }
        let mut limits = short.limits;
        for step in &short.looks {
            let planned = self.0.plan.steps.get(*step)?;
            match &planned.step {
                Step::Counted(rule) => {
                    let word = *words.get(usize::from(planned.scope))?;
                    if let Some(limit) = rule.limit.of(call, word) {
                        let known = limits.get_mut(usize::from(planned.counter))?;
                        *known = limit.min(*known);
                    }
                }
                other if other.passes(View { call, prices }) => {}
                _ => return None,
            }
        }
        let lasts = self.0.deadline_nanos;
        store.reserve_planned(&short.plan, &values, &limits, cost, call.at(), lasts)
    }
}
