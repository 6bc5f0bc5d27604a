//! The short way to counts, in an object that has nothing else.
//!
//! What is not quite that simple says nothing here and goes the way that knows all of JSON.

use super::{Role, Told, first};
use crate::{
    blocks::{self, are},
    extract::Path,
    same::same_bytes,
};

/// The counts, if the object holds numbers and `null` and no other objects than those that
/// have counts.
#[inline]
pub(super) fn plain<const N: usize>(written: &[u8], paths: &[Path; N]) -> Option<[Option<u64>; N]> {
    let mut reader = Reader { written, at: 0 };
    let mut told = Told::new(paths);
    if reader.next()? != b'{' {
        return None;
    }
    told.read_plain(&mut reader, None)?;
    (reader.at == written.len()).then_some(told.counts)
}

impl<const N: usize> Told<'_, N> {
    /// Reads the rest of the object, or of the one `within` it.
    fn read_plain(&mut self, reader: &mut Reader<'_>, within: Option<&'static str>) -> Option<()> {
        let mut next = reader.next()?;
        if next == b'}' {
            return Some(());
        }
        loop {
            if next != b'"' {
                return None;
            }
            let key = reader.key()?;
            let role = self.role(|name| same_bytes(key, name.as_bytes()), within);
            if reader.next()? != b':' {
                return None;
            }
            match (reader.next()?, role) {
                (b'{', Some(Role::Enter(index, outer))) => {
                    first(&mut self.entered, index)?;
                    self.read_plain(reader, Some(outer))?;
                }
                (b'n', Some(Role::Enter(index, _))) => {
                    first(&mut self.entered, index)?;
                    reader.null()?;
                }
                (_, Some(Role::Enter(..))) => return None,
                (value, role) => {
                    let count = match value {
                        b'n' => reader.null().map(|()| None)?,
                        digit => Some(reader.number(digit)?),
                    };
                    match role {
                        Some(Role::Take(index)) => self.take(index, count)?,
                        _ if key.iter().all(|byte| matches!(byte, b' '..=b'~')) => {}
                        _ => return None,
                    }
                }
            }
            match reader.next()? {
                b',' => next = reader.next()?,
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }
}

struct Reader<'a> {
    written: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Passes over white space and a byte behind it: that byte.
    #[inline(always)]
    fn next(&mut self) -> Option<u8> {
        loop {
            let byte = *self.written.get(self.at)?;
            self.at += 1;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
        }
    }

    /// The rest of a key, without escapes.
    #[inline(always)]
    fn key(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        let end = blocks::find(self.written, start, |block| are(block, b'"') | are(block, b'\\'));
        if *self.written.get(end)? != b'"' {
            return None;
        }
        self.at = end + 1;
        self.written.get(start..end)
    }

    /// The rest of a whole number without sign, of which the first byte has been read.
    #[inline(always)]
    fn number(&mut self, first: u8) -> Option<u64> {
        let mut number = digit(first)?;
        let start = self.at;
        while let Some(digit) = self.written.get(self.at).copied().and_then(digit) {
            number = number.checked_mul(10)?.checked_add(digit)?;
            self.at += 1;
        }
        // No number begins with a zero but zero.
        (first != b'0' || self.at == start).then_some(number)
    }

    /// The rest of `null`.
    fn null(&mut self) -> Option<()> {
        let is_null = self.written.get(self.at..)?.starts_with(b"ull");
        self.at += b"ull".len();
        is_null.then_some(())
    }
}

#[inline(always)]
fn digit(byte: u8) -> Option<u64> {
    byte.is_ascii_digit().then(|| u64::from(byte - b'0'))
}
