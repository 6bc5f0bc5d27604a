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
use crate::blocks::{self, are};

/// What `document` says, if it is whole and no key that may be ours is written with an escape.
#[inline]
pub(crate) fn whole<'a>(document: &'a [u8], wanted: &[Wanted]) -> Option<Finds<'a>> {
    let mut reader = Reader { document, at: 0, wanted, finds: Finds::default() };
    if reader.next()? != b'{' {
        return None;
    }
    reader.object(None)?;
    reader.finds.is_whole = true;
    Some(reader.finds)
}

struct Reader<'a, 'w> {
    document: &'a [u8],
    at: usize,
    wanted: &'w [Wanted],
    finds: Finds<'a>,
}

impl<'a> Reader<'a, '_> {
    /// Passes over white space and a byte behind it: that byte.
    #[inline(always)]
    fn next(&mut self) -> Option<u8> {
        loop {
            let byte = *self.document.get(self.at)?;
            self.at += 1;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
        }
    }

    /// Reads the members of an object that is open: of the root, or of one `within` it.
    fn object(&mut self, within: Option<&'static str>) -> Option<()> {
        let mut next = self.next()?;
        if next == b'}' {
            return Some(());
        }
        loop {
            if next != b'"' {
                return None;
            }
            let role = self.role(within)?;
            if self.next()? != b':' {
                return None;
            }
            let first = self.next()?;
            match (first, role) {
                (b'{', Role::Enter(key)) => self.object(Some(key))?,
                (b'[', Role::EnterEach(key)) => self.items(key)?,
                (_, Role::Take(index)) => self.take(first, index)?,
                _ => self.value(first)?,
            }
            match self.next()? {
                b',' => next = self.next()?,
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    /// Reads the items of an array that is open.
    fn items(&mut self, key: &'static str) -> Option<()> {
        let mut next = self.next()?;
        if next == b']' {
            return Some(());
        }
        loop {
            match next {
                b'{' => self.object(Some(key))?,
                first => self.value(first)?,
            }
            match self.next()? {
                b',' => next = self.next()?,
                b']' => return Some(()),
                _ => return None,
            }
        }
    }

    /// Reads a key behind its opening quote: what its value is to us.
    #[inline(always)]
    fn role(&mut self, within: Option<&'static str>) -> Option<Role> {
        let start = self.at;
        let end = self.quote_or_escape(start);
        if *self.document.get(end)? != b'"' {
            return None;
        }
        self.at = end + 1;
        Some(Role::of(self.document.get(start..end)?, false, within, self.wanted))
    }

    /// Takes a value of which the first byte has been read.
    fn take(&mut self, first: u8, index: usize) -> Option<()> {
        let start = self.at - 1;
        self.value(first)?;
        let value = self.document.get(start..self.at)?;
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
        match first {
            b'"' => self.string(),
            b'{' | b'[' => {
                self.at = Nest::default().pass(self.document, self.at - 1)?;
                Some(())
            }
            b',' | b':' | b'}' | b']' => None,
            _ => {
                let rest = self.document.get(self.at..)?;
                let ends =
                    |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t');
                self.at += rest.iter().position(ends)?;
                Some(())
            }
        }
    }

    #[inline(always)]
    fn string(&mut self) -> Option<()> {
        loop {
            let at = self.quote_or_escape(self.at);
            if *self.document.get(at)? == b'"' {
                self.at = at + 1;
                return Some(());
            }
            self.at = at + 2;
        }
    }

    #[inline(always)]
    fn quote_or_escape(&self, from: usize) -> usize {
        blocks::find(self.document, from, |block| are(block, b'"') | are(block, b'\\'))
    }
}
