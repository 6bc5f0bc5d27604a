//! All that is behind the lock.

use hashbrown::DefaultHashBuilder;

use super::{charges::Plans, held::Held, meaning::Meanings, scopes::Scopes, sweep::Sweep};
use crate::{
    clock::Timestamp,
    store::{CounterId, CounterKey, Reading, Reservation, StoreError},
};

/// An expired reservation does not change what is used, only how much of that is
/// reserved. So calls that are admitted look for deadlines this seldom; who reads
/// a counter or is refused sees all of them.
const LOOK: u64 = 1_000_000_000;

/// The counters, the scopes that have them, and the reservations on them.
#[derive(Debug)]
pub(super) struct State {
    pub(super) meanings: Meanings,
    pub(super) scopes: Scopes,
    pub(super) plans: Plans,
    pub(super) held: Held,
    pub(super) sweep: Sweep,
    /// The latest time seen.
    now: u64,
    /// Before this time, nobody looks for deadlines without need.
    next_look: u64,
    /// When to look for deadlines or to sweep again.
    next_chore: u64,
}

impl State {
    pub(super) fn new(hasher: DefaultHashBuilder, most_scopes: usize) -> Self {
        Self {
            meanings: Meanings::default(),
            scopes: Scopes::new(hasher, most_scopes),
            plans: Plans::default(),
            held: Held::default(),
            sweep: Sweep::default(),
            now: 0,
            next_look: 0,
            next_chore: 0,
        }
    }

    pub(super) fn counter(&mut self, key: &CounterKey) -> CounterId {
        if let Some(known) = self.meanings.number(key) {
            return known;
        }
        let family = self.scopes.family(&key.workspace, &key.label);
        self.meanings.add(key, family)
    }

    /// Takes note of a limit.
    #[inline]
    pub(super) fn widen(&mut self, counter: CounterId, limit: u64) {
        if let Some(times) = self.meanings.widen(counter, limit) {
            self.plans.renew(counter, times);
        }
    }

    /// Takes note of a time and does what is due by then. Returns the store's time,
    /// which never runs backwards and never reaches the end of time, so that what
    /// counts until then counts for ever.
    #[inline]
    pub(super) fn advance(&mut self, at: Timestamp) -> u64 {
        let now = before_the_end(at).max(self.now);
        self.now = now;
        if now >= self.next_chore {
            self.do_chores(now);
        }
        now
    }

    /// The latest time seen.
    pub(super) fn now(&self) -> u64 {
        self.now
    }

    #[cold]
    fn do_chores(&mut self, now: u64) {
        if now >= self.held.next_deadline().max(self.next_look) {
            self.expire(now);
            self.next_look = now.saturating_add(LOOK);
        }
        self.sweep.run(&mut self.scopes, now);
        self.next_chore = self.sweep.next().min(self.held.next_deadline().max(self.next_look));
    }

    /// Brings what is reserved up to date, for whoever is going to look at it.
    pub(super) fn expire_due(&mut self) {
        if self.now >= self.held.next_deadline() {
            self.expire(self.now);
        }
    }

    /// Has deadlines looked for when this one is reached.
    #[inline]
    pub(super) fn look_at(&mut self, deadline: u64) {
        self.next_chore = self.next_chore.min(deadline.max(self.next_look));
    }

    /// What a counter holds for one value.
    pub(super) fn read(
        &mut self,
        counter: CounterId,
        value: &str,
        hash: u64,
        at: Timestamp,
    ) -> Result<Reading, StoreError> {
        let now = self.advance(at);
        self.expire_due();
        let unknown = || StoreError::new("a counter of another store");
        let meaning = self.meanings.find(counter).ok_or_else(unknown)?;
        let horizon = &mut meaning.horizon;
        let slot = self.scopes.locate(meaning.family, value, hash).0;
        let (used, open) = self.scopes.used(slot, meaning.column, now);
        let reserved = open.min(used);
        let resets_at = horizon.is_calendar().then(|| Timestamp::from_nanos(horizon.until(now)));
        Ok(Reading { settled: used - reserved, reserved, raised: 0, resets_at })
    }

    /// Moves a deadline to a later time, unless it has passed already.
    pub(super) fn extend(&mut self, reservation: Reservation, deadline: Timestamp) {
        self.held.extend(reservation, before_the_end(deadline), self.now);
    }
}

/// A time at which "for ever" has not come yet.
#[inline]
pub(super) fn before_the_end(time: Timestamp) -> u64 {
    time.as_nanos().min(u64::MAX - 1)
}
