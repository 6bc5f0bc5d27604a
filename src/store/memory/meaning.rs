//! Which counters there are, by number.

use hashbrown::{DefaultHashBuilder, HashMap};

use super::{counter::Counter, horizon::Horizon};
use crate::{
    claim::Unit,
    store::contract::{CounterId, CounterKey},
};

/// Up to this limit, a sliding window of calls keeps the time of every call.
const EXACT: u64 = 1_024;

/// What the store needs to know of a counter while it holds the lock.
#[derive(Debug)]
pub(super) struct Meaning {
    /// Whose scopes have it.
    pub(super) family: u32,
    /// Which of their counters it is.
    pub(super) column: u32,
    /// Whether it counts money, not calls.
    pub(super) is_cost: bool,
    /// How many times of calls are kept apart: as many as the largest limit, none
    /// if there is no limit so far, or too large a one.
    exact: u16,
    /// A claim above this limit changes what is kept.
    most: u64,
    pub(super) horizon: Horizon,
}

impl Meaning {
    /// Until when an amount booked at `now` on this counter counts.
    ///
    /// The time of every call is kept while there are no more of them than the
    /// largest limit. There can be more only where nothing enforces it; then calls
    /// fall into sub-buckets, which keeps the number of parts bounded.
    #[inline]
    pub(super) fn until(&mut self, now: u64, counter: &Counter) -> u64 {
        match self.exact > 0 && counter.parts() <= usize::from(self.exact) {
            true => self.horizon.exact(now),
            false => self.horizon.until(now),
        }
    }
}

/// All counters that were ever asked for.
#[derive(Debug, Default)]
pub(super) struct Meanings {
    numbers: HashMap<CounterKey, CounterId, DefaultHashBuilder>,
    list: Vec<Meaning>,
    /// How many counters each family has.
    columns: Vec<u32>,
}

impl Meanings {
    /// The number of a counter that is known already.
    pub(super) fn number(&self, key: &CounterKey) -> Option<CounterId> {
        self.numbers.get(key).copied()
    }

    /// Gives a new counter its number, as the next column of its family.
    pub(super) fn add(&mut self, key: &CounterKey, family: u32) -> CounterId {
        // There is no memory for four thousand million counters.
        let id = CounterId(u32::try_from(self.list.len()).unwrap_or(u32::MAX));
        let place = family as usize;
        if self.columns.len() <= place {
            self.columns.resize(place + 1, 0);
        }
        let column = self.columns[place];
        self.columns[place] += 1;
        let is_cost = key.unit == Unit::Cost;
        let keeps_times = !is_cost && key.window.sliding_nanos().is_some();
        let most = if keeps_times { 0 } else { u64::MAX };
        let horizon = Horizon::new(key.window);
        self.list.push(Meaning { family, column, is_cost, exact: 0, most, horizon });
        self.numbers.insert(key.clone(), id);
        id
    }

    /// What a number means, if it was given out.
    #[inline]
    pub(super) fn find(&mut self, id: CounterId) -> Option<&mut Meaning> {
        self.list.get_mut(id.0 as usize)
    }

    /// What a number means that was given out.
    #[inline]
    pub(super) fn at(&mut self, id: CounterId) -> &mut Meaning {
        &mut self.list[id.0 as usize]
    }

    /// Notes a limit: a counter of calls keeps as many times apart.
    pub(super) fn widen(&mut self, id: CounterId, limit: u64) {
        if let Some(meaning) = self.find(id).filter(|meaning| limit > meaning.most) {
            let is_exact = limit <= EXACT;
            meaning.exact = if is_exact { limit as u16 } else { 0 };
            meaning.most = if is_exact { limit } else { u64::MAX };
        }
    }
}
