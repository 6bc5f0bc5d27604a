//! Why there is no report.

use std::{fmt, path::PathBuf};

use super::{Day, Key};
use crate::error::BoxError;

/// A report could not be made.
///
/// # Example
/// ```
/// use driftlock::report::{Report, ReportError};
///
/// let error = Report::open("no/such.db").unwrap_err();
/// assert!(matches!(error, ReportError::Missing { .. }));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum ReportError {
    /// There is no such file.
    Missing {
        /// Where none is.
        path: PathBuf,
    },
    /// It is a directory.
    Directory {
        /// The path.
        path: PathBuf,
    },
    /// The file is not one of driftlock's.
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A later version of driftlock wrote the file.
    Newer {
        /// The version of its tables.
        version: i32,
        /// The latest version that is understood.
        known: i32,
    },
    /// An earlier version of driftlock wrote the file, and no store has brought it up
    /// to date since.
    Older {
        /// The version of its tables.
        version: i32,
        /// The version that is understood.
        known: i32,
    },
    /// What the file says makes no sense.
    Damaged {
        /// What is wrong.
        what: String,
    },
    /// The file knows no such workspace.
    UnknownWorkspace {
        /// What was asked for.
        workspace: String,
        /// Those it knows.
        known: Vec<String>,
    },
    /// The file has several workspaces, and this needs one.
    WhichWorkspace {
        /// Those it knows.
        known: Vec<String>,
    },
    /// Nothing is counted by this label.
    UnknownLabel {
        /// What was asked for.
        label: String,
        /// The labels something is counted by.
        known: Vec<String>,
    },
    /// Nothing counts over this window for this kind of scope.
    NotCounted {
        /// What was asked for.
        key: Box<Key>,
        /// What is counted, as keys without a label's value.
        known: Vec<String>,
        /// A key that is known, if the window was part of the value.
        meant: Option<Box<Key>>,
    },
    /// The counter exists, but nothing was ever counted for this value of the label.
    UnknownScope {
        /// What was asked for.
        key: Box<Key>,
        /// Some of those that are known, those alike first.
        known: Vec<String>,
        /// A key that is known, if the window was part of the value.
        meant: Option<Box<Key>>,
    },
    /// No call of these days went to this provider, but some to others.
    UnknownProvider {
        /// What was asked for.
        provider: String,
        /// Those that calls went to.
        known: Vec<String>,
    },
    /// Some of the calls that are to be looked at were pruned from the ledger.
    Pruned {
        /// The first day of which none was.
        complete_from: Day,
    },
    /// SQLite may not make the two files it needs beside this one.
    NoPlace {
        /// The file.
        path: PathBuf,
    },
    /// The file could not be read.
    Unreadable(BoxError),
    /// The export could not be written.
    Write(std::io::Error),
}

impl ReportError {
    /// What SQLite says, in our words.
    pub(super) fn of(error: rusqlite::Error) -> Self {
        use rusqlite::{Error, ErrorCode};
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                return Self::Damaged { what: error.to_string() };
            }
            Some(_) => return Self::Unreadable(Box::new(error)),
            None => {}
        }
        match error {
            Error::FromSqlConversionFailure(_, _, why) => Self::Damaged { what: why.to_string() },
            Error::QueryReturnedNoRows => Self::Damaged { what: "a row is not there".into() },
            Error::InvalidColumnType(_, name, found) => {
                Self::Damaged { what: format!("`{name}` holds {found}") }
            }
            other => Self::Unreadable(Box::new(other)),
        }
    }
}

/// Something in a column that cannot be.
pub(super) fn nonsense(what: impl Into<BoxError>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Null, what.into())
}

impl fmt::Display for ReportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { path } => write!(f, "there is no file {}", path.display()),
            Self::Directory { path } => {
                write!(f, "{} is a directory; name the file of the store in it", path.display())
            }
            Self::Foreign { path } => {
                write!(f, "{} is not a file that driftlock's SqliteStore wrote", path.display())
            }
            Self::Newer { version, known } => write!(
                f,
                "the file has tables of version {version}, and this program knows them up to {known}: \
                 use the version of driftlock that the service uses"
            ),
            Self::Older { version, known } => write!(
                f,
                "the file has tables of version {version}, and this program reads version {known}: \
                 open it once with this version's SqliteStore, which brings it up to date"
            ),
            Self::Damaged { what } => write!(f, "the file is damaged: {what}"),
            Self::UnknownWorkspace { workspace, known } => {
                write!(f, "the file knows no workspace `{workspace}`")?;
                tell_known(f, "; it has ", known)
            }
            Self::WhichWorkspace { known } => {
                write!(f, "the file has several workspaces, name one: {}", known.join(", "))
            }
            Self::UnknownLabel { label, known } => {
                write!(f, "nothing is counted by the label `{label}`")?;
                tell_known(f, ", but by ", known)
            }
            Self::NotCounted { key, known, meant } => {
                write!(f, "nothing is counted under `{key}`")?;
                tell_known(f, ", but under ", known)?;
                tell_meant(f, meant.as_deref())
            }
            Self::UnknownScope { key, known, meant } => {
                write!(f, "nobody is known as `{key}`")?;
                match known.is_empty() {
                    true => f.write_str(": nobody was counted by this yet")?,
                    false => write!(f, "; some that are known: {}", known.join(", "))?,
                }
                tell_meant(f, meant.as_deref())
            }
            Self::UnknownProvider { provider, known } => write!(
                f,
                "no call of these days went to the provider `{provider}`, but to {}",
                known.join(", ")
            ),
            Self::Pruned { complete_from } => write!(
                f,
                "calls were pruned from the ledger, which is complete from {complete_from} on"
            ),
            Self::NoPlace { path } => write!(
                f,
                "{} can only be read where files may be made beside it: ask as the user that the \
                 service runs as, or copy it, with its `-wal`, to a directory of your own",
                path.display()
            ),
            Self::Unreadable(error) => write!(f, "the file could not be read: {error}"),
            Self::Write(error) => write!(f, "could not write: {error}"),
        }
    }
}

impl std::error::Error for ReportError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable(error) => Some(&**error),
            Self::Write(error) => Some(error),
            _ => None,
        }
    }
}

/// What is known instead, or that nothing can be yet.
fn tell_known(f: &mut fmt::Formatter<'_>, but: &str, known: &[String]) -> fmt::Result {
    match known.is_empty() {
        true => f.write_str(": no policy has been built on this file yet"),
        false => write!(f, "{but}{}", known.join(", ")),
    }
}

fn tell_meant(f: &mut fmt::Formatter<'_>, meant: Option<&Key>) -> fmt::Result {
    meant.map_or(Ok(()), |key| {
        write!(f, "; if what is behind `@` or `#` is part of the value, it is `{key}`")
    })
}
