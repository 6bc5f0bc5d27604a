//! Hides from a caller the events that only driftlock asked for.
//!
//! OpenAI's chat streams tell their usage if asked to, in an extra chunk at the end.
//! A caller who did not ask may not expect a chunk without choices, so a [`Screen`]
//! takes it out of the stream. It holds back only what it must: complete events
//! pass at once, as slices of the frame they came in; of an event that a frame cuts
//! in two the beginning waits, up to 64 KiB. An event longer than that is never the
//! extra chunk, and passes as it comes.
//!
//! What comes out does not depend on how the stream is cut into frames.

use std::{collections::VecDeque, fmt, mem, ops::Range};

use bytes::{Bytes, BytesMut};

use crate::{
    provider::{EventKind, Observed},
    sse::Events,
};

/// The longest event that is hidden, and so the most that is held back.
const LONGEST_HIDDEN: usize = 64 * 1024;

/// A stream of events less those that only tell usage; see the [module](self).
pub(crate) struct Screen {
    events: Events,
    /// The beginning of an event whose end has not come.
    held: BytesMut,
    /// The present event is too long to be hidden; it is let through.
    too_long: bool,
    /// The last byte read ended an event, and that event was hidden.
    just_hid: bool,
    out: Queue,
}

impl Screen {
    /// A screen before the stream that `events` reads.
    pub(crate) fn new(events: Events) -> Self {
        Self {
            events,
            held: BytesMut::new(),
            too_long: false,
            just_hid: false,
            out: Queue::default(),
        }
    }

    /// What the stream has told so far.
    pub(crate) fn observed(&self) -> &Observed {
        self.events.observed()
    }

    /// Takes the next frame.
    pub(crate) fn push(&mut self, frame: Bytes) {
        if self.events.is_over() {
            return self.out.push(frame);
        }
        let mut at = self.events.lead(&frame);
        // where the present event begins; the line end's last byte is the last event's
        let mut start = if self.held.is_empty() { at } else { 0 };
        let mut passing = if self.just_hid { at } else { 0 };
        while let Some(event) = self.events.next(&frame[at..]) {
            at += event.end;
            let length = self.held.len() + at - start;
            let too_long = mem::take(&mut self.too_long) || length > LONGEST_HIDDEN;
            self.just_hid = event.kind == EventKind::UsageOnly && !too_long;
            if self.just_hid {
                // held bytes, if any, are the beginning of this very event
                self.held.clear();
                self.pass(&frame, passing..start);
                passing = at;
            } else {
                self.release();
            }
            if self.events.is_over() {
                at = frame.len();
            }
            start = at;
        }
        let tail = frame.len() - start;
        self.just_hid &= tail == 0;
        self.too_long |= self.held.len() + tail > LONGEST_HIDDEN;
        if self.too_long {
            self.release();
            start = frame.len();
        }
        self.held.extend_from_slice(&frame[start..]);
        self.pass(&frame, passing..start);
    }

    /// The stream has ended: what is held comes out, unless it is to be hidden.
    pub(crate) fn finish(&mut self) {
        if self.events.finish() == EventKind::UsageOnly {
            self.held.clear();
        }
        self.release();
    }

    /// Gives the next bytes that the caller may see.
    pub(crate) fn pop(&mut self) -> Option<Bytes> {
        self.out.pop()
    }

    /// Whether bytes wait to be given out, now or once their event has ended.
    pub(crate) fn is_holding(&self) -> bool {
        !self.held.is_empty() || !self.out.is_empty()
    }

    fn release(&mut self) {
        if !self.held.is_empty() {
            self.out.push(self.held.split().freeze());
        }
    }

    fn pass(&mut self, frame: &Bytes, range: Range<usize>) {
        if !range.is_empty() {
            self.out.push(frame.slice(range));
        }
    }
}

/// Tells lengths, never what an answer says.
impl fmt::Debug for Screen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Screen")
            .field("observed", self.events.observed())
            .field("held", &self.held.len())
            .field("is_over", &self.events.is_over())
            .finish_non_exhaustive()
    }
}

/// A queue that allocates only for a second entry.
#[derive(Default)]
struct Queue {
    first: Option<Bytes>,
    more: VecDeque<Bytes>,
}

impl Queue {
    fn push(&mut self, bytes: Bytes) {
        if self.is_empty() {
            self.first = Some(bytes);
        } else {
            self.more.push_back(bytes);
        }
    }

    fn pop(&mut self) -> Option<Bytes> {
        self.first.take().or_else(|| self.more.pop_front())
    }

    fn is_empty(&self) -> bool {
        self.first.is_none() && self.more.is_empty()
    }
}

#[cfg(test)]
mod tests;
