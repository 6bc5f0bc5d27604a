//! Names that are known beforehand, and whether a text is one of them.
//!
//! Each key of each document is compared with a dozen names, nearly all of which differ from
//! it early. So a text is made ready once, by its first eight bytes as a number, and each
//! name costs the comparison of two numbers.

use crate::same::same_bytes;

/// A name that is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    text: &'static str,
    start: u64,
}

impl Name {
    /// At compile time, best of all.
    pub(crate) const fn new(text: &'static str) -> Self {
        let (bytes, mut start, mut at) = (text.as_bytes(), 0, 0);
        while at < bytes.len() && at < START {
            start |= (bytes[at] as u64) << (8 * at);
            at += 1;
        }
        Self { text, start }
    }

    /// The first byte; zero if there is none.
    pub(crate) const fn first(self) -> u8 {
        self.start as u8
    }

    /// As it is written.
    #[inline]
    pub(crate) const fn text(self) -> &'static str {
        self.text
    }
}

/// A text that may be one of several names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'a> {
    text: &'a [u8],
    start: u64,
}

/// Bytes of a start; shorter texts have zeros behind them.
const START: usize = 8;

impl<'a> Candidate<'a> {
    /// The bytes `from..end` of `document`; `None` if they are not there.
    ///
    /// What is behind the text is read with it, and taken away again, which is quicker than
    /// to read just as many bytes as it has.
    #[inline(always)]
    pub(crate) fn within(document: &'a [u8], from: usize, end: usize) -> Option<Self> {
        let rest = document.get(from..)?;
        let text = rest.get(..end.checked_sub(from)?)?;
        let start = match rest.first_chunk::<START>() {
            Some(chunk) if text.len() >= START => u64::from_le_bytes(*chunk),
            Some(chunk) => u64::from_le_bytes(*chunk) & !(u64::MAX << (8 * text.len())),
            None => short_start(text),
        };
        Some(Self { text, start })
    }

    /// A text by itself.
    #[inline]
    pub(crate) fn new(text: &'a [u8]) -> Self {
        let start = match text.first_chunk::<START>() {
            Some(chunk) => u64::from_le_bytes(*chunk),
            None => short_start(text),
        };
        Self { text, start }
    }

    /// The text.
    #[inline]
    pub(crate) fn text(self) -> &'a [u8] {
        self.text
    }

    /// Whether it is this name.
    #[inline(always)]
    pub(crate) fn is(self, name: Name) -> bool {
        self.start == name.start
            && self.text.len() == name.text.len()
            && (self.text.len() <= START || same_bytes(self.text, name.text.as_bytes()))
    }

    /// The first byte; zero if there is none.
    #[inline(always)]
    pub(crate) fn first(self) -> u8 {
        self.start as u8
    }

    /// Whether all of it is ASCII.
    #[inline(always)]
    pub(crate) fn is_ascii(self) -> bool {
        const BEYOND: u64 = u64::from_le_bytes([0x80; START]);
        self.start & BEYOND == 0
            && (self.text.len() <= START || self.text[START..].iter().all(u8::is_ascii))
    }
}

#[inline(never)]
fn short_start(text: &[u8]) -> u64 {
    text.iter().rev().fold(0, |start, byte| start << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 14] = [
        "",
        "é",
        "prompt_tokené",
        "n",
        "id",
        "model",
        "Model",
        "messages",
        "messageS",
        "messages_",
        "prompt_tokens",
        "prompt_tokenz",
        "prompt_tokens_details",
        "prompt_tokens_detailS",
    ];

    #[test]
    fn a_candidate_is_a_name_if_every_byte_is_the_same() {
        for text in NAMES {
            for behind in ["", "\"", "\": 1, \"some\": [2, 3, 4]}"] {
                let document = format!("{{\"{text}{behind}");
                let within =
                    Candidate::within(document.as_bytes(), 2, 2 + text.len()).expect("it is there");
                for candidate in [within, Candidate::new(text.as_bytes())] {
                    assert_eq!(candidate.text(), text.as_bytes());
                    assert_eq!(candidate.first(), text.bytes().next().unwrap_or(0), "{text}");
                    assert_eq!(candidate.is_ascii(), text.is_ascii(), "{text}");
                    for name in NAMES {
                        assert_eq!(candidate.is(Name::new(name)), text == name, "{text} {name}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_not_there_is_no_candidate() {
        assert!(Candidate::within(b"model", 0, 6).is_none());
        assert!(Candidate::within(b"model", 6, 6).is_none());
        assert!(Candidate::within(b"model", 3, 2).is_none());
    }

    #[test]
    fn zeros_behind_a_text_are_not_its_end() {
        for text in ["a\0", "a\0\0\0\0\0\0\0", "\0"] {
            assert!(!Candidate::new(text.as_bytes()).is(Name::new("a")));
            assert!(!Candidate::new(text.as_bytes()).is(Name::new("")));
        }
    }
}
