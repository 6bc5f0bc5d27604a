//! Lists of numbers as bytes: what belongs to one row and is read only with it.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::store::counting::{Counter, Part};

/// On one counter of one scope, what a call booked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Booked {
    pub(crate) counter: i64,
    pub(crate) scope: i64,
    /// The part it is in: until when it counts, as nanoseconds after the call's time.
    pub(crate) lasts: u64,
}

/// All that one call booked.
pub(crate) type Bookings = SmallVec<[Booked; 8]>;

/// As bytes, of which there are few: small numbers take one.
pub(crate) fn bookings_to_bytes(bookings: &[Booked]) -> Vec<u8> {
    // Writing numbers to memory does not fail.
    postcard::to_stdvec(bookings).unwrap_or_default()
}

pub(crate) fn bookings_from_bytes(bytes: &[u8]) -> Option<Bookings> {
    postcard::from_bytes::<Vec<Booked>>(bytes).ok().map(Bookings::from_vec)
}

/// The parts behind the newest, `None` if there are none. Times are told by how long after
/// each other they are.
pub(crate) fn past_to_bytes(past: &mut dyn Iterator<Item = &Part>) -> Option<Vec<u8>> {
    let mut before = 0;
    let parts: Vec<(u64, u64, u64)> = past
        .map(|part| {
            let after = part.until.wrapping_sub(before);
            before = part.until;
            (after, part.used, part.open)
        })
        .collect();
    if parts.is_empty() { None } else { postcard::to_stdvec(&parts).ok() }
}

/// The counter that was kept as these columns; `None` if they make no sense.
pub(crate) fn counter_of(until: u64, used: u64, open: u64, past: Option<&[u8]>) -> Option<Counter> {
    let totals = Part { until, used, open };
    let Some(bytes) = past else { return Some(Counter::restored(totals, [])) };
    let parts: Vec<(u64, u64, u64)> = postcard::from_bytes(bytes).ok()?;
    let mut before = 0u64;
    let parts: Vec<Part> = parts
        .into_iter()
        .map(|(after, used, open)| {
            before = before.wrapping_add(after);
            Part { until: before, used, open }
        })
        .collect();
    let ascends = parts.iter().chain([&totals]).is_sorted_by(|one, next| one.until < next.until);
    ascends.then(|| Counter::restored(totals, parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_comes_back_with_every_part() {
        let mut counter = Counter::default();
        for time in 1..=20 {
            counter.roll(time);
            counter.reserve(time + 1_000, time);
        }
        let (totals, mut past) = counter.kept();
        let bytes = past_to_bytes(&mut past);
        let back = counter_of(totals.until, totals.used, totals.open, bytes.as_deref()).unwrap();
        let parts = |counter: &Counter| {
            let (totals, past) = counter.kept();
            let of = |part: &Part| (part.until, part.used, part.open);
            (of(&totals), past.map(of).collect::<Vec<_>>(), counter.leaves())
        };
        assert_eq!(parts(&back), parts(&counter));
        assert!(counter_of(1, 2, 3, Some(b"nonsense")).is_none());
    }

    #[test]
    fn what_a_call_booked_comes_back() {
        let booked = [(1, 2, 3), (i64::MAX, i64::MIN, u64::MAX)]
            .map(|(counter, scope, lasts)| Booked { counter, scope, lasts });
        let bytes = bookings_to_bytes(&booked);
        assert_eq!(bookings_from_bytes(&bytes).as_deref(), Some(&booked[..]));
        assert_eq!(bookings_from_bytes(&[]), None);
    }
}
