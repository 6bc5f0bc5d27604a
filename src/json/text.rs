//! Strings: where they end, and what they say.

use std::borrow::Cow;

/// A string as it is written, and how long it is once read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Text<'a> {
    raw: &'a str,
    len: usize,
}

impl<'a> Text<'a> {
    pub(super) fn new(raw: &'a str, len: usize) -> Self {
        Self { raw, len }
    }

    /// Bytes of the string once unescaped.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The string; allocates only if it contains an escape.
    pub(crate) fn read(&self) -> Cow<'a, str> {
        if self.is_plain() { Cow::Borrowed(self.raw) } else { Cow::Owned(self.unescaped()) }
    }

    /// Whether the string, once unescaped, is this one.
    pub(crate) fn is(&self, other: &str) -> bool {
        self.len == other.len() && (self.raw == other || (!self.is_plain() && self.read() == other))
    }

    /// Whether the string begins so, in capitals or small letters.
    pub(crate) fn starts_with(&self, prefix: &str) -> bool {
        let mut at = 0;
        prefix.bytes().all(|expected| {
            let (character, next) = match self.raw.as_bytes().get(at) {
                Some(b'\\') => escape(self.raw.as_bytes(), at).unwrap_or(('\0', at)),
                byte => (byte.copied().map_or('\0', char::from), at + 1),
            };
            at = next;
            character.eq_ignore_ascii_case(&char::from(expected))
        })
    }

    // Every escape is written longer than what it stands for.
    fn is_plain(&self) -> bool {
        self.len == self.raw.len()
    }

    fn unescaped(&self) -> String {
        let mut out = String::with_capacity(self.len);
        let mut rest = self.raw;
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
#[inline(always)]
pub(super) fn end(bytes: &[u8], from: usize) -> Result<(usize, usize), Fault> {
    let (mut at, mut shrinks) = (from, 0);
    loop {
        at = special(bytes, at);
        match bytes.get(at) {
            Some(b'"') => return Ok((at, shrinks)),
            Some(b'\\') => {
                let (character, next) = escape(bytes, at)?;
                shrinks += next - at - character.len_utf8();
                at = next;
            }
            Some(_) => return Err(("a control character in a string", at)),
            None => return Err(("a string without end", at)),
        }
    }
}

/// The character of the escape at `at`, and the offset behind it.
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

/// The offset of the first quote, backslash or control character from `at` on.
#[inline]
fn special(bytes: &[u8], mut at: usize) -> usize {
    // Keys and short values end within two words; long ones are worth wide steps.
    for _ in 0..2 {
        match word(bytes, at) {
            Some(0) => at += 8,
            Some(hits) => return at + first(hits),
            None => return one_by_one(bytes, at),
        }
    }
    let (wide, _) = bytes.get(at..).unwrap_or_default().as_chunks::<32>();
    for chunk in wide {
        if chunk.iter().fold(false, |any, byte| any | is_special(*byte)) {
            break;
        }
        at += 32;
    }
    loop {
        match word(bytes, at) {
            Some(0) => at += 8,
            Some(hits) => return at + first(hits),
            None => return one_by_one(bytes, at),
        }
    }
}

fn one_by_one(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(|byte| is_special(*byte)).unwrap_or(rest.len())
}

fn is_special(byte: u8) -> bool {
    (byte == b'"') | (byte == b'\\') | (byte < 0x20)
}

/// The top bit of each special byte among the eight at `at`; `None` near the end.
///
/// A borrow can mark a byte above a special one by mistake, never one below it, so
/// the lowest mark is right.
#[inline]
fn word(bytes: &[u8], at: usize) -> Option<u64> {
    const ONES: u64 = u64::MAX / 0xFF;
    let eight = bytes.get(at..)?.first_chunk::<8>()?;
    let word = u64::from_le_bytes(*eight);
    let quote = word ^ (ONES * b'"' as u64);
    let slash = word ^ (ONES * b'\\' as u64);
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    Some((zero(quote) | zero(slash) | control) & (ONES * 0x80))
}

#[inline]
fn first(hits: u64) -> usize {
    (hits.trailing_zeros() / 8) as usize
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
            let text = Text::new(&quoted[1..at], at - 1 - shrinks);
            let expected: String = serde_json::from_str(&quoted).unwrap();
            assert_eq!((text.read().as_ref(), text.len()), (expected.as_str(), expected.len()));
            assert!(text.is(&expected) && !text.is("modem"));
            let start = expected.get(..1).unwrap_or_default();
            assert!(text.starts_with(start) && !text.starts_with("modem"));
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
