//! A place in JSON that is read the short way: as everybody writes it, or not at all.

use super::space;
use crate::{
    blocks::{self, Block, are, braced, quotes_and_escapes},
    name::Candidate,
};

/// Steps over JSON that is at hand in one piece. `None` from any step says nothing about
/// it; what reads on then is slower and knows all of JSON.
///
/// Whoever reads on in a function of its own gets the bytes and the offset, and makes another
/// one of them: so each of them stays in registers.
#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// At the first byte.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// At some other one.
    #[inline(always)]
    pub(crate) fn at_offset(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// All the bytes.
    #[inline(always)]
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The offset of the byte that is next.
    #[inline(always)]
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Goes on at another offset.
    #[inline(always)]
    pub(crate) fn go_to(&mut self, at: usize) {
        self.at = at;
    }

    /// The byte that is next, which is not passed over.
    #[inline(always)]
    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// The next byte that is not white space.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> Option<u8> {
        // Most have none before them, which is seen at once.
        let mut byte = self.peek()?;
        if byte <= b' ' {
            self.at = space::end(self.bytes, self.at);
            byte = self.peek()?;
        }
        self.at += 1;
        Some(byte)
    }

    /// The text of a key whose opening quote has been read, without escapes.
    #[inline(always)]
    pub(crate) fn key(&mut self) -> Option<Candidate<'a>> {
        let start = self.at;
        let end = self.quote_or_escape();
        if *self.bytes.get(end)? != b'"' {
            return None;
        }
        self.at = end + 1;
        Candidate::within(self.bytes, start, end)
    }

    /// Passes over the rest of a string whose opening quote has been read.
    #[inline(always)]
    pub(crate) fn string(&mut self) -> Option<()> {
        loop {
            let at = self.quote_or_escape();
            if *self.bytes.get(at)? == b'"' {
                self.at = at + 1;
                return Some(());
            }
            self.at = at + 2;
        }
    }

    /// Passes over the rest of a number or a word, up to what ends it.
    #[inline(always)]
    pub(crate) fn scalar(&mut self) -> Option<()> {
        let end = blocks::find(self.bytes, self.at, |block| {
            let space = Block::splat(b' ');
            block.min(space).simd_eq(block) | are(block, b',') | are(braced(block), b'}')
        });
        self.at = end;
        (end < self.bytes.len()).then_some(())
    }

    #[inline(always)]
    fn quote_or_escape(&self) -> usize {
        match blocks::find_near(self.bytes, self.at, quotes_and_escapes) {
            Ok(at) => at,
            Err(from) => far_quote_or_escape(self.bytes, from),
        }
    }
}

/// A loop of its own, so that no step has one.
#[inline(never)]
fn far_quote_or_escape(bytes: &[u8], from: usize) -> usize {
    blocks::find(bytes, from, quotes_and_escapes)
}
