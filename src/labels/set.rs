//! A small immutable set of labels.

use std::{fmt, sync::Arc};

use serde::{Serialize, Serializer};
use smol_str::SmolStr;

use super::word::{USER, Word};

/// Labels of a call: keys and values, cheap to clone.
///
/// At most 32 labels, keys up to 64 bytes, values up to 256: a call with more is
/// refused with a [`LabelError`] before anything is sent, because every value of
/// a tracked label is remembered. The key `user_id` is read as `user`.
///
/// # Example
/// ```
/// use driftlock::Labels;
///
/// let labels = Labels::new().with("user_id", "u-17").with("plan", "free");
/// assert_eq!(labels.user(), Some("u-17"));
/// assert_eq!(labels.value("plan"), Some("free"));
/// assert_eq!(labels.value("team"), None);
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Labels(Option<Arc<[Label]>>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Label {
    key: Word,
    value: Word,
    /// Whether it and all behind it are within the bounds, which every call asks of the
    /// first.
    fit: bool,
}

impl Labels {
    /// The most labels a call may carry.
    pub const MAX_LABELS: usize = 32;
    /// The longest key, in bytes.
    pub const MAX_KEY: usize = 64;
    /// The longest value, in bytes.
    pub const MAX_VALUE: usize = 256;

    /// No labels.
    pub const fn new() -> Self {
        Self(None)
    }

    /// These labels and one more, which replaces an earlier one of the same key.
    #[must_use]
    pub fn with(self, key: impl Into<SmolStr>, value: impl Into<SmolStr>) -> Self {
        [(key, value)].into_iter().fold(self, |labels, (key, value)| {
            labels.over(&Self(Some(Arc::new([Label::new(key.into(), value.into())]))))
        })
    }

    fn many(mut all: Vec<Label>) -> Self {
        let mut fit = all.len() <= Self::MAX_LABELS;
        for label in all.iter_mut().rev() {
            fit &= label.fits();
            label.fit = fit;
        }
        Self(Some(all.into()))
    }

    /// The value of a label.
    #[inline]
    pub fn value(&self, key: &str) -> Option<&str> {
        let key = if key == "user_id" { USER } else { key };
        let label = self.0.as_ref()?.iter().find(|label| label.key.text() == key)?;
        Some(label.value.text())
    }

    /// The value of a label whose key is at hand.
    #[inline]
    pub(crate) fn of(&self, key: &Word) -> Option<&Word> {
        self.0.as_ref()?.iter().find(|label| label.key == *key).map(|label| &label.value)
    }

    /// Which of the labels has this key, so that it need not be looked for again.
    #[inline]
    pub(crate) fn position(&self, key: &Word) -> Option<usize> {
        self.0.as_ref()?.iter().position(|label| label.key == *key)
    }

    /// The value of the label at a position.
    #[inline]
    pub(crate) fn at(&self, position: usize) -> Option<&Word> {
        self.0.as_ref()?.get(position).map(|label| &label.value)
    }

    /// The value of the label `user`.
    pub fn user(&self) -> Option<&str> {
        self.value(USER)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Keys and values, in the order in which keys first appeared.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.0.iter().flat_map(|all| all.iter());
        all.map(|label| (label.key.text().as_str(), label.value.text().as_str()))
    }

    /// Both sets; where both have a key, `stronger` wins. Allocates only if neither is empty.
    #[must_use]
    pub fn over(&self, stronger: &Self) -> Self {
        match (&self.0, &stronger.0) {
            (None, _) => stronger.clone(),
            (_, None) => self.clone(),
            (Some(weak), Some(strong)) => {
                let mut all: Vec<_> = weak.to_vec();
                for label in strong.iter() {
                    match all.iter_mut().find(|known| known.key == label.key) {
                        Some(known) => *known = label.clone(),
                        None => all.push(label.clone()),
                    }
                }
                Self::many(all)
            }
        }
    }

    /// The same of sets that are not needed any more: one is given back as it is if the
    /// other is empty.
    #[inline]
    pub(crate) fn under(self, stronger: Self) -> Self {
        match (&self.0, &stronger.0) {
            (None, _) => stronger,
            (_, None) => self,
            _ => self.over(&stronger),
        }
    }

    /// Puts the set where requests carry labels; what is there already wins.
    pub(crate) fn add_to(&self, extensions: &mut http::Extensions) {
        if !self.is_empty() {
            let both = extensions.get().map_or_else(|| self.clone(), |own| self.over(own));
            extensions.insert(both);
        }
    }

    /// Whether the set is within the bounds above.
    ///
    /// # Errors
    /// [`LabelError`] names the label and the bound that is exceeded.
    #[inline]
    pub fn check(&self) -> Result<(), LabelError> {
        match self.0.as_deref() {
            Some(all @ [first, ..]) if !first.fit => Err(exceeded(all)),
            _ => Ok(()),
        }
    }
}

#[cold]
fn exceeded(all: &[Label]) -> LabelError {
    match all.iter().find(|label| !label.fits()) {
        Some(label) if all.len() <= Labels::MAX_LABELS => label.too_long(),
        _ => LabelError::TooMany(all.len()),
    }
}

impl Label {
    fn new(key: SmolStr, value: SmolStr) -> Self {
        let mut label = Self { key: Word::key(key), value: Word::new(value), fit: false };
        label.fit = label.fits();
        label
    }

    /// Whether key and value are within the bounds.
    fn fits(&self) -> bool {
        self.key.text().len() <= Labels::MAX_KEY && self.value.text().len() <= Labels::MAX_VALUE
    }

    fn too_long(&self) -> LabelError {
        let key = self.key.text().chars().take(Labels::MAX_KEY).collect::<String>().into();
        LabelError::TooLong { key, bytes: self.value.text().len() }
    }
}

impl<K: Into<SmolStr>, V: Into<SmolStr>> FromIterator<(K, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        pairs.into_iter().fold(Self::new(), |labels, (key, value)| labels.with(key, value))
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// A call's labels are too many or too long.
///
/// For an example see [`Labels`](crate::Labels).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LabelError {
    /// More than [`Labels::MAX_LABELS`]; how many there are.
    TooMany(usize),
    /// A key above [`Labels::MAX_KEY`] or a value above [`Labels::MAX_VALUE`] bytes.
    TooLong {
        /// The key, cut to the bound.
        key: SmolStr,
        /// The length of the value in bytes.
        bytes: usize,
    },
}

impl fmt::Display for LabelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany(count) => {
                write!(f, "{count} labels on one call; at most {} are kept", Labels::MAX_LABELS)
            }
            Self::TooLong { key, bytes } => write!(
                f,
                "label `{key}` has a value of {bytes} bytes; keys may have {} bytes and values {}",
                Labels::MAX_KEY,
                Labels::MAX_VALUE
            ),
        }
    }
}

impl std::error::Error for LabelError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stronger_set_wins_key_by_key() {
        let weak = Labels::new().with("user", "a").with("plan", "free");
        let strong = Labels::new().with("user_id", "b").with("team", "x");
        let both = weak.over(&strong);
        assert_eq!(
            both.iter().collect::<Vec<_>>(),
            [("user", "b"), ("plan", "free"), ("team", "x")]
        );
        for (weak, strong) in [
            (weak.clone(), strong.clone()),
            (weak.clone(), Labels::new()),
            (Labels::new(), strong),
            (Labels::new(), Labels::new()),
        ] {
            assert_eq!(weak.clone().under(strong.clone()), weak.over(&strong));
        }
    }

    #[test]
    fn a_megabyte_of_label_is_an_error_that_does_not_repeat_it() {
        let huge = "x".repeat(1 << 20);
        let error = Labels::new().with("team", huge.as_str()).check().unwrap_err();
        assert!(error.to_string().len() < 200, "{error}");
        let error = Labels::new().with(huge.as_str(), "x").check().unwrap_err();
        assert!(error.to_string().len() < 200, "{error}");
        let error = Labels::new().with("a", "b").with(huge.as_str(), "x").with("c", "d").check();
        assert!(matches!(error, Err(LabelError::TooLong { bytes: 1, .. })));
        let many: Labels = (0..33).map(|n| (format!("k{n}"), "v")).collect();
        assert_eq!(many.check(), Err(LabelError::TooMany(33)));
        let most: Labels = (0..32).map(|n| (format!("k{n}"), "v")).collect();
        assert_eq!(most.check(), Ok(()));
        assert_eq!(many.with("team", huge.as_str()).check(), Err(LabelError::TooMany(34)));
        let (key, value) = ("k".repeat(Labels::MAX_KEY), "v".repeat(Labels::MAX_VALUE));
        assert_eq!(Labels::new().with(&*key, &*value).check(), Ok(()));
        assert!(Labels::new().with(format!("{key}k"), "v").check().is_err());
        assert!(Labels::new().with("k", format!("{value}v")).check().is_err());
    }
}
