//! What a rule may ask to be counted: an amount, for somebody, within a window, up to a limit.

use std::fmt;

use serde::Serialize;
use smol_str::SmolStr;

use crate::{
    labels::{Labels, canonical},
    usd::Usd,
    window::Window,
};

/// For whom something is counted.
///
/// # Example
/// ```
/// use driftlock::Scope;
///
/// assert_eq!(Scope::user("u-17").to_string(), "user u-17");
/// assert_eq!(Scope::label("team", "search").to_string(), "team search");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Everybody: all calls of the policy's workspace.
    Workspace,
    /// The calls with one value of a label.
    Label {
        /// The label's key.
        key: SmolStr,
        /// The label's value.
        value: SmolStr,
    },
}

impl Scope {
    /// The value of calls that lack the label a scope is made of.
    pub const NONE: &'static str = "(none)";
    /// The value shared by newcomers once a store holds as many scopes as it may.
    pub const OTHER: &'static str = "(other)";

    /// The calls of one user, that is of one value of the label `user`.
    pub fn user(user: impl Into<SmolStr>) -> Self {
        Self::label("user", user)
    }

    /// The calls with one value of a label; the key `user_id` is read as `user`.
    pub fn label(key: impl Into<SmolStr>, value: impl Into<SmolStr>) -> Self {
        Self::Label { key: canonical(key.into()), value: value.into() }
    }

    /// The scope of this label's value on a call, [`Scope::NONE`] if it has none.
    pub fn of(labels: &Labels, key: &str) -> Self {
        Self::label(key, labels.value(key).unwrap_or(Self::NONE))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Workspace => f.write_str("workspace"),
            Self::Label { key, value } => write!(f, "{key} {value}"),
        }
    }
}

/// What is counted.
///
/// For an example see [`Claim`](crate::Claim).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Money, in nano-dollars.
    Cost,
    /// Calls.
    Calls,
}

/// A number of some [`Unit`].
///
/// For an example see [`Claim`](crate::Claim).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Amount {
    /// Money.
    Cost(Usd),
    /// Calls.
    Calls(u64),
}

impl Amount {
    pub(crate) fn of(unit: Unit, number: u64) -> Self {
        match unit {
            Unit::Cost => Self::Cost(Usd::nanos(number)),
            Unit::Calls => Self::Calls(number),
        }
    }
}

/// `$1.50`, `1 call`, `60 calls`.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cost(usd) => fmt::Display::fmt(usd, f),
            Self::Calls(1) => f.write_str("1 call"),
            Self::Calls(calls) => write!(f, "{calls} calls"),
        }
    }
}

/// A charge a rule asks for, and the limit that must hold with it.
///
/// A claim is checked and booked together with all other claims of the call, in
/// one step: no other call can slip in between.
///
/// # Example
/// ```
/// use std::time::Duration;
/// use driftlock::{Claim, Scope, Usd, Window, Zone};
///
/// let budget = Claim::cost(Scope::label("team", "search"), Window::day(Zone::UTC), Usd::dollars(5));
/// let burst = Claim::calls(Scope::Workspace, Window::sliding(Duration::from_secs(1)), 10);
/// # let _ = (budget, burst);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub(crate) scope: Scope,
    pub(crate) window: Window,
    pub(crate) unit: Unit,
    pub(crate) limit: u64,
}

impl Claim {
    /// Charges the cost of this call, never past `limit` within `window`.
    pub fn cost(scope: Scope, window: Window, limit: Usd) -> Self {
        Self { scope, window, unit: Unit::Cost, limit: limit.as_nanos() }
    }

    /// Charges one call, never past `limit` calls within `window`.
    pub fn calls(scope: Scope, window: Window, limit: u64) -> Self {
        Self { scope, window, unit: Unit::Calls, limit }
    }
}
