//! What a counter in the file holds at a time, for those who only look.

use super::blob::counter_of;

/// Settled and reserved, at `now`, of the counter that was kept as these columns; `None`
/// if they make no sense.
pub(crate) fn standing(
    until: u64,
    used: u64,
    open: u64,
    past: Option<&[u8]>,
    now: u64,
) -> Option<(u64, u64)> {
    let mut counter = counter_of(until, used, open, past)?;
    counter.roll(now);
    let reserved = counter.open().min(counter.used());
    Some((counter.used() - reserved, reserved))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_passed_no_longer_counts() {
        assert_eq!(standing(100, 7, 2, None, 99), Some((5, 2)));
        assert_eq!(standing(100, 7, 2, None, 100), Some((0, 0)));
        assert_eq!(standing(100, 7, 2, Some(b"nonsense"), 99), None);
    }
}
