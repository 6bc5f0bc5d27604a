//! Takes a few values out of a JSON document while it passes by.
//!
//! A response is seen in pieces that end anywhere, must not be held back, and may
//! be long; of all of it only a few values matter. [`Extractor`] remembers where in
//! the document it is (a state, a depth), copies what was asked for, and skips the
//! rest, most of it by a vectorised search for the end of a string. It does not
//! recurse, and its memory is bounded by the sum of what the wanted values may
//! measure, however long or deep the document is.
//!
//! Values are found by their **exact path** of one or two keys from the root. The
//! word `usage` in a string, in a tool call's arguments or anywhere deeper is never
//! taken: an answer's text must not be able to change what the answer costs.
//!
//! It is tolerant where a mistake cannot mislead (inside skipped values nothing is
//! checked but strings and brackets) and stops where it would have to guess.

use memchr::memchr2;
use smallvec::SmallVec;

/// Bytes of a key that is still compared; the longest of ours, were each of its
/// characters written as an escape of six bytes, is shorter.
const LONGEST_KEY: usize = 128;

/// Memory kept from one document to the next.
const KEPT_ROOM: usize = 4 * 1024;

/// Where a value stands, counted from the root object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    /// `{"key": value}`
    Top(&'static str),
    /// `{"key": {"key": value}}`
    Within(&'static str, &'static str),
}

/// A value to take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// Where it stands.
    pub(crate) path: Path,
    /// Its longest length as written; a longer one is given up.
    pub(crate) most: usize,
}

/// What a document said at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    /// Nothing, or nothing yet.
    Absent,
    /// This value, as written.
    Value(&'a [u8]),
    /// Something that is not taken: the key stood there twice, so that two readers
    /// may disagree, or the value was too long.
    Unusable,
}

/// A scanner that is fed a document in pieces; see the [module](self).
#[derive(Debug)]
pub(crate) struct Extractor {
    wanted: &'static [Wanted],
    slots: SmallVec<[Slot; 8]>,
    kept: Vec<u8>,
    state: State,
    /// The outer key, while in an object that holds wanted values.
    within: Option<&'static str>,
    /// The beginning of a key that a piece cut in two.
    key: Vec<u8>,
    role: Role,
    taking: Option<usize>,
    /// Open brackets of the value being passed.
    depth: u64,
    in_string: bool,
    escaped: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the root object.
    Start,
    /// In an object: before a key or the closing brace.
    BeforeKey,
    /// After a key's opening quote.
    Key,
    /// Between a key and its value.
    Colon,
    /// Before a value.
    BeforeValue,
    /// In a number, `true`, `false` or `null`.
    Scalar,
    /// In a string, array or object.
    Nested,
    /// After the root object.
    Whole,
    /// After something that is not JSON.
    Broken,
}

/// What the value of the present key is to us.
#[derive(Clone, Copy, Debug)]
enum Role {
    Skip,
    Take(usize),
    Enter(&'static str),
}

#[derive(Clone, Copy, Debug, Default)]
enum Slot {
    #[default]
    Absent,
    Open {
        start: usize,
    },
    Taken {
        start: usize,
        end: usize,
    },
    Unusable,
}

impl Extractor {
    /// A scanner for the values in `wanted`.
    pub(crate) fn new(wanted: &'static [Wanted]) -> Self {
        Self {
            wanted,
            slots: SmallVec::from_elem(Slot::Absent, wanted.len()),
            kept: Vec::new(),
            state: State::Start,
            within: None,
            key: Vec::new(),
            role: Role::Skip,
            taking: None,
            depth: 0,
            in_string: false,
            escaped: false,
        }
    }

    /// Forgets everything, for the next document.
    pub(crate) fn reset(&mut self) {
        self.slots.fill(Slot::Absent);
        self.kept.clear();
        self.kept.shrink_to(KEPT_ROOM);
        self.state = State::Start;
        self.within = None;
        self.key.clear();
        self.taking = None;
        self.depth = 0;
        self.in_string = false;
        self.escaped = false;
    }

    /// Whether the root object has been seen to its end.
    pub(crate) fn is_whole(&self) -> bool {
        self.state == State::Whole
    }

    /// What the document said at the path of `wanted[index]`.
    pub(crate) fn found(&self, index: usize) -> Found<'_> {
        match self.slots.get(index) {
            Some(&Slot::Taken { start, end }) => {
                self.kept.get(start..end).map_or(Found::Unusable, Found::Value)
            }
            Some(Slot::Unusable) => Found::Unusable,
            _ => Found::Absent,
        }
    }

    /// Reads the next piece of the document.
    pub(crate) fn feed(&mut self, piece: &[u8]) {
        let mut rest = piece;
        while let Some(&first) = rest.first() {
            let read = match self.state {
                State::Start => self.start(first),
                State::BeforeKey => self.before_key(first),
                State::Key => self.key(rest),
                State::Colon => self.colon(first),
                State::BeforeValue => self.before_value(first),
                State::Scalar => self.scalar(rest),
                State::Nested => self.nested(rest),
                State::Whole | State::Broken => return,
            };
            rest = &rest[read.min(rest.len())..];
        }
    }
}

/// One step per state: reads from the front of `rest`, says how many bytes. A step
/// that reads none goes on to a state that does.
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

    fn before_key(&mut self, first: u8) -> usize {
        match first {
            b'"' => {
                self.key.clear();
                self.in_string = true;
                self.state = State::Key;
            }
            b'}' if self.within.is_some() => self.within = None,
            b'}' => self.state = State::Whole,
            b',' => {}
            _ if is_space(first) => {}
            _ => self.state = State::Broken,
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

    fn before_value(&mut self, first: u8) -> usize {
        if is_space(first) {
            return 1;
        }
        match (first, self.role) {
            (b',' | b':' | b'}' | b']', _) => {
                self.state = State::Broken;
                return 1;
            }
            (b'{', Role::Enter(key)) => {
                self.within = Some(key);
                self.state = State::BeforeKey;
                return 1;
            }
            (_, Role::Take(slot)) => self.take(slot),
            _ => {}
        }
        self.depth = 0;
        self.state =
            if matches!(first, b'"' | b'{' | b'[') { State::Nested } else { State::Scalar };
        0
    }

    fn scalar(&mut self, rest: &[u8]) -> usize {
        let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']') || is_space(*byte);
        let length = rest.iter().position(ends);
        let read = length.unwrap_or(rest.len());
        self.keep(&rest[..read]);
        if length.is_some() {
            self.end_value();
        }
        read
    }

    fn nested(&mut self, rest: &[u8]) -> usize {
        let mut at = 0;
        let ended = loop {
            if self.in_string {
                at += self.string(&rest[at..]);
                if self.in_string || self.depth == 0 {
                    break !self.in_string;
                }
            }
            let Some(skipped) = rest[at..].iter().position(|byte| is_structure(*byte)) else {
                at = rest.len();
                break false;
            };
            at += skipped + 1;
            match rest[at - 1] {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth = self.depth.saturating_add(1),
                _ => self.depth = self.depth.saturating_sub(1),
            }
            if self.depth == 0 && !self.in_string {
                break true;
            }
        };
        self.keep(&rest[..at]);
        if ended {
            self.end_value();
        }
        at
    }

    /// Reads on in a string, up to and with its closing quote.
    fn string(&mut self, rest: &[u8]) -> usize {
        let mut at = 0;
        loop {
            if self.escaped {
                if at == rest.len() {
                    return at;
                }
                at += 1;
                self.escaped = false;
            }
            let Some(skipped) = memchr2(b'"', b'\\', &rest[at..]) else {
                return rest.len();
            };
            at += skipped + 1;
            if rest[at - 1] == b'"' {
                self.in_string = false;
                return at;
            }
            self.escaped = true;
        }
    }
}

/// Keys and kept bytes.
impl Extractor {
    /// Keeps one byte more than is compared, by which a key is known to be too long.
    fn remember_key(&mut self, written: &[u8]) {
        let room = (LONGEST_KEY + 1).saturating_sub(self.key.len());
        self.key.extend_from_slice(&written[..written.len().min(room)]);
    }

    fn role_of(&self, written: &[u8]) -> Role {
        if written.len() > LONGEST_KEY {
            return Role::Skip;
        }
        if memchr::memchr(b'\\', written).is_none() {
            return self.role_of_text(written);
        }
        let quoted = [b"\"", written, b"\""].concat();
        match serde_json::from_slice::<String>(&quoted) {
            Ok(key) => self.role_of_text(key.as_bytes()),
            Err(_) => Role::Skip,
        }
    }

    fn role_of_text(&self, key: &[u8]) -> Role {
        for (slot, wanted) in self.wanted.iter().enumerate() {
            match (wanted.path, self.within) {
                (Path::Top(name), None) if name.as_bytes() == key => return Role::Take(slot),
                (Path::Within(outer, name), Some(within))
                    if outer == within && name.as_bytes() == key =>
                {
                    return Role::Take(slot);
                }
                (Path::Within(outer, _), None) if outer.as_bytes() == key => {
                    return Role::Enter(outer);
                }
                _ => {}
            }
        }
        Role::Skip
    }

    fn take(&mut self, slot: usize) {
        let start = self.kept.len();
        if let Some(state) = self.slots.get_mut(slot) {
            if matches!(state, Slot::Absent) {
                *state = Slot::Open { start };
                self.taking = Some(slot);
            } else {
                *state = Slot::Unusable;
            }
        }
    }

    fn keep(&mut self, written: &[u8]) {
        let Some(slot) = self.taking else { return };
        let (Some(state), Some(wanted)) = (self.slots.get_mut(slot), self.wanted.get(slot)) else {
            return;
        };
        let Slot::Open { start } = *state else { return };
        if self.kept.len() - start + written.len() > wanted.most {
            self.kept.truncate(start);
            *state = Slot::Unusable;
            self.taking = None;
        } else {
            self.kept.extend_from_slice(written);
        }
    }

    fn end_value(&mut self) {
        self.state = State::BeforeKey;
        let end = self.kept.len();
        if let Some(state) = self.taking.take().and_then(|slot| self.slots.get_mut(slot))
            && let Slot::Open { start } = *state
        {
            *state = Slot::Taken { start, end };
        }
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn is_structure(byte: u8) -> bool {
    matches!(byte, b'"' | b'{' | b'}' | b'[' | b']')
}

#[cfg(test)]
mod tests;
