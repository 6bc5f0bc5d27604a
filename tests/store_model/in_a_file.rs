//! A store in a file that goes away with it.

use std::path::Path;

use driftlock::{
    Timestamp, Usd,
    store::{
        Adjustment, Answer, CounterId, CounterKey, Hold, Reading, Reservation, ReserveError,
        SqliteStore, Store, StoreError,
    },
};
use tempfile::TempDir;

/// Its file is in memory where there is a place for that, so that making one takes no
/// time; nothing in the contract depends on a disk.
pub(crate) struct Temporary {
    // The store is dropped before its directory.
    store: SqliteStore,
    _directory: TempDir,
}

impl Temporary {
    pub(crate) fn new() -> Self {
        let shared_memory = Path::new("/dev/shm");
        let directory = match shared_memory.is_dir() {
            true => tempfile::tempdir_in(shared_memory),
            false => tempfile::tempdir(),
        };
        let directory = directory.unwrap();
        let store = SqliteStore::open(directory.path().join("driftlock.db")).unwrap();
        Self { store, _directory: directory }
    }
}

impl Store for Temporary {
    fn counter(&self, key: &CounterKey) -> CounterId {
        self.store.counter(key)
    }

    fn reserve<'a>(&'a self, hold: Hold<'a>) -> Answer<'a, Result<Reservation, ReserveError>> {
        self.store.reserve(hold)
    }

    fn settle(&self, reservation: Reservation, cost: Usd, at: Timestamp) {
        self.store.settle(reservation, cost, at);
    }

    fn release(&self, reservation: Reservation, at: Timestamp) {
        self.store.release(reservation, at);
    }

    fn extend(&self, reservation: Reservation, deadline: Timestamp) {
        self.store.extend(reservation, deadline);
    }

    fn read<'a>(
        &'a self,
        counter: CounterId,
        value: &'a str,
        at: Timestamp,
    ) -> Answer<'a, Result<Reading, StoreError>> {
        self.store.read(counter, value, at)
    }

    fn adjust<'a>(&'a self, adjustment: Adjustment<'a>) -> Answer<'a, Result<Reading, StoreError>> {
        self.store.adjust(adjustment)
    }

    fn flush(&self) -> Answer<'_, Result<(), StoreError>> {
        self.store.flush()
    }

    fn in_flight(&self, at: Timestamp) -> usize {
        self.store.in_flight(at)
    }

    fn is_durable(&self) -> bool {
        self.store.is_durable()
    }
}
