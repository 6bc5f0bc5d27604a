//! What was found in a document.

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
    pub(super) is_whole: bool,
}

impl<'a> Finds<'a> {
    /// What it said at the path of `wanted[index]`.
    #[inline]
    pub(crate) fn found(&self, index: usize) -> Found<'a> {
        self.values.get(index).copied().unwrap_or_default()
    }

    /// Whether it has been seen to its end.
    pub(crate) fn is_whole(&self) -> bool {
        self.is_whole
    }
}
