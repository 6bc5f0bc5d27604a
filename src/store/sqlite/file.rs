//! The file: opened, checked, brought to this program's version, and still there.

use std::{
    fs,
    hash::{BuildHasher, RandomState},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::{
    Durability, OpenError,
    fault::Fault,
    schema::{APPLICATION, VERSION, VERSIONS},
    state,
};

/// No file of SQLite's has fewer bytes.
const SMALLEST: u64 = 512;
/// Bytes in a page.
const PAGE: u64 = 4_096;
/// Files up to this size are checked whole when they are opened.
const CHECKED_WHOLE: u64 = 16 << 20;
/// Between two looks at a file that others hold: short, because a commit is.
const LOOK_AGAIN: [u64; 4] = [50, 100, 200, 500]; // microseconds
/// Pages in the log before they are moved to the file: 16 MB.
const LOG_PAGES: i64 = 4_000;
/// Statements kept ready.
const STATEMENTS: usize = 64;

/// How a file is opened.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) path: PathBuf,
    pub(super) durability: Durability,
    pub(super) timeout: Duration,
    pub(super) max_bytes: Option<u64>,
    pub(super) retention: Option<Duration>,
}

/// An open file, and which one it is.
#[derive(Debug)]
pub(super) struct File {
    pub(super) conn: Connection,
    pub(super) identity: u64,
    place: PathBuf,
    id: Option<FileId>,
    log: Option<FileId>,
    /// How long to wait for others, in microseconds.
    patience: Arc<AtomicU64>,
}

/// What tells a file from another one at the same place.
type FileId = (u64, u64);

impl File {
    pub(super) fn open(options: &Options) -> Result<Self, OpenError> {
        let path = options.path.as_path();
        if path.as_os_str().is_empty() || path == Path::new(":memory:") {
            return Err(OpenError::NoFile { path: path.into() });
        }
        // A relative path would mean something else once the process has moved.
        let absolute = || std::path::absolute(path).unwrap_or_else(|_| path.into());
        // SQLite keeps the log beside the file, and not beside a link to it.
        let place = fs::canonicalize(path).unwrap_or_else(|_| absolute());
        Self::open_at(&place, options, OpenFlags::SQLITE_OPEN_CREATE)
    }

    fn open_at(place: &Path, options: &Options, more: OpenFlags) -> Result<Self, OpenError> {
        let wrap = |fault: Fault| OpenError::of(place, fault);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | more;
        let opened = Connection::open_with_flags(place, flags);
        let mut conn = opened.map_err(|error| wrap(error.into()))?;
        if conn.is_readonly("main").map_err(|error| wrap(error.into()))? {
            return Err(OpenError::ReadOnly { path: place.into() });
        }
        undo_a_beginning(&conn, place);
        look_before_touching(place, options.timeout)?;
        let patience = Arc::new(AtomicU64::new(0));
        prepare(&mut conn, options, &patience).map_err(wrap)?;
        migrate(&mut conn, place)?;
        let identity = state::identity(&conn).map_err(wrap)?;
        let (id, log) = (id_of(place), id_of(&beside(place, "-wal")));
        Ok(Self { conn, identity, place: place.into(), id, log, patience })
    }

    /// The file that is at its place now, if it is a copy of this one: a backup that was
    /// put back. A new one would know nothing of what was spent.
    pub(super) fn reopened(&self, options: &Options) -> Result<Self, Fault> {
        let gone = || Fault::Gone(self.place.clone());
        let there = connect_to_read(&self.place, options.timeout).map_err(|_| gone())?;
        if state::identity(&there).map_err(|_| gone())? != self.identity {
            return Err(gone());
        }
        drop(there);
        let file = Self::open_at(&self.place, options, OpenFlags::empty()).map_err(|_| gone())?;
        // In between, it may have been replaced once more.
        if file.identity == self.identity { Ok(file) } else { Err(gone()) }
    }

    pub(super) fn place(&self) -> &Path {
        &self.place
    }

    /// How long to wait for others that hold the file.
    pub(super) fn be_patient(&self, time: Duration) {
        self.patience.store(micros(time), Ordering::Relaxed);
    }

    /// Whether it is still the file at its place: what is written to one that was deleted
    /// is lost when the process ends.
    pub(super) fn is_there(&self) -> bool {
        self.id.is_none() || id_of(&self.place) == self.id
    }

    /// The same of its log, where what was written last is. There is no going on without
    /// it, but when the last process closes the file, it saves what it has in hand.
    pub(super) fn has_log(&self) -> Result<(), Fault> {
        let log = beside(&self.place, "-wal");
        if self.log.is_none() || id_of(&log) == self.log { Ok(()) } else { Err(Fault::Gone(log)) }
    }
}

#[cfg(unix)]
fn id_of(place: &Path) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(place).ok().map(|found| (found.dev(), found.ino()))
}

/// Elsewhere a file that is open cannot be deleted.
#[cfg(not(unix))]
fn id_of(_: &Path) -> Option<FileId> {
    None
}

/// A process that is killed while it makes a file may leave its first page and the journal
/// to undo that, which only somebody who may write can do.
fn undo_a_beginning(conn: &Connection, path: &Path) {
    let is_one_page = fs::metadata(path).is_ok_and(|found| found.len() == PAGE);
    if is_one_page && beside(path, "-journal").exists() && !beside(path, "-wal").exists() {
        // Reading does it. Where it does not, looking at the file will tell.
        let _ = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()));
    }
}

/// Refuses a file of somebody else, of a newer program, or a damaged one, before anything
/// could change in it.
fn look_before_touching(path: &Path, timeout: Duration) -> Result<(), OpenError> {
    let bytes = fs::metadata(path).map_or(0, |found| found.len());
    if bytes == 0 && !beside(path, "-wal").exists() {
        return Ok(());
    }
    // SQLite takes it for an empty one.
    if (1..SMALLEST).contains(&bytes) {
        return Err(OpenError::NotOurs { path: path.into() });
    }
    let wrap = |error: rusqlite::Error| OpenError::of(path, error.into());
    let conn = connect_to_read(path, timeout).map_err(wrap)?;
    // Somebody may be making it: all that is read here is of one moment.
    conn.execute_batch("BEGIN").map_err(wrap)?;
    let number = |name| conn.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let (application, version) = (number("application_id"), number("user_version"));
    let (application, version) = (application.map_err(wrap)?, version.map_err(wrap)?);
    let tables = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0));
    let tables: i64 = tables.map_err(wrap)?;
    if tables == 0 && application == 0 {
        return Ok(()); // somebody is just making it
    }
    if application != APPLICATION {
        return Err(OpenError::NotOurs { path: path.into() });
    }
    check_version(path, version)?;
    check(&conn, path).map_err(|fault| OpenError::of(path, fault))
}

fn connect_to_read(path: &Path, timeout: Duration) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(timeout)?;
    Ok(conn)
}

fn check_version(path: &Path, found: i32) -> Result<(), OpenError> {
    match found > VERSION {
        true => Err(OpenError::Newer { path: path.into(), found, known: VERSION }),
        false => Ok(()),
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn prepare(
    conn: &mut Connection,
    options: &Options,
    patience: &Arc<AtomicU64>,
) -> Result<(), Fault> {
    let mut waited = 0;
    let most = Arc::clone(patience);
    conn.busy_handler(Some(move |times: i32| {
        if times == 0 {
            waited = 0;
        }
        let next = usize::try_from(times).unwrap_or(0).min(LOOK_AGAIN.len() - 1);
        let pause = LOOK_AGAIN[next];
        if waited >= most.load(Ordering::Relaxed) {
            return false;
        }
        waited += pause;
        std::thread::sleep(Duration::from_micros(pause));
        true
    }))?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    let mode = "PRAGMA journal_mode = WAL";
    let mut left = options.timeout.as_millis();
    // Several processes that open a new file at once get in each other's way here, where
    // SQLite does not always wait, and so never should: else the two would add up.
    let found = loop {
        let fault = match conn.query_row(mode, [], |row| row.get::<_, String>(0)) {
            Ok(found) => break found,
            Err(error) => Fault::from(error),
        };
        if !fault.is_busy() || left == 0 {
            return Err(fault);
        }
        left -= 1;
        std::thread::sleep(Duration::from_millis(1));
    };
    if found != "wal" {
        return Err(Fault::NoLog);
    }
    patience.store(micros(options.timeout), Ordering::Relaxed);
    let synchronous = match options.durability {
        Durability::Process => "NORMAL",
        Durability::Power => "FULL",
    };
    conn.pragma_update(None, "synchronous", synchronous)?;
    // The program sees to it that every reference is one.
    conn.pragma_update(None, "foreign_keys", false)?;
    conn.pragma_update(None, "cell_size_check", true)?;
    conn.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
    conn.pragma_update(None, "journal_size_limit", LOG_PAGES * PAGE.cast_signed())?;
    if let Some(bytes) = options.max_bytes {
        let size: i64 = conn.pragma_query_value(None, "page_size", |row| row.get(0))?;
        let pages = i64::try_from(bytes).unwrap_or(i64::MAX) / size.max(1);
        conn.query_row(&format!("PRAGMA max_page_count = {}", pages.max(1)), [], |_| Ok(()))?;
    }
    Ok(())
}

/// Makes the tables, or brings them to this program's version, in one transaction.
fn migrate(conn: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let wrap = |error: rusqlite::Error| OpenError::of(path, error.into());
    let begun = conn.transaction_with_behavior(TransactionBehavior::Immediate);
    let transaction = begun.map_err(wrap)?;
    let found = transaction.pragma_query_value(None, "user_version", |row| row.get(0));
    let found: i32 = found.map_err(wrap)?;
    // Another process may have been here since this one looked.
    check_version(path, found)?;
    let done = usize::try_from(found).unwrap_or(0);
    for script in VERSIONS.iter().skip(done) {
        transaction.execute_batch(script).map_err(wrap)?;
    }
    if found == 0 {
        let identity = RandomState::new().hash_one(path).cast_signed();
        let sql = "INSERT INTO store (id, identity, now, last_call, epoch) VALUES (1, ?1, 0, 0, 0)";
        transaction.execute(sql, [identity]).map_err(wrap)?;
        transaction.pragma_update(None, "application_id", APPLICATION).map_err(wrap)?;
    }
    if found < VERSION {
        transaction.pragma_update(None, "user_version", VERSION).map_err(wrap)?;
    }
    transaction.commit().map_err(wrap)?;
    if found < VERSION {
        // The tables go into the file itself at once, so that a copy of it without its log
        // is not taken for an empty file.
        let checkpoint = "PRAGMA wal_checkpoint(PASSIVE)";
        conn.query_row(checkpoint, [], |_| Ok(())).map_err(wrap)?;
    }
    Ok(())
}

/// Looks at a small file as a whole. What is damaged in a large one is found when it is
/// read, or by a check that is asked for.
fn check(conn: &Connection, place: &Path) -> Result<(), Fault> {
    if fs::metadata(place).is_ok_and(|found| found.len() > CHECKED_WHOLE) {
        return Ok(());
    }
    let found: String = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found == "ok" { Ok(()) } else { Err(Fault::Damaged("its pages do not fit together")) }
}
