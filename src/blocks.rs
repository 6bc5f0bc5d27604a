//! Searching bytes, a block of sixteen at a time.
//!
//! For strings of JSON, most of which end within one or two blocks: too soon for the
//! functions of `memchr`, which are called and prepare for long ways.

use wide::u8x16;

/// Bytes that are looked at in one step.
pub(crate) type Block = u8x16;

/// Bytes of a block.
pub(crate) const BLOCK: usize = 16;

/// The offset of the first byte from `from` on that `marks` fills with ones, or the end.
#[inline(always)]
pub(crate) fn find(bytes: &[u8], from: usize, marks: impl Fn(Block) -> Block) -> usize {
    let mut at = from;
    loop {
        match block(bytes, at, &marks) {
            Some(0) => at += BLOCK,
            Some(marks) => return at + marks.trailing_zeros() as usize,
            None => return find_in_rest(bytes, at, marks),
        }
    }
}

/// The same, if it is in the block at `from`; else an error with how far there is none.
#[inline(always)]
pub(crate) fn find_near(
    bytes: &[u8],
    from: usize,
    marks: impl Fn(Block) -> Block,
) -> Result<usize, usize> {
    match block(bytes, from, &marks) {
        None => match find_in_rest(bytes, from, marks) {
            at if at < bytes.len() => Ok(at),
            end => Err(end),
        },
        Some(0) => Err(from + BLOCK),
        Some(marks) => Ok(from + marks.trailing_zeros() as usize),
    }
}

/// A bit for each byte, the lowest for the first; `None` near the end.
#[inline(always)]
fn block(bytes: &[u8], at: usize, marks: &impl Fn(Block) -> Block) -> Option<u32> {
    let block: &[u8; BLOCK] = bytes.get(at..at.checked_add(BLOCK)?)?.try_into().ok()?;
    Some(marks(Block::new(*block)).to_bitmask())
}

/// The last bytes come with those before them, which is quicker than to copy them.
#[inline(never)]
fn find_in_rest(bytes: &[u8], from: usize, marks: impl Fn(Block) -> Block) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    let marks = match bytes.last_chunk::<BLOCK>() {
        Some(block) => marks(Block::new(*block)).to_bitmask() >> (BLOCK - rest.len()),
        None => {
            let mut block = [0; BLOCK];
            for (place, byte) in block.iter_mut().zip(rest) {
                *place = *byte;
            }
            marks(Block::new(block)).to_bitmask()
        }
    };
    from + rest.len().min(marks.trailing_zeros() as usize)
}

/// Sixty-four bytes that are looked at in one step; fewer at the end.
pub(crate) struct Stretch<'a> {
    // Those that there are not are spaces.
    chunk: &'a [u8; LONG],
    len: usize,
}

/// Bytes of a stretch.
const LONG: usize = 4 * BLOCK;

/// Room for the last stretch of bytes, which is not read beyond their end.
#[derive(Default)]
pub(crate) struct LastStretch(Option<[u8; LONG]>);

impl<'a> Stretch<'a> {
    /// Those from `at` on.
    #[inline(always)]
    pub(crate) fn at(bytes: &'a [u8], at: usize, last: &'a mut LastStretch) -> Self {
        let rest = bytes.get(at..).unwrap_or_default();
        match rest.first_chunk() {
            Some(chunk) => Self { chunk, len: LONG },
            None => Self { chunk: last.fill(rest), len: rest.len().min(LONG) },
        }
    }

    /// How many there are.
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// A bit for each byte that `marks` fills with ones, the lowest for the first. It must not
    /// do so with spaces.
    #[inline(always)]
    pub(crate) fn marks(&self, marks: impl Fn(Block) -> Block) -> u64 {
        let (blocks, _) = self.chunk.as_chunks::<BLOCK>();
        let [first, second, third, fourth] =
            std::array::from_fn(|index| u64::from(marks(Block::new(blocks[index])).to_bitmask()));
        first | second << BLOCK | third << (2 * BLOCK) | fourth << (3 * BLOCK)
    }
}

impl LastStretch {
    #[inline(never)]
    fn fill(&mut self, rest: &[u8]) -> &[u8; LONG] {
        let (chunk, len) = (self.0.insert([b' '; LONG]), rest.len().min(LONG));
        chunk[..len].copy_from_slice(&rest[..len]);
        chunk
    }
}

/// Marks the bytes that are this one.
#[inline(always)]
pub(crate) fn are(block: Block, byte: u8) -> Block {
    block.simd_eq(Block::splat(byte))
}

/// Marks what may end a string, or seem to.
#[inline(always)]
pub(crate) fn quotes_and_escapes(block: Block) -> Block {
    are(block, b'"') | are(block, b'\\')
}

/// Brackets as braces, from which they differ by one bit; nothing else does by that bit.
#[inline(always)]
pub(crate) fn braced(block: Block) -> Block {
    block | Block::splat(b'[' ^ b'{')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_is_found_at_every_distance() {
        for length in 0..70 {
            for at in 0..length {
                let mut bytes = vec![b'x'; length];
                bytes[at] = b'!';
                let is = |block| are(block, b'!');
                assert_eq!(find(&bytes, 0, is), at);
                assert_eq!(find(&bytes, at, is), at);
                assert_eq!(find(&bytes, at + 1, is), length);
                let is_near = at < BLOCK;
                assert_eq!(find_near(&bytes, 0, is).ok(), is_near.then_some(at));
            }
            assert_eq!(find(&vec![0; length], length, |block| are(block, 0)), length);
        }
    }

    #[test]
    fn a_stretch_has_a_bit_for_each_of_its_bytes() {
        for length in 0..200 {
            let bytes: Vec<_> = (0..length).map(|at| b'a' + at as u8 % 7).collect();
            for at in 0..=length {
                let mut last = LastStretch::default();
                let stretch = Stretch::at(&bytes, at, &mut last);
                assert_eq!(stretch.len(), (length - at).min(64));
                let marks = stretch.marks(|block| are(block, b'c'));
                let rest = bytes[at..].iter().take(64);
                let expected =
                    rest.enumerate().map(|(n, byte)| u64::from(*byte == b'c') << n).sum::<u64>();
                assert_eq!(marks, expected, "{at} of {length}");
            }
        }
    }
}
