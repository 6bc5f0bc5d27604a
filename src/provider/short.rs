//! Searching short texts, as hosts and paths are.
//!
//! Every call has a few of them looked through for bytes that they most often do not have.
//! It takes less than to prepare for a long way, as `memchr` does, or to go byte by byte.

use crate::blocks::{BLOCK, Block};

/// Whether there is a byte that `marks` fills with ones.
#[inline(always)]
pub(super) fn has(text: &str, marks: impl Fn(Block) -> Block) -> bool {
    let is_in = |block: &[u8; BLOCK]| marks(Block::new(*block)).to_bitmask() != 0;
    let bytes = text.as_bytes();
    if let Some(last) = bytes.last_chunk() {
        // The last bytes come with those before them.
        let (blocks, _) = bytes.as_chunks();
        return blocks.iter().any(is_in) || is_in(last);
    }
    match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(first), Some(last)) => {
            let mut block = [0; BLOCK];
            block[..8].copy_from_slice(first);
            block[8..].copy_from_slice(last);
            is_in(&block)
        }
        _ => bytes.iter().any(|byte| is_in(&[*byte; BLOCK])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocks::are;

    #[test]
    fn a_byte_is_found_wherever_it_stands() {
        for length in 0..70 {
            let mut text = "x".repeat(length);
            assert!(!has(&text, |block| are(block, b'!')), "{length}");
            for at in 0..length {
                text.replace_range(at..=at, "!");
                assert!(has(&text, |block| are(block, b'!')), "{at} of {length}");
                text.replace_range(at..=at, "x");
            }
        }
    }
}
