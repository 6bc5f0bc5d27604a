//! What can go wrong between two commits.

use std::{fmt, path::PathBuf};

use rusqlite::ErrorCode;

use crate::store::StoreError;

/// Why a transaction did not happen.
#[derive(Debug)]
pub(crate) enum Fault {
    Sql(rusqlite::Error),
    /// The file holds what this program never wrote.
    Damaged(&'static str),
    /// The file system cannot do what SQLite's log needs, as some across a network.
    NoLog,
    /// The file is not where it was.
    Gone(PathBuf),
    /// A newer program has changed the tables.
    Outdated,
}

impl Fault {
    fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Sql(error) => error.sqlite_error_code(),
            Self::Damaged(_) | Self::NoLog | Self::Gone(_) | Self::Outdated => None,
        }
    }

    /// Whether others hold the file, which costs time to find out.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self.code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
    }

    /// Whether there is no room left.
    pub(super) fn is_full(&self) -> bool {
        self.code() == Some(ErrorCode::DiskFull)
    }

    /// Whether it will be no different the next time.
    pub(super) fn is_lasting(&self) -> bool {
        use ErrorCode::{ConstraintViolation, DatabaseCorrupt, NotADatabase, TypeMismatch};
        match (self, self.code()) {
            (Self::NoLog | Self::Gone(_) | Self::Outdated, _) => false,
            // A number is missing, or is none.
            (Self::Damaged(_), _) | (Self::Sql(_), None) => true,
            (Self::Sql(_), Some(code)) => {
                matches!(code, ConstraintViolation | DatabaseCorrupt | NotADatabase | TypeMismatch)
            }
        }
    }

    pub(super) fn to_store_error(&self) -> StoreError {
        StoreError::new(self.to_string())
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                "another process holds the file"
            }
            Some(ErrorCode::DiskFull) => {
                "no room is left for the file, on its disk or below `max_bytes`"
            }
            Some(ErrorCode::ReadOnly) => "the file cannot be written",
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => "the file is damaged",
            Some(ErrorCode::SystemIoFailure) => "the disk failed",
            Some(ErrorCode::CannotOpen) => "the file cannot be opened",
            Some(_) => "the file did not answer",
            None => "the file holds something else than it should",
        };
        match self {
            Self::Sql(error) => write!(f, "{what}: {error}"),
            Self::Damaged(what) => write!(f, "the file is damaged: {what}"),
            Self::NoLog => {
                f.write_str("its file system cannot do what SQLite's write-ahead log needs")
            }
            Self::Gone(path) => write!(
                f,
                "{} was deleted or replaced while it was in use; put it back, or start again",
                path.display()
            ),
            Self::Outdated => f.write_str(
                "a newer driftlock has changed the file's tables; update this program as well",
            ),
        }
    }
}
