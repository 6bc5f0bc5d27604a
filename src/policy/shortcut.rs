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
/// So many labels are looked up beforehand.
const MOST_KEYS: usize = 6;

/// What of a plan the short way needs.
#[derive(Debug)]
pub(crate) struct Shortcut {
    plan: store::Plan,
    /// For each counter, the smallest limit that holds for all calls.
    limits: [u64; MOST_COUNTERS],
    /// The smallest limit on the cost of one call.
    most: u64,
    /// The labels that are looked at, first those by which is counted.
    keys: Vec<Word>,
    /// For each of those first ones, whether a rule counts by it, which has something to
    /// say where it is missing.
    is_counted: Vec<bool>,
    /// Rules whose limit depends on the value of a label.
    by_value: Vec<ByValue>,
    /// Rules that have to look at a call if they apply to it.
    guarded: Vec<Guarded>,
    /// Rules that have to look at every call.
    looks: Vec<usize>,
}

#[derive(Debug)]
struct ByValue {
    key: usize,
    counter: usize,
    limit: LimitSource,
}

/// A rule for calls that have a label, with one of these values.
#[derive(Debug)]
struct Guarded {
    step: usize,
    key: usize,
    values: Vec<Word>,
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
        let (_workspace, labels) = scopes.split_first()?;
        let keys: Vec<_> = labels.iter().cloned().collect::<Option<_>>()?;
        let charges: Vec<_> = counters.iter().map(Planned::charge).collect();
        let limits: Vec<_> = fixed_limits(counters, steps).collect();
        let mut short = Self {
            plan: store.plan(&charges, &limits)?,
            limits: [u64::MAX; MOST_COUNTERS],
            most: u64::MAX - 1, // what saturated is denied
            is_counted: vec![false; keys.len()],
            keys,
            by_value: Vec::new(),
            guarded: Vec::new(),
            looks: Vec::new(),
        };
        for (step, planned) in steps.iter().enumerate() {
            short.add(step, planned)?;
        }
        Some(short)
    }

    fn add(&mut self, step: usize, planned: &PlannedStep) -> Option<()> {
        let counter = usize::from(planned.counter);
        let key = usize::from(planned.scope).checked_sub(1); // the workspace has none
        match &planned.step {
            Step::Counted(rule) => {
                if let Some(key) = key {
                    *self.is_counted.get_mut(key)? = true;
                }
                match rule.limit {
                    LimitSource::Fixed(limit) => {
                        let known = self.limits.get_mut(counter)?;
                        *known = limit.min(*known);
                    }
                    LimitSource::ByValue { .. } if rule.unit == Unit::Cost => {
                        let limit = rule.limit.clone();
                        self.by_value.push(ByValue { key: key?, counter, limit });
                    }
                    // A store is to know the largest limit on calls before it counts them.
                    LimitSource::ByValue { .. } | LimitSource::From(_) => return None,
                }
            }
            Step::MaxCost(rule) => self.most = self.most.min(rule.limit().as_nanos()),
            other => match other.guard().and_then(|(key, values)| Some((self.key(key)?, values))) {
                Some((key, values)) => {
                    self.guarded.push(Guarded { step, key, values: values.to_vec() });
                }
                None => self.looks.push(step),
            },
        }
        Some(())
    }

    /// Which of the labels this is; `None` if there is no place for one more.
    fn key(&mut self, key: &Word) -> Option<usize> {
        let known = self.keys.iter().position(|known| known == key);
        known.or_else(|| {
            self.keys.push(key.clone());
            let is_last = self.keys.len() > MOST_KEYS;
            if is_last {
                self.keys.pop();
            }
            (!is_last).then(|| self.keys.len() - 1)
        })
    }
}

/// The limits that hold for all calls, and on which counters they are.
fn fixed_limits<'a>(
    counters: &'a [Planned],
    steps: &'a [PlannedStep],
) -> impl Iterator<Item = (store::CounterId, u64)> + 'a {
    steps.iter().filter_map(|planned| match &planned.step {
        Step::Counted(rule) => match rule.limit {
            LimitSource::Fixed(limit) => {
                Some((counters.get(usize::from(planned.counter))?.id, limit))
            }
            LimitSource::ByValue { .. } | LimitSource::From(_) => None,
        },
        _ => None,
    })
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
        if !quote.known || cost > short.most {
            return None;
        }
        let mut words = [None; MOST_KEYS];
        for (word, key) in words.iter_mut().zip(&short.keys) {
            *word = call.labels().of(key);
        }
        let mut values = [""; MOST_SCOPES]; // the workspace is the first
        let labelled = values.iter_mut().skip(1).zip(&words);
        for ((value, word), is_counted) in labelled.zip(&short.is_counted) {
            *value = match word {
                Some(word) => word.text(),
                None if *is_counted => return None,
                None => Scope::NONE,
            };
        }
        let passes = |step: usize| {
            let planned = self.0.plan.steps.get(step);
            planned.is_some_and(|planned| planned.step.passes(View { call, prices }))
        };
        for Guarded { step, key, values } in &short.guarded {
            if let Some(Some(word)) = words.get(*key)
                && values.iter().any(|value| value == *word)
                && !passes(*step)
            {
                return None;
            }
        }
        if !short.looks.iter().all(|step| passes(*step)) {
            return None;
        }
        let mut limits = short.limits;
        for ByValue { key, counter, limit } in &short.by_value {
            if let Some(limit) = limit.of(call, *words.get(*key)?) {
                let known = limits.get_mut(*counter)?;
                *known = limit.min(*known);
            }
        }
        let lasts = self.0.deadline_nanos;
        store.reserve_planned(&short.plan, values, &limits, cost, call.at(), lasts)
    }
}
