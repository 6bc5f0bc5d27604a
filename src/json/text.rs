//! Strings: where they end, and what they say.

use std::borrow::Cow;

use crate::{
    blocks::{self, Block, LastStretch, Stretch, are},
    name::Candidate,
    same::same,
};

/// A string of a body, and how long it is once read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Text<'a> {
    // Cut out when it is looked at, since most strings are only counted.
    body: &'a str,
    from: usize,
    end: usize,
    len: usize,
}

impl<'a> Text<'a> {
    /// Between two quotes, and shorter by so many bytes once unescaped.
    #[inline(always)]
    pub(super) fn new(body: &'a str, from: usize, end: usize, shrinks: usize) -> Self {
        Self { body, from, end, len: end - from - shrinks }
    }

    /// As it is written.
    fn raw(&self) -> &'a str {
        self.body.get(self.from..self.end).unwrap_or_default()
    }

    /// Bytes of the string as it is written.
    #[cfg(test)]
    pub(super) fn written(&self) -> usize {
        self.end - self.from
    }

    /// Bytes of the string once unescaped.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The string; allocates only if it contains an escape.
    pub(crate) fn read(&self) -> Cow<'a, str> {
        if self.is_plain() { Cow::Borrowed(self.raw()) } else { Cow::Owned(self.unescaped()) }
    }

    /// The string as it is written, unless there is an escape in it.
    #[inline(always)]
    pub(crate) fn plain(&self) -> Option<Candidate<'a>> {
        if self.is_plain() {
            Candidate::within(self.body.as_bytes(), self.from, self.end)
        } else {
            None
        }
    }

    /// Whether the string, once unescaped, is this one.
    #[inline(always)] // which leaves the comparison of two lengths, mostly
    pub(crate) fn is(&self, other: &str) -> bool {
        self.len == other.len()
            && if self.is_plain() { same(self.raw(), other) } else { self.read() == other }
    }

    /// Whether the string begins so, in capitals or small letters.
    pub(crate) fn starts_with(&self, prefix: &str) -> bool {
        let (raw, mut at) = (self.raw().as_bytes(), 0);
        prefix.bytes().all(|expected| {
            let (character, next) = match raw.get(at) {
                Some(b'\\') => escape(raw, at).unwrap_or(('\0', at)),
                byte => (byte.copied().map_or('\0', char::from), at + 1),
            };
            at = next;
            character.eq_ignore_ascii_case(&char::from(expected))
        })
    }

    // Every escape is written longer than what it stands for.
    fn is_plain(&self) -> bool {
        self.len == self.end - self.from
    }

    fn unescaped(&self) -> String {
        let mut out = String::with_capacity(self.len);
        let mut rest = self.raw();
        while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
            // The walker let only whole escapes pass, so this always is one.
            let Ok((character, next)) = escape(rest.as_bytes(), at) else { break };
            out.push_str(rest.get(..at).unwrap_or_default());
            out.push(character);
            rest = rest.get(next..).unwrap_or_default();
        }
        out.push_str(rest);
        out
    }
}

/// What is wrong with a string, and where.
pub(super) type Fault = (&'static str, usize);

/// Finds the end of a string whose first byte is at `from`: the offset of the
/// closing quote, and by how much the string shrinks once unescaped.
#[inline(always)] // as far as keys and short values go
pub(super) fn end(bytes: &[u8], from: usize) -> Result<(usize, usize), Fault> {
    match blocks::find_near(bytes, from, special) {
        Ok(at) if bytes.get(at) == Some(&b'"') => Ok((at, 0)),
        Ok(at) | Err(at) => end_of_long(bytes, at),
    }
}

/// The same if it is near, and there is no escape before it.
#[inline(always)]
pub(super) fn near_end(bytes: &[u8], from: usize) -> Option<usize> {
    let at = blocks::find_near(bytes, from, special).ok()?;
    (bytes.get(at) == Some(&b'"')).then_some(at)
}

#[inline(never)]
fn end_of_long(bytes: &[u8], from: usize) -> Result<(usize, usize), Fault> {
    end_of_text(bytes, from)
}

/// The same of a string that is most often longer than a key.
#[inline(always)] // where texts are read one behind the other
pub(super) fn end_of_text(bytes: &[u8], from: usize) -> Result<(usize, usize), Fault> {
    let (mut at, mut shrinks, mut last) = (from, 0, LastStretch::default());
    while at < bytes.len() {
        let stretch = Stretch::at(bytes, at, &mut last);
        let mut marks = stretch.marks(special);
        let mut next = at + stretch.len();
        while marks != 0 {
            let place = at + marks.trailing_zeros() as usize;
            match bytes.get(place) {
                Some(b'"') => return Ok((place, shrinks)),
                Some(b'\\') => {
                    let behind = match bytes.get(place + 1) {
                        // to one byte, as nearly all
                        Some(b'n' | b'"' | b'\\') => {
                            shrinks += 1;
                            place + 2
                        }
                        _ => {
                            let (character, behind) = escape(bytes, place)?;
                            shrinks += behind - place - character.len_utf8();
                            behind
                        }
                    };
                    // what is escaped may be a quote
                    marks &= u64::MAX.checked_shl((behind - at) as u32).unwrap_or(0);
                    next = next.max(behind);
                }
                Some(_) => return Err(("a control character in a string", place)),
                None => return Err(("a string without end", place)),
            }
        }
        at = next;
    }
    Err(("a string without end", bytes.len()))
}

/// The character of the escape at `at`, and the offset behind it.
#[inline(always)]
fn escape(bytes: &[u8], at: usize) -> Result<(char, usize), Fault> {
    let character = match bytes.get(at + 1) {
        Some(b'n') => '\n',
        Some(b'"') => '"',
        Some(b'\\') => '\\',
        Some(b'/') => '/',
        Some(b't') => '\t',
        Some(b'r') => '\r',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'u') => return unicode(bytes, at),
        _ => return Err(("an unknown escape", at)),
    };
    Ok((character, at + 2))
}

#[inline(never)] // the long way of few
fn unicode(bytes: &[u8], at: usize) -> Result<(char, usize), Fault> {
    let first = hex(bytes, at)?;
    if let Some(character) = char::from_u32(first) {
        return Ok((character, at + 6));
    }
    let lone = ("half a surrogate pair", at);
    if first >= 0xDC00 || bytes.get(at + 6) != Some(&b'\\') || bytes.get(at + 7) != Some(&b'u') {
        return Err(lone);
    }
    let second = hex(bytes, at + 6)?;
    if !(0xDC00..0xE000).contains(&second) {
        return Err(lone);
    }
    let code = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
    char::from_u32(code).map(|character| (character, at + 12)).ok_or(lone)
}

fn hex(bytes: &[u8], at: usize) -> Result<u32, Fault> {
    let digits = bytes.get(at + 2..at + 6).ok_or(("an escape without end", at))?;
    digits.iter().try_fold(0, |code, digit| {
        let digit =
            char::from(*digit).to_digit(16).ok_or(("an escape that is not hexadecimal", at))?;
        Ok(code << 4 | digit)
    })
}

/// Marks the bytes that cannot simply stand in a string.
#[inline(always)]
fn special(block: Block) -> Block {
    // A quote is two places behind the last control character; by this bit it is next to it.
    let (last, others) = (Block::splat(b'"' ^ 2), block ^ Block::splat(2));
    others.max(last).simd_eq(last) | are(block, b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_at_every_distance() {
        for len in 0..200 {
            for (stop, found) in [("\"", true), ("\n", false), ("\u{1f}", false), ("", false)] {
                let bytes = format!("{}{stop}", "ü".repeat(len / 2) + &"x".repeat(len % 2));
                match end(bytes.as_bytes(), 0) {
                    Ok(end) => assert!(found && end == (len, 0), "{len} {stop:?}"),
                    Err((_, at)) => assert!(!found && at == len, "{len} {stop:?}"),
                }
            }
        }
    }

    #[test]
    fn a_string_ends_at_every_byte_that_cannot_stand_in_it() {
        for byte in 0..=u8::MAX {
            let cannot_stand = byte < 0x20 || byte == b'"' || byte == b'\\';
            assert_eq!(blocks::find(&[byte; 16], 0, special) == 0, cannot_stand, "{byte}");
        }
    }

    #[test]
    fn escapes_are_read_as_serde_json_reads_them() {
        for raw in [
            r"a\nb",
            r"\u006dodel",
            r"\ud83d\ude00!",
            r#"\"\\\/\b\f\r\t"#,
            r"\u00e9\u4e2d",
            r"\u0000",
        ] {
            let quoted = format!("\"{raw}\"");
            let (at, shrinks) = end(quoted.as_bytes(), 1).unwrap();
            let text = Text::new(&quoted, 1, at, shrinks);
            let expected: String = serde_json::from_str(&quoted).unwrap();
            assert_eq!((text.read().as_ref(), text.len()), (expected.as_str(), expected.len()));
            assert!(text.is(&expected) && !text.is("modem"));
            let start = expected.get(..1).unwrap_or_default();
            assert!(text.starts_with(start) && !text.starts_with("modem"));
        }
    }

    #[test]
    fn escapes_are_read_the_same_wherever_a_block_ends() {
        for raw in
            [r"\n", r#"\""#, r"\\", r"\u00e9", r"\ud83d\ude00", r#"\\\""#, r"\x", r"\ud83d", "\\\n"]
        {
            for length in 0..140 {
                let quoted = format!("\"{}{raw}\"", "x".repeat(length));
                let read = end(quoted.as_bytes(), 1);
                let Ok(expected) = serde_json::from_str::<String>(&quoted) else {
                    assert!(read.is_err(), "{quoted}");
                    continue;
                };
                let (at, shrinks) = read.unwrap();
                assert_eq!((at, at - 1 - shrinks), (quoted.len() - 1, expected.len()), "{quoted}");
            }
        }
    }

    #[test]
    fn bad_escapes_are_refused() {
        for raw in
            [r"\x", r"\u12", r"\u12g4", r"\ud83d", r"\ud83dx", r"\ud83d\u0041", r"\ude00", r"\"]
        {
            assert!(end(format!("{raw}\"").as_bytes(), 0).is_err(), "{raw}");
        }
    }
}
