//! The store's face.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use smol_str::SmolStr;
use tokio::sync::oneshot;

use super::{
    Durability, OpenError,
    file::{File, Options},
    front::Front,
    meanings::keys,
    op::{Change, Denied, Ended, Op, OwnedFacts, OwnedHold, What},
    shared::Shared,
    unclaimed::Unclaimed,
    writer::Writer,
};
use crate::{
    clock::Timestamp,
    store::{
        contract::{
            Adjustment, Answer, CounterId, CounterKey, Hold, Reading, Reservation, ReserveError,
            Store, StoreError,
        },
        facts::{Ending, Facts},
    },
    usd::Usd,
};

/// Counters in a file: they survive restarts and kills, and several processes of one
/// machine may share them. A clone is a handle of the same store.
///
/// Beside the counters the file holds the ledger: one row for each call, and sums by day,
/// which the module `report` and the command `driftlock` read.
///
/// # What holds
/// - A reservation is in the file before the call is sent. What a call cost is handed
///   over when it settles and is in the file a moment later; [`flush`](Store::flush) waits
///   for that. When a process is killed, a call that was in flight, or whose cost was
///   not in the file yet, counts at its estimate once its deadline passes.
/// - Limits hold across processes: each decision is one transaction on the file.
/// - A call whose counters have been spent is refused from memory for up to a second,
///   without asking the file. What somebody takes back or raises is seen at once; from
///   another process, 10 ms after calls ask for it again.
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
pub struct SqliteStore(Arc<Handle>);

/// The last one of them ends the writer.
struct Handle {
    shared: Arc<Shared>,
    front: Arc<Front>,
    place: PathBuf,
    writer: Mutex<Option<JoinHandle<()>>>,
}

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
        SqliteStoreBuilder { options, most_cached: 10_000 }
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.0.place
    }

    /// All counters that the file knows.
    pub fn counters(&self) -> Vec<CounterKey> {
        self.0.shared.registry.all()
    }

    /// Takes away what is settled on one counter of a scope, in its current window; what
    /// is reserved stays. It is written down in the file, with the reason.
    ///
    /// # Errors
    /// [`StoreError`] if the file did not answer.
    pub async fn reset(
        &self,
        key: &CounterKey,
        value: &str,
        reason: &str,
        at: Timestamp,
    ) -> Result<Reading, StoreError> {
        self.change(self.counter(key), value, What::Reset, reason, at).await
    }

    /// Raises every limit on one counter of a scope by `amount` (nano-dollars or calls)
    /// until a time, in all processes and across restarts; zero ends that. It is written
    /// down in the file, with the reason.
    ///
    /// # Errors
    /// [`StoreError`] if the file did not answer.
    pub async fn raise(
        &self,
        key: &CounterKey,
        value: &str,
        amount: u64,
        until: Timestamp,
        reason: &str,
        at: Timestamp,
    ) -> Result<Reading, StoreError> {
        let what = What::Raise { by: amount, until: until.as_nanos() };
        self.change(self.counter(key), value, what, reason, at).await
    }

    /// Deletes from the ledger the calls that were decided before a time and have ended.
    /// Counters and the sums by day stay as they are. Returns how many were deleted.
    ///
    /// # Errors
    /// [`StoreError`] if the file did not answer.
    pub async fn prune(&self, before: Timestamp) -> Result<u64, StoreError> {
        let before = before.as_nanos();
        self.ask(|reply| Op::Prune { before, done: 0, reply: Some(reply) }).await
    }

    async fn change(
        &self,
        counter: CounterId,
        value: &str,
        what: What,
        reason: &str,
        at: Timestamp,
    ) -> Result<Reading, StoreError> {
        let at = self.0.shared.note_time(at.as_nanos());
        let value = SmolStr::new(value);
        let change = Change { counter, value, what, reason: reason.into(), at };
        self.ask(|reply| Op::Change(Box::new(change), reply)).await
    }

    /// Asks the writer for something, and waits for the commit.
    async fn ask<T>(
        &self,
        op: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Op,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.0.shared.queue.push(op(reply));
        answer.await.unwrap_or_else(|_| Err(ended()))
    }

    fn is_own(&self, reservation: Reservation) -> bool {
        reservation.tag == self.0.shared.identity
    }
}

/// The writer thread is gone, which only a panic in it could bring about.
fn ended() -> StoreError {
    StoreError::new("the store's thread has ended")
}

impl SqliteStoreBuilder {
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
        let front = Arc::new(Front::new(self.most_cached));
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

impl Store for SqliteStore {
    fn counter(&self, key: &CounterKey) -> CounterId {
        self.0.shared.registry.number(key)
    }

    fn knows(&self, key: &CounterKey) -> bool {
        self.0.shared.registry.knows(key)
    }

    fn reserve<'a>(&'a self, hold: Hold<'a>) -> Answer<'a, Result<Reservation, ReserveError>> {
        let Handle { shared, front, .. } = &*self.0;
        let now = shared.note_time(hold.at.as_nanos());
        if !shared.expects_fall()
            && let Some((refusal, looks)) = front.refusal(&hold, now)
        {
            if looks {
                shared.queue.push(Op::Look);
            }
            return Answer::ready(Err(ReserveError::Refused(refusal)));
        }
        let (reply, answer) = oneshot::channel();
        let mut hold = OwnedHold::new(&hold);
        hold.at = now;
        shared.queue.push(Op::Reserve(Box::new(hold), reply));
        Answer::pending(async move {
            let unavailable = || Err(ReserveError::Unavailable(ended()));
            let unclaimed: Unclaimed = match answer.await {
                Ok(answer) => answer?,
                Err(_) => return unavailable(),
            };
            unclaimed.claim().map_or_else(unavailable, Ok)
        })
    }

    fn settle(&self, reservation: Reservation, cost: Usd, at: Timestamp) {
        self.hand_over_settle(reservation, cost, at, None);
    }

    fn conclude(&self, reservation: Reservation, cost: Usd, at: Timestamp, ending: &Ending<'_>) {
        self.hand_over_settle(reservation, cost, at, Some(Box::new(Ended::new(ending))));
    }

    fn release(&self, reservation: Reservation, at: Timestamp) {
        if self.is_own(reservation) {
            let shared = &self.0.shared;
            let (at, fall) = (shared.note_time(at.as_nanos()), shared.expect_fall());
            shared.queue.push(Op::Release { id: reservation.key, at, _fall: fall });
            shared.end(reservation.key);
        }
    }

    fn extend(&self, reservation: Reservation, deadline: Timestamp) {
        if self.is_own(reservation) {
            let deadline = deadline.as_nanos();
            self.0.shared.extend(reservation.key, deadline);
            self.0.shared.queue.push(Op::Extend { id: reservation.key, deadline });
        }
    }

    fn deny(&self, facts: &Facts<'_>, rule: &str, estimate: Option<Usd>, at: Timestamp) {
        let at = self.0.shared.note_time(at.as_nanos());
        let estimate = estimate.map_or(0, Usd::as_nanos);
        let denied = Denied { facts: OwnedFacts::new(facts), rule: rule.into(), estimate, at };
        self.0.shared.queue.push(Op::Deny(Box::new(denied)));
    }

    fn read<'a>(
        &'a self,
        counter: CounterId,
        value: &'a str,
        at: Timestamp,
    ) -> Answer<'a, Result<Reading, StoreError>> {
        let (value, at) = (SmolStr::new(value), self.0.shared.note_time(at.as_nanos()));
        Answer::pending(self.ask(move |reply| Op::Read { counter, value, at, reply }))
    }

    fn adjust<'a>(&'a self, adjustment: Adjustment<'a>) -> Answer<'a, Result<Reading, StoreError>> {
        let Adjustment { counter, value, delta, reason, at } = adjustment;
        Answer::pending(self.change(counter, value, What::Add(delta), reason, at))
    }

    fn flush(&self) -> Answer<'_, Result<(), StoreError>> {
        Answer::pending(self.ask(Op::Flush))
    }

    fn in_flight(&self, at: Timestamp) -> usize {
        let Handle { shared, .. } = &*self.0;
        shared.in_flight(shared.note_time(at.as_nanos()))
    }

    fn is_durable(&self) -> bool {
        true
    }

    fn identity(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    fn keeps_ledger(&self) -> bool {
        true
    }
}

impl SqliteStore {
    fn hand_over_settle(
        &self,
        reservation: Reservation,
        cost: Usd,
        at: Timestamp,
        ended: Option<Box<Ended>>,
    ) {
        if self.is_own(reservation) {
            let (id, cost, shared) = (reservation.key, cost.as_nanos(), &self.0.shared);
            let at = shared.note_time(at.as_nanos());
            let fall = shared.is_late(id).then(|| shared.expect_fall());
            shared.queue.push(Op::Settle { id, cost, at, ended, _fall: fall });
            shared.end(id);
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.queue.close();
        let writer = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        // The last handle may go away in the writer, in a waker that it calls. It will come to
        // its end when it is back from there.
        let is_elsewhere = |writer: &JoinHandle<()>| writer.thread().id() != thread::current().id();
        if let Some(writer) = writer.filter(is_elsewhere) {
            // It writes down what it was handed. If it has panicked, that is told already.
            let _ = writer.join();
        }
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.0.place).finish_non_exhaustive()
    }
}
