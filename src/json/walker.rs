//! One token after the other.

use super::{
    number,
    text::{self, Fault, Text},
};
use crate::unreadable::Unreadable;

/// A part of a JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// An object or an array begins.
    Open(Nest),
    /// The innermost object or array ends.
    Close,
    /// The key of a member, whose value is next.
    Key(Text<'a>),
    /// A string.
    Str(Text<'a>),
    /// A number, as it is written.
    Number(&'a str),
    /// `true` or `false`.
    Bool(bool),
    /// `null`.
    Null,
}

/// What can hold values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nest {
    Object,
    Array,
}

/// From one byte to before another. Offsets are of 32 bits, which keeps what is
/// remembered of a body small; longer ones are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// Goes over a JSON text without recursion or allocation.
///
/// A text is known to be JSON once [`Walker::finish`] has returned `Ok`; until then
/// what was read is true only of the bytes so far.
#[derive(Debug)]
pub(crate) struct Walker<'a> {
    text: &'a str,
    at: usize,
    start: usize,
    depth: usize,
    // Bit n: whether the nest at depth n is an object.
    objects: u128,
    next: Next,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Value,
    ItemOrClose,
    MemberOrClose,
    CommaOrClose,
    Nothing,
}

impl Span {
    /// Bytes in it.
    pub(crate) fn len(self) -> u64 {
        self.end.saturating_sub(self.start).into()
    }
}

impl<'a> Walker<'a> {
    /// The deepest nesting that is read: that of `serde_json`, so that a body which
    /// passes here can always be parsed for rules that look into it.
    pub(crate) const MOST_DEPTH: usize = 127;

    /// A walker before the first token.
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        if u32::try_from(bytes.len()).is_err() {
            return Err(Unreadable::TooLarge { cap: u32::MAX.into() });
        }
        let text = simdutf8::basic::from_utf8(bytes).map_err(|_| not_utf8(bytes))?;
        Ok(Self { text, at: 0, start: 0, depth: 0, objects: 0, next: Next::Value })
    }

    /// In how many objects and arrays the walker is.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// Where the last token is.
    pub(crate) fn span(&self) -> Span {
        // Both fit, because `new` refuses what is longer.
        Span { start: self.start as u32, end: self.at as u32 }
    }

    /// The next token; an error at the end of the text.
    #[inline(always)] // a token is not moved but taken apart where it is read
    pub(crate) fn token(&mut self) -> Result<Token<'a>, Unreadable> {
        match self.step() {
            Ok(token) => Ok(token),
            Err(fault) => Err(not_json_or_deep(fault)),
        }
    }

    /// The key of the next member of the innermost object, `None` at its end.
    pub(crate) fn key(&mut self) -> Result<Option<Text<'a>>, Unreadable> {
        match self.token()? {
            Token::Key(key) => Ok(Some(key)),
            _ => Ok(None),
        }
    }

    /// Passes over the next value, whatever it is.
    pub(crate) fn skip(&mut self) -> Result<Span, Unreadable> {
        let token = self.token()?;
        let start = self.span();
        if let Token::Open(_) = token {
            let inside = self.depth;
            while self.depth >= inside {
                self.token()?;
            }
        }
        Ok(self.since(start))
    }

    /// From the start of an earlier token to the end of the last one.
    pub(crate) fn since(&self, earlier: Span) -> Span {
        Span { start: earlier.start, ..self.span() }
    }

    /// Checks that nothing but white space follows.
    pub(crate) fn finish(mut self) -> Result<(), Unreadable> {
        self.white();
        match (self.next, self.peek()) {
            (Next::Nothing, None) => Ok(()),
            (Next::Nothing, Some(_)) => Err(not_json(("bytes behind the end", self.at))),
            _ => Err(not_json(("the end in the middle", self.at))),
        }
    }

    #[inline(always)]
    fn step(&mut self) -> Result<Token<'a>, Fault> {
        self.white();
        self.start = self.at;
        match (self.next, self.peek()) {
            (Next::Nothing, _) => Err(("bytes behind the end", self.at)),
            (_, None) => Err(("the end in the middle", self.at)),
            (Next::Value, _) => self.value(),
            (Next::MemberOrClose, Some(b'}')) | (Next::ItemOrClose, Some(b']')) => Ok(self.close()),
            (Next::MemberOrClose, _) => self.member(),
            (Next::ItemOrClose, _) => self.value(),
            (Next::CommaOrClose, Some(b',')) => {
                self.at += 1;
                self.white();
                self.start = self.at;
                if self.in_object() { self.member() } else { self.value() }
            }
            (Next::CommaOrClose, Some(b'}')) if self.in_object() => Ok(self.close()),
            (Next::CommaOrClose, Some(b']')) if !self.in_object() => Ok(self.close()),
            (Next::CommaOrClose, _) => Err(("no comma and no end", self.at)),
        }
    }

    #[inline(always)]
    fn member(&mut self) -> Result<Token<'a>, Fault> {
        if self.peek() != Some(b'"') {
            return Err(("no key", self.at));
        }
        let key = self.string()?;
        let end = self.at;
        self.white();
        if self.peek() != Some(b':') {
            return Err(("no colon", end));
        }
        self.at += 1;
        self.next = Next::Value;
        Ok(Token::Key(key))
    }

    #[inline(always)]
    fn value(&mut self) -> Result<Token<'a>, Fault> {
        let token = match self.peek() {
            Some(b'"') => Token::Str(self.string()?),
            Some(b'{') => return self.open(Nest::Object),
            Some(b'[') => return self.open(Nest::Array),
            Some(b't') => self.word("true", Token::Bool(true))?,
            Some(b'f') => self.word("false", Token::Bool(false))?,
            Some(b'n') => self.word("null", Token::Null)?,
            Some(b'-' | b'0'..=b'9') => {
                self.at = number::end(self.text.as_bytes(), self.start)?;
                Token::Number(self.text.get(self.start..self.at).unwrap_or_default())
            }
            _ => return Err(("no value", self.at)),
        };
        self.next = self.after_value();
        Ok(token)
    }

    fn word(&mut self, word: &'static str, token: Token<'a>) -> Result<Token<'a>, Fault> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return Err(("no value", self.at));
        }
        self.at += word.len();
        Ok(token)
    }

    #[inline(always)]
    fn string(&mut self) -> Result<Text<'a>, Fault> {
        let from = self.at + 1;
        let (end, shrinks) = text::end(self.text.as_bytes(), from)?;
        self.at = end + 1;
        Ok(Text::new(self.text.get(from..end).unwrap_or_default(), end - from - shrinks))
    }

    fn open(&mut self, nest: Nest) -> Result<Token<'a>, Fault> {
        if self.depth == Self::MOST_DEPTH {
            return Err((TOO_DEEP, self.at));
        }
        self.at += 1;
        self.depth += 1;
        let bit = 1 << self.depth;
        match nest {
            Nest::Object => {
                self.objects |= bit;
                self.next = Next::MemberOrClose;
            }
            Nest::Array => {
                self.objects &= !bit;
                self.next = Next::ItemOrClose;
            }
        }
        Ok(Token::Open(nest))
    }

    #[inline]
    fn close(&mut self) -> Token<'a> {
        self.at += 1;
        self.depth = self.depth.saturating_sub(1);
        self.next = self.after_value();
        Token::Close
    }

    #[inline]
    fn after_value(&self) -> Next {
        if self.depth == 0 { Next::Nothing } else { Next::CommaOrClose }
    }

    #[inline]
    fn in_object(&self) -> bool {
        self.objects >> self.depth & 1 == 1
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn white(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }
}

const TOO_DEEP: &str = "nesting too deep";

/// The quick check does not say where; this one does.
#[cold]
fn not_utf8(bytes: &[u8]) -> Unreadable {
    let at = std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), |_| 0);
    not_json(("bytes that are not UTF-8", at))
}

#[cold]
fn not_json((what, at): Fault) -> Unreadable {
    Unreadable::NotJson { what, at }
}

#[cold]
fn not_json_or_deep(fault: Fault) -> Unreadable {
    if fault.0 == TOO_DEEP {
        Unreadable::TooDeep { most: Walker::MOST_DEPTH }
    } else {
        not_json(fault)
    }
}

#[cfg(test)]
mod tests;
