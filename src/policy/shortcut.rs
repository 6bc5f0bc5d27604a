//! The short way through a decision, which most calls take.
//!
//! Most calls are admitted as they are, under rules that come with the crate. For
//! those nothing needs to be gathered and kept in order: each counter has one limit,
//! the smallest, and all that matters of the other rules is that they let the call
//! pass. Whatever is not that simple, above all a call that is to be denied and told
//! why, has changed nothing so far and goes the long way.

use std::sync::Arc;

use smallvec::SmallVec;

use super::{
    Permit, Policy,
    decide::Progress,
    plan::{Planned, PlannedStep},
};
use crate::{
    call::Call,
    claim::Unit,
    rule::{LimitSource, Step, View},
    store::{self, MemoryStore},
};

/// What of a plan the short way needs.
#[derive(Debug)]
pub(crate) struct Shortcut {
    plan: store::Plan,
    /// For each counter, the smallest limit that holds for all calls.
    caps: Vec<Cap>,
    /// The rules that have to look at the call.
    looks: Vec<usize>,
    /// The scopes that rules count by.
    counted: Vec<usize>,
}

#[derive(Clone, Copy, Debug)]
struct Cap {
    limit: u64,
    unit: Unit,
}

impl Cap {
    /// The most that may have been used before.
    #[inline]
    fn room(self, cost: u64) -> Option<u64> {
        self.limit.checked_sub(match self.unit {
            Unit::Cost => cost,
            Unit::Calls => 1,
        })
    }
}

impl Shortcut {
    /// For rules in their places on a store in memory; `None` if there is no short way,
    /// because code of the user's has to run, which is asked once and in order.
    pub(super) fn new(
        counters: &[Planned],
        steps: &[PlannedStep],
        store: &MemoryStore,
    ) -> Option<Self> {
        if steps.iter().any(|planned| planned.step.has_user_code()) {
            return None;
        }
        let cap = |planned: &Planned| Cap { limit: u64::MAX, unit: planned.key.unit };
        let mut caps: Vec<_> = counters.iter().map(cap).collect();
        let (mut looks, mut counted, mut limits) = (Vec::new(), Vec::new(), Vec::new());
        for (index, planned) in steps.iter().enumerate() {
            let Step::Counted(rule) = &planned.step else {
                looks.push(index);
                continue;
            };
            counted.push(usize::from(planned.scope));
            let counter = usize::from(planned.counter);
            match rule.limit {
                LimitSource::Fixed(limit) => {
                    let cap = caps.get_mut(counter)?;
                    cap.limit = cap.limit.min(limit);
                    limits.push((counters.get(counter)?.id, limit));
                }
                LimitSource::ByValue { .. } if rule.unit == Unit::Cost => looks.push(index),
                // A store is to know the largest limit on calls before it counts them.
                LimitSource::ByValue { .. } | LimitSource::From(_) => return None,
            }
        }
        counted.sort_unstable();
        counted.dedup();
        counted.retain(|scope| *scope != 0); // every call is the workspace's
        let charges: Vec<_> = counters.iter().map(Planned::charge).collect();
        let plan = store.plan(&charges, &limits)?;
        Some(Self { plan, caps, looks, counted })
    }
}

impl Policy {
    /// Admits a call that has a price, if nothing is against it. `None` says nothing,
    /// and has changed nothing.
    #[inline(always)] // a permit is large, and is to be written where it is going
    pub(super) fn admit_shortly(
        &self,
        store: &MemoryStore,
        call: &Call,
        progress: &mut Progress,
    ) -> Option<Permit> {
        let short = self.0.plan.shortcut.as_ref()?;
        let cost = progress.quote.cost.as_nanos();
        let is_plain = progress.quote.known && progress.would_deny.is_none();
        if !is_plain || cost == 0 || cost == u64::MAX {
            return None;
        }
        if short.counted.iter().any(|scope| progress.places.lacks(*scope)) {
            return None;
        }
        let mut rooms: SmallVec<[u64; 8]> = SmallVec::new();
        for cap in &short.caps {
            rooms.push(cap.room(cost)?);
        }
        self.look(short, call, progress, &mut rooms)?;
        let mut values = SmallVec::new();
        self.0.plan.find_values(call, &progress.places, &mut values);
        let lasts = self.0.deadline_nanos;
        let reserved =
            store.reserve_planned(&short.plan, &values, &rooms, cost, call.at(), lasts)?;
        Some(Permit::new(Arc::clone(&self.0), call, progress, Some(reserved)))
    }

    /// Asks the rules that look at the call. `None` if one has something to say.
    #[inline]
    fn look(
        &self,
        short: &Shortcut,
        call: &Call,
        progress: &Progress,
        rooms: &mut [u64],
    ) -> Option<()> {
        let prices = self.0.prices.get(progress.version);
        for step in &short.looks {
            let planned = self.0.plan.steps.get(*step)?;
            match &planned.step {
                Step::Counted(rule) => {
                    let value = progress.places.value(call, usize::from(planned.scope));
                    if let Some(limit) = rule.limit.of(call, value) {
                        let room = rooms.get_mut(usize::from(planned.counter))?;
                        let cap = Cap { limit, unit: rule.unit };
                        *room = cap.room(progress.quote.cost.as_nanos())?.min(*room);
                    }
                }
                other if other.passes(View { call, prices }) => {}
                _ => return None,
            }
        }
        Some(())
    }
}
