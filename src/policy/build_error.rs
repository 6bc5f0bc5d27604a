//! Why a policy could not be put together.

use std::fmt;

use smol_str::SmolStr;

use super::builder::MODE_VARIABLE;
use crate::labels::LabelError;

/// A policy cannot work as put together.
///
/// For an example see [`PolicyBuilder`](crate::PolicyBuilder).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// A rule looks at a window of no length.
    ZeroWindow {
        /// The rule.
        rule: SmolStr,
    },
    /// A downgrade names no model to downgrade to.
    NoTarget {
        /// The rule.
        rule: SmolStr,
    },
    /// `DRIFTLOCK_MODE` is none of `enforce`, `observe`, `off`.
    Mode(String),
    /// The default labels are too many or too long.
    Labels(LabelError),
    /// More than 255 different counters or 65,535 rules.
    TooMany,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZeroWindow { rule } => write!(f, "rule `{rule}` has a window of zero length"),
            Self::NoTarget { rule } => write!(f, "rule `{rule}` names no model to downgrade to"),
            Self::Mode(text) => {
                write!(f, "{MODE_VARIABLE} is `{text}`; expected enforce, observe or off")
            }
            Self::Labels(error) => write!(f, "default labels: {error}"),
            Self::TooMany => f.write_str("more than 255 counters or 65,535 rules in one policy"),
        }
    }
}

impl std::error::Error for BuildError {}
