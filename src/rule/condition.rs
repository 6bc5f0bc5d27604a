//! When a rule applies.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Deserializer};
use smol_str::SmolStr;

use super::pattern::Pattern;
use crate::{call::Call, labels::Word};

/// When a rule applies: a closure over the [`Call`], or data.
///
/// Data conditions can be read from a file. Their JSON forms are
/// `{"label": "plan", "eq": "free"}`, `{"label": "plan", "in": ["free", "trial"]}`,
/// `{"label": "plan", "exists": true}`, `{"model": "gpt-4*"}`, `{"all": […]}`,
/// `{"any": […]}` and `{"not": …}`.
///
/// # Example
/// ```
/// use driftlock::{Condition, RestrictModel, rule::{all, label, model, not}};
///
/// let by_closure = RestrictModel::new(["gpt-4o"]).when(|call: &driftlock::Call| call.user().is_none());
/// let by_data = RestrictModel::new(["gpt-4o"]).when(label("plan").eq("free"));
/// let from_file: Condition = serde_json::from_str(r#"{"not": {"label": "plan", "eq": "paid"}}"#)?;
/// let combined = all([label("plan").eq("free"), not(model("*-mini"))]);
/// # let _ = (by_closure, by_data, from_file, combined);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone)]
pub struct Condition(Kind);

#[derive(Clone)]
enum Kind {
    Label { key: Word, test: Test },
    Model(Pattern),
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Function(Arc<dyn Fn(&Call) -> bool + Send + Sync>),
}

#[derive(Clone)]
enum Test {
    In(Vec<Word>),
    Exists,
}

impl Condition {
    /// Whether it holds for a call.
    pub fn holds(&self, call: &Call) -> bool {
        match &self.0 {
            Kind::Label { key, test: Test::In(values) } => {
                call.labels().of(key).is_some_and(|value| values.contains(value))
            }
            Kind::Label { key, test: Test::Exists } => call.labels().of(key).is_some(),
            Kind::Model(pattern) => pattern.matches(call.model()),
            Kind::All(conditions) => conditions.iter().all(|condition| condition.holds(call)),
            Kind::Any(conditions) => conditions.iter().any(|condition| condition.holds(call)),
            Kind::Not(condition) => !condition.holds(call),
            Kind::Function(function) => function(call),
        }
    }
}

impl Condition {
    /// The label, and the values of which it must have one, if that is all it asks for.
    pub(crate) fn label_in(&self) -> Option<(&Word, &[Word])> {
        match &self.0 {
            Kind::Label { key, test: Test::In(values) } => Some((key, values)),
            _ => None,
        }
    }

    /// Whether a closure is in it.
    pub(crate) fn has_closure(&self) -> bool {
        match &self.0 {
            Kind::Function(_) => true,
            Kind::All(conditions) | Kind::Any(conditions) => {
                conditions.iter().any(Self::has_closure)
            }
            Kind::Not(condition) => condition.has_closure(),
            Kind::Label { .. } | Kind::Model(_) => false,
        }
    }
}

impl<F: Fn(&Call) -> bool + Send + Sync + 'static> From<F> for Condition {
    fn from(function: F) -> Self {
        Self(Kind::Function(Arc::new(function)))
    }
}

/// Starts a condition on a label's value; see [`Condition`].
pub fn label(key: impl Into<SmolStr>) -> LabelCondition {
    LabelCondition(key.into())
}

/// The model's name matches a pattern, with `*` for any part; see [`Condition`].
pub fn model(pattern: impl Into<SmolStr>) -> Condition {
    Condition(Kind::Model(Pattern::new(pattern)))
}

/// Every one of these holds; see [`Condition`].
pub fn all(conditions: impl IntoIterator<Item = Condition>) -> Condition {
    Condition(Kind::All(conditions.into_iter().collect()))
}

/// At least one of these holds; see [`Condition`].
pub fn any(conditions: impl IntoIterator<Item = Condition>) -> Condition {
    Condition(Kind::Any(conditions.into_iter().collect()))
}

/// The opposite; see [`Condition`].
pub fn not(condition: impl Into<Condition>) -> Condition {
    Condition(Kind::Not(Box::new(condition.into())))
}

/// A label, about to become a [`Condition`] by one of these methods.
///
/// For an example see [`Condition`](crate::Condition).
#[derive(Clone, Debug)]
pub struct LabelCondition(SmolStr);

impl LabelCondition {
    /// The label has this value.
    #[allow(clippy::should_implement_trait)] // reads as a sentence: label("plan").eq("free")
    pub fn eq(self, value: impl Into<SmolStr>) -> Condition {
        self.is_in([value])
    }

    /// The label has one of these values.
    pub fn is_in<V: Into<SmolStr>>(self, values: impl IntoIterator<Item = V>) -> Condition {
        let values = values.into_iter().map(Word::new).collect();
        Condition(Kind::Label { key: Word::key(self.0), test: Test::In(values) })
    }

    /// The label is there, with any value.
    pub fn exists(self) -> Condition {
        Condition(Kind::Label { key: Word::key(self.0), test: Test::Exists })
    }
}

/// The JSON form. One that says two things, or nothing, is no variant of it.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "a condition is one of: label with eq, in or exists; model; all; any; not"
)]
enum Data {
    Eq(Eq),
    In(In),
    Exists(Exists),
    Model(Model),
    All(All),
    Any(Any),
    Not(Not),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Eq {
    label: SmolStr,
    eq: SmolStr,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct In {
    label: SmolStr,
    r#in: Vec<SmolStr>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exists {
    label: SmolStr,
    exists: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Model {
    model: SmolStr,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct All {
    all: Vec<Condition>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Any {
    any: Vec<Condition>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Not {
    not: Box<Condition>,
}

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Data::deserialize(deserializer)? {
            Data::Eq(data) => label(data.label).eq(data.eq),
            Data::In(data) => label(data.label).is_in(data.r#in),
            Data::Exists(data) if data.exists => label(data.label).exists(),
            Data::Exists(data) => not(label(data.label).exists()),
            Data::Model(data) => model(data.model),
            Data::All(data) => all(data.all),
            Data::Any(data) => any(data.any),
            Data::Not(data) => not(*data.not),
        })
    }
}

impl fmt::Debug for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::In(values) => f.debug_set().entries(values.iter().map(Word::text)).finish(),
            Self::Exists => f.write_str("exists"),
        }
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Label { key, test } => write!(f, "label {} {test:?}", key.text()),
            Kind::Model(pattern) => write!(f, "model {pattern:?}"),
            Kind::All(conditions) => f.debug_tuple("all").field(conditions).finish(),
            Kind::Any(conditions) => f.debug_tuple("any").field(conditions).finish(),
            Kind::Not(condition) => f.debug_tuple("not").field(condition).finish(),
            Kind::Function(_) => f.write_str("closure"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        call::{Operation, Provider},
        labels::Labels,
    };

    fn call(labels: Labels) -> Call {
        Call::new(Provider::OPENAI, Operation::Chat, "gpt-4o").with_labels(labels)
    }

    #[test]
    fn data_conditions_read_from_json_mean_the_same_as_built_ones() {
        let json = r#"{"all": [{"label": "plan", "in": ["free", "trial"]},
                               {"any": [{"model": "gpt-4*"}, {"label": "beta", "exists": true}]},
                               {"not": {"label": "user_id", "eq": "root"}}]}"#;
        let condition: Condition = serde_json::from_str(json).unwrap();
        assert!(condition.holds(&call(Labels::new().with("plan", "trial"))));
        assert!(!condition.holds(&call(Labels::new().with("plan", "paid"))));
        assert!(!condition.holds(&call(Labels::new().with("plan", "free").with("user", "root"))));
    }

    #[test]
    fn a_condition_that_says_two_things_or_nothing_is_refused() {
        for bad in [
            r#"{}"#,
            r#"{"label":"a"}"#,
            r#"{"model":"x","not":{"model":"y"}}"#,
            r#"{"lable":"a","eq":"b"}"#,
        ] {
            assert!(serde_json::from_str::<Condition>(bad).is_err(), "{bad}");
        }
    }
}
