//! Which counters there are, by number.

use hashbrown::{DefaultHashBuilder, HashMap};

use super::{counter::Counter, horizon::Horizon};
use crate::{
    claim::Unit,
    store::contract::{CounterId, CounterKey},
    window::Window,
};

/// Up to this limit, a sliding window of calls keeps the time of every call.
const EXACT: u64 = 1_024;

/// What the store needs to know of a counter while it holds the lock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meaning {
    /// Whose scopes have it.
    pub(super) family: u32,
    /// Which of their counters it is.
    pub(super) column: u32,
    /// Index of its window's horizon; windows of one length share it.
    pub(super) horizon: u32,
    /// Whether it counts money, not calls.
    pub(super) is_cost: bool,
    /// How many times of calls are kept apart: as many as the largest limit, none
    /// if there is no limit so far, or too large a one.
    pub(super) exact: u16,
    /// A claim above this limit changes what is kept.
    pub(super) most: u64,
}

/// All counters that were ever asked for.
#[derive(Debug, Default)]
pub(super) struct Meanings {
    numbers: HashMap<CounterKey, CounterId, DefaultHashBuilder>,
    list: Vec<Meaning>,
    horizons: Vec<Horizon>,
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
        let id = CounterId(count(self.list.len()));
        let place = family as usize;
        if self.columns.len() <= place {
            self.columns.resize(place + 1, 0);
        }
        let column = self.columns[place];
        self.columns[place] += 1;
        let horizon = self.horizon_of(key.window);
        let is_cost = key.unit == Unit::Cost;
        let keeps_times = !is_cost && key.window.sliding_nanos().is_some();
        let most = if keeps_times { 0 } else { u64::MAX };
        self.list.push(Meaning { family, column, horizon, is_cost, exact: 0, most });
        self.numbers.insert(key.clone(), id);
        id
    }

    fn horizon_of(&mut self, window: Window) -> u32 {
        let known = self.horizons.iter().position(|horizon| horizon.is_of(window));
        count(known.unwrap_or_else(|| {
            self.horizons.push(Horizon::new(window));
            self.horizons.len() - 1
        }))
    }

    /// What a number means, if it was given out.
    #[inline]
    pub(super) fn find(&self, id: CounterId) -> Option<Meaning> {
        self.list.get(id.0 as usize).copied()
    }

    /// The horizon of a meaning that [`find`](Self::find) returned.
    #[inline]
    pub(super) fn horizon(&mut self, meaning: Meaning) -> &mut Horizon {
        &mut self.horizons[meaning.horizon as usize]
    }

    /// Until when an amount booked at `now` on this counter counts.
    ///
    /// The time of every call is kept while there are no more of them than the
    /// largest limit. There can be more only where nothing enforces it; then calls
    /// fall into sub-buckets, which keeps the number of parts bounded.
    #[inline]
    pub(super) fn until(&mut self, meaning: Meaning, now: u64, counter: &Counter) -> u64 {
        let horizon = self.horizon(meaning);
        match meaning.exact > 0 && counter.parts() <= usize::from(meaning.exact) {
            true => horizon.exact(now),
            false => horizon.until(now),
        }
    }

    /// Notes a limit: a counter of calls keeps as many times apart.
    pub(super) fn widen(&mut self, id: CounterId, limit: u64) {
        let meaning = self.list.get_mut(id.0 as usize);
        if let Some(meaning) = meaning.filter(|meaning| limit > meaning.most) {
            let is_exact = limit <= EXACT;
            meaning.exact = if is_exact { limit as u16 } else { 0 };
            meaning.most = if is_exact { limit } else { u64::MAX };
        }
    }
}

/// A length as a number; there is no memory for four thousand million of anything here.
fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
