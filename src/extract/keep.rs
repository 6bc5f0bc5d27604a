//! The values taken out of a document, as bytes.

use smallvec::SmallVec;

use super::finds::{Found, MOST};

/// Memory kept from one document to the next.
const KEPT_ROOM: usize = 4 * 1024;
/// Bytes that need no memory of their own: what the usual document says.
const INLINE: usize = 512;

/// The values taken so far, one behind the other, and what became of each one wanted.
#[derive(Debug)]
pub(super) struct Kept {
    slots: [Slot; MOST],
    bytes: SmallVec<[u8; INLINE]>,
    /// The slot whose value is passing.
    open: Option<usize>,
}

/// What became of one wanted value.
#[derive(Clone, Copy, Debug, Default)]
enum Slot {
    #[default]
    Absent,
    Open {
        start: u32,
        most: u32,
    },
    Taken {
        start: u32,
        end: u32,
    },
    Unusable,
}

impl Kept {
    /// Room for what is wanted.
    #[inline(always)]
    pub(super) fn new() -> Self {
        Self { slots: [Slot::Absent; MOST], bytes: SmallVec::new(), open: None }
    }

    /// Forgets everything, and gives back memory that an unusual document took.
    pub(super) fn reset(&mut self) {
        self.slots.fill(Slot::Absent);
        self.bytes.clear();
        if self.bytes.capacity() > KEPT_ROOM {
            self.bytes.shrink_to_fit();
        }
        self.open = None;
    }

    /// What became of each.
    pub(super) fn found(&self) -> [Found<'_>; MOST] {
        self.slots.map(|slot| match slot {
            Slot::Taken { start, end } => {
                self.bytes.get(start as usize..end as usize).map_or(Found::Unusable, Found::Value)
            }
            Slot::Unusable => Found::Unusable,
            Slot::Absent | Slot::Open { .. } => Found::Absent,
        })
    }

    /// The wanted value of this index begins, perhaps not for the first time. Longer than
    /// `most` bytes, it is given up.
    pub(super) fn begin(&mut self, index: usize, most: u32) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        if matches!(slot, Slot::Absent) {
            let start = self.bytes.len() as u32; // at most the sum of all `most`
            *slot = Slot::Open { start, most };
            self.open = Some(index);
        } else {
            *slot = Slot::Unusable;
        }
    }

    /// A stretch of a value passes; it is kept if the value is wanted.
    pub(super) fn keep(&mut self, written: &[u8]) {
        let Some(slot) = self.open.and_then(|index| self.slots.get_mut(index)) else { return };
        let Slot::Open { start, most } = *slot else { return };
        let start = start as usize;
        if self.bytes.len() - start + written.len() > most as usize {
            self.bytes.truncate(start);
            *slot = Slot::Unusable;
            self.open = None;
        } else {
            self.bytes.extend_from_slice(written);
        }
    }

    /// The value that passes has ended.
    pub(super) fn end(&mut self) {
        let end = self.bytes.len() as u32;
        if let Some(slot) = self.open.take().and_then(|index| self.slots.get_mut(index))
            && let Slot::Open { start, .. } = *slot
        {
            *slot = Slot::Taken { start, end };
        }
    }

    /// How many bytes are kept.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }
}
