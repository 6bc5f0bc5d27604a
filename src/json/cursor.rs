//! A place in JSON that is read the short way: as everybody writes it, or not at all.

use crate::{
    blocks::{self, are},
    name::Candidate,
};

/// Goes over bytes and checks nothing but what it is asked for; see the [module](self).
#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    pub(crate) bytes: &'a [u8],
    /// What comes next.
    pub(crate) at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Passes over white space and a byte behind it: that byte.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> Option<u8> {
        loop {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
        }
    }

    /// Passes over a key of which the opening quote has been read, as it is written between
    /// its quotes; `None` if there is an escape in it.
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

    /// Passes over a string of which the opening quote has been read.
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

    #[inline(always)]
    fn quote_or_escape(&self) -> usize {
        blocks::find(self.bytes, self.at, |block| are(block, b'"') | are(block, b'\\'))
    }
}
