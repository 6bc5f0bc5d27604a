//! Keys and values of labels, quick to compare.

use smol_str::SmolStr;

/// The key of the label that per-user rules read; `user_id` is the same key.
pub(super) const USER: &str = "user";

/// A key or a value of a label. Every call compares a few of them, so each has a mark
/// by which it is told from others without looking at its letters.
#[derive(Clone, Debug, Eq)]
pub(crate) struct Word {
    mark: u64,
    text: SmolStr,
}

/// So many letters are in a mark; it has room for their number besides.
const MARKED: usize = 7;

impl Word {
    pub(crate) fn new(text: impl Into<SmolStr>) -> Self {
        let text: SmolStr = text.into();
        let letters = text.bytes().take(MARKED);
        let letters = letters.fold(0, |mark, letter| mark << 8 | u64::from(letter));
        Self { mark: letters << 8 | (text.len() as u64).min(0xFF), text }
    }

    /// The key under which a label of this name is kept: `user_id` is `user`.
    pub(crate) fn key(name: impl Into<SmolStr>) -> Self {
        Self::new(canonical(name.into()))
    }

    /// What it says.
    pub(crate) fn text(&self) -> &SmolStr {
        &self.text
    }

    /// By what it is told from most others.
    #[inline]
    pub(crate) fn mark(&self) -> u64 {
        self.mark
    }
}

impl PartialEq for Word {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        let is_short = self.mark & 0xFF <= MARKED as u64;
        self.mark == other.mark && (is_short || self.is_alike(other))
    }
}

impl Word {
    // Out of the way of all those that the mark tells apart.
    #[cold]
    #[inline(never)]
    fn is_alike(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// The name under which a label is kept.
pub(crate) fn canonical(name: SmolStr) -> SmolStr {
    if name == "user_id" { SmolStr::new_static(USER) } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_the_same_if_their_texts_are() {
        let long = "x".repeat(300);
        let names =
            ["", "a", "user", "user_i", "tenant_", "tenant_a", "tenant_b", &long, &long[1..]];
        for one in names {
            for other in names {
                assert_eq!(Word::new(one) == Word::new(other), one == other, "{one} {other}");
            }
        }
        assert_eq!(Word::key("user_id"), Word::new("user"));
    }
}
