//! Why a file could not be opened.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use rusqlite::ErrorCode;

use super::fault::Fault;

/// A file could not be opened as a store. It was left as it was.
///
/// # Example
/// ```
/// use driftlock::store::{OpenError, SqliteStore};
///
/// let error = SqliteStore::open("/no/such/directory/driftlock.db").unwrap_err();
/// assert!(matches!(error, OpenError::Unavailable { .. }));
/// let said = "/no/such/directory/driftlock.db: its directory does not exist";
/// assert_eq!(error.to_string(), said);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenError {
    /// The path names no file. What lives in memory only is
    /// [`MemoryStore`](crate::MemoryStore)'s.
    NoFile {
        /// The path.
        path: PathBuf,
    },
    /// The file is not one of driftlock's.
    NotOurs {
        /// The path.
        path: PathBuf,
    },
    /// A newer driftlock has written the file.
    Newer {
        /// The path.
        path: PathBuf,
        /// The version of its tables.
        found: i32,
        /// The newest version this program knows.
        known: i32,
    },
    /// The file may not be written.
    ReadOnly {
        /// The path.
        path: PathBuf,
    },
    /// The file's content cannot be what a store has written.
    Damaged {
        /// The path.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// The file could not be opened: its directory is missing, another process holds
    /// it, the disk is full.
    Unavailable {
        /// The path.
        path: PathBuf,
        /// What went wrong.
        what: String,
    },
}

impl OpenError {
    pub(crate) fn of(path: &Path, fault: Fault) -> Self {
        let (path, what) = (path.into(), fault.to_string());
        let error = match fault {
            Fault::Sql(error) => error,
            Fault::NoLog => return Self::Unavailable { path, what },
            Fault::Damaged(_) | Fault::Gone(_) | Fault::Outdated => {
                return Self::Damaged { path, what };
            }
        };
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::NotOurs { path },
            Some(ErrorCode::ReadOnly) => Self::ReadOnly { path },
            // A table or a column is not what it should be.
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::Unknown) => Self::Damaged { path, what },
            None if !matches!(error, rusqlite::Error::NulError(_)) => Self::Damaged { path, what },
            Some(ErrorCode::CannotOpen) => {
                let what = what_hinders(&path).map_or(what, str::to_owned);
                Self::Unavailable { path, what }
            }
            _ => Self::Unavailable { path, what },
        }
    }
}

/// What SQLite does not say of a file that it cannot open.
fn what_hinders(path: &Path) -> Option<&'static str> {
    // That of a bare name is empty, and there.
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    if path.is_dir() {
        return Some("it is a directory");
    }
    directory.is_some_and(|directory| !directory.exists()).then_some("its directory does not exist")
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFile { path } => write!(
                f,
                "`{}` is no file: a store needs one, in memory there is `MemoryStore`",
                path.display()
            ),
            Self::NotOurs { path } => {
                write!(f, "{} is not a file of driftlock's; nothing was changed", path.display())
            }
            Self::Newer { path, found, known } => write!(
                f,
                "{} was written by a newer driftlock (tables of version {found}, known up to \
                 {known}); update the program, nothing was changed",
                path.display()
            ),
            Self::ReadOnly { path } => {
                write!(f, "{} may not be written by this process", path.display())
            }
            Self::Damaged { path, what } | Self::Unavailable { path, what } => {
                write!(f, "{}: {what}", path.display())
            }
        }
    }
}

impl std::error::Error for OpenError {}
