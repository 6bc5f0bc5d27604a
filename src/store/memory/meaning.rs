//! Which counters there are, by number.

use hashbrown::{DefaultHashBuilder, HashMap};

use crate::{
    claim::Unit,
    store::{
        contract::{CounterId, CounterKey},
        counting::{Counter, Horizon, Times},
    },
};

/// What the store needs to know of a counter while it holds the lock.
#[derive(Debug)]
pub(super) struct Meaning {
    /// Whose scopes have it.
    pub(super) family: u32,
    /// Which of their counters it is.
    pub(super) column: u32,
    /// Whether it counts money, not calls.
    pub(super) is_cost: bool,
    pub(super) times: Times,
    pub(super) horizon: Horizon,
}

impl Meaning {
    /// Until when an amount booked at `now` on this counter counts.
    #[inline]
    pub(super) fn until(&mut self, now: u64, counter: &Counter) -> u64 {
        self.times.until(&mut self.horizon, now, counter)
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
        let horizon = Horizon::new(key.window);
        let times = Times::new(!is_cost, &horizon);
        self.list.push(Meaning { family, column, is_cost, times, horizon });
        self.numbers.insert(key.clone(), id);
        id
    }

    /// What a number means, if it was given out.
    #[inline]
    pub(super) fn find(&mut self, id: CounterId) -> Option<&mut Meaning> {
        self.list.get_mut(id.0 as usize)
    }

    /// Notes a limit: a counter of calls keeps as many times apart. Returns how many those
    /// are if that is new.
    pub(super) fn widen(&mut self, id: CounterId, limit: u64) -> Option<Times> {
        let times = &mut self.find(id)?.times;
        times.widen(limit).then_some(*times)
    }
}
