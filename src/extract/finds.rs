//! What was found in a document.

use std::borrow::Cow;

use super::{
    Key,
    counts::{Counts, counts},
};

/// The most values that are taken out of one.
pub(super) const MOST: usize = 6;

/// What a document said at a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    /// Nothing, or nothing yet.
    #[default]
    Absent,
    /// This value, as written.
    Value(&'a [u8]),
    /// Something that is not taken: the key stood there twice, so that two readers
    /// may disagree, or the value was too long.
    Unusable,
}

/// What a document said at all the paths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Finds<'a> {
    pub(super) values: [Found<'a>; MOST],
    /// The counts of the value of this index, if they were read while it passed.
    pub(super) counted: Option<(usize, Counts)>,
    pub(super) is_whole: bool,
}

impl<'a> Finds<'a> {
    /// What it said at the key of this index.
    #[inline]
    pub(crate) fn found(&self, index: usize) -> Found<'a> {
        self.values.get(index).copied().unwrap_or_default()
    }

    /// The counts under `keys` in the value of this index; `None` if there is no such value,
    /// it is no object, has one of the keys twice, or something else than a whole number of
    /// no sign where a count should be.
    #[inline]
    pub(crate) fn counts(&self, index: usize, keys: &'static [Key]) -> Option<Cow<'_, Counts>> {
        match (self.found(index), &self.counted) {
            (Found::Value(_), Some((counted, counts))) if *counted == index => {
                Some(Cow::Borrowed(counts))
            }
            (Found::Value(written), _) => counts(written, keys).map(Cow::Owned),
            _ => None,
        }
    }

    /// Whether it has been seen to its end.
    pub(crate) fn is_whole(&self) -> bool {
        self.is_whole
    }
}
