//! The short way to what a document says, for one that is there in one piece.
//!
//! That is nearly every one, and nothing of it has to be remembered or copied. What is not
//! written as everybody writes it goes the way of pieces, which knows what to think of it.

use super::{
    Key, Role,
    counts::{Counts, read_plain},
    finds::{Finds, Found},
    nest::Nest,
};
use crate::json::Cursor;

/// Finds what `document` says under `keys`. `None` says nothing: it is cut short, or not written
/// as usual, as with an escape in a key that may be ours. What was found until then means
/// nothing.
#[inline]
pub(crate) fn whole<'a>(document: &'a [u8], keys: &[Key], finds: &mut Finds<'a>) -> Option<()> {
    let mut cursor = Cursor::new(document);
    if cursor.next()? != b'{' {
        return None;
    }
    object(document, cursor.at(), keys, finds)?;
    finds.is_whole = true;
    Some(())
}

/// Reads the members of an object that is open: the offset behind it.
fn object<'a>(document: &'a [u8], at: usize, keys: &[Key], finds: &mut Finds<'a>) -> Option<usize> {
    let mut cursor = Cursor::at_offset(document, at);
    let mut next = cursor.next()?;
    if next == b'}' {
        return Some(cursor.at());
    }
    loop {
        if next != b'"' {
            return None;
        }
        let role = Role::of(cursor.key()?, keys);
        if cursor.next()? != b':' {
            return None;
        }
        let first = cursor.next()?;
        let start = cursor.at() - 1;
        match (first, role) {
            (b'{', Role::Enter(keys)) => cursor.go_to(object(document, cursor.at(), keys, finds)?),
            (b'[', Role::EnterEach(keys)) => {
                cursor.go_to(items(document, cursor.at(), keys, finds)?)
            }
            (b'{', Role::Counts { index, keys, .. }) => {
                match counted(document, cursor.at(), index, keys, finds) {
                    Some(end) => cursor.go_to(end),
                    None => value(document, &mut cursor, first)?,
                }
            }
            _ => value(document, &mut cursor, first)?,
        }
        if let Role::Take { index, most } | Role::Counts { index, most, .. } = role {
            take(finds, index, document.get(start..cursor.at())?, most)?;
        }
        match cursor.next()? {
            b',' => next = cursor.next()?,
            b'}' => return Some(cursor.at()),
            _ => return None,
        }
    }
}

/// Reads the items of an array that is open, objects among them: the offset behind it.
fn items<'a>(document: &'a [u8], at: usize, keys: &[Key], finds: &mut Finds<'a>) -> Option<usize> {
    let mut cursor = Cursor::at_offset(document, at);
    let mut next = cursor.next()?;
    if next == b']' {
        return Some(cursor.at());
    }
    loop {
        match next {
            b'{' => cursor.go_to(object(document, cursor.at(), keys, finds)?),
            first => value(document, &mut cursor, first)?,
        }
        match cursor.next()? {
            b',' => next = cursor.next()?,
            b']' => return Some(cursor.at()),
            _ => return None,
        }
    }
}

/// Takes a value, unless it is too long or not the first one.
#[inline(always)]
fn take<'a>(finds: &mut Finds<'a>, index: usize, value: &'a [u8], most: u32) -> Option<()> {
    let found = finds.values.get_mut(index)?;
    *found = match found {
        Found::Absent if value.len() <= most as usize => Found::Value(value),
        _ => Found::Unusable,
    };
    Some(())
}

/// Reads the counts of an object that is open: the offset behind it. `None` if there is more
/// than counts in it, or another object's were read.
#[inline(always)]
fn counted(
    document: &[u8],
    at: usize,
    index: usize,
    keys: &'static [Key],
    finds: &mut Finds<'_>,
) -> Option<usize> {
    if finds.counted.is_some() {
        return None;
    }
    let (_, told) = finds.counted.insert((index, Counts::default()));
    let end = read_plain(document, at, keys, told);
    if end.is_none() {
        finds.counted = None;
    }
    end
}

/// Passes over a value of which the first byte has been read.
#[inline(always)]
fn value(document: &[u8], cursor: &mut Cursor<'_>, first: u8) -> Option<()> {
    match first {
        b'"' => cursor.string(),
        b'{' | b'[' => {
            let end = Nest::default().pass(document, cursor.at() - 1)?;
            cursor.go_to(end);
            Some(())
        }
        b',' | b':' | b'}' | b']' => None,
        _ => cursor.scalar(),
    }
}
