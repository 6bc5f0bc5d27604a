//! Which entries were found of late.
//!
//! Most calls are to a few models by the names of their entries. Those are told from
//! their last letters, and then compared with the entry itself, which takes a quarter of
//! what it takes to look a name up.

use std::sync::atomic::{AtomicU32, Ordering};

const PLACES: usize = 64;
const NOTHING: u32 = u32::MAX;

/// The last entry found, for each of a few kinds of names.
#[derive(Debug)]
pub(super) struct Recent([AtomicU32; PLACES]);

impl Recent {
    /// The entry that may be the one of this model.
    #[inline]
    pub(super) fn get(&self, model: &str) -> u32 {
        self.0[place_of(model)].load(Ordering::Relaxed)
    }

    /// Notes what was found by the name of its entry.
    pub(super) fn set(&self, model: &str, id: u32) {
        self.0[place_of(model)].store(id, Ordering::Relaxed);
    }
}

impl Default for Recent {
    fn default() -> Self {
        Self([const { AtomicU32::new(NOTHING) }; PLACES])
    }
}

/// Another edition may find other entries.
impl Clone for Recent {
    fn clone(&self) -> Self {
        Self::default()
    }
}

#[inline]
fn place_of(model: &str) -> usize {
    let name = model.as_bytes();
    let last = match (name.last_chunk(), name.last_chunk()) {
        (Some(letters), _) => u64::from_le_bytes(*letters),
        (None, Some(letters)) => u32::from_le_bytes(*letters).into(),
        (None, None) => 0,
    };
    last.wrapping_mul(0x9E37_79B9_7F4A_7C15) as usize >> (usize::BITS - PLACES.ilog2())
}
