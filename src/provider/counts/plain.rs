//! The short way to counts, in an object that has nothing else.
//!
//! What is not quite that simple says nothing here and goes the way that knows all of JSON.

use super::{Role, Told, first};
use crate::{extract::Path, json::Cursor, same::same_bytes};

/// The counts, if the object holds numbers and `null` and no other objects than those that
/// have counts.
#[inline]
pub(super) fn plain<const N: usize>(written: &[u8], paths: &[Path; N]) -> Option<[Option<u64>; N]> {
    let mut cursor = Cursor::new(written);
    let mut told = Told::new(paths);
    if cursor.next()? != b'{' {
        return None;
    }
    told.read_plain(&mut cursor, None)?;
    (cursor.at == written.len()).then_some(told.counts)
}

impl<const N: usize> Told<'_, N> {
    /// Reads the rest of the object, or of the one `within` it.
    fn read_plain(&mut self, cursor: &mut Cursor<'_>, within: Option<&'static str>) -> Option<()> {
        let mut next = cursor.next()?;
        if next == b'}' {
            return Some(());
        }
        loop {
            if next != b'"' {
                return None;
            }
            let key = cursor.key()?;
            let role = self.role(|name| same_bytes(key, name.as_bytes()), within);
            if cursor.next()? != b':' {
                return None;
            }
            match (cursor.next()?, role) {
                (b'{', Some(Role::Enter(index, outer))) => {
                    first(&mut self.entered, index)?;
                    self.read_plain(cursor, Some(outer))?;
                }
                (b'n', Some(Role::Enter(index, _))) => {
                    first(&mut self.entered, index)?;
                    null(cursor)?;
                }
                (_, Some(Role::Enter(..))) => return None,
                (value, role) => {
                    let count = match value {
                        b'n' => null(cursor).map(|()| None)?,
                        digit => Some(number(cursor, digit)?),
                    };
                    match role {
                        Some(Role::Take(index)) => self.take(index, count)?,
                        _ if key.iter().all(|byte| matches!(byte, b' '..=b'~')) => {}
                        _ => return None,
                    }
                }
            }
            match cursor.next()? {
                b',' => next = cursor.next()?,
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }
}

/// The rest of a whole number without sign, of which the first byte has been read.
#[inline(always)]
fn number(cursor: &mut Cursor<'_>, first: u8) -> Option<u64> {
    let mut number = digit(first)?;
    let start = cursor.at;
    while let Some(digit) = cursor.bytes.get(cursor.at).copied().and_then(digit) {
        number = number.checked_mul(10)?.checked_add(digit)?;
        cursor.at += 1;
    }
    // No number begins with a zero but zero.
    (first != b'0' || cursor.at == start).then_some(number)
}

/// The rest of `null`.
fn null(cursor: &mut Cursor<'_>) -> Option<()> {
    let is_null = cursor.bytes.get(cursor.at..)?.starts_with(b"ull");
    cursor.at += b"ull".len();
    is_null.then_some(())
}

#[inline(always)]
fn digit(byte: u8) -> Option<u64> {
    byte.is_ascii_digit().then(|| u64::from(byte - b'0'))
}
