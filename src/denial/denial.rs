//! A call that was not admitted.

use std::{fmt, time::Duration};

use serde::{Serialize, Serializer};
use smol_str::SmolStr;

use super::{DenialKind, Exceeded, Retry};
use crate::{causes::causes, clock::Timestamp, window::Window};

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
pub struct Denial(pub(super) Box<Facts>);

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Facts {
    pub(super) rule: SmolStr,
    pub(super) kind: DenialKind,
    pub(super) reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) exceeded: Option<Exceeded>,
    pub(super) retry: Retry,
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "as_map")]
    pub(super) metadata: Vec<(SmolStr, serde_json::Value)>,
}

fn as_map<S: Serializer>(
    pairs: &[(SmolStr, serde_json::Value)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(key, value)| (key, value)))
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

    /// A value that a custom rule attached with [`Deny::with`](crate::Deny::with).
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

    /// The denial somewhere in an error's chain of sources. It is also seen in an
    /// `io::Error` and in async-openai's `OpenAIError::Boxed` (feature `async-openai`),
    /// which leave out of that chain what they hold.
    ///
    /// # Example
    /// ```
    /// let error: Box<dyn std::error::Error + Send + Sync> = "not ours".into();
    /// assert!(driftlock::Denial::find(error.as_ref()).is_none());
    /// ```
    pub fn find<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e Self> {
        causes(error).find_map(|error| error.downcast_ref())
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

#[cfg(test)]
mod tests {
    use super::{super::Deny, *};
    use crate::{
        claim::{Amount, Scope},
        usd::Usd,
        window::Zone,
    };

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
    fn the_message_for_others_tells_a_spent_budget_from_a_held_or_a_small_one() {
        let message = |retry| {
            let spent = month(Usd::cents(49_920), Usd::ZERO);
            Deny::exceeding(DenialKind::Budget, spent, retry).by("r").public_message()
        };
        let at = Retry::At("2026-12-01T00:00:00.000000001Z".parse().unwrap());
        assert!(message(at).ends_with("is used up; try again after 2026-12-01T00:00:01Z."));
        assert!(
            message(Retry::WhenInFlightSettles).contains("held by other calls; try again shortly")
        );
        assert!(message(Retry::Never).contains("larger than what may be spent"));
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
