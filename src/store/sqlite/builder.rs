//! How a file is opened.

use std::{
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use super::{
    Durability, OpenError, SqliteStore,
    file::{File, Options},
    front::Front,
    handle::Handle,
    mark::Mark,
    meanings::keys,
    shared::Shared,
    writer::Writer,
};

/// Opens a [`SqliteStore`].
///
/// # Example
/// ```
/// use std::time::Duration;
/// use driftlock::store::{Durability, SqliteStore};
///
/// # let directory = std::env::temp_dir().join(format!("driftlock-doc-b-{}", std::process::id()));
/// # std::fs::create_dir_all(&directory)?;
/// # let path = directory.join("driftlock.db");
/// let store = SqliteStore::builder(&path)
///     .durability(Durability::Power)
///     .timeout(Duration::from_secs(1))
///     .max_bytes(10 << 30)
///     .retention(Duration::from_secs(90 * 86_400))
///     .open()?;
/// # drop(store);
/// # std::fs::remove_dir_all(&directory)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a store is made by `open`"]
pub struct SqliteStoreBuilder {
    options: Options,
    most_cached: u64,
}

impl SqliteStoreBuilder {
    pub(super) fn new(options: Options) -> Self {
        Self { options, most_cached: 10_000 }
    }

    /// What a commit survives. Defaults to [`Durability::Process`].
    pub fn durability(mut self, durability: Durability) -> Self {
        self.options.durability = durability;
        self
    }

    /// How long a call waits for a file that other processes hold. Defaults to five
    /// seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = timeout;
        self
    }

    /// The most bytes the file may have, without its log, which has up to about 16 MB.
    /// Above it, nothing can be reserved. Defaults to no bound.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.options.max_bytes = Some(bytes);
        self
    }

    /// How long calls stay in the ledger; later they are deleted, some at a time, about
    /// once an hour. Counters and sums by day are not touched. Defaults to for ever.
    pub fn retention(mut self, retention: Duration) -> Self {
        self.options.retention = Some(retention);
        self
    }

    /// Of how many counters the last amounts are kept in memory to refuse calls by.
    /// Defaults to 10,000.
    pub fn max_cached(mut self, counters: u64) -> Self {
        self.most_cached = counters;
        self
    }

    /// The store.
    ///
    /// # Errors
    /// See [`SqliteStore::open`].
    pub fn open(self) -> Result<SqliteStore, OpenError> {
        let file = File::open(&self.options)?;
        let path = &self.options.path;
        let known = keys(&file.conn, None).map_err(|fault| OpenError::of(path, fault))?;
        let shared = Arc::new(Shared::new(file.identity, &known));
        let front = Arc::new(Front::new(self.most_cached, Mark::beside(file.place())));
        let place = file.place().to_owned();
        let writer =
            Writer::new(Arc::clone(&shared), Arc::clone(&front), self.options.clone(), file);
        let thread = thread::Builder::new().name("driftlock-sqlite".into());
        let unavailable = |error: std::io::Error| OpenError::Unavailable {
            path: path.clone(),
            what: error.to_string(),
        };
        let writer = Mutex::new(Some(thread.spawn(|| writer.run()).map_err(unavailable)?));
        Ok(SqliteStore(Arc::new(Handle { shared, front, place, writer })))
    }
}
