//! Requests that cannot be read, and why.

use std::fmt;

use smol_str::SmolStr;

use crate::labels::LabelError;

/// A request that driftlock cannot read for certain, so nothing was sent.
///
/// Reading must be certain, because a body that driftlock and the provider read
/// differently is a way around every rule.
///
/// For an example see [`Error`](crate::Error).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unreadable {
    /// The body is not JSON: what is wrong, and at which byte.
    NotJson {
        /// What is wrong.
        what: &'static str,
        /// The offset in bytes.
        at: usize,
    },
    /// The body is JSON but not an object.
    NotAnObject,
    /// A key that must be there is missing.
    Missing {
        /// The key.
        key: &'static str,
    },
    /// A key that decides something is there twice.
    Twice {
        /// The key.
        key: &'static str,
    },
    /// A key that differs from one that decides something only by upper and lower case.
    Miscased {
        /// The key as it should be.
        key: &'static str,
    },
    /// What it asks for cannot be metered.
    Unmeterable {
        /// Why.
        why: &'static str,
    },
    /// A value is of the wrong type or out of range.
    Invalid {
        /// The key.
        key: &'static str,
        /// What the value has to be.
        expected: &'static str,
    },
    /// The body is larger than the cap; reading stopped there.
    TooLarge {
        /// The cap in bytes.
        cap: u64,
    },
    /// The body is nested deeper than any API asks for.
    TooDeep {
        /// The deepest nesting that is read.
        most: usize,
    },
    /// The body is compressed.
    Encoded {
        /// Its `content-encoding`.
        encoding: SmolStr,
    },
    /// The body is followed by trailers, which cannot be put back.
    Trailers,
    /// The body could not be received: the message of its error.
    Body(String),
    /// The labels are too many or too long.
    Labels(LabelError),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson { what, at } => {
                write!(f, "the request body is not JSON: {what} at byte {at}")
            }
            Self::NotAnObject => f.write_str("the request body is not a JSON object"),
            Self::Missing { key } => write!(f, "the request body has no `{key}`"),
            Self::Twice { key } => write!(f, "the request body has `{key}` more than once"),
            Self::Miscased { key } => {
                write!(f, "the request body has a key that differs from `{key}` only in case")
            }
            Self::Invalid { key, expected } => {
                write!(f, "`{key}` in the request body must be {expected}")
            }
            Self::Unmeterable { why } => write!(f, "the call cannot be metered: {why}"),
            Self::TooLarge { cap } => write!(f, "the request body is larger than {cap} bytes"),
            Self::TooDeep { most } => {
                write!(f, "the request body is nested deeper than {most} levels")
            }
            Self::Encoded { encoding } => {
                write!(f, "the request body has content-encoding `{encoding}` and cannot be read")
            }
            Self::Trailers => f.write_str("the request body has trailers, which cannot be sent on"),
            Self::Body(message) => write!(f, "the request body could not be received: {message}"),
            Self::Labels(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl std::error::Error for Unreadable {}

impl From<LabelError> for Unreadable {
    fn from(error: LabelError) -> Self {
        Self::Labels(error)
    }
}
