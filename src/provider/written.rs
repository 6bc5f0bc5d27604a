//! Short texts as JSON writes them.
//!
//! A response names a model and a tier, each a word or two, and nearly always what stands
//! between the quotes is what they say. That is seen at a glance if they lie where there is
//! room for a few blocks; to look at one letter after the other takes three times as long.

use smol_str::SmolStr;

use crate::blocks::{BLOCK, Block, are};

/// Room for the names of most models, in whole blocks and where words begin.
#[repr(align(16))]
struct Room([u8; 2 * BLOCK]);

/// The text that is `written` between two quotes, if it is short and every letter stands for
/// itself. `None` says nothing.
#[inline]
pub(super) fn plain(written: &[u8]) -> Option<SmolStr> {
    let mut room = Room([b' '; 2 * BLOCK]);
    room.fill(written)?;
    if !room.is_plain() {
        return None;
    }
    let text = std::str::from_utf8(&room.0).ok()?;
    Some(text.get(..written.len())?.into())
}

impl Room {
    #[inline(always)]
    fn fill(&mut self, written: &[u8]) -> Option<()> {
        match written.len() {
            16..=32 => self.put_ends::<16>(written),
            8..16 => self.put_ends::<8>(written),
            4..8 => self.put_ends::<4>(written),
            length => {
                self.0.get_mut(..length)?.copy_from_slice(written);
                Some(())
            }
        }
    }

    /// Puts the first bytes and the last, which overlap where there are no more.
    #[inline(always)]
    fn put_ends<const N: usize>(&mut self, written: &[u8]) -> Option<()> {
        let (first, last) = (written.first_chunk::<N>()?, written.last_chunk::<N>()?);
        *self.0.first_chunk_mut::<N>()? = *first;
        *self.0.get_mut(..written.len())?.last_chunk_mut::<N>()? = *last;
        Some(())
    }

    /// Whether there is nothing but ASCII that needs no escape and is none.
    #[inline(always)]
    fn is_plain(&self) -> bool {
        let (blocks, _) = self.0.as_chunks::<BLOCK>();
        let stands_for_more = |block: Block| {
            let is_control = block.max(Block::splat(b' ')).simd_eq(block) ^ Block::splat(u8::MAX);
            is_control | are(block, b'\\') | block
        };
        let marks = blocks.iter().map(|block| stands_for_more(Block::new(*block)));
        // Beyond ASCII, the highest bit is set.
        marks.fold(Block::splat(0), |all, marks| all | marks).to_bitmask() == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What JSON reads, as far as it is short and has no escape.
    fn at_length(written: &[u8]) -> Option<SmolStr> {
        let quoted = [b"\"", written, b"\""].concat();
        let text = serde_json::from_slice::<SmolStr>(&quoted).ok()?;
        let is_plain = text.is_ascii() && text.as_bytes() == written;
        (is_plain && written.len() <= size_of::<Room>()).then_some(text)
    }

    #[test]
    fn names_of_every_length_are_read() {
        let name = "gpt-4o-mini-2024-07-18-and-more-of-it";
        for length in 0..name.len() {
            let text = plain(&name.as_bytes()[..length]);
            assert_eq!(text.as_deref(), name.get(..length).filter(|text| text.len() <= 32));
        }
    }

    #[test]
    fn a_byte_that_is_no_letter_is_seen_wherever_it_stands() {
        for byte in (0..=u8::MAX).filter(|byte| *byte != b'"') {
            for at in 0..32 {
                let mut written = [b'x'; 32];
                written[at] = byte;
                assert_eq!(plain(&written), at_length(&written), "{byte} at {at}");
            }
        }
    }

    proptest! {
        #[test]
        fn the_short_way_comes_to_the_same_or_to_nothing(
            written in prop::collection::vec(prop::num::u8::ANY, 0..40),
        ) {
            let written: Vec<_> = written.into_iter().filter(|byte| *byte != b'"').collect();
            prop_assert_eq!(plain(&written), at_length(&written));
        }

        #[test]
        fn what_is_printed_is_plain(written in "[ -!#-\\[\\]-\u{7f}]{0,40}") {
            prop_assert_eq!(plain(written.as_bytes()), at_length(written.as_bytes()));
            prop_assert_eq!(plain(written.as_bytes()).is_some(), written.len() <= 32);
        }
    }
}
