//! Whether two short texts are the same.
//!
//! Every call has a few names compared, of users and of models. For a dozen letters, the
//! call of a function that compares any number of them takes longer than to compare.

/// Whether both are the same, in line up to 16 bytes.
#[inline]
pub(crate) fn same(one: &str, other: &str) -> bool {
    same_bytes(one.as_bytes(), other.as_bytes())
}

/// The same for what may not be a text.
#[inline]
pub(crate) fn same_bytes(one: &[u8], other: &[u8]) -> bool {
    match one.len() {
        length if length != other.len() => false,
        4..8 => ends::<4>(one) == ends(other),
        8..=16 => ends::<8>(one) == ends(other),
        _ => one == other,
    }
}

/// The first bytes and the last, which overlap where there are no more.
#[inline]
fn ends<const N: usize>(text: &[u8]) -> Option<(&[u8; N], &[u8; N])> {
    text.first_chunk().zip(text.last_chunk())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_the_same_if_every_byte_is() {
        let text = "abcdefghijklmnopqrst";
        for length in 0..text.len() {
            let one = &text[..length];
            assert!(same(one, String::from(one).as_str()));
            assert!(!same(one, &text[..=length]) && !same(&text[..=length], one));
            for changed in 0..length {
                let mut other = one.to_owned();
                other.replace_range(changed..=changed, "X");
                assert!(!same(one, &other), "{other}");
            }
        }
    }
}
