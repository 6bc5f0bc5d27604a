//! What the callers and the writer share.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use hashbrown::{DefaultHashBuilder, HashMap};

use super::{latest::Latest, queue::Queue};
use crate::store::contract::{CounterId, CounterKey};

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) queue: Queue,
    pub(super) registry: Registry,
    /// Tells the reservations of this file from those of others.
    pub(super) identity: u64,
    /// How much was handed over, and not done yet, that lets settled spend fall.
    falls: Arc<AtomicUsize>,
    pub(super) latest: Latest,
    /// The deadlines of reservations that this process holds.
    open: Mutex<HashMap<u64, u64, DefaultHashBuilder>>,
}

impl Shared {
    pub(super) fn new(identity: u64, known: &[CounterKey]) -> Self {
        let (queue, falls, latest, open) = Default::default();
        Self { queue, registry: Registry::new(known), identity, falls, latest, open }
    }

    pub(super) fn begin(&self, id: u64, deadline: u64) {
        self.open().insert(id, deadline);
    }

    pub(super) fn extend(&self, id: u64, deadline: u64) {
        if let Some(known) = self.open().get_mut(&id) {
            *known = deadline.max(*known);
        }
    }

    pub(super) fn end(&self, id: u64) {
        self.open().remove(&id);
    }

    /// Whether a call's deadline has passed, so that it counts as settled already.
    pub(super) fn is_late(&self, id: u64) -> bool {
        let latest = self.latest.get();
        self.open().get(&id).is_none_or(|deadline| *deadline <= latest)
    }

    /// Says that settled spend will fall by what is to be handed over with this.
    pub(super) fn expect_fall(&self) -> Fall {
        self.falls.fetch_add(1, Ordering::AcqRel);
        Fall(Arc::clone(&self.falls))
    }

    /// Whether something was handed over, and is not done, that makes room for calls.
    pub(super) fn expects_fall(&self) -> bool {
        self.falls.load(Ordering::Acquire) > 0
    }

    /// How many reservations of this process are open; those past their deadline are
    /// forgotten.
    pub(super) fn in_flight(&self, at: u64) -> usize {
        let mut open = self.open();
        open.retain(|_, deadline| *deadline > at);
        open.len()
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u64, u64, DefaultHashBuilder>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Goes along with what lets settled spend fall, until that is done.
#[derive(Debug)]
pub(super) struct Fall(Arc<AtomicUsize>);

impl Drop for Fall {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The program's numbers for counters.
#[derive(Debug)]
pub(super) struct Registry(Mutex<Numbers>);

#[derive(Debug, Default)]
struct Numbers {
    of: HashMap<CounterKey, CounterId, DefaultHashBuilder>,
    keys: Vec<CounterKey>,
}

impl Registry {
    fn new(known: &[CounterKey]) -> Self {
        let registry = Self(Mutex::default());
        known.iter().for_each(|key| {
            registry.number(key);
        });
        registry
    }

    /// The number of a counter.
    pub(super) fn number(&self, key: &CounterKey) -> CounterId {
        self.enter(key).0
    }

    /// The number of a counter, and whether it is a new one because it had none.
    pub(super) fn enter(&self, key: &CounterKey) -> (CounterId, bool) {
        let mut numbers = self.lock();
        if let Some(known) = numbers.of.get(key) {
            return (*known, false);
        }
        // There is no memory for four thousand million counters.
        let id = CounterId(u32::try_from(numbers.keys.len()).unwrap_or(u32::MAX));
        numbers.keys.push(key.clone());
        numbers.of.insert(key.clone(), id);
        (id, true)
    }

    pub(super) fn knows(&self, key: &CounterKey) -> bool {
        self.lock().of.contains_key(key)
    }

    /// The keys from this number on.
    pub(super) fn from(&self, number: usize) -> Vec<CounterKey> {
        self.lock().keys.get(number..).unwrap_or_default().to_vec()
    }

    /// All counters there are.
    pub(super) fn all(&self) -> Vec<CounterKey> {
        self.from(0)
    }

    fn lock(&self) -> MutexGuard<'_, Numbers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
