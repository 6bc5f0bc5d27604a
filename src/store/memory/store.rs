//! The store's face: hash, lock, hand over.

use std::fmt;

use hashbrown::DefaultHashBuilder;
use smallvec::SmallVec;

use super::{
    charges::Plan,
    planned::{Name, Wish},
    scopes::hash_of,
    state::State,
    sync::{Mutex, MutexGuard, lock},
};
use crate::{
    apart::Apart,
    clock::Timestamp,
    store::{
        Adjustment, Answer, Charge, CounterId, CounterKey, Hold, Reading, Refusal, Reservation,
        ReserveError, Store, StoreError,
    },
    usd::Usd,
};

/// Counters in memory, behind one short lock. It is ephemeral: it forgets at
/// restart, and counts the calls of one process.
///
/// # Bounds
/// - At most [`max_scopes`](MemoryStoreBuilder::max_scopes) label values have
///   counters of their own. Newcomers beyond share those of the value
///   [`Scope::OTHER`](crate::Scope::OTHER) of their label, so that a limit applies
///   to the sum of them. A value that spent is never dropped to make room; one in
///   which nothing can matter any more is reclaimed, in small steps.
/// - After its deadline a reservation counts as settled. The last 16,384 of those
///   can still be corrected by a late settle; earlier ones stay at what they
///   reserved.
/// - A sliding window of calls with limits up to 1,024 is exact. Other sliding
///   windows count in sub-buckets of a sixtieth, rounded up to a whole nanosecond,
///   and forget an amount between 60 and 61 of them later.
///
/// # Example
/// ```
/// use driftlock::{
///     Timestamp, Unit, Usd, Window, Zone,
///     store::{Charge, CounterKey, Hold, Limit, MemoryStore, ReserveError, Store},
/// };
///
/// let store = MemoryStore::new();
/// let window = Window::month(Zone::UTC);
/// let key = CounterKey { workspace: "app".into(), label: None, unit: Unit::Cost, window };
/// let counter = store.counter(&key);
///
/// let at: Timestamp = "2026-11-22T12:00:00Z".parse()?;
/// let deadline = "2026-11-22T12:15:00Z".parse()?;
/// let ask = Usd::cents(60).as_nanos();
/// let hold = Hold {
///     values: &[""],
///     charges: &[Charge { counter, value: 0 }],
///     cost: Usd::nanos(ask),
///     limits: &[Limit { charge: 0, ask, limit: Usd::dollars(1).as_nanos() }],
///     at,
///     deadline,
///     call: None,
/// };
/// let call = store.reserve_now(&hold).expect("room for 60 cents");
/// assert!(matches!(store.reserve_now(&hold), Err(ReserveError::Refused(_))));
///
/// store.settle(call, Usd::cents(10), at);
/// assert!(store.reserve_now(&hold).is_ok());
/// # Ok::<(), driftlock::ParseTimeError>(())
/// ```
pub struct MemoryStore {
    hasher: DefaultHashBuilder,
    state: Apart<Mutex<State>>,
}

/// Builds a [`MemoryStore`].
///
/// For an example see [`MemoryStore`](crate::MemoryStore).
#[derive(Clone, Debug)]
pub struct MemoryStoreBuilder {
    max_scopes: usize,
}

impl MemoryStore {
    /// A store with the default bounds.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// A store with other bounds.
    pub fn builder() -> MemoryStoreBuilder {
        MemoryStoreBuilder { max_scopes: 1_000_000 }
    }

    /// [`Store::reserve`] without the detour of an [`Answer`].
    ///
    /// # Errors
    /// [`ReserveError::Refused`] if a limit has no room. [`ReserveError::Unavailable`]
    /// if the hold makes no sense, for example names a counter of another store.
    pub fn reserve_now(&self, hold: &Hold<'_>) -> Result<Reservation, ReserveError> {
        let hashes = self.hashes(hold);
        self.lock().reserve_hold(hold, &hashes)
    }

    /// On so many scopes a plan may book.
    pub(crate) const MOST_RUNS: usize = 4;

    /// Looks up the charges of a policy's calls, once for all of them. `limits` are those
    /// known already.
    pub(crate) fn plan(&self, charges: &[Charge], limits: &[(CounterId, u64)]) -> Option<Plan> {
        let mut state = self.lock();
        limits.iter().for_each(|(counter, limit)| state.widen(*counter, *limit));
        let State { meanings, scopes, plans, .. } = &mut *state;
        let number = plans.of(charges, meanings, scopes).ok()?;
        let runs = &plans.at(number).runs;
        let in_order = (0..).zip(runs).all(|(index, run)| run.value == index);
        (in_order && runs.len() <= Self::MOST_RUNS).then_some(Plan { number })
    }

    /// Reserves what a plan books, with a limit for each of its charges. `None` if there
    /// is no room: a hold tells why.
    #[inline]
    pub(crate) fn reserve_planned(
        &self,
        plan: &Plan,
        values: [&str; Self::MOST_RUNS],
        limits: &[u64],
        cost: u64,
        at: Timestamp,
        lasts: u64,
    ) -> Option<Reservation> {
        let mut names = values.map(|text| Name { text, hash: 0 });
        for name in &mut names {
            name.hash = hash_of(&self.hasher, name.text);
        }
        let wish = Wish { plan: plan.number, names: &names, limits, cost, lasts };
        self.lock().reserve(&wish, at)
    }

    /// The refusal a hold would get now, if any. Books nothing.
    pub fn peek(&self, hold: &Hold<'_>) -> Option<Refusal> {
        let hashes = self.hashes(hold);
        self.lock().peek(hold, &hashes)
    }

    /// [`Store::read`] without the detour of an [`Answer`].
    ///
    /// # Errors
    /// If the counter is not one of this store.
    pub fn read_now(
        &self,
        counter: CounterId,
        value: &str,
        at: Timestamp,
    ) -> Result<Reading, StoreError> {
        let hash = hash_of(&self.hasher, value);
        self.lock().read(counter, value, hash, at)
    }

    /// [`Store::adjust`] without the detour of an [`Answer`].
    ///
    /// # Errors
    /// If the counter is not one of this store.
    pub fn adjust_now(&self, adjustment: Adjustment<'_>) -> Result<Reading, StoreError> {
        let hash = hash_of(&self.hasher, adjustment.value);
        let mut state = self.lock();
        state.adjust(&adjustment, hash);
        state.read(adjustment.counter, adjustment.value, hash, adjustment.at)
    }

    /// How many reservations are neither settled, released nor past their deadline.
    pub fn open_reservations(&self) -> usize {
        let mut state = self.lock();
        state.expire_due();
        state.held.open_count()
    }

    /// How many label values have counters of their own.
    pub fn scopes(&self) -> usize {
        self.lock().scopes.labelled()
    }

    /// Done before the store is locked.
    fn hashes(&self, hold: &Hold<'_>) -> SmallVec<[u64; 8]> {
        hold.values.iter().map(|value| hash_of(&self.hasher, value)).collect()
    }

    #[inline]
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl MemoryStoreBuilder {
    /// How many label values may have counters of their own.
    ///
    /// Defaults to 1,000,000, for which up to 200 MB are used.
    pub fn max_scopes(mut self, most: usize) -> Self {
        self.max_scopes = most;
        self
    }

    /// The store.
    pub fn build(self) -> MemoryStore {
        let hasher = DefaultHashBuilder::default();
        let state = State::new(hasher.clone(), self.max_scopes);
        MemoryStore { hasher, state: Apart(Mutex::new(state)) }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Store for MemoryStore {
    fn counter(&self, key: &CounterKey) -> CounterId {
        self.lock().counter(key)
    }

    fn knows(&self, key: &CounterKey) -> bool {
        self.lock().meanings.number(key).is_some()
    }

    fn reserve<'a>(&'a self, hold: Hold<'a>) -> Answer<'a, Result<Reservation, ReserveError>> {
        Answer::ready(self.reserve_now(&hold))
    }

    fn settle(&self, reservation: Reservation, cost: Usd, at: Timestamp) {
        self.lock().settle(reservation, cost.as_nanos(), at);
    }

    fn release(&self, reservation: Reservation, at: Timestamp) {
        self.lock().release(reservation, at);
    }

    fn extend(&self, reservation: Reservation, deadline: Timestamp) {
        self.lock().extend(reservation, deadline);
    }

    fn read<'a>(
        &'a self,
        counter: CounterId,
        value: &'a str,
        at: Timestamp,
    ) -> Answer<'a, Result<Reading, StoreError>> {
        Answer::ready(self.read_now(counter, value, at))
    }

    fn adjust<'a>(&'a self, adjustment: Adjustment<'a>) -> Answer<'a, Result<Reading, StoreError>> {
        Answer::ready(self.adjust_now(adjustment))
    }

    fn flush(&self) -> Answer<'_, Result<(), StoreError>> {
        Answer::ready(Ok(()))
    }

    fn in_flight(&self, at: Timestamp) -> usize {
        let mut state = self.lock();
        state.advance(at);
        state.expire_due();
        state.held.open_count()
    }

    fn is_durable(&self) -> bool {
        false
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut state = self.lock();
        state.expire_due();
        f.debug_struct("MemoryStore")
            .field("scopes", &state.scopes.labelled())
            .field("open_reservations", &state.held.open_count())
            .finish_non_exhaustive()
    }
}
