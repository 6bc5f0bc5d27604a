//! The short way to counts, in an object that has nothing else.
//!
//! What is not quite that simple says nothing here and goes the way that knows all of JSON.

use super::{Counts, find};
use crate::{
    extract::{Key, Role},
    json::Cursor,
};

/// Reads the counts of the object that is open before the offset `at`, if it holds numbers
/// and `null` and no other objects than those that have counts: the offset behind it.
pub(in crate::extract) fn read(
    document: &[u8],
    at: usize,
    keys: &'static [Key],
    told: &mut Counts,
) -> Option<usize> {
    let mut cursor = Cursor::at_offset(document, at);
    let mut seen = 0;
    let mut next = cursor.next()?;
    if next == b'}' {
        return Some(cursor.at());
    }
    loop {
        if next != b'"' {
            return None;
        }
        let key = cursor.key()?;
        let role = find(keys, key, &mut seen)?;
        if cursor.next()? != b':' {
            return None;
        }
        match (cursor.next()?, role) {
            (b'{', Role::Enter(keys)) => cursor.go_to(read(document, cursor.at(), keys, told)?),
            (b'n', Role::Enter(_)) => null(&mut cursor)?,
            (_, Role::Enter(_)) => return None,
            (value, role) => {
                let count = match value {
                    b'n' => null(&mut cursor).map(|()| None)?,
                    digit => Some(number(&mut cursor, digit)?),
                };
                match role {
                    Role::Take { index, .. } => *told.get_mut(index)? = count,
                    _ if key.text().iter().all(|byte| matches!(byte, b' '..=b'~')) => {}
                    _ => return None,
                }
            }
        }
        match cursor.next()? {
            b',' => next = cursor.next()?,
            b'}' => return Some(cursor.at()),
            _ => return None,
        }
    }
}

/// The rest of a whole number without sign, of which the first byte has been read.
#[inline(always)]
fn number(cursor: &mut Cursor<'_>, first: u8) -> Option<u64> {
    // So many that no number of them is too large.
    const DIGITS: usize = 19;
    let mut number = digit(first)?;
    let start = cursor.at();
    while let Some(digit) = cursor.peek().and_then(digit) {
        number = number.wrapping_mul(10).wrapping_add(digit);
        cursor.go_to(cursor.at() + 1);
    }
    // No number begins with a zero but zero.
    let behind = cursor.at() - start;
    (behind < DIGITS && (first != b'0' || behind == 0)).then_some(number)
}

/// The rest of `null`.
#[inline(always)]
fn null(cursor: &mut Cursor<'_>) -> Option<()> {
    let is_null = cursor.bytes().get(cursor.at()..)?.starts_with(b"ull");
    cursor.go_to(cursor.at() + b"ull".len());
    is_null.then_some(())
}

#[inline(always)]
fn digit(byte: u8) -> Option<u64> {
    byte.is_ascii_digit().then(|| u64::from(byte - b'0'))
}
