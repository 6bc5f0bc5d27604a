//! Keys that decide something.
//!
//! Parsers differ in which of two equal keys they keep, and some take `Model` for
//! `model`. Where such a key decides what a call costs or which rules hold, a body
//! that can be read in two ways is refused.

use crate::{
    json::{Nest, Text, Token, Walker},
    name::{Candidate, Name},
    unreadable::Unreadable,
};

/// Reads a request's body, which is an object: `find` knows the keys that are governed,
/// `read` reads their values, and all others are passed over. Where the object ends.
#[inline]
pub(super) fn members<'a, K>(
    body: &'a [u8],
    mut find: impl FnMut(Text<'_>) -> Result<Option<(&'static str, K)>, Unreadable>,
    mut read: impl FnMut(&mut Walker<'a>, &'static str, K) -> Result<(), Unreadable>,
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

/// Governed keys, and which each of them is.
pub(super) type Keys<K> = &'static [(Name, K)];

/// Makes them ready to be looked for. At compile time.
pub(super) const fn keys<K: Copy, const N: usize>(keys: [(&'static str, K); N]) -> [(Name, K); N] {
    let mut named = [(Name::new(""), keys[0].1); N];
    let mut at = 0;
    while at < N {
        named[at] = (Name::new(keys[at].0), keys[at].1);
        at += 1;
    }
    named
}

/// The governed keys of one object, and which of them were there already.
#[derive(Debug)]
pub(super) struct Governed<K: 'static> {
    keys: Keys<K>,
    // The marks of all of them. Most keys that are not governed have another, and need not
    // be compared.
    marks: u64,
    // Bit n: whether the nth key was there.
    seen: u32,
}

impl<K: Copy> Governed<K> {
    /// None of them was there yet. At compile time, where that is possible.
    pub(super) const fn new(keys: Keys<K>) -> Self {
        assert!(keys.len() <= 32, "one bit each");
        let (mut marks, mut rest) = (0, keys);
        while let [(name, _), others @ ..] = rest {
            marks |= mark(name.text().len(), name.first());
            rest = others;
        }
        Self { keys, marks, seen: 0 }
    }

    /// The governed key that this is, if it is one.
    #[inline]
    pub(super) fn find(&mut self, key: Text<'_>) -> Result<Option<(&'static str, K)>, Unreadable> {
        match key.plain() {
            Some(plain) => self.find_plain(plain),
            None => self.find_escaped(key),
        }
    }

    #[inline(never)]
    fn find_escaped(&mut self, key: Text<'_>) -> Result<Option<(&'static str, K)>, Unreadable> {
        self.find_plain(Candidate::new(key.read().as_bytes()))
    }

    #[inline(always)] // of two calls one is nearly never made
    fn find_plain(&mut self, key: Candidate<'_>) -> Result<Option<(&'static str, K)>, Unreadable> {
        if self.marks & mark(key.text().len(), key.first()) == 0 && key.is_ascii() {
            return Ok(None);
        }
        for (index, (name, which)) in self.keys.iter().enumerate() {
            if key.is(*name) {
                let bit = 1 << index;
                if self.seen & bit != 0 {
                    return Err(Unreadable::Twice { key: name.text() });
                }
                self.seen |= bit;
                return Ok(Some((name.text(), *which)));
            }
        }
        self.check_case(key.text()).map(|()| None)
    }

    #[inline(never)] // so that the usual way needs no room for it
    fn check_case(&self, key: &[u8]) -> Result<(), Unreadable> {
        // Governed keys are in lower case, so a key of small letters is another one.
        if key.is_ascii() && !key.iter().any(u8::is_ascii_uppercase) {
            return Ok(());
        }
        let key = String::from_utf8_lossy(key);
        let is_like = |name: &str| key.chars().map(fold).eq(name.chars());
        match self.keys.iter().find(|(name, _)| is_like(name.text())) {
            Some((name, _)) => Err(Unreadable::Miscased { key: name.text() }),
            None => Ok(()),
        }
    }
}

/// One bit of 64, by the length and the first letter, whether that is small or not.
const fn mark(length: usize, first: u8) -> u64 {
    // By a factor that is odd and not small, so that few names share one.
    1 << ((length + 13 * (first | 0x20) as usize) % 64)
}

/// The small letter; also of the two letters beyond ASCII that have one within it.
pub(super) fn fold(letter: char) -> char {
    match letter {
        'ſ' => 's',
        '\u{212A}' => 'k',
        _ => letter.to_ascii_lowercase(),
    }
}
