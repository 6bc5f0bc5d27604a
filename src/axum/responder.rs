//! Errors as responses.

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use axum_core::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{
    HeaderName, HeaderValue, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};

use super::{
    reason::{Answer, Blame, key_of, say_unreadable},
    shape::{Shape, Told},
    timeout,
};
use crate::{
    clock::{Clock, SystemClock, Timestamp},
    denial::Denial,
    error::Error,
    telemetry,
};

/// Makes a response of an [`Error`].
///
/// | what happened | status | `code` in the body |
/// |---|---|---|
/// | the request could not be read | 400 | `unreadable_request` |
/// | a model that is restricted or has no price, a call above the limit for one call or above all of a budget, or of a kind that is not let through | 403 | `restricted`, `unknown_price`, `too_expensive`, `exceeds_limit`, `unmeterable`, … |
/// | a budget is spent: of a day, a month, of all time, or a limit that has no room for another hour | 402 | `insufficient_quota` |
/// | a velocity limit will have room within an hour, or calls in flight may give some back | 429, `retry-after` | `rate_limit_exceeded` |
/// | the store does not answer, or a rule failed | 503 | `not_checked` |
/// | the wrapped service failed, with a timeout | 504 | `provider_timed_out` |
/// | … otherwise | 502 | `provider_failed` |
///
/// No client library tries again after 402 or 403, as all do after 429: trying again
/// is no use before the month has ended. `retry-after` is in whole seconds, rounded
/// up, so that there is room by then if nobody else takes it; it is 1 where only calls
/// in flight are in the way. Above a minute, `x-should-retry: false` goes along: some
/// client libraries wait as long as they are told, and others try again at once.
///
/// The body is in OpenAI's shape, or Anthropic's if [asked for](Self::anthropic), and
/// its message names no amounts, rules or scopes unless [asked to](Self::amounts).
/// An error of this crate that is behind other layers, which wrapped it, is found.
///
/// # Timeouts
/// An inner error is a timeout if it, or a cause behind it, is `tower`'s or `tokio`'s
/// `Elapsed`, an I/O error of kind `TimedOut`, or what [`timeout_when`](Self::timeout_when)
/// says is one.
///
/// # Example
/// ```
/// use driftlock::{Error, StoreError, axum::Responder};
/// use http::StatusCode;
///
/// let responder = Responder::new()
///     .status_with(|error, status| match error {
///         Error::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
///         _ => status,
///     });
/// let response = responder.respond(&Error::from(StoreError::new("away")));
/// assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
/// ```
#[derive(Clone, Default)]
pub struct Responder {
    shape: Shape,
    amounts: bool,
    spent_is_429: bool,
    status: Option<Arc<StatusFn>>,
    timeout: Option<Arc<TimeoutFn>>,
    clock: Option<Arc<dyn Clock>>,
}

type StatusFn = dyn Fn(&Error, StatusCode) -> StatusCode + Send + Sync;
type TimeoutFn = dyn Fn(&(dyn StdError + 'static)) -> bool + Send + Sync;

/// Says to the client libraries of OpenAI and Anthropic whether to try again.
const X_SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
/// Longer than this, a call should not be held up in silence.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

impl Responder {
    /// Responses as in the table above.
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers a spent budget as OpenAI does: with 429 instead of 402, so that its
    /// clients raise their rate limit error, and with `x-should-retry: false`, so that
    /// they do not try again. Defaults to 402.
    #[must_use]
    pub fn openai_compatible(mut self) -> Self {
        self.spent_is_429 = true;
        self
    }

    /// Writes bodies as Anthropic does: `{"type": "error", "error": {"type", "message"}}`.
    /// Defaults to OpenAI's `{"error": {"message", "type", "param", "code"}}`.
    #[must_use]
    pub fn anthropic(mut self) -> Self {
        self.shape = Shape::Anthropic;
        self
    }

    /// Tells all there is: the message for operators, and in the body's `error.denial`
    /// the denial with its rule, scope and amounts: dollars as decimal strings. For callers
    /// who may know. Defaults to no.
    #[must_use]
    pub fn amounts(mut self) -> Self {
        self.amounts = true;
        self
    }

    /// Takes the status from this function, which is given the one from the table.
    /// Body and headers stay.
    #[must_use]
    pub fn status_with(
        mut self,
        status: impl Fn(&Error, StatusCode) -> StatusCode + Send + Sync + 'static,
    ) -> Self {
        self.status = Some(Arc::new(status));
        self
    }

    /// Also takes for timeouts what this function says of an inner error or one of the
    /// causes behind it. Defaults to none but those above.
    ///
    /// # Example
    /// ```
    /// use driftlock::axum::Responder;
    ///
    /// let responder = Responder::new().timeout_when(|error| {
    ///     error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_timeout)
    /// });
    /// # let _ = responder;
    /// ```
    #[must_use]
    pub fn timeout_when(
        mut self,
        timeout: impl Fn(&(dyn StdError + 'static)) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.timeout = Some(Arc::new(timeout));
        self
    }

    /// The clock that `retry-after` counts from; the one given to the policy. Defaults
    /// to the machine's.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// The response that tells of an error.
    pub fn respond(&self, error: &Error) -> Response {
        let blame = Blame::of(error);
        let answer = self.answer(blame);
        let denial = match blame {
            Blame::Denied(denial) => Some(denial),
            Blame::Unreadable(_) | Blame::Store | Blame::Inner(_) => None,
        };
        let message = match (blame, answer) {
            (Blame::Denied(denial), _) if self.amounts => denial.to_string().into(),
            (Blame::Denied(denial), _) => denial.public_message().into(),
            (Blame::Unreadable(error), _) => say_unreadable(error),
            (Blame::Store, _) => "The call could not be checked.".into(),
            (Blame::Inner(_), Answer::TimedOut) => "The AI provider did not answer in time.".into(),
            (Blame::Inner(_), _) => "The AI provider could not be asked.".into(),
        };
        let key = match blame {
            Blame::Unreadable(error) => key_of(error),
            Blame::Denied(_) | Blame::Store | Blame::Inner(_) => None,
        };
        let told = Told { answer, message: &message, key, denial, amounts: self.amounts };
        let mut response = self.write(&told, self.status(error, answer));
        self.advise(&mut response, answer);
        if let Blame::Inner(error) = blame
            && let Some(cause) = timeout::chain(error).last()
        {
            // The first cause: those around it may quote an address, and a key in it.
            telemetry::provider_failed(cause);
        }
        response
    }

    /// A response of the layers of this module, about a request that makes no sense.
    pub(super) fn bad_request(&self, message: &str) -> Response {
        let answer = Answer::Unreadable;
        let told = Told { answer, message, key: None, denial: None, amounts: false };
        self.write(&told, answer.status())
    }

    fn write(&self, told: &Told<'_>, status: StatusCode) -> Response {
        let mut response = Response::new(Body::from(self.shape.body(told).to_string()));
        *response.status_mut() = status;
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        response
    }

    fn answer(&self, blame: Blame<'_>) -> Answer {
        match blame {
            Blame::Denied(denial) => Answer::to_denial(denial, self.now()),
            Blame::Unreadable(_) => Answer::Unreadable,
            Blame::Store => Answer::Unchecked,
            Blame::Inner(error) if timeout::chain(error).any(|error| self.is_timeout(error)) => {
                Answer::TimedOut
            }
            Blame::Inner(_) => Answer::Failed,
        }
    }

    fn now(&self) -> Timestamp {
        self.clock.as_ref().map_or_else(|| SystemClock.now(), |clock| clock.now())
    }

    fn is_timeout(&self, error: &(dyn StdError + 'static)) -> bool {
        timeout::is_timeout(error) || self.timeout.as_ref().is_some_and(|says| says(error))
    }

    fn status(&self, error: &Error, answer: Answer) -> StatusCode {
        let status = match answer {
            Answer::Spent if self.spent_is_429 => StatusCode::TOO_MANY_REQUESTS,
            _ => answer.status(),
        };
        self.status.as_ref().map_or(status, |own| own(error, status))
    }

    /// Says whether it is worth trying again, and when.
    fn advise(&self, response: &mut Response, answer: Answer) {
        let headers = response.headers_mut();
        let is_hopeless = match answer {
            Answer::Later(wait) => {
                let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                headers.insert(RETRY_AFTER, seconds.into());
                wait > LONGEST_WAIT
            }
            Answer::Spent => self.spent_is_429,
            Answer::Unreadable
            | Answer::Forbidden
            | Answer::Unchecked
            | Answer::Failed
            | Answer::TimedOut => false,
        };
        if is_hopeless {
            headers.insert(X_SHOULD_RETRY, HeaderValue::from_static("false"));
        }
    }
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responder")
            .field("shape", &self.shape)
            .field("amounts", &self.amounts)
            .field("spent_is_429", &self.spent_is_429)
            .finish_non_exhaustive()
    }
}

/// As [`Responder::new`] makes it.
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        Responder::new().respond(&self)
    }
}

/// As [`Responder::new`] makes it.
impl IntoResponse for Denial {
    fn into_response(self) -> Response {
        Error::Denied(self).into_response()
    }
}
