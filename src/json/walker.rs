//! One token after the other.

mod member;

use super::{
    number, space,
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
    // Whether the nests are objects, a bit each, the lowest for the innermost.
    objects: u128,
    next: Next,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// A value.
    Value,
    /// The first member or item of the innermost nest, or its end.
    First,
    /// A comma and another one, or the end.
    Comma,
    /// Nothing.
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

    /// The key of the next member of the innermost nest, an object, `None` at its end.
    #[inline(always)]
    pub(crate) fn key(&mut self) -> Result<Option<Text<'a>>, Unreadable> {
        debug_assert!(self.in_object(), "only objects have keys");
        match self.member_or_close() {
            Ok(key) => Ok(key),
            Err(fault) => Err(not_json_or_deep(fault)),
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
    pub(crate) fn finish(&mut self) -> Result<(), Unreadable> {
        self.white();
        match (self.next, self.at == self.text.len()) {
            (Next::Nothing, true) => Ok(()),
            (Next::Nothing, false) => Err(not_json(("bytes behind the end", self.at))),
            _ => Err(not_json(("the end in the middle", self.at))),
        }
    }

    #[inline(always)]
    fn step(&mut self) -> Result<Token<'a>, Fault> {
        if self.next == Next::Value {
            let first = self.begin();
            return self.value(first);
        }
        if self.in_object() {
            return self.member_or_close().map(|key| key.map_or(Token::Close, Token::Key));
        }
        self.item_or_close()
    }

    #[inline(always)]
    fn member_or_close(&mut self) -> Result<Option<Text<'a>>, Fault> {
        let mut first = self.begin();
        match (self.next, first) {
            (Next::First | Next::Comma, b'}') => {
                self.close();
                return Ok(None);
            }
            (Next::First, _) => {}
            (Next::Comma, b',') => first = self.begin_behind(),
            _ => return self.fault("no comma and no end"),
        }
        if first != b'"' {
            return self.fault("no key");
        }
        let key = self.string()?;
        let end = self.at;
        if self.white() != b':' {
            return Err(("no colon", end));
        }
        self.at += 1;
        self.next = Next::Value;
        Ok(Some(key))
    }

    #[inline(always)]
    fn item_or_close(&mut self) -> Result<Token<'a>, Fault> {
        let mut first = self.begin();
        match (self.next, first) {
            (Next::First | Next::Comma, b']') => {
                self.close();
                return Ok(Token::Close);
            }
            (Next::First, _) => {}
            (Next::Comma, b',') => first = self.begin_behind(),
            (Next::Comma, _) => return self.fault("no comma and no end"),
            _ => return Err(("bytes behind the end", self.at)),
        }
        self.value(first)
    }

    /// Goes to where the next token begins: its first byte.
    #[inline(always)]
    fn begin(&mut self) -> u8 {
        let byte = self.white();
        self.start = self.at;
        byte
    }

    /// The same behind the byte that is next.
    #[inline(always)]
    fn begin_behind(&mut self) -> u8 {
        self.at += 1;
        self.begin()
    }

    #[inline(always)]
    fn value(&mut self, first: u8) -> Result<Token<'a>, Fault> {
        let token = match first {
            b'"' => Token::Str(self.string()?),
            b'{' => return self.open(Nest::Object),
            b'[' => return self.open(Nest::Array),
            _ => self.plain(first)?,
        };
        self.next = self.after_value();
        Ok(token)
    }

    /// A value that is neither a string nor holds others.
    fn plain(&mut self, first: u8) -> Result<Token<'a>, Fault> {
        match first {
            b't' => self.word("true", Token::Bool(true)),
            b'f' => self.word("false", Token::Bool(false)),
            b'n' => self.word("null", Token::Null),
            b'-' | b'0'..=b'9' => {
                self.at = number::end(self.text.as_bytes(), self.start)?;
                Ok(Token::Number(self.text.get(self.start..self.at).unwrap_or_default()))
            }
            _ => self.fault("no value"),
        }
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
        Ok(Text::new(self.text, from, end, shrinks))
    }

    #[inline(always)]
    fn open(&mut self, nest: Nest) -> Result<Token<'a>, Fault> {
        if self.depth == Self::MOST_DEPTH {
            return Err((TOO_DEEP, self.at));
        }
        self.at += 1;
        self.depth += 1;
        self.objects <<= 1;
        self.objects |= u128::from(nest == Nest::Object);
        self.next = Next::First;
        Ok(Token::Open(nest))
    }

    #[inline(always)]
    fn close(&mut self) {
        self.at += 1;
        self.depth = self.depth.saturating_sub(1);
        self.objects >>= 1;
        self.next = self.after_value();
    }

    #[inline(always)]
    fn after_value(&self) -> Next {
        if self.depth == 0 { Next::Nothing } else { Next::Comma }
    }

    #[inline(always)]
    fn in_object(&self) -> bool {
        self.objects & 1 == 1
    }

    /// Passes over white space, to the byte behind it; a zero, which no token begins
    /// with, stands for the end.
    #[inline(always)]
    fn white(&mut self) -> u8 {
        match self.text.as_bytes().get(self.at) {
            Some(byte) if *byte > b' ' => *byte, // as nearly always
            _ => self.behind_space(),
        }
    }

    #[inline(never)]
    fn behind_space(&mut self) -> u8 {
        self.at = space::end(self.text.as_bytes(), self.at);
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    /// What is wrong with the byte that is next, or that there is none.
    #[cold]
    fn fault<T>(&self, what: &'static str) -> Result<T, Fault> {
        let is_end = self.at == self.text.len();
        Err((if is_end { "the end in the middle" } else { what }, self.at))
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
