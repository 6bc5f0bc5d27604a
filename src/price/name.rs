//! Names of models, as keys.

use std::hash::{Hash, Hasher};

use hashbrown::Equivalent;
use smol_str::SmolStr;

use crate::same::same;

/// A provider and a model, lower-case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) provider: SmolStr,
    pub(super) model: SmolStr,
}

/// The same, borrowed, so that a look-up hashes once and allocates nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct NameRef<'a> {
    pub(super) provider: &'a str,
    pub(super) model: &'a str,
}

/// Of the provider only its length: a model has few of them, and to compare those is
/// quicker than to hash two texts for every call.
impl Hash for NameRef<'_> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.model.as_bytes());
        state.write_usize(self.provider.len());
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        NameRef { provider: &self.provider, model: &self.model }.hash(state);
    }
}

impl Equivalent<Name> for NameRef<'_> {
    fn equivalent(&self, name: &Name) -> bool {
        same(self.model, &name.model) && same(self.provider, &name.provider)
    }
}

/// Calls `then` with `text` in ASCII lower case. Copies only a text that is not
/// so already, and to the heap only one longer than any model's name.
pub(super) fn lowered<T>(text: &str, then: impl FnOnce(&str) -> T) -> T {
    const LONGEST: usize = 128;
    if !text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return then(text);
    }
    let mut buffer = [0; LONGEST];
    let Some(copy) = buffer.get_mut(..text.len()) else {
        return then(&text.to_ascii_lowercase());
    };
    copy.copy_from_slice(text.as_bytes());
    copy.make_ascii_lowercase();
    // Changing the case of ASCII keeps UTF-8 valid.
    then(std::str::from_utf8(copy).unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lowered_whatever_their_length() {
        for text in ["gpt-4o", "GPT-4o", "Modèle-É", &"Long".repeat(100)] {
            lowered(text, |lower| assert_eq!(lower, text.to_ascii_lowercase()));
        }
    }
}
