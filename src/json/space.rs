//! White space.

/// Where the white space that begins at `from`, if any, ends.
///
/// A function and a loop of its own, since most documents have hardly any.
#[inline(never)]
pub(super) fn end(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    let length = rest.iter().position(|byte| !matches!(byte, b' ' | b'\n' | b'\r' | b'\t'));
    from + length.unwrap_or(rest.len())
}
