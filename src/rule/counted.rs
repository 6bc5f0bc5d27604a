//! What all rules that count have in common: a counter and a limit on it.

use std::{fmt, sync::Arc};

use hashbrown::HashMap;
use smol_str::SmolStr;

use crate::{call::Call, claim::Unit, denial::DenialKind, labels::Word, window::Window};

/// A limit on a counter: for whom, of what, over which time, how much.
#[derive(Clone, Debug)]
pub struct Counted {
    pub(crate) name: SmolStr,
    pub(crate) kind: DenialKind,
    /// The label whose values are counted apart; `None` for the workspace.
    pub(crate) label: Option<SmolStr>,
    pub(crate) unit: Unit,
    pub(crate) window: Window,
    pub(crate) limit: LimitSource,
    /// Deny a call that lacks the label instead of counting it under `(none)`.
    pub(crate) required: bool,
}

type LimitFn = dyn Fn(&Call) -> Option<u64> + Send + Sync;

/// Where the limit comes from.
#[derive(Clone)]
pub(crate) enum LimitSource {
    /// One for all.
    Fixed(u64),
    /// By value of the label, else the default, else none. In the order of marks.
    ByValue { limits: Vec<(Word, u64)>, default: Option<u64> },
    /// From the call; `None` is no limit.
    From(Arc<LimitFn>),
}

impl Counted {
    pub(crate) fn new(
        name: &'static str,
        kind: DenialKind,
        unit: Unit,
        window: Window,
        limit: u64,
    ) -> Self {
        let name = SmolStr::new_static(name);
        let limit = LimitSource::Fixed(limit);
        Self { name, kind, label: None, unit, window, limit, required: false }
    }

    /// Whether each user is counted apart.
    pub(crate) fn counts_users(&self) -> bool {
        self.label.as_deref() == Some("user")
    }
}

impl LimitSource {
    /// By these values of the label, else the default.
    pub(crate) fn by_value(limits: HashMap<SmolStr, u64>, default: Option<u64>) -> Self {
        let limits = limits.into_iter().map(|(value, limit)| (Word::new(value), limit));
        let mut limits: Vec<_> = limits.collect();
        limits.sort_unstable_by_key(|(value, _)| value.mark());
        Self::ByValue { limits, default }
    }

    /// The limit for a call, `None` if it has none; `value` is that of the label
    /// that is counted.
    #[inline]
    pub(crate) fn of(&self, call: &Call, value: Option<&Word>) -> Option<u64> {
        match self {
            Self::Fixed(limit) => Some(*limit),
            Self::ByValue { limits, default } => {
                value.and_then(|value| find(limits, value)).or(*default)
            }
            Self::From(function) => function(call),
        }
    }
}

/// The limit of one value.
fn find(limits: &[(Word, u64)], value: &Word) -> Option<u64> {
    let first = limits.partition_point(|(known, _)| known.mark() < value.mark());
    let alike = limits.get(first..)?.iter().take_while(|(known, _)| known.mark() == value.mark());
    alike.into_iter().find(|(known, _)| known == value).map(|(_, limit)| *limit)
}

impl fmt::Debug for LimitSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(limit) => write!(f, "{limit}"),
            Self::ByValue { limits, default } => {
                write!(f, "{} own, else {default:?}", limits.len())
            }
            Self::From(_) => f.write_str("from the call"),
        }
    }
}

/// The builder methods every counting rule has. `$limit` is its limit's type, and
/// `$into` turns one into the counter's number.
macro_rules! counting_options {
    ($limit:ty, $into:expr) => {
        /// The name in denials and events. Defaults to the rule's own name.
        #[must_use]
        pub fn named(mut self, name: impl Into<smol_str::SmolStr>) -> Self {
            self.0.name = name.into();
            self
        }

        /// Counts each user apart. Defaults to the whole workspace.
        #[must_use]
        pub fn per_user(self) -> Self {
            self.per_label("user")
        }

        /// Counts each value of a label apart; calls without the label share the
        /// value `(none)`. Defaults to the whole workspace.
        #[must_use]
        pub fn per_label(mut self, key: impl Into<smol_str::SmolStr>) -> Self {
            let key = key.into();
            self.0.label = Some(if key == "user_id" { "user".into() } else { key });
            self
        }

        /// Denies a call that lacks the label instead of counting it under `(none)`.
        #[must_use]
        pub fn required(mut self) -> Self {
            self.0.required = true;
            self
        }

        /// Takes the limit from each call; `None` is no limit. Defaults to the fixed one.
        #[must_use]
        pub fn limit_from(
            mut self,
            limit: impl Fn(&crate::Call) -> Option<$limit> + Send + Sync + 'static,
        ) -> Self {
            let into: fn($limit) -> u64 = $into;
            let from = move |call: &crate::Call| limit(call).map(into);
            self.0.limit = crate::rule::LimitSource::From(std::sync::Arc::new(from));
            self
        }
    };
}
pub(crate) use counting_options;

/// Lets a policy take a rule that is a [`Counted`] in a tuple struct.
macro_rules! counted_rule {
    ($rule:ty) => {
        impl crate::rule::IntoRule for $rule {
            fn into_step(self, _: crate::rule::Token) -> (smol_str::SmolStr, crate::rule::Step) {
                (self.0.name.clone(), crate::rule::Step::Counted(self.0))
            }
        }
    };
}
pub(crate) use counted_rule;
