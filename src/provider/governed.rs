//! Keys that decide something.
//!
//! Parsers differ in which of two equal keys they keep, and some take `Model` for
//! `model`. Where such a key decides what a call costs or which rules hold, a body
//! that can be read in two ways is refused.

use crate::{
    json::{Nest, Text, Token, Walker},
    unreadable::Unreadable,
};

/// Reads a request's body, which is an object: `find` knows the keys that are governed,
/// `read` reads their values, and all others are passed over. Where the object ends.
#[inline]
pub(super) fn members<K>(
    body: &[u8],
    mut find: impl FnMut(Text<'_>) -> Result<Option<(&'static str, K)>, Unreadable>,
    mut read: impl FnMut(&mut Walker<'_>, &'static str, K) -> Result<(), Unreadable>,
) -> Result<u32, Unreadable> {
    let mut walk = Walker::new(body)?;
    if walk.token()? != Token::Open(Nest::Object) {
        return Err(Unreadable::NotAnObject);
    }
    while let Some(key) = walk.key()? {
        match find(key)? {
            Some((name, key)) => read(&mut walk, name, key)?,
            None => {
                walk.skip()?;
            }
        }
    }
    let end = walk.span().start;
    walk.finish()?;
    Ok(end)
}

/// The governed keys of one object, and which of them were there already.
#[derive(Debug)]
pub(super) struct Governed<K: 'static> {
    keys: &'static [(&'static str, K)],
    // Bit n: whether one of them has n bytes. Most keys that are not governed have other
    // lengths, and need not be compared.
    lengths: u64,
    // Bit n: whether the nth key was there.
    seen: u32,
}

impl<K: Copy> Governed<K> {
    /// None of them was there yet. At compile time, where that is possible.
    pub(super) const fn new(keys: &'static [(&'static str, K)]) -> Self {
        assert!(keys.len() <= 32, "one bit each");
        let (mut lengths, mut rest) = (0, keys);
        while let [(name, _), others @ ..] = rest {
            lengths |= bit_of(name.len());
            rest = others;
        }
        Self { keys, lengths, seen: 0 }
    }

    /// The governed key that this is, if it is one.
    #[inline]
    pub(super) fn find(&mut self, key: Text<'_>) -> Result<Option<(&'static str, K)>, Unreadable> {
        let key = key.read();
        if self.lengths & bit_of(key.len()) == 0 && key.is_ascii() {
            return Ok(None);
        }
        self.compare(&key)
    }

    fn compare(&mut self, key: &str) -> Result<Option<(&'static str, K)>, Unreadable> {
        let mut keys = self.keys.iter().enumerate();
        let Some((index, (name, which))) = keys.find(|(_, (name, _))| *name == key) else {
            return self.check_case(key).map(|()| None);
        };
        let bit = 1 << index;
        if self.seen & bit != 0 {
            return Err(Unreadable::Twice { key: name });
        }
        self.seen |= bit;
        Ok(Some((name, *which)))
    }

    fn check_case(&self, key: &str) -> Result<(), Unreadable> {
        // Governed keys are in lower case, so a key of small letters is another one.
        if key.is_ascii() && !key.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Ok(());
        }
        match self.keys.iter().find(|(name, _)| key.chars().map(fold).eq(name.chars())) {
            Some((name, _)) => Err(Unreadable::Miscased { key: name }),
            None => Ok(()),
        }
    }
}

/// Of a length; longer keys than there are bits share the last one.
const fn bit_of(length: usize) -> u64 {
    1 << if length < 63 { length } else { 63 }
}

/// The small letter; also of the two letters beyond ASCII that have one within it.
pub(super) fn fold(letter: char) -> char {
    match letter {
        'ſ' => 's',
        '\u{212A}' => 'k',
        _ => letter.to_ascii_lowercase(),
    }
}
