//! Which keys of a document lead to wanted values.

use crate::name::{Candidate, Name};

/// Bytes of a key that is still compared; the longest of ours, were each of its
/// characters written as an escape of six bytes, is shorter.
pub(super) const LONGEST_KEY: usize = 128;

/// A key of an object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    /// As it is written.
    pub(crate) name: Name,
    /// Where it leads to.
    pub(crate) role: Role,
}

/// What the value of a key is to us.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    /// Nothing.
    Skip,
    /// The wanted value of this index.
    Take {
        /// Its place among those that are found.
        index: usize,
        /// Its longest length as written; a longer one is given up.
        most: u32,
    },
    /// The wanted value of this index, which is an object of counts.
    Counts {
        /// As of other values.
        index: usize,
        /// As of other values.
        most: u32,
        /// Of the counts.
        keys: &'static [Key],
    },
    /// If it is an object, one with wanted values, under these keys.
    Enter(&'static [Key]),
    /// If it is an array, one of objects with wanted values. In two of them a value is as
    /// good as a key given twice.
    EnterEach(&'static [Key]),
}

impl Key {
    /// The key of the wanted value of this index, of at most so many bytes.
    pub(crate) const fn take(name: &'static str, index: usize, most: u32) -> Self {
        Self { name: Name::new(name), role: Role::Take { index, most } }
    }

    /// The same of an object of counts under `keys`.
    pub(crate) const fn counts(
        name: &'static str,
        index: usize,
        most: u32,
        keys: &'static [Self],
    ) -> Self {
        Self { name: Name::new(name), role: Role::Counts { index, most, keys } }
    }

    /// The key of the count of this index among them.
    pub(crate) const fn count(name: &'static str, index: usize) -> Self {
        const DIGITS: u32 = 20; // of the largest that can be counted
        Self::take(name, index, DIGITS)
    }

    /// The key of an object with `keys` that matter.
    pub(crate) const fn enter(name: &'static str, keys: &'static [Self]) -> Self {
        Self { name: Name::new(name), role: Role::Enter(keys) }
    }

    /// The key of an array of such objects.
    pub(crate) const fn each(name: &'static str, keys: &'static [Self]) -> Self {
        Self { name: Name::new(name), role: Role::EnterEach(keys) }
    }
}

impl Role {
    /// Of a key as written between its quotes, in an object where `keys` matter.
    #[inline(always)]
    pub(super) fn of(written: Candidate<'_>, keys: &[Key]) -> Self {
        for key in keys {
            if written.is(key.name) {
                return key.role;
            }
        }
        Self::Skip
    }

    /// The same where there may be an escape in it.
    pub(super) fn of_escaped(written: &[u8], keys: &[Key]) -> Self {
        if written.len() > LONGEST_KEY {
            return Self::Skip;
        }
        let quoted = [b"\"", written, b"\""].concat();
        match serde_json::from_slice::<String>(&quoted) {
            Ok(key) => Self::of(Candidate::new(key.as_bytes()), keys),
            Err(_) => Self::Skip,
        }
    }
}
