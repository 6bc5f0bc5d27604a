//! The store in a file, and what it can do beyond being a store.

use std::{fmt, path::Path, sync::Arc, time::Duration};

use smol_str::SmolStr;
use tokio::sync::oneshot;

use super::{
    Durability, OpenError, SqliteStoreBuilder,
    file::Options,
    handle::Handle,
    op::{Change, Op, What},
};
use crate::{
    clock::Timestamp,
    store::{CounterId, CounterKey, Reading, StoreError},
};

/// Counters in a file: they survive restarts and kills, and several processes of one
/// machine may share them. A clone is a handle of the same store.
///
/// Beside the counters the file holds the ledger: one row for each call, and sums by day,
/// which the module `report` and the command `driftlock` read.
///
/// # What holds
/// - A reservation is in the file before the call is sent. What a call cost is handed
///   over when it settles and is in the file a moment later; [`flush`](crate::store::Store::flush) waits
///   for that. When a process is killed, a call that was in flight, or whose cost was
///   not in the file yet, counts at its estimate once its deadline passes.
/// - Limits hold across processes: each decision is one transaction on the file.
/// - A call whose counters have been spent is refused from memory for up to a second,
///   without asking the file. What somebody takes back or raises is seen at once, also
///   from another process, by a file beside this one (`…-epoch`) whose length tells of it, and
///   which takes no room on the disk.
/// - A file that does not answer, is full, damaged, locked or gone is an error, and the
///   policy's [`OnOutage`](crate::OnOutage) decides. Calls that end meanwhile are settled
///   when it is back.
///
/// # Example
/// ```
/// use driftlock::{MonthlyBudget, Policy, Usd, store::SqliteStore};
///
/// # let directory = std::env::temp_dir().join(format!("driftlock-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&directory)?;
/// # let path = directory.join("driftlock.db");
/// let policy = Policy::builder()
///     .rule(MonthlyBudget::new(Usd::dollars(100)))
///     .store(SqliteStore::open(&path)?)
///     .build()?;
/// # drop(policy);
/// # std::fs::remove_dir_all(&directory)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SqliteStore(pub(super) Arc<Handle>);

impl SqliteStore {
    /// Opens a file, which is made if there is none.
    ///
    /// # Errors
    /// [`OpenError`] if it cannot be opened, is not one of driftlock's, was written by a
    /// newer one, or is damaged. It is left as it was.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::builder(path).open()
    }

    /// Opens a file otherwise than by default.
    pub fn builder(path: impl AsRef<Path>) -> SqliteStoreBuilder {
        let options = Options {
            path: path.as_ref().into(),
            durability: Durability::default(),
            timeout: Duration::from_secs(5),
            max_bytes: None,
            retention: None,
        };
        SqliteStoreBuilder::new(options)
    }

    /// Where the file is: its path made absolute, links followed.
    pub fn path(&self) -> &Path {
        &self.0.place
    }

    /// All counters that the file knew when it was opened, or that were asked for since.
    pub fn counters(&self) -> Vec<CounterKey> {
        self.0.shared.registry.all()
    }

    /// Takes away what is settled on one counter of a scope, in its current window; what
    /// is reserved stays. It is written down in the file, with the reason.
    ///
    /// # Errors
    /// [`StoreError`] if nothing counts this, or the file did not answer.
    ///
    /// # Example
    /// ```
    /// use std::time::Duration;
    /// use driftlock::{Policy, Unit, Window, Zone, store::{CounterKey, SqliteStore}};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("driftlock.db");
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let store = SqliteStore::open(&path)?;
    /// let policy = Policy::builder().store(store.clone()).build()?;
    /// let (workspace, label) = (policy.workspace().into(), Some("user".into()));
    /// let window = Window::month(Zone::UTC);
    /// let month = CounterKey { workspace, label, unit: Unit::Cost, window };
    ///
    /// let left = store.reset(&month, "ann", "charged by mistake", policy.now()).await?;
    /// assert_eq!(left.settled, 0);
    ///
    /// let ninety_days = Duration::from_secs(90 * 86_400).as_nanos() as u64;
    /// let before = policy.now().as_nanos() - ninety_days;
    /// assert_eq!(store.prune(driftlock::Timestamp::from_nanos(before)).await?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn reset(
        &self,
        key: &CounterKey,
        value: &str,
        reason: &str,
        at: Timestamp,
    ) -> Result<Reading, StoreError> {
        let counter = self.0.shared.registry.number(key);
        self.change(counter, value, What::Reset, reason, at).await
    }

    /// Deletes from the ledger the calls that were decided before a time and have ended.
    /// Counters and the sums by day stay as they are. Returns how many were deleted. For an
    /// example see [`reset`](Self::reset).
    ///
    /// # Errors
    /// [`StoreError`] if the file did not answer.
    pub async fn prune(&self, before: Timestamp) -> Result<u64, StoreError> {
        let before = before.as_nanos();
        self.ask(|reply| Op::Prune { before, done: 0, reply: Some(reply) }).await
    }

    pub(super) async fn change(
        &self,
        counter: CounterId,
        value: &str,
        what: What,
        reason: &str,
        at: Timestamp,
    ) -> Result<Reading, StoreError> {
        let at = self.0.shared.latest.note(at.as_nanos());
        let value = SmolStr::new(value);
        let change = Change { counter, value, what, reason: reason.into(), at };
        self.ask(|reply| Op::Change(Box::new(change), reply)).await
    }

    /// Asks the writer for something, and waits for the commit.
    pub(super) async fn ask<T>(
        &self,
        op: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Op,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.0.shared.queue.push(op(reply));
        answer.await.unwrap_or_else(|_| Err(ended()))
    }
}

/// The writer thread is gone, which only a panic in it could bring about.
pub(super) fn ended() -> StoreError {
    StoreError::new("the store's thread has ended")
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.0.place).finish_non_exhaustive()
    }
}
