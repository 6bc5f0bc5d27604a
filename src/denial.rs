//! Why a call was denied, with the numbers a person needs.

use std::{fmt, time::Duration};

use serde::{Serialize, Serializer};
use smol_str::SmolStr;

use crate::{
    claim::{Amount, Scope},
    clock::Timestamp,
    window::Window,
};

/// A call that a policy did not admit. Nothing was sent and nothing was charged.
///
/// `Display` is for operators and names amounts; [`public_message`](Self::public_message)
/// is for end users and names none.
///
/// # Example
/// ```
/// use driftlock::{Call, MaxCostPerRequest, Operation, Policy, Provider, Usd};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let policy = Policy::builder().rule(MaxCostPerRequest::new(Usd::cents(1))).build()?;
/// let mut call = Call::new(Provider::OPENAI, Operation::Chat, "gpt-4o").with_max_output_tokens(16_000);
/// let error = policy.admit(&mut call).await.unwrap_err();
/// let denial = error.denial().expect("a denial");
/// assert_eq!(denial.rule(), "max_cost_per_request");
/// assert!(denial.to_string().contains("limit of $0.01"), "{denial}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Denial(Box<Facts>);

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Facts {
    rule: SmolStr,
    kind: DenialKind,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    exceeded: Option<Exceeded>,
    retry: Retry,
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "as_map")]
    metadata: Vec<(SmolStr, serde_json::Value)>,
}

fn as_map<S: Serializer>(
    pairs: &[(SmolStr, serde_json::Value)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(key, value)| (key, value)))
}

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

impl Denial {
    /// The name of the rule that denied: its own name, or the one given with `.named(…)`.
    pub fn rule(&self) -> &str {
        &self.0.rule
    }

    /// What kind of reason it has.
    pub fn kind(&self) -> DenialKind {
        self.0.kind
    }

    /// The reason in words, without the rule's name.
    pub fn reason(&self) -> &str {
        &self.0.reason
    }

    /// The exceeded limit with its numbers, where the reason is a limit.
    pub fn exceeded(&self) -> Option<&Exceeded> {
        self.0.exceeded.as_ref()
    }

    /// When the call may be tried again.
    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// How long to wait from `now`, where a time is known. For a `Retry-After` header
    /// round up; for calls held up only by others in flight, a second is a good guess.
    pub fn retry_after(&self, now: Timestamp) -> Option<Duration> {
        match self.0.retry {
            Retry::At(time) => Some(time.since(now)),
            Retry::WhenInFlightSettles | Retry::Never => None,
        }
    }

    /// A value that a custom rule attached with [`Deny::with`].
    pub fn metadata(&self, key: &str) -> Option<&serde_json::Value> {
        self.0.metadata.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    /// A message for the person at the other end: what happened, without amounts,
    /// scopes or names of rules.
    pub fn public_message(&self) -> String {
        let what = match self.0.kind {
            DenialKind::Budget | DenialKind::Velocity if self.0.retry == Retry::Never => {
                "This call is larger than what may be spent"
            }
            DenialKind::Budget if self.0.retry == Retry::WhenInFlightSettles => {
                "The budget for AI calls is held by other calls"
            }
            DenialKind::Budget => "The budget for AI calls is used up",
            DenialKind::Velocity => "Too many AI calls in a short time",
            DenialKind::TooExpensive => "This call is larger than a single call may be",
            DenialKind::Restricted => "This model may not be used here",
            DenialKind::UnknownPrice => "This model is not set up here",
            DenialKind::Unbounded | DenialKind::Unmeterable => {
                "This kind of call is not allowed here"
            }
            DenialKind::MissingUser => "This call does not say for whom it is made",
            DenialKind::Custom => "This call is not allowed by policy",
            DenialKind::RuleFailed | DenialKind::StoreOutage => "The call could not be checked",
        };
        match self.0.retry {
            Retry::At(time) => format!("{what}; try again after {}.", time.ceil_second()),
            Retry::WhenInFlightSettles => format!("{what}; try again shortly."),
            Retry::Never => format!("{what}."),
        }
    }

    /// The denial somewhere in an error's chain of sources.
    ///
    /// # Example
    /// ```
    /// let error: Box<dyn std::error::Error + Send + Sync> = "not ours".into();
    /// assert!(driftlock::Denial::find(error.as_ref()).is_none());
    /// ```
    pub fn find<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e Self> {
        std::iter::successors(Some(error), |error| error.source())
            .find_map(|error| error.downcast_ref())
    }
}

/// `$499.20 of $500.00 spent this month, this call may cost $1.02`.
fn describe(exceeded: &Exceeded) -> String {
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

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.rule, self.0.reason)?;
        match (self.0.retry, &self.0.exceeded) {
            (Retry::At(time), Some(Exceeded { window: Some(Window::Calendar(..)), .. })) => {
                write!(f, "; resets {time}")
            }
            (Retry::At(time), _) => write!(f, "; try again at {time}"),
            (Retry::WhenInFlightSettles, _) => {
                write!(f, "; try again when calls in flight have settled")
            }
            (Retry::Never, Some(Exceeded { window: Some(_), .. })) => {
                write!(f, "; it can never fit")
            }
            (Retry::Never, _) => Ok(()),
        }
    }
}

impl std::error::Error for Denial {}

/// A custom rule's refusal.
///
/// # Example
/// ```
/// use driftlock::{Deny, Verdict};
///
/// let verdict: Verdict = Deny::new("no weekend spend").with("weekday", "Sunday").into();
/// # let _ = verdict;
/// ```
// Boxed, because verdicts are passed around and few of them are denials.
#[derive(Clone, Debug, PartialEq)]
pub struct Deny(Box<Facts>);

impl Deny {
    /// A refusal with a reason for operators.
    pub fn new(reason: impl Into<String>) -> Self {
        Self::of_kind(DenialKind::Custom, reason)
    }

    /// Attaches a value, found again with [`Denial::metadata`].
    #[must_use]
    pub fn with(mut self, key: impl Into<SmolStr>, value: impl Into<serde_json::Value>) -> Self {
        self.0.metadata.push((key.into(), value.into()));
        self
    }

    /// Says from when on the call may be tried again. Defaults to never.
    #[must_use]
    pub fn retry_at(mut self, time: Timestamp) -> Self {
        self.0.retry = Retry::At(time);
        self
    }

    pub(crate) fn of_kind(kind: DenialKind, reason: impl Into<String>) -> Self {
        Self(Box::new(Facts {
            rule: SmolStr::default(), // named when the policy takes it, in `by`
            kind,
            reason: reason.into(),
            exceeded: None,
            retry: Retry::Never,
            metadata: Vec::new(),
        }))
    }

    pub(crate) fn exceeding(kind: DenialKind, exceeded: Exceeded, retry: Retry) -> Self {
        let mut deny = Self::of_kind(kind, describe(&exceeded));
        (deny.0.exceeded, deny.0.retry) = (Some(exceeded), retry);
        deny
    }

    pub(crate) fn kind(&self) -> DenialKind {
        self.0.kind
    }

    pub(crate) fn by(mut self, rule: impl Into<SmolStr>) -> Denial {
        self.0.rule = rule.into();
        Denial(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{usd::Usd, window::Zone};

    fn month(used: Usd, reserved: Usd) -> Exceeded {
        Exceeded {
            scope: Scope::Workspace,
            window: Some(Window::month(Zone::UTC)),
            limit: Amount::Cost(Usd::dollars(500)),
            used: Amount::Cost(used),
            reserved: Amount::Cost(reserved),
            asked: Amount::Cost(Usd::cents(102)),
        }
    }

    #[test]
    fn a_spent_budget_reads_as_a_sentence_with_every_number() {
        let resets = Retry::At("2026-12-01T00:00:00Z".parse().unwrap());
        let spent = month(Usd::cents(49_920), Usd::ZERO);
        let denial = Deny::exceeding(DenialKind::Budget, spent, resets).by("monthly_budget");
        assert_eq!(
            denial.to_string(),
            "monthly_budget: $499.20 of $500.00 spent this month, this call may cost $1.02; \
             resets 2026-12-01T00:00:00Z"
        );
        assert!(!denial.public_message().contains('$'));
    }

    #[test]
    fn a_velocity_limit_counts_calls() {
        let exceeded = Exceeded {
            scope: Scope::user("u-17"),
            window: Some(Window::sliding(Duration::from_secs(60))),
            limit: Amount::Calls(60),
            used: Amount::Calls(60),
            reserved: Amount::Calls(0),
            asked: Amount::Calls(1),
        };
        let retry = Retry::At("2026-12-01T00:00:00Z".parse().unwrap());
        let denial = Deny::exceeding(DenialKind::Velocity, exceeded, retry).by("velocity_limit");
        assert_eq!(
            denial.to_string(),
            "velocity_limit: 60 of 60 calls made by user u-17 in any 60s; try again at 2026-12-01T00:00:00Z"
        );
    }

    #[test]
    fn a_denial_is_found_under_other_errors_and_serialises() {
        #[derive(Debug)]
        struct Outer(Denial);
        impl fmt::Display for Outer {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("outer")
            }
        }
        impl std::error::Error for Outer {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                Some(&self.0)
            }
        }
        let denial = Deny::new("no").with("weekday", "Sunday").by("weekends");
        let outer = Outer(denial);
        let found = Denial::find(&outer).unwrap();
        assert_eq!(found.metadata("weekday"), Some(&"Sunday".into()));
        let json = serde_json::to_value(found).unwrap();
        assert_eq!(json["metadata"]["weekday"], "Sunday");
        assert_eq!(json["kind"], "custom");
    }
}
