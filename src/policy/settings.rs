//! What a policy does where the rules have nothing to say.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use super::Receipt;
use crate::{
    error::BoxError,
    estimate::{OpenEnded, OutputBound},
    failure,
    labels::Labels,
    price::Price,
    provider::Routes,
    settled::Settled,
    usd::Usd,
};

/// Whether a policy enforces, only watches, or does nothing.
///
/// The environment variable `DRIFTLOCK_MODE` (`enforce`, `observe`, `off`), read
/// when a policy is built, wins over the program's choice: an operator's switch.
///
/// For an example see [`PolicyBuilder`](crate::PolicyBuilder).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// Denies and rewrites; the default.
    #[default]
    Enforce,
    /// Meters the same, but denies and rewrites nothing: reports what it would
    /// have done, as events and in the receipt.
    Observe,
    /// Passes every request as it is, unread and unmetered.
    Off,
}

impl FromStr for Mode {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.trim().to_ascii_lowercase().as_str() {
            "enforce" => Ok(Self::Enforce),
            "observe" => Ok(Self::Observe),
            "off" => Ok(Self::Off),
            _ => Err(()),
        }
    }
}

/// What to do with a call whose model has no known price.
///
/// For an example see [`PolicyBuilder`](crate::PolicyBuilder).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum UnknownPrice {
    /// Deny it; the default, because a price of zero would pass every budget.
    #[default]
    Deny,
    /// Take this price.
    Assume(Box<Price>),
    /// Admit it at no cost, with a warning.
    Allow,
}

/// How many input tokens are reserved.
///
/// For an example see [`PolicyBuilder`](crate::PolicyBuilder).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InputBound {
    /// What the estimator expects; the default. Of real text, a few calls in a
    /// hundred turn out larger, by little.
    #[default]
    Expected,
    /// As many as there are bytes, which no tokenizer exceeds: about three times
    /// too many for English text, and a hard bound.
    Ceiling,
}

/// What a call costs whose answer was not read to its end.
///
/// For an example see [`PolicyBuilder`](crate::PolicyBuilder).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnAbandoned {
    /// The estimate, or what was seen if that is more; the default. Providers bill
    /// what they generated, which may be more than was read.
    #[default]
    Estimate,
    /// What was seen of its usage, possibly nothing.
    Seen,
}

/// What a call costs that failed in a way that leaves open whether it was billed:
/// a timeout, a lost connection, status 408, 499, 500, 502, 504, 52x.
///
/// For an example see [`PolicyBuilder`](crate::PolicyBuilder).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnAmbiguous {
    /// The estimate; the default.
    #[default]
    Estimate,
    /// Nothing.
    Nothing,
}

/// What to do with a request that cannot be read or metered.
///
/// For an example see [`PolicyBuilder`](crate::PolicyBuilder).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnUnreadable {
    /// Refuse it; the default.
    #[default]
    Deny,
    /// Send it unmetered, with a warning.
    Pass,
}

/// What to do with a call when the store does not answer.
///
/// For an example see [`PolicyBuilder`](crate::PolicyBuilder).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnOutage {
    /// Refuse it; the default.
    #[default]
    Deny,
    /// Send it unmetered, with a warning.
    Allow,
    /// The same, as long as the estimates of the calls that this policy has sent so,
    /// since the store answered last, come to no more than this.
    AllowUpTo(Usd),
}

type Classifier = Arc<dyn Fn(&BoxError) -> bool + Send + Sync>;
type OnSettled = Arc<dyn Fn(&Settled, &Receipt) + Send + Sync>;

/// The settings of a policy, as [`PolicyBuilder`](crate::PolicyBuilder) collects
/// them. Carriers read what they need through the getters.
///
/// For an example see [`Carrier`](crate::carrier::Carrier).
#[derive(Clone)]
pub struct Settings {
    pub(crate) mode: Mode,
    pub(crate) unknown_price: UnknownPrice,
    pub(crate) input_bound: InputBound,
    pub(crate) output_bound: OutputBound,
    pub(crate) open_ended: OpenEnded,
    pub(crate) on_abandoned: OnAbandoned,
    pub(crate) on_ambiguous: OnAmbiguous,
    pub(crate) on_unreadable: OnUnreadable,
    pub(crate) on_outage: OnOutage,
    pub(crate) require_user: bool,
    pub(crate) deadline: Duration,
    pub(crate) body_cap: u64,
    pub(crate) rule_timeout: Duration,
    pub(crate) routes: Routes,
    pub(crate) default_labels: Labels,
    pub(crate) nothing_sent: Vec<Classifier>,
    pub(crate) hidden_retries: bool,
    pub(crate) receipts: bool,
    pub(crate) on_settled: Option<OnSettled>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            unknown_price: UnknownPrice::default(),
            input_bound: InputBound::default(),
            output_bound: OutputBound::default(),
            open_ended: OpenEnded::default(),
            on_abandoned: OnAbandoned::default(),
            on_ambiguous: OnAmbiguous::default(),
            on_unreadable: OnUnreadable::default(),
            on_outage: OnOutage::default(),
            require_user: false,
            deadline: Duration::from_secs(15 * 60),
            body_cap: 32 << 20,
            rule_timeout: Duration::from_secs(1),
            routes: Routes::default(),
            default_labels: Labels::new(),
            nothing_sent: Vec::new(),
            hidden_retries: false,
            receipts: false,
            on_settled: None,
        }
    }
}

impl Settings {
    /// Whether the policy enforces, watches or does nothing.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The most bytes of a request body that are read; more is refused. While
    /// observing there is no cap, because observing must not refuse anything.
    pub fn body_cap(&self) -> u64 {
        match self.mode {
            Mode::Enforce => self.body_cap,
            Mode::Observe | Mode::Off => u64::MAX,
        }
    }

    /// Which requests are metered, free or unmeterable.
    pub fn routes(&self) -> &Routes {
        &self.routes
    }

    /// Whether anybody looks at receipts.
    pub(crate) fn wants_receipts(&self) -> bool {
        self.receipts || self.on_settled.is_some()
    }

    /// Whether receipts go along with responses.
    pub(crate) fn sends_receipts(&self) -> bool {
        self.receipts
    }

    /// Whether what cannot be read is sent all the same.
    pub(crate) fn passes_unreadable(&self) -> bool {
        self.mode == Mode::Observe || self.on_unreadable == OnUnreadable::Pass
    }

    /// Whether this error of the wrapped service proves that nothing was sent.
    pub(crate) fn is_nothing_sent(&self, error: &BoxError) -> bool {
        // A classifier is the user's code; one that panics has proved nothing.
        let says = || self.nothing_sent.iter().any(|says| says(error));
        let says = || catch_unwind(AssertUnwindSafe(says)).unwrap_or(false);
        !self.hidden_retries && (failure::is_nothing_sent(error.as_ref()) || says())
    }

    /// The status of the response that this error was made of, if that is the whole story.
    pub(crate) fn status_in(&self, error: &BoxError) -> Option<u16> {
        if self.hidden_retries { None } else { failure::status(error.as_ref()) }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("mode", &self.mode)
            .field("unknown_price", &self.unknown_price)
            .field("input_bound", &self.input_bound)
            .field("output_bound", &self.output_bound)
            .field("open_ended", &self.open_ended)
            .field("on_abandoned", &self.on_abandoned)
            .field("on_ambiguous", &self.on_ambiguous)
            .field("on_unreadable", &self.on_unreadable)
            .field("on_outage", &self.on_outage)
            .field("deadline", &self.deadline)
            .field("body_cap", &self.body_cap)
            .field("rule_timeout", &self.rule_timeout)
            .finish_non_exhaustive()
    }
}
