//! What kind of reason a denial has, and until when it holds.

use serde::Serialize;

use crate::clock::Timestamp;

/// What kind of reason a denial has.
///
/// For an example see [`Denial`](crate::Denial).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DenialKind {
    /// A budget of a calendar period or of all time has no room for the call.
    Budget,
    /// A velocity limit of calls or of spend has no room for the call.
    Velocity,
    /// The call alone may cost more than one call may.
    TooExpensive,
    /// The model may not be used.
    Restricted,
    /// The model has no known price.
    UnknownPrice,
    /// What the call may cost cannot be bounded, and the policy asks for a bound.
    Unbounded,
    /// The path is not known to be free and its usage cannot be read.
    Unmeterable,
    /// A per-user rule that requires a user saw none.
    MissingUser,
    /// A custom rule said no.
    Custom,
    /// A rule panicked or took longer than its time limit.
    RuleFailed,
    /// The store that holds the counters did not answer.
    StoreOutage,
}

/// When a denied call may be tried again.
///
/// For an example see [`Denial`](crate::Denial).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Retry {
    /// At this time there is room, if nobody else takes it.
    At(Timestamp),
    /// Calls in flight hold more than they may need: perhaps as soon as they settle.
    WhenInFlightSettles,
    /// Never: the same call will be denied again until somebody changes the policy.
    Never,
}
