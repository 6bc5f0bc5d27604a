//! Whether two short texts are the same.
//!
//! Every call has a few names compared, of users and of models. For a dozen letters, the
//! call of a function that compares any number of them takes longer than to compare.

/// Whether both are the same, in line up to 32 bytes.
#[inline]
pub(crate) fn same(one: &str, other: &str) -> bool {
    same_bytes(one.as_bytes(), other.as_bytes())
}

/// The same for what may not be a text.
#[inline]
pub(crate) fn same_bytes(one: &[u8], other: &[u8]) -> bool {
    match one.len() {
        length if length != other.len() => false,
        8..=16 => same_ends::<8>(one, other),
        4..8 => same_ends::<4>(one, other),
        17..=32 => same_ends::<16>(one, other),
        _ => one == other,
    }
}

/// Whether the first bytes are the same and the last, which overlap where there are no more.
#[inline]
fn same_ends<const N: usize>(one: &[u8], other: &[u8]) -> bool {
    let first = (one.first_chunk::<N>(), other.first_chunk::<N>());
    let last = (one.last_chunk::<N>(), other.last_chunk::<N>());
    match (first, last) {
        ((Some(one), Some(other)), (Some(end), Some(ending))) => one == other && end == ending,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_the_same_if_every_byte_is() {
        let text = "abcdefghijklmnopqrstuvwxyzabcdefghijklmn";
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
