//! Why the command did not do it.

use std::{fmt, io};

use driftlock::{StoreError, report::ReportError, store::OpenError};

#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line makes no sense.
    Usage(String),
    Report(ReportError),
    /// Nobody is known by that name, which may be meant.
    New(ReportError),
    Write(io::Error),
    Other(String),
}

impl Failure {
    pub(crate) fn is_closed_pipe(&self) -> bool {
        let (Self::Write(error) | Self::Report(ReportError::Write(error))) = self else {
            return false;
        };
        error.kind() == io::ErrorKind::BrokenPipe
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(message) | Self::Other(message) => f.write_str(message),
            Self::Report(error @ ReportError::WhichWorkspace { .. }) => {
                write!(f, "{error} (--workspace NAME)")
            }
            Self::Report(error) => error.fmt(f),
            Self::New(error) => {
                write!(f, "{error}; for somebody who has not called yet, add --new")
            }
            Self::Write(error) => write!(f, "could not write: {error}"),
        }
    }
}

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Self {
        Self::Report(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Write(error.into())
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        Self::Other(error.to_string())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Other(format!("nothing was changed, or it is not known: {error}"))
    }
}
