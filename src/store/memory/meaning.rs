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
    pub(super) unit: Unit,
    /// How many times of calls are kept apart: the largest limit claimed so far,
    /// or 0 if there was none, if one was above [`EXACT`], or if it counts no calls.
    exact: u32,
    /// Whether it could keep times apart at all.
    sliding_calls: bool,
    /// The largest limit claimed so far.
    most: u64,
}

impl Meaning {
    /// Whether a claim of `limit` would change what is kept.
    #[inline]
    pub(super) fn is_widened_by(&self, limit: u64) -> bool {
        self.sliding_calls && limit > self.most
    }
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
        let sliding_calls = key.unit == Unit::Calls && key.window.sliding_nanos().is_some();
        let unit = key.unit;
        self.list.push(Meaning { family, column, horizon, unit, exact: 0, sliding_calls, most: 0 });
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

    /// The same, borrowed.
    #[inline]
    pub(super) fn get(&self, id: CounterId) -> Option<&Meaning> {
        self.list.get(id.0 as usize)
    }

    /// The horizon of a meaning that [`find`](Self::find) returned.
    #[inline]
    pub(super) fn horizon(&mut self, meaning: &Meaning) -> &mut Horizon {
        &mut self.horizons[meaning.horizon as usize]
    }

    /// Until when an amount booked at `now` in a counter counts.
    ///
    /// The time of every call is kept while there are no more of them than the
    /// largest limit. There can be more only where nothing enforces it; then calls
    /// fall into sub-buckets, which keeps the number of parts bounded.
    #[inline]
    pub(super) fn until(&mut self, meaning: &Meaning, now: u64, counter: &Counter) -> u64 {
        let horizon = &mut self.horizons[meaning.horizon as usize];
        let is_exact = meaning.exact != 0 && counter.parts() <= meaning.exact as usize;
        if is_exact { horizon.exact(now) } else { horizon.until(now) }
    }

    /// Notes a limit for which [`Meaning::is_widened_by`] held.
    #[cold]
    pub(super) fn widen(&mut self, id: CounterId, limit: u64) {
        if let Some(meaning) = self.list.get_mut(id.0 as usize) {
            meaning.most = meaning.most.max(limit);
            meaning.exact = if meaning.most <= EXACT { meaning.most as u32 } else { 0 };
        }
    }
}

/// A length as a number; there is no memory for four thousand million of anything here.
fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
