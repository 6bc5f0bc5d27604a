//! The short way to what a document says, for one that is there in one piece.
//!
//! That is nearly every one, and nothing of it has to be remembered or copied. What is not
//! written as everybody writes it goes the way of pieces, which knows what to think of it.

use super::{
    Key, Role,
    finds::{Finds, Found},
    nest::Nest,
};
use crate::json::Cursor;

/// What `document` says under `keys`. `None` says nothing: it is cut short, or not written as usual, as with
/// an escape in a key that may be ours.
#[inline]
pub(crate) fn whole<'a>(document: &'a [u8], keys: &[Key]) -> Option<Finds<'a>> {
    let mut reader = Reader { cursor: Cursor::new(document), finds: Finds::default() };
    if reader.cursor.next()? != b'{' {
        return None;
    }
    reader.object(keys)?;
    reader.finds.is_whole = true;
    Some(reader.finds)
}

struct Reader<'a> {
    cursor: Cursor<'a>,
    finds: Finds<'a>,
}

impl Reader<'_> {
    /// Reads the members of an object that is open.
    fn object(&mut self, keys: &[Key]) -> Option<()> {
        let mut next = self.cursor.next()?;
        if next == b'}' {
            return Some(());
        }
        loop {
            if next != b'"' {
                return None;
            }
            let role = Role::of(self.cursor.key()?, keys);
            if self.cursor.next()? != b':' {
                return None;
            }
            let first = self.cursor.next()?;
            match (first, role) {
                (b'{', Role::Enter(keys)) => self.object(keys)?,
                (b'[', Role::EnterEach(keys)) => self.items(keys)?,
                (_, Role::Take { index, most }) => self.take(first, index, most)?,
                _ => self.value(first)?,
            }
            match self.cursor.next()? {
                b',' => next = self.cursor.next()?,
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    /// Reads the items of an array that is open, objects among them.
    fn items(&mut self, keys: &[Key]) -> Option<()> {
        let mut next = self.cursor.next()?;
        if next == b']' {
            return Some(());
        }
        loop {
            match next {
                b'{' => self.object(keys)?,
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
    fn take(&mut self, first: u8, index: usize, most: u32) -> Option<()> {
        let start = self.cursor.at - 1;
        self.value(first)?;
        let value = self.cursor.bytes.get(start..self.cursor.at)?;
        let is_short = value.len() <= most as usize;
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
