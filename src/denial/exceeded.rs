//! The limit that has no room.

use serde::{Serialize, Serializer};

use crate::{
    claim::{Amount, Scope},
    window::Window,
};

/// The limit that has no room, and the numbers that say so.
///
/// For an example see [`Denial`](crate::Denial).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Exceeded {
    /// For whom is counted.
    pub scope: Scope,
    /// Over which time, as in "this month"; `None` for a limit on a single call.
    #[serde(serialize_with = "window_words")]
    pub window: Option<Window>,
    /// The most that may be used.
    pub limit: Amount,
    /// What is used already: settled plus reserved.
    pub used: Amount,
    /// The part of `used` that calls in flight hold.
    pub reserved: Amount,
    /// What this call asked for.
    pub asked: Amount,
}

fn window_words<S: Serializer>(window: &Option<Window>, serializer: S) -> Result<S::Ok, S::Error> {
    match window {
        Some(window) => serializer.collect_str(window),
        None => serializer.serialize_none(),
    }
}

/// `$499.20 of $500.00 spent this month, this call may cost $1.02`.
pub(super) fn describe(exceeded: &Exceeded) -> String {
    let Exceeded { scope, window, limit, used, reserved, asked } = exceeded;
    let whom = match scope {
        Scope::Workspace => String::new(),
        Scope::Label { .. } => format!(" by {scope}"),
    };
    let in_flight = match reserved {
        Amount::Cost(usd) if !usd.is_zero() => format!(" ({usd} of it by calls in flight)"),
        Amount::Cost(_) | Amount::Calls(_) => String::new(),
    };
    match (window, asked) {
        (None, _) => format!("this call may cost {asked}, above the limit of {limit} for one call"),
        (Some(window), Amount::Cost(_)) => {
            format!("{used} of {limit} spent{whom} {window}{in_flight}, this call may cost {asked}")
        }
        (Some(window), Amount::Calls(_)) => {
            let used = match used {
                Amount::Calls(calls) => calls.to_string(),
                Amount::Cost(usd) => usd.to_string(),
            };
            format!("{used} of {limit} made{whom} {window}")
        }
    }
}
