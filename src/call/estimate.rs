//! What a call may cost, and how sure that is.

use serde::{Serialize, Serializer};

use crate::usd::Usd;

/// What a call may cost, before it is made.
///
/// For an example see [`Call`](crate::Call).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Estimate {
    /// Input tokens, at most or assumed.
    pub input_tokens: u64,
    /// Output tokens over all choices, at most or assumed.
    pub output_tokens: u64,
    /// Their cost at the dearest rate the call can trigger.
    pub cost: Usd,
    /// How sure this is.
    pub bound: Bound,
}

/// Whether an estimate is a ceiling.
///
/// For an example see [`Permit`](crate::Permit).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bound {
    /// The call cannot cost more.
    Hard,
    /// The call is unlikely to cost more.
    Assumed,
}

impl Serialize for Bound {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl Bound {
    /// `hard` or `assumed`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hard => "hard",
            Self::Assumed => "assumed",
        }
    }
}
