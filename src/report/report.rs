//! The file, opened to be read.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};
use smol_str::SmolStr;

use super::{ReportError, error::nonsense};
use crate::{
    clock::{Clock, SystemClock, Timestamp},
    store::sqlite::{schema, words::from_sql},
};

/// Reads what a [`SqliteStore`](crate::store::SqliteStore) has written, also while it
/// writes.
///
/// It has a connection of its own, which cannot write. Each report sees the file as it
/// is at one moment and holds nobody up. Reports block; in an async service, ask from
/// a thread that may.
///
/// For an example see [`report`](crate::report).
pub struct Report {
    pub(super) db: Connection,
    path: PathBuf,
    workspace: Option<SmolStr>,
    pub(super) clock: Box<dyn Clock>,
}

/// How long to wait for the few moments in which nobody may read.
const PATIENCE: Duration = Duration::from_secs(5);

impl Report {
    /// Opens a file. Nothing in it is changed.
    ///
    /// Beside the file, SQLite needs two more while it is open, so its directory has to
    /// be one where files may be made.
    ///
    /// # Errors
    /// [`ReportError`] if there is no such file, or it is not what a store of this
    /// version wrote.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ReportError> {
        let path = path.as_ref().to_path_buf();
        if !path.exists() {
            return Err(ReportError::Missing { path });
        }
        if path.is_dir() {
            return Err(ReportError::Directory { path });
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(plainly(&path), flags).map_err(ReportError::of)?;
        db.busy_timeout(PATIENCE).map_err(ReportError::of)?;
        let pragma = |name: &str| db.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0));
        match pragma("application_id") {
            Ok(schema::APPLICATION) => {}
            Ok(_) => return Err(ReportError::Foreign { path }),
            Err(error) => {
                return Err(match error.sqlite_error_code() {
                    Some(ErrorCode::NotADatabase) => ReportError::Foreign { path },
                    Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen) => {
                        ReportError::NoPlace { path }
                    }
                    _ => ReportError::of(error),
                });
            }
        }
        let (version, known) = (pragma("user_version").map_err(ReportError::of)?, schema::VERSION);
        match version.cmp(&known) {
            std::cmp::Ordering::Less => return Err(ReportError::Older { version, known }),
            std::cmp::Ordering::Greater => return Err(ReportError::Newer { version, known }),
            std::cmp::Ordering::Equal => {}
        }
        Ok(Self { db, path, workspace: None, clock: Box::new(SystemClock) })
    }

    /// Tells the time otherwise. Defaults to the machine's clock.
    #[must_use]
    pub fn clock(self, clock: impl Clock) -> Self {
        Self { clock: Box::new(clock), ..self }
    }

    /// Only this workspace. Defaults to all of them together.
    ///
    /// # Errors
    /// [`ReportError::UnknownWorkspace`] with those that are known.
    pub fn workspace(self, name: &str) -> Result<Self, ReportError> {
        let known = self.workspaces()?;
        if !known.iter().any(|workspace| workspace == name) {
            return Err(ReportError::UnknownWorkspace { workspace: name.into(), known });
        }
        Ok(Self { workspace: Some(name.into()), ..self })
    }

    /// The workspaces in the file, by name.
    ///
    /// # Errors
    /// [`ReportError`] if the file cannot be read.
    pub fn workspaces(&self) -> Result<Vec<String>, ReportError> {
        // Somebody whose calls were all denied was never charged.
        let sql = "SELECT workspace FROM family UNION SELECT workspace FROM denied ORDER BY 1";
        self.look(|db| db.prepare_cached(sql)?.query_map([], |row| row.get(0))?.collect())
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The time of its reports: the clock's, or the latest the store has seen if that is
    /// later.
    ///
    /// # Errors
    /// [`ReportError`] if the file cannot be read.
    pub fn now(&self) -> Result<Timestamp, ReportError> {
        self.look(|db| self.time(db))
    }

    pub(super) fn time(&self, db: &Connection) -> rusqlite::Result<Timestamp> {
        let seen = db.query_row("SELECT now FROM store", [], |row| row.get(0)).optional()?;
        let seen = seen.ok_or_else(|| nonsense("the table `store` is empty"))?;
        Ok(self.clock.now().max(Timestamp::from_nanos(from_sql(seen))))
    }

    pub(super) fn only(&self) -> Option<&str> {
        self.workspace.as_deref()
    }

    /// Looks at the file as it is at one moment.
    pub(super) fn look<T>(
        &self,
        look: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, ReportError> {
        let moment = self.db.unchecked_transaction().map_err(ReportError::of)?;
        look(&moment).map_err(ReportError::of)
    }
}

/// The same file by a name that is nothing but one: `:memory:` and `file:…` mean something
/// else to SQLite.
pub(super) fn plainly(path: &Path) -> PathBuf {
    Path::new(".").join(path)
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, workspace, .. } = self;
        let mut text = f.debug_struct("Report");
        text.field("path", path).field("workspace", workspace).finish_non_exhaustive()
    }
}
