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
/// The count at which to look again. That another thread reads an offset before or
/// after it is renewed makes no difference: both are right.
static NEXT_LOOK: AtomicU64 = AtomicU64::new(0);

/// Nanoseconds since the epoch.
#[inline]
pub(super) fn now() -> u64 {
    let count = COUNTER.delta_as_nanos(0, COUNTER.raw());
    if count >= NEXT_LOOK.load(Ordering::Relaxed) {
        return look(count);
    }
    count.wrapping_add(OFFSET.load(Ordering::Relaxed))
}

#[cold]
#[allow(clippy::disallowed_methods)] // the one place that may
fn look(count: u64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, saturating_nanos);
    OFFSET.store(now.wrapping_sub(count), Ordering::Relaxed);
    NEXT_LOOK.store(count.saturating_add(LOOK), Ordering::Relaxed);
    now
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // compares with it
mod tests {
    use super::*;

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
