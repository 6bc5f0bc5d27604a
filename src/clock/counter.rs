//! The machine's time, by way of the processor's counter.
//!
//! Every decision asks for the time, and to ask the system takes a fifth of all that a
//! decision takes. The processor counts steadily and is read in a third of the time; how
//! far its count is from the time is looked up once a millisecond. So a step of the
//! system's clock is seen a millisecond late, and in between the time is off by less
//! than a microsecond.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use super::saturating_nanos;

/// Between two looks at the system's clock, in nanoseconds.
const LOOK: u64 = 1_000_000;

static COUNTER: LazyLock<quanta::Clock> = LazyLock::new(quanta::Clock::new);
/// What to add to the count, modulo 2⁶⁴.
static OFFSET: AtomicU64 = AtomicU64::new(0);
/// The count at the last look. Its store comes after that of the offset and its load
/// before: so nobody takes it that somebody has looked, and not what was seen. That
/// another thread reads an offset before or after it is renewed makes no difference: both
/// are right.
static LAST_LOOK: AtomicU64 = AtomicU64::new(NEVER);
/// So far from every count that it is time to look.
const NEVER: u64 = u64::MAX / 2;

/// Nanoseconds since the epoch.
#[inline]
pub(super) fn now() -> u64 {
    let count = COUNTER.delta_as_nanos(0, COUNTER.raw());
    if is_due(count, LAST_LOOK.load(Ordering::Acquire)) {
        return look(count);
    }
    count.wrapping_add(OFFSET.load(Ordering::Relaxed))
}

/// Also where the count went back, as it does where a machine sleeps or moves to another
/// one: what was seen before says nothing then.
#[inline]
fn is_due(count: u64, last: u64) -> bool {
    count.wrapping_sub(last) >= LOOK
}

#[cold]
#[allow(clippy::disallowed_methods)] // the one place that may
fn look(count: u64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, saturating_nanos);
    OFFSET.store(now.wrapping_sub(count), Ordering::Relaxed);
    LAST_LOOK.store(count, Ordering::Release);
    now
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // compares with it
mod tests {
    use super::*;

    #[test]
    fn the_system_is_asked_at_first_after_a_while_and_when_the_count_went_back() {
        assert!(is_due(0, NEVER) && is_due(1 << 62, NEVER));
        assert!(!is_due(7, 7) && !is_due(7 + LOOK - 1, 7) && is_due(7 + LOOK, 7));
        assert!(is_due(6, 7) && is_due(0, 1 << 50));
    }

    #[test]
    fn it_is_the_time_of_the_system() {
        let system = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, saturating_nanos);
        // A look at either may be interrupted, for long on a busy machine.
        let slack = 50_000_000;
        for _ in 0..100_000 {
            let (before, time, after) = (system(), now(), system());
            assert!(before.saturating_sub(slack) <= time && time <= after + slack);
        }
    }
}
