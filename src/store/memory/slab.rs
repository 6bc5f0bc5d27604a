//! Numbered places that are reused and never move.
//!
//! A `Vec` that doubles copies everything it holds, and would do so while the
//! store is locked. Places here come in chunks of fixed size instead.

use std::ops::{Index, IndexMut};

const CHUNK_BITS: u32 = 8;
const CHUNK: usize = 1 << CHUNK_BITS;

/// Values at stable numbers.
#[derive(Debug)]
pub(super) struct Slab<T> {
    // Arrays, because their length need not be looked at.
    chunks: Vec<Box<[T; CHUNK]>>,
    /// Places given back; the last one is taken first, while it is still in cache.
    free: Vec<u32>,
    len: u32,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), free: Vec::new(), len: 0 }
    }
}

impl<T: Default> Slab<T> {
    /// A place, with whatever its last user left in it, or a new default value.
    #[inline]
    pub(super) fn take(&mut self) -> u32 {
        match self.free.pop() {
            Some(slot) => slot,
            None => self.take_new(),
        }
    }

    #[inline(never)]
    fn take_new(&mut self) -> u32 {
        let slot = self.len;
        self.len += 1; // four thousand million places do not fit in memory
        if (slot as usize).is_multiple_of(CHUNK) {
            let values: Vec<_> = (0..CHUNK).map(|_| T::default()).collect();
            self.chunks.extend(values.into_boxed_slice().try_into());
        }
        slot
    }
}

impl<T> Slab<T> {
    /// Gives a place back. Its value stays for the next user.
    #[inline]
    pub(super) fn give(&mut self, slot: u32) {
        self.free.push(slot);
    }

    /// Gives a place back if its value says so, which may come from outside, and shows the
    /// value.
    #[inline]
    pub(super) fn give_if(&mut self, slot: u32, ends: impl FnOnce(&mut T) -> bool) -> Option<&T> {
        let chunk = self.chunks.get_mut((slot >> CHUNK_BITS) as usize)?;
        let value = &mut chunk[slot as usize % CHUNK];
        if !ends(value) {
            return None;
        }
        self.free.push(slot);
        Some(value)
    }

    /// How many places there are, taken or free.
    pub(super) fn places(&self) -> u32 {
        self.len
    }

    /// The value at a number that may come from outside. Behind the last place there may
    /// be values that nobody has touched.
    #[inline]
    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut T> {
        let chunk = self.chunks.get_mut((slot >> CHUNK_BITS) as usize)?;
        Some(&mut chunk[slot as usize % CHUNK])
    }
}

/// For numbers that [`Slab::take`] returned; those are always in range.
impl<T> Index<u32> for Slab<T> {
    type Output = T;

    #[inline]
    fn index(&self, slot: u32) -> &T {
        &self.chunks[(slot >> CHUNK_BITS) as usize][slot as usize % CHUNK]
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    #[inline]
    fn index_mut(&mut self, slot: u32) -> &mut T {
        &mut self.chunks[(slot >> CHUNK_BITS) as usize][slot as usize % CHUNK]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_stable_across_chunks_and_reused_last_first() {
        let mut slab = Slab::<u64>::default();
        for number in 0..3 * CHUNK as u64 {
            let slot = slab.take();
            slab[slot] = number;
        }
        assert_eq!(slab[2 * CHUNK as u32], 2 * CHUNK as u64);
        slab.give(7);
        slab.give(CHUNK as u32);
        assert_eq!((slab.take(), slab.take()), (CHUNK as u32, 7));
        assert_eq!(slab.get_mut(3 * CHUNK as u32), None);
        assert_eq!(slab.places() as usize, 3 * CHUNK);
    }
}
