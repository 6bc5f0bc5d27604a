//! The scanner: where in a document it is, and what it does with the next byte.

use memchr::memchr2;

use super::{Key, Role, finds::Finds, keep::Kept, keys::LONGEST_KEY, nest::Nest};
use crate::{
    blocks::{self, quotes_and_escapes},
    name::Candidate,
};

/// A scanner that is fed a document in pieces; see the [module](super).
#[derive(Debug)]
pub(crate) struct Extractor {
    keys: &'static [Key],
    kept: Kept,
    state: State,
    place: Place,
    /// The beginning of a key that a piece cut in two.
    key: Vec<u8>,
    key_has_escape: bool,
    role: Role,
    /// Of a key or a value that is a string.
    in_string: bool,
    escaped: bool,
    /// Of a value that is an object or an array.
    nest: Nest,
}

/// Whose keys or items are next, and which of the keys matter there.
#[derive(Clone, Copy, Debug)]
enum Place {
    Root,
    /// An object that holds wanted values.
    Object(&'static [Key]),
    /// An array of such objects.
    Array(&'static [Key]),
    /// One of the array's objects.
    Item(&'static [Key]),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the root object.
    Start,
    /// In an object: before a key or the closing brace.
    BeforeKey,
    /// In an array of objects that hold wanted values: before an item or the closing
    /// bracket.
    BeforeItem,
    /// After a key's opening quote.
    Key,
    /// Between a key and its value.
    Colon,
    /// Before a value.
    BeforeValue,
    /// In a number, `true`, `false` or `null`.
    Scalar,
    /// In a string.
    Text,
    /// In an array or object.
    Nested,
    /// After the root object.
    Whole,
    /// After something that is not JSON.
    Broken,
}

impl Extractor {
    /// A scanner for the values in `wanted`.
    #[inline(always)]
    pub(crate) fn new(keys: &'static [Key]) -> Self {
        Self {
            keys,
            kept: Kept::new(),
            state: State::Start,
            place: Place::Root,
            key: Vec::new(),
            key_has_escape: false,
            role: Role::Skip,
            in_string: false,
            escaped: false,
            nest: Nest::default(),
        }
    }

    /// Forgets everything, for the next document.
    pub(crate) fn reset(&mut self) {
        self.kept.reset();
        self.state = State::Start;
        self.place = Place::Root;
        self.key.clear();
        self.in_string = false;
        self.escaped = false;
        self.nest = Nest::default();
    }

    /// Whether the root object has been seen to its end.
    pub(crate) fn is_whole(&self) -> bool {
        self.state == State::Whole
    }

    /// What the document has said so far.
    pub(crate) fn finds(&self) -> Finds<'_> {
        Finds { values: self.kept.found(), counted: None, is_whole: self.is_whole() }
    }

    /// Reads the next piece of the document, and says how many of its bytes were read:
    /// none behind the document's end.
    pub(crate) fn feed(&mut self, piece: &[u8]) -> usize {
        let mut rest = piece;
        while let Some(&first) = rest.first() {
            let read = match self.state {
                State::Start => self.start(first),
                State::BeforeKey => self.before_key(first, rest),
                State::BeforeItem => self.before_item(first),
                State::Key => self.key(rest),
                State::Colon => self.colon(first),
                State::BeforeValue => self.before_value(first, rest),
                State::Scalar => self.scalar(rest),
                State::Text => self.text(rest),
                State::Nested => self.nested(rest),
                State::Whole => break,
                State::Broken => return piece.len(),
            };
            rest = &rest[read.min(rest.len())..];
        }
        piece.len() - rest.len()
    }
}

/// One step per state: reads from the front of `rest`, says how many bytes. A step
/// that reads none goes on to a state that does. Where the next step is nearly always
/// the same and its bytes are there, it is taken at once.
impl Extractor {
    fn start(&mut self, first: u8) -> usize {
        match first {
            b'{' => self.state = State::BeforeKey,
            // a byte order mark is white space to most readers
            0xEF | 0xBB | 0xBF => {}
            _ if is_space(first) => {}
            _ => self.state = State::Broken,
        }
        1
    }

    fn before_key(&mut self, first: u8, rest: &[u8]) -> usize {
        match first {
            b'"' => {
                self.key.clear();
                self.key_has_escape = false;
                self.in_string = true;
                self.state = State::Key;
                return 1 + self.key(&rest[1..]);
            }
            b'}' => match self.place {
                Place::Object(_) => self.place = Place::Root,
                Place::Item(keys) => {
                    self.place = Place::Array(keys);
                    self.state = State::BeforeItem;
                }
                Place::Root | Place::Array(_) => self.state = State::Whole,
            },
            b',' => {}
            _ if is_space(first) => {}
            _ => self.state = State::Broken,
        }
        1
    }

    fn before_item(&mut self, first: u8) -> usize {
        match (first, self.place) {
            (b'{', Place::Array(keys)) => {
                self.place = Place::Item(keys);
                self.state = State::BeforeKey;
            }
            (b']', _) => {
                self.place = Place::Root;
                self.state = State::BeforeKey;
            }
            (b',', _) => {}
            _ if is_space(first) => {}
            _ => {
                self.role = Role::Skip;
                self.state = State::BeforeValue;
                return 0;
            }
        }
        1
    }

    fn key(&mut self, rest: &[u8]) -> usize {
        let read = self.string(rest);
        if self.in_string {
            self.remember_key(&rest[..read]);
            return read;
        }
        let written = &rest[..read.saturating_sub(1)];
        self.role = if self.key.is_empty() {
            self.role_of(written)
        } else {
            self.remember_key(written);
            self.role_of(&self.key)
        };
        if rest.get(read) == Some(&b':') {
            self.state = State::BeforeValue;
            return read + 1;
        }
        self.state = State::Colon;
        read
    }

    fn colon(&mut self, first: u8) -> usize {
        match first {
            b':' => self.state = State::BeforeValue,
            _ if is_space(first) => {}
            _ => self.state = State::Broken,
        }
        1
    }

    fn before_value(&mut self, first: u8, rest: &[u8]) -> usize {
        if is_space(first) {
            return 1;
        }
        match (first, self.role) {
            (b',' | b':' | b'}' | b']', _) => {
                self.state = State::Broken;
                return 1;
            }
            (b'{', Role::Enter(keys)) => {
                self.place = Place::Object(keys);
                self.state = State::BeforeKey;
                return 1;
            }
            (b'[', Role::EnterEach(keys)) => {
                self.place = Place::Array(keys);
                self.state = State::BeforeItem;
                return 1;
            }
            (_, Role::Take { index, most } | Role::Counts { index, most, .. }) => {
                self.kept.begin(index, most)
            }
            _ => {}
        }
        match first {
            b'"' => {
                self.in_string = true;
                self.state = State::Text;
                self.kept.keep(b"\"");
                1
            }
            b'{' | b'[' => {
                self.state = State::Nested;
                self.nested(rest)
            }
            _ => {
                self.state = State::Scalar;
                self.scalar(rest)
            }
        }
    }

    fn scalar(&mut self, rest: &[u8]) -> usize {
        let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']') || is_space(*byte);
        let length = rest.iter().position(ends);
        let read = length.unwrap_or(rest.len());
        self.kept.keep(&rest[..read]);
        if length.is_some() {
            self.end_value();
        }
        read
    }

    fn text(&mut self, rest: &[u8]) -> usize {
        let read = self.string(rest);
        self.kept.keep(&rest[..read]);
        if !self.in_string {
            self.end_value();
        }
        read
    }

    fn nested(&mut self, rest: &[u8]) -> usize {
        let end = self.nest.pass(rest, 0);
        let read = end.unwrap_or(rest.len());
        self.kept.keep(&rest[..read]);
        if end.is_some() {
            self.end_value();
        }
        read
    }

    /// Reads on in a string, up to and with its closing quote.
    #[inline(always)] // as far as keys and short values go
    fn string(&mut self, rest: &[u8]) -> usize {
        match quote_or_escape_near(rest, 0) {
            Ok(at) if rest[at] == b'"' && !self.escaped => {
                self.in_string = false;
                at + 1
            }
            _ => self.long_string(rest),
        }
    }

    #[inline(never)]
    fn long_string(&mut self, rest: &[u8]) -> usize {
        let mut at = 0;
        loop {
            if self.escaped {
                if at == rest.len() {
                    return at;
                }
                at += 1;
                self.escaped = false;
            }
            let Some(found) = quote_or_escape(rest, at) else {
                return rest.len();
            };
            at = found + 1;
            if rest[found] == b'"' {
                self.in_string = false;
                return at;
            }
            self.escaped = true;
            self.key_has_escape = true; // means nothing outside of keys
        }
    }

    /// Remembers a cut key, and one byte more than is compared of a long one.
    fn remember_key(&mut self, written: &[u8]) {
        let room = (LONGEST_KEY + 1).saturating_sub(self.key.len());
        self.key.extend_from_slice(&written[..written.len().min(room)]);
    }

    fn role_of(&self, written: &[u8]) -> Role {
        let keys = match self.place {
            Place::Root | Place::Array(_) => self.keys,
            Place::Object(keys) | Place::Item(keys) => keys,
        };
        match self.key_has_escape {
            false => Role::of(Candidate::new(written), keys),
            true => Role::of_escaped(written, keys),
        }
    }

    fn end_value(&mut self) {
        self.kept.end();
        self.state = match self.place {
            Place::Array(_) => State::BeforeItem,
            Place::Root | Place::Object(_) | Place::Item(_) => State::BeforeKey,
        };
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Where the next quote or backslash is. Most strings are short, the others long.
#[inline(always)]
fn quote_or_escape(bytes: &[u8], from: usize) -> Option<usize> {
    match quote_or_escape_near(bytes, from) {
        Ok(at) => Some(at),
        Err(from) => memchr2(b'"', b'\\', &bytes[from..]).map(|at| from + at),
    }
}

/// The same if it is near, else how far there is none.
#[inline(always)]
fn quote_or_escape_near(bytes: &[u8], from: usize) -> Result<usize, usize> {
    blocks::find_near(bytes, from, quotes_and_escapes)
}

/// What grows, for tests of its bounds.
#[cfg(test)]
impl Extractor {
    pub(crate) fn kept_len(&self) -> usize {
        self.kept.len()
    }

    pub(super) fn key_len(&self) -> usize {
        self.key.len()
    }

    pub(super) fn depth(&self) -> u64 {
        self.nest.depth
    }
}
