//! Names of labels, quick to compare.

use smol_str::SmolStr;

use super::set::USER;

/// The name of a label. Every call compares a few of them, so each has a mark by which
/// it is told from others without looking at its letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    mark: u64,
    name: SmolStr,
}

/// So many letters are in a mark; it has room for their number besides.
const MARKED: usize = 7;

impl Key {
    /// The key under which a label of this name is kept: `user_id` is `user`.
    pub(crate) fn new(name: impl Into<SmolStr>) -> Self {
        let name = canonical(name.into());
        Self { mark: mark(&name), name }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &SmolStr {
        &self.name
    }

    /// Whether two are the same.
    #[inline]
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.mark == other.mark && (self.name.len() <= MARKED || self.name == other.name)
    }
}

/// The first letters of a name, and how many it has.
fn mark(name: &str) -> u64 {
    let letters = name.bytes().take(MARKED).fold(0, |mark, letter| mark << 8 | u64::from(letter));
    letters << 8 | (name.len() as u64).min(0xFF)
}

/// The name under which a label is kept.
pub(crate) fn canonical(name: SmolStr) -> SmolStr {
    if name == "user_id" { SmolStr::new_static(USER) } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_the_same_if_their_names_are() {
        let long = "x".repeat(300);
        let names =
            ["", "a", "user", "user_i", "tenant_", "tenant_a", "tenant_b", &long, &long[1..]];
        for one in names {
            for other in names {
                assert_eq!(Key::new(one).is(&Key::new(other)), one == other, "{one} {other}");
            }
        }
        assert!(Key::new("user_id").is(&Key::new("user")));
    }
}
