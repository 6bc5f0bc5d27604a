//! The short way to what a document says, for one that is there in one piece.
//!
//! That is nearly every one, and nothing of it has to be remembered or copied. What is not
//! written as everybody writes it goes the way of pieces, which knows what to think of it.

use super::{
    Wanted,
    finds::{Finds, Found},
    keys::Role,
    nest::Nest,
};
use crate::json::Cursor;

/// What `document` says. `None` says nothing: it is cut short, or not written as usual, as with
/// an escape in a key that may be ours.
#[inline]
pub(crate) fn whole<'a>(document: &'a [u8], wanted: &[Wanted]) -> Option<Finds<'a>> {
    let mut reader = Reader { cursor: Cursor::new(document), wanted, finds: Finds::default() };
    if reader.cursor.next()? != b'{' {
        return None;
    }
    reader.object(None)?;
    reader.finds.is_whole = true;
    Some(reader.finds)
}

struct Reader<'a, 'w> {
    cursor: Cursor<'a>,
    wanted: &'w [Wanted],
    finds: Finds<'a>,
}

impl<'a> Reader<'a, '_> {
    /// Reads the members of an object that is open: of the root, or of one `within` it.
    fn object(&mut self, within: Option<&'static str>) -> Option<()> {
        let mut next = self.cursor.next()?;
        if next == b'}' {
            return Some(());
        }
        loop {
            if next != b'"' {
                return None;
            }
            let key = self.cursor.key()?;
            let role = Role::of(key, false, within, self.wanted);
            if self.cursor.next()? != b':' {
                return None;
            }
            let first = self.cursor.next()?;
            match (first, role) {
                (b'{', Role::Enter(key)) => self.object(Some(key))?,
                (b'[', Role::EnterEach(key)) => self.items(key)?,
                (_, Role::Take(index)) => self.take(first, index)?,
                _ => self.value(first)?,
            }
            match self.cursor.next()? {
                b',' => next = self.cursor.next()?,
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    /// Reads the items of an array that is open.
    fn items(&mut self, key: &'static str) -> Option<()> {
        let mut next = self.cursor.next()?;
        if next == b']' {
            return Some(());
        }
        loop {
            match next {
                b'{' => self.object(Some(key))?,
                first => self.value(first)?,
            }
            match self.cursor.next()? {
                b',' => next = self.cursor.next()?,
                b']' => return Some(()),
                _ => return None,
            }
        }
    }

    /// Takes a value of which the first byte has been read.
    fn take(&mut self, first: u8, index: usize) -> Option<()> {
        let start = self.cursor.at - 1;
        self.value(first)?;
        let value = self.cursor.bytes.get(start..self.cursor.at)?;
        let is_short = value.len() <= self.wanted.get(index)?.most;
        let found = self.finds.values.get_mut(index)?;
        *found = match found {
            Found::Absent if is_short => Found::Value(value),
            _ => Found::Unusable,
        };
        Some(())
    }

    /// Passes over a value of which the first byte has been read.
    #[inline(always)]
    fn value(&mut self, first: u8) -> Option<()> {
        let Cursor { bytes, at } = &mut self.cursor;
        match first {
            b'"' => return self.cursor.string(),
            b'{' | b'[' => *at = Nest::default().pass(bytes, *at - 1)?,
            b',' | b':' | b'}' | b']' => return None,
            _ => {
                let ends =
                    |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t');
                *at += bytes.get(*at..)?.iter().position(ends)?;
            }
        }
        Some(())
    }
}
