//! Which keys of a document lead to wanted values.

use crate::same::same_bytes;

/// Bytes of a key that is still compared; the longest of ours, were each of its
/// characters written as an escape of six bytes, is shorter.
pub(super) const LONGEST_KEY: usize = 128;

/// Where a value stands, counted from the root object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    /// `{"key": value}`
    Top(&'static str),
    /// `{"key": {"key": value}}`
    Within(&'static str, &'static str),
    /// `{"key": {"key": value}}`, or the second key alone at the top.
    WithinOrTop(&'static str, &'static str),
    /// `{"key": [{"key": value}]}`, in one of the array's objects. In two of them it
    /// is as good as a key given twice.
    Each(&'static str, &'static str),
}

/// A value to take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// Where it stands.
    pub(crate) path: Path,
    /// Its longest length as written; a longer one is given up.
    pub(crate) most: usize,
}

/// What the value of a key is to us.
#[derive(Clone, Copy, Debug)]
pub(super) enum Role {
    /// Nothing.
    Skip,
    /// The wanted value of this index.
    Take(usize),
    /// If it is an object, one with wanted values, known by this key.
    Enter(&'static str),
    /// If it is an array, one of objects with wanted values, known by this key.
    EnterEach(&'static str),
}

impl Role {
    /// Of a key as `written` between its quotes, in the root object or `within` one
    /// that was entered.
    pub(super) fn of(
        written: &[u8],
        has_escape: bool,
        within: Option<&str>,
        wanted: &[Wanted],
    ) -> Self {
        if written.len() > LONGEST_KEY {
            return Self::Skip;
        }
        if !has_escape {
            return Self::of_text(written, within, wanted);
        }
        let quoted = [b"\"", written, b"\""].concat();
        match serde_json::from_slice::<String>(&quoted) {
            Ok(key) => Self::of_text(key.as_bytes(), within, wanted),
            Err(_) => Self::Skip,
        }
    }

    fn of_text(key: &[u8], within: Option<&str>, wanted: &[Wanted]) -> Self {
        let is = |name: &str| same_bytes(key, name.as_bytes());
        for (index, wanted) in wanted.iter().enumerate() {
            match (wanted.path, within) {
                (Path::Top(name) | Path::WithinOrTop(_, name), None) if is(name) => {
                    return Self::Take(index);
                }
                (Path::Within(outer, _) | Path::WithinOrTop(outer, _), None) if is(outer) => {
                    return Self::Enter(outer);
                }
                (Path::Each(outer, _), None) if is(outer) => return Self::EnterEach(outer),
                (
                    Path::Within(outer, name)
                    | Path::WithinOrTop(outer, name)
                    | Path::Each(outer, name),
                    Some(within),
                ) if outer == within && is(name) => {
                    return Self::Take(index);
                }
                _ => {}
            }
        }
        Self::Skip
    }
}
