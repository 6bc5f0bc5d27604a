//! Passing over an object or an array, up to the bracket that closes it.
//!
//! A bracket counts unless it is in a string: if an odd number of quotes stand before it.
//! And a quote counts unless it is escaped: if an odd number of backslashes stand right
//! before it. Both are sums that go on from byte to byte, so one addition and a few shifts
//! answer for sixty-four bytes together. The method is that of Langdale and Lemire,
//! *Parsing Gigabytes of JSON per Second*, 2019, section 3.1.

use crate::blocks::{LastStretch, Stretch, are, braced};

/// Where in an object or array a reader is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Nest {
    /// Open brackets.
    pub(super) depth: u64,
    in_string: bool,
    /// The last byte was a backslash that escapes the next one.
    escapes: bool,
}

impl Nest {
    /// Reads on in `bytes` from the offset `from`, where at first the opening bracket is: up
    /// to and with the one that closes it, if that is there.
    #[inline]
    pub(super) fn pass(&mut self, bytes: &[u8], from: usize) -> Option<usize> {
        let (mut at, mut last) = (from, LastStretch::default());
        while at < bytes.len() {
            let stretch = Stretch::at(bytes, at, &mut last);
            let in_strings = self.in_strings(&stretch);
            if in_strings == u64::MAX {
                at += stretch.len(); // nothing counts, as in most of a long text
                continue;
            }
            let open = stretch.marks(|block| are(braced(block), b'{')) & !in_strings;
            let close = stretch.marks(|block| are(braced(block), b'}')) & !in_strings;
            let mut brackets = open | close;
            while brackets != 0 {
                let bracket = brackets & brackets.wrapping_neg();
                if open & bracket != 0 {
                    self.depth = self.depth.saturating_add(1);
                } else {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        *self = Self::default();
                        return Some(at + bracket.trailing_zeros() as usize + 1);
                    }
                }
                brackets ^= bracket;
            }
            at += stretch.len();
        }
        None
    }

    /// Marks the bytes in strings, the opening quote with them and the closing one not.
    #[inline(always)]
    fn in_strings(&mut self, stretch: &Stretch<'_>) -> u64 {
        let backslashes = stretch.marks(|block| are(block, b'\\'));
        let escaped = match backslashes | u64::from(self.escapes) {
            0 => 0,
            _ => self.escaped(backslashes, stretch.len()),
        };
        let quotes = stretch.marks(|block| are(block, b'"')) & !escaped;
        if quotes == 0 {
            return if self.in_string { u64::MAX } else { 0 };
        }
        let mut odd = quotes;
        for shift in [1, 2, 4, 8, 16, 32] {
            odd ^= odd << shift;
        }
        let in_strings = if self.in_string { !odd } else { odd };
        self.in_string = in_strings >> 63 == 1; // no quote is behind the last byte
        in_strings
    }

    /// Marks the bytes that are escaped: those with an odd number of backslashes right before
    /// them.
    #[inline]
    fn escaped(&mut self, backslashes: u64, len: usize) -> u64 {
        const EVEN: u64 = 0x5555_5555_5555_5555;
        let first = u64::from(self.escapes);
        let backslashes = backslashes & !first;
        let behind = backslashes << 1 | first;
        // A run that begins at an odd place carries on to the place behind it, where the
        // parity of its length shows against that of the place.
        let odd_runs = backslashes & !EVEN & !behind;
        let (ends, overflows) = odd_runs.overflowing_add(backslashes);
        let escaped = (EVEN ^ ends << 1) & behind;
        self.escapes = if len == 64 { overflows } else { escaped >> len & 1 == 1 };
        escaped
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One byte after the other.
    fn slowly(bytes: &[u8]) -> Option<usize> {
        let (mut depth, mut in_string, mut escapes) = (0_u64, false, false);
        for (at, byte) in bytes.iter().enumerate() {
            let is_escaped = std::mem::take(&mut escapes);
            match byte {
                b'"' => in_string ^= !is_escaped,
                b'\\' => escapes = !is_escaped,
                b'{' | b'[' if !in_string => depth += 1,
                b'}' | b']' if !in_string => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }

    #[test]
    fn an_escape_reaches_into_the_next_sixty_four_bytes() {
        for (before, escapes) in (0..130).flat_map(|before| (0..5).map(move |n| (before, n))) {
            let (before, escapes) = ("x".repeat(before), "\\".repeat(escapes));
            let text = format!("{{\"{before}{escapes}\"}}\"{}}}\"}}", "x".repeat(70));
            let expected = slowly(text.as_bytes());
            assert_eq!(Nest::default().pass(text.as_bytes(), 0), expected, "{text}");
            let (head, tail) = text.as_bytes().split_at(2 + before.len() + escapes.len());
            let mut nest = Nest::default();
            assert_eq!(nest.pass(head, 0), None);
            assert_eq!(nest.pass(tail, 0).map(|end| head.len() + end), expected, "{text}");
        }
    }

    fn brackets_and_strings() -> impl Strategy<Value = Vec<u8>> {
        let bytes = prop::sample::select(b"[]{}\"\\\\\\x ".to_vec());
        prop::collection::vec(bytes, 0..300).prop_map(|mut bytes| {
            bytes.splice(0..0, *b"{[[{[[");
            bytes
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn many_bytes_at_a_time_are_read_as_one_after_the_other(
            bytes in brackets_and_strings(), cut in any::<prop::sample::Index>(),
        ) {
            let expected = slowly(&bytes);
            prop_assert_eq!(Nest::default().pass(&bytes, 0), expected);

            let (head, tail) = bytes.split_at(cut.index(bytes.len()));
            let mut nest = Nest::default();
            let end = nest.pass(head, 0).or_else(|| Some(head.len() + nest.pass(tail, 0)?));
            prop_assert_eq!(end, expected);

            let within = [b"\"\\".as_slice(), &bytes].concat();
            prop_assert_eq!(Nest::default().pass(&within, 2), expected.map(|end| end + 2));
        }
    }
}
