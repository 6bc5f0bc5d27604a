//! Denials without a way to the file.
//!
//! A user whose budget is spent may go on calling, and each call would cost a
//! transaction to learn the same. So amounts on which a call was refused are kept for
//! a second, and the next call is refused by them: **only if what has settled leaves no
//! room for it**, because that does not come back within the second unless somebody
//! says so. Everything else goes to the file, which is the truth. They never say yes.
//!
//! What this process writes is put in here as well, before anybody is told that it is
//! written. What others write is noticed when it lets settled spend fall, or changes a
//! limit: at once by the [`Mark`] they set, and then nothing in here is believed any more.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use hashbrown::{DefaultHashBuilder, HashMap};
use moka::sync::Cache;
use rusqlite::Connection;
use smol_str::SmolStr;

use super::{fault::Fault, going_by::now, mark::Mark, op::OwnedHold, room::View, state::State};
use crate::{
    denial::Retry,
    store::{
        contract::{Charge, CounterId, Hold, Refusal},
        counting::{Counter, Horizon, later},
    },
};

/// How long an amount is believed.
const AGE: u64 = 1_000_000_000;
/// How often somebody else is looked for while calls are refused by what is in here.
const LOOK: u64 = 10_000_000;

type Key = (CounterId, SmolStr);

/// What a counter of a scope held.
#[derive(Debug)]
struct Snapshot {
    counter: Counter,
    horizon: Horizon,
    raised: u64,
    raised_until: u64,
    /// The file's time then.
    now: u64,
}

impl Snapshot {
    fn view(&self, now: u64) -> View<'_> {
        let raised = if self.raised_until > now { self.raised } else { 0 };
        let (horizon, raised_until) = (self.horizon, self.raised_until);
        View { counter: Some(&self.counter), horizon, raised, raised_until }
    }

    /// Whether nothing in it has left since, and it is not too old.
    fn holds_at(&self, now: u64) -> bool {
        now - self.now < AGE && (self.counter.used() == 0 || now < self.counter.leaves())
    }
}

/// Amounts of counters that are in demand.
#[derive(Debug)]
pub(super) struct Front {
    cache: Cache<Key, Arc<Snapshot>, DefaultHashBuilder>,
    most: u64,
    /// Whether there is nothing in it, as most of the time.
    is_empty: AtomicBool,
    /// When the next open call expires, which changes what is reserved.
    due: AtomicU64,
    since: Instant,
    /// When somebody looked, in nanoseconds from then.
    looked: AtomicU64,
    pub(super) mark: Mark,
    /// The writer's own; nobody else waits for it.
    kept: Mutex<Kept>,
}

/// What the writer knows of what is in the cache.
#[derive(Debug, Default)]
struct Kept {
    /// By scope: the keys of its counters, and their numbers in the file.
    present: HashMap<i64, Vec<(Key, i64)>, DefaultHashBuilder>,
    /// By family and value, of those that the file has no scope of.
    absent: HashMap<(i64, SmolStr), Vec<Key>, DefaultHashBuilder>,
    /// What was asked for in this transaction, and where it is.
    noted: Vec<(Key, Option<(i64, i64)>)>,
}

impl Front {
    pub(super) fn new(most: u64, mark: Mark) -> Self {
        let builder = Cache::builder().max_capacity(most);
        Self {
            cache: builder.build_with_hasher(DefaultHashBuilder::default()),
            most,
            is_empty: AtomicBool::new(true),
            due: AtomicU64::new(0),
            since: now(),
            looked: AtomicU64::new(0),
            mark,
            kept: Default::default(),
        }
    }

    /// The refusal of a hold, if what is in here is enough to be sure; and whether it is
    /// time to look for what others have written.
    pub(super) fn refusal(&self, hold: &Hold<'_>, now: u64) -> Option<(Refusal, bool)> {
        if self.is_empty.load(Ordering::Acquire) || now >= self.due.load(Ordering::Acquire) {
            return None;
        }
        // Before the amounts: those of an earlier epoch may be gone when it is asked whether
        // there is another.
        let known = self.mark.known();
        let mut now = now;
        let mut first: Option<Refusal> = None;
        let mut retry = Retry::WhenInFlightSettles;
        let mut is_spent = false;
        for (index, limit) in hold.limits.iter().enumerate() {
            let charge = hold.charges.get(usize::from(limit.charge))?;
            let value = hold.values.get(usize::from(charge.value))?;
            let snapshot = self.cache.get(&(charge.counter, SmolStr::new(value)))?;
            now = now.max(snapshot.now);
            if !snapshot.holds_at(now) {
                return None;
            }
            // Two charges on one counter are not for one value, or it is rare enough to
            // be left to the file.
            let is_same = |other: &&Charge| {
                other.counter == charge.counter
                    && hold.values.get(usize::from(other.value)) == Some(value)
            };
            if hold.charges.iter().filter(is_same).count() > 1 {
                return None;
            }
            let (view, ask) = (snapshot.view(now), Some(limit.ask));
            is_spent |= view.is_spent(ask, limit.limit);
            if let Some(shortage) = view.shortage(ask, limit.limit, now) {
                retry = later(retry, shortage.retry);
                first.get_or_insert(Refusal { limit: index, ..shortage });
            }
        }
        let refusal = first.filter(|_| is_spent && self.mark.is_still(known))?;
        Some((Refusal { retry, ..refusal }, self.looks()))
    }

    /// Whether it is time to look. By a clock that goes on: the policy's may be set back,
    /// and stands still then until it is where it was.
    fn looks(&self) -> bool {
        let time = u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let looked = self.looked.load(Ordering::Relaxed);
        time - looked.min(time) >= LOOK
            && self
                .looked
                .compare_exchange(looked, time, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// Takes note of a hold that was refused because of what has settled.
    pub(super) fn note(
        &self,
        hold: &OwnedHold,
        state: &mut State,
        conn: &Connection,
    ) -> Result<(), Fault> {
        // It may be missing, or be that of a transaction that did not happen.
        self.mark.set(state.epoch());
        let mut kept = self.kept();
        for limit in &hold.limits {
            let Some(charge) = hold.charges.get(usize::from(limit.charge)) else { continue };
            let Some(value) = hold.values.get(usize::from(charge.value)) else { continue };
            // Both were found a moment ago. But no error may be passed over: SQLite may have
            // given up the transaction with it.
            let row = state.meanings.row(charge.counter, conn)?;
            let place = state.place(charge.counter, value, conn)?;
            let key = (charge.counter, value.clone());
            match place {
                Some((scope, row)) => {
                    let keys = kept.present.entry(scope).or_default();
                    if !keys.iter().any(|(known, _)| *known == key) {
                        keys.push((key.clone(), row));
                    }
                }
                None => {
                    let keys = kept.absent.entry((row.family, value.clone())).or_default();
                    if !keys.contains(&key) {
                        keys.push(key.clone());
                    }
                }
            }
            kept.noted.push((key, place));
        }
        Ok(())
    }

    /// After a transaction, before anybody is told of it: brings what is in here up to
    /// date.
    pub(super) fn refresh(&self, state: &mut State) {
        let mut kept = self.kept();
        let written = state.scopes.take_written();
        let created = state.scopes.take_created();
        if state.take_fall_elsewhere() || kept.present.len() + kept.absent.len() > self.bound() {
            self.clear(&mut kept);
        }
        // After that: what is in the cache must be known, or it is not kept up to date.
        let noted = std::mem::take(&mut kept.noted);
        for scope in written {
            for (key, row) in kept.present.get(&scope).into_iter().flatten() {
                if self.cache.contains_key(key) {
                    self.insert(key.clone(), Some((scope, *row)), state);
                }
            }
        }
        for named in created {
            kept.absent.remove(&named).into_iter().flatten().for_each(|key| {
                self.cache.invalidate(&key);
            });
        }
        self.due.store(state.due, Ordering::Release);
        self.mark.learn(state.epoch());
        if !noted.is_empty() {
            self.is_empty.store(false, Ordering::Release);
        }
        for (key, place) in noted {
            self.insert(key, place, state);
        }
        state.scopes.forget_much();
    }

    fn bound(&self) -> usize {
        usize::try_from(self.most).unwrap_or(usize::MAX)
    }

    fn insert(&self, key: Key, place: Option<(i64, i64)>, state: &mut State) {
        let now = state.now();
        let Some(meaning) = state.meanings.at(key.0) else { return };
        let horizon = meaning.horizon;
        let amount = place.and_then(|(scope, row)| state.scopes.amount(scope, row));
        let snapshot = match amount {
            Some(amount) => {
                amount.amounts.roll(now);
                let (raised, raised_until) = (amount.raised(now), amount.raised_until());
                let counter = amount.amounts.clone();
                Snapshot { counter, horizon, raised, raised_until, now }
            }
            None => {
                let counter = Counter::default();
                Snapshot { counter, horizon, raised: 0, raised_until: 0, now }
            }
        };
        self.cache.insert(key, Arc::new(snapshot));
    }

    /// Believes nothing any more.
    pub(super) fn forget(&self) {
        self.clear(&mut self.kept());
    }

    fn clear(&self, kept: &mut Kept) {
        self.is_empty.store(true, Ordering::Release);
        self.cache.invalidate_all();
        *kept = Kept::default();
    }

    /// For how many scopes something is kept.
    #[cfg(test)]
    pub(super) fn kept_for(&self) -> usize {
        let kept = self.kept();
        kept.present.len() + kept.absent.len()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
