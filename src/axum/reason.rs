//! What there is to tell the caller of a service whose LLM call was not made.

use std::{borrow::Cow, error::Error as StdError, fmt, time::Duration};

use http::StatusCode;

use super::timeout;
use crate::{
    claim::Amount,
    clock::Timestamp,
    denial::{Denial, DenialKind, Exceeded, Retry},
    error::Error,
    store::StoreError,
    unreadable::Unreadable,
    window::Window,
};

/// Who stopped a call, found through the errors of other layers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Blame<'e> {
    Denied(&'e Denial),
    Unreadable(&'e Unreadable),
    Store,
    Inner(&'e (dyn StdError + 'static)),
}

impl<'e> Blame<'e> {
    pub(super) fn of(error: &'e Error) -> Self {
        let inner = match error {
            Error::Denied(denial) => return Self::Denied(denial),
            Error::Unreadable(error) => return Self::Unreadable(error),
            Error::Store(_) => return Self::Store,
            Error::Inner(inner) => inner.as_ref(),
        };
        // A layer below may be behind others, as `Buffer`, that wrap its error.
        timeout::chain(inner).find_map(Self::ours).unwrap_or(Self::Inner(inner))
    }

    fn ours(error: &'e (dyn StdError + 'static)) -> Option<Self> {
        if let Some(denial) = error.downcast_ref() {
            return Some(Self::Denied(denial));
        }
        if let Some(unreadable) = error.downcast_ref() {
            return Some(Self::Unreadable(unreadable));
        }
        error.is::<StoreError>().then_some(Self::Store)
    }
}

/// What kind of answer a caller gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Unreadable,
    /// Nothing the caller does makes this call pass.
    Forbidden,
    /// A budget is spent, for longer than anybody waits.
    Spent,
    /// There will be room after this time.
    Later(Duration),
    /// The call could not be checked.
    Unchecked,
    Failed,
    TimedOut,
}

/// The longest time that is worth telling a caller to wait.
const SHORT: Duration = Duration::from_secs(3_600);
/// Calls in flight take about this long to give back what they do not need.
const IN_FLIGHT: Duration = Duration::from_secs(1);

impl Answer {
    pub(super) fn to_denial(denial: &Denial, now: Timestamp) -> Self {
        match denial.kind() {
            DenialKind::RuleFailed | DenialKind::StoreOutage => return Self::Unchecked,
            DenialKind::Budget
            | DenialKind::Velocity
            | DenialKind::TooExpensive
            | DenialKind::Restricted
            | DenialKind::UnknownPrice
            | DenialKind::Unbounded
            | DenialKind::Unmeterable
            | DenialKind::MissingUser
            | DenialKind::Custom => {}
        }
        match denial.retry() {
            Retry::WhenInFlightSettles => Self::Later(IN_FLIGHT),
            Retry::At(time) => match time.since(now) {
                wait if wait <= SHORT && denial.kind() != DenialKind::Budget => Self::Later(wait),
                _ => Self::Spent,
            },
            Retry::Never if denial.exceeded().is_some_and(is_spent_for_good) => Self::Spent,
            Retry::Never => Self::Forbidden,
        }
    }

    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Unreadable => StatusCode::BAD_REQUEST,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::Spent => StatusCode::PAYMENT_REQUIRED,
            Self::Later(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unchecked => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed => StatusCode::BAD_GATEWAY,
            Self::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        }
    }
}

/// Whether a budget of all time is spent, as opposed to a call that is larger than
/// the whole budget.
fn is_spent_for_good(exceeded: &Exceeded) -> bool {
    let fits = match (exceeded.asked, exceeded.limit) {
        (Amount::Cost(asked), Amount::Cost(limit)) => asked <= limit,
        (Amount::Calls(asked), Amount::Calls(limit)) => asked <= limit,
        (Amount::Cost(_), Amount::Calls(_)) | (Amount::Calls(_), Amount::Cost(_)) => false,
    };
    fits && exceeded.window == Some(Window::Lifetime)
}

/// What to say about a request that could not be read: nothing of what labels are
/// called, nor of how the service is connected.
pub(super) fn say_unreadable(error: &Unreadable) -> Cow<'static, str> {
    match error {
        Unreadable::Labels(_) => {
            "What this call says about its caller is too much or too long.".into()
        }
        Unreadable::Body(_) => "The request body could not be received.".into(),
        other => sentence(other).into(),
    }
}

/// What is wrong is told in clauses; a sentence begins and ends otherwise.
pub(super) fn sentence(clause: &impl fmt::Display) -> String {
    let mut words = format!("{clause}.");
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    words
}

/// The key in the request body that is wrong.
pub(super) fn key_of(error: &Unreadable) -> Option<&'static str> {
    match error {
        Unreadable::Missing { key }
        | Unreadable::Twice { key }
        | Unreadable::Miscased { key }
        | Unreadable::Invalid { key, .. } => Some(key),
        Unreadable::NotJson { .. }
        | Unreadable::NotAnObject
        | Unreadable::TooLarge { .. }
        | Unreadable::TooDeep { .. }
        | Unreadable::Encoded { .. }
        | Unreadable::Trailers
        | Unreadable::Body(_)
        | Unreadable::Labels(_)
        | Unreadable::Unmeterable { .. } => None,
    }
}
