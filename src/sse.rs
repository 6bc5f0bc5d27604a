//! Splits a byte stream into server-sent events, wherever its frames end.
//!
//! Only what a price depends on is looked at: `data` lines go to an [`Observer`] as
//! they pass, all else (comments, `event`, `id`, `retry`) is stepped over. Nothing
//! is copied or kept but a few bytes of state. Lines end in LF, CRLF or CR; a byte
//! order mark may come first; an event ends at an empty line, and a comment that
//! stands outside of an event counts as one, so that it need not wait for the next.

use memchr::memchr2;

use crate::provider::{EventKind, Observed, Observer};

/// Reads a stream's events; see the [module](self).
#[derive(Debug)]
pub(crate) struct Events {
    observer: Observer,
    line: Line,
    /// The last byte read was the CR of a line's end: an LF that follows belongs to it.
    after_cr: bool,
    /// The present event has had a line.
    has_line: bool,
    /// The present event has had a `data` line.
    has_data: bool,
    /// The end marker was seen.
    is_over: bool,
}

/// An event that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// How many of the bytes given were read up to its end.
    pub(crate) end: usize,
    /// What it was.
    pub(crate) kind: EventKind,
}

/// How much of a line has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// Nothing of the stream, or this many bytes of a byte order mark.
    Mark(usize),
    /// Nothing.
    Start,
    /// This many bytes of the word `data`.
    Name(usize),
    /// `data:`, after which one space does not count.
    Value,
    /// Into the value of `data`.
    Data,
    /// Into a comment.
    Comment,
    /// Into another field.
    Other,
}

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
const DATA: &[u8] = b"data";

impl Events {
    /// At the start of a stream whose data `observer` reads.
    pub(crate) fn new(observer: Observer) -> Self {
        Self {
            observer,
            line: Line::Mark(0),
            after_cr: false,
            has_line: false,
            has_data: false,
            is_over: false,
        }
    }

    /// What the stream has told so far.
    pub(crate) fn observed(&self) -> &Observed {
        self.observer.observed()
    }

    /// Whether the end marker was seen. Nothing is read after it, so that what is
    /// known of a stream does not depend on what its last frame held beside it.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Reads a whole frame, for one who does not care where its events end.
    pub(crate) fn read_all(&mut self, frame: &[u8]) {
        let mut at = self.lead(frame);
        while let Some(event) = self.next(&frame[at..]) {
            at += event.end;
        }
    }

    /// Begins a frame: how many of its bytes, none or one, still belong to the line
    /// end that the last frame ended in.
    pub(crate) fn lead(&mut self, frame: &[u8]) -> usize {
        match frame.first() {
            Some(first) => usize::from(std::mem::take(&mut self.after_cr) && *first == b'\n'),
            None => 0,
        }
    }

    /// Reads on to the end of the next event; `None` if all bytes were read and the
    /// present event goes on in the next frame. A frame's [`lead`](Self::lead) must
    /// have been taken off.
    pub(crate) fn next(&mut self, bytes: &[u8]) -> Option<Event> {
        if self.is_over {
            return None;
        }
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            if byte != b'\n' && byte != b'\r' {
                if matches!(self.line, Line::Start | Line::Mark(0))
                    && !self.has_data
                    && let Some((data, length)) = in_one_piece(&bytes[at..])
                {
                    (self.line, self.has_line) = (Line::Start, false);
                    let kind = self.observer.event(data);
                    self.is_over = kind == EventKind::Terminal;
                    return Some(Event { end: at + length, kind });
                }
                at += self.read(byte, &bytes[at..]);
                continue;
            }
            at += 1;
            if byte == b'\r' {
                match bytes.get(at) {
                    Some(b'\n') => at += 1,
                    Some(_) => {}
                    None => self.after_cr = true,
                }
            }
            if let Some(kind) = self.end_line() {
                return Some(Event { end: at, kind });
            }
        }
        None
    }

    /// The stream has ended: what its last event was, though no empty line ended it.
    pub(crate) fn finish(&mut self) -> EventKind {
        if self.is_over {
            return EventKind::Other;
        }
        if self.line != Line::Start {
            self.end_line();
        }
        let kind = self.end_event();
        self.observer.end_stream();
        kind
    }

    /// Reads some of a line, at least a byte; `first` begins `rest` and ends no line.
    fn read(&mut self, first: u8, rest: &[u8]) -> usize {
        match self.line {
            Line::Mark(read) if BYTE_ORDER_MARK.get(read) == Some(&first) => {
                self.line = match read {
                    2 => Line::Start,
                    _ => Line::Mark(read + 1),
                };
                1
            }
            Line::Mark(0) | Line::Start => self.start_line(first, rest),
            Line::Name(read) if DATA.get(read) == Some(&first) => {
                self.line = Line::Name(read + 1);
                1
            }
            Line::Name(read) if read == DATA.len() && first == b':' => {
                self.start_data();
                1
            }
            Line::Mark(_) | Line::Name(_) => {
                self.line = Line::Other;
                1
            }
            Line::Value => {
                self.line = Line::Data;
                usize::from(first == b' ')
            }
            Line::Data | Line::Comment | Line::Other => {
                let length = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
                if self.line == Line::Data {
                    self.observer.feed(&rest[..length]);
                }
                length
            }
        }
    }

    fn start_line(&mut self, first: u8, rest: &[u8]) -> usize {
        if rest.starts_with(b"data:") {
            self.start_data();
            return b"data:".len();
        }
        self.line = match first {
            b'd' => Line::Name(1),
            b':' => Line::Comment,
            _ => Line::Other,
        };
        1
    }

    fn start_data(&mut self) {
        self.line = Line::Value;
        if self.has_data {
            // the lines of an event's data are joined by line feeds
            self.observer.feed(b"\n");
        }
        self.has_data = true;
    }

    fn end_line(&mut self) -> Option<EventKind> {
        match std::mem::replace(&mut self.line, Line::Start) {
            Line::Start | Line::Mark(0) => Some(self.end_event()),
            Line::Comment if !self.has_line => Some(EventKind::Other),
            _ => {
                self.has_line = true;
                None
            }
        }
    }

    fn end_event(&mut self) -> EventKind {
        self.has_line = false;
        if !std::mem::take(&mut self.has_data) {
            return EventKind::Other;
        }
        let kind = self.observer.end_event();
        self.is_over = kind == EventKind::Terminal;
        kind
    }
}

/// The data of an event that is one line and all there, as nearly every one is, and how long
/// it is with the line ends.
#[inline]
fn in_one_piece(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let value = bytes.strip_prefix(b"data:")?;
    let value = value.strip_prefix(b" ").unwrap_or(value);
    let (data, ends) = value.split_at(memchr2(b'\n', b'\r', value)?);
    let rest = ends.strip_prefix(b"\n\n").or_else(|| ends.strip_prefix(b"\r\n\r\n"))?;
    Some((data, bytes.len() - rest.len()))
}

#[cfg(test)]
mod tests;
