//! The machine's time, by way of the processor's counter.
//!
//! Every decision asks for the time, and to ask the system takes a fifth of all that a
//! decision takes. The processor counts steadily and is read in a third of the time; how
//! far its count is from the time is looked up once a millisecond. So a step of the
//! system's clock is seen a millisecond late, and in between the time is off by less
//! than a microsecond.
//!
//! A store does not follow a clock that was set back, so for as long as that takes to be
//! where it was, no sliding window would move, and whoever has used one up would be denied.
//! So a step back is not followed but caught up with.

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
/// A step back by more is one from a time that never was, and is followed.
const MOST_CAUGHT_UP: u64 = 24 * 3_600 * 1_000_000_000;

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
    let system = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, saturating_nanos);
    note(system, count, &OFFSET, &LAST_LOOK)
}

/// Takes note of what the system's clock says at this count: the time from then on.
fn note(system: u64, count: u64, offset: &AtomicU64, last_look: &AtomicU64) -> u64 {
    let now = match last_look.load(Ordering::Acquire) {
        NEVER => system,
        last => {
            let told = last.wrapping_add(offset.load(Ordering::Relaxed));
            caught_up(system, told, count.checked_sub(last))
        }
    };
    offset.store(now.wrapping_sub(count), Ordering::Relaxed);
    last_look.store(count, Ordering::Release);
    now
}

/// The time when the system says `system`, so long after it was `last`; how long is not
/// known where the count went back. Until the system's clock has caught up, this one runs
/// at half its speed.
fn caught_up(system: u64, last: u64, since: Option<u64>) -> u64 {
    let slowly = last.saturating_add(since.unwrap_or(0) / 2);
    if slowly.saturating_sub(system) > MOST_CAUGHT_UP { system } else { system.max(slowly) }
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
    fn a_step_back_is_caught_up_with_at_half_speed() {
        let (second, hour) = (1_000_000_000, 3_600_000_000_000);
        let start = 500_000 * hour;
        // The system's clock is set back by an hour, and asked every second.
        let (mut time, mut last) = (start, start);
        for seconds in 1..=3 * 3_600 {
            let system = start - hour + seconds * second;
            time = caught_up(system, time, Some(second));
            assert!(time - last >= second / 2 && time - last <= second, "after {seconds} s");
            assert_eq!(time == system, seconds >= 2 * 3_600, "after {seconds} s");
            last = time;
        }
        // A step forwards is followed at once, and so is one back that is too far.
        assert_eq!(caught_up(start + hour, start, Some(second)), start + hour);
        assert_eq!(caught_up(start - 24 * hour, start, None), start);
        assert_eq!(caught_up(start - 25 * hour, start, None), start - 25 * hour);
    }

    #[test]
    fn what_was_told_before_is_gone_on_from_and_the_first_look_is_believed() {
        let (offset, last_look) = (AtomicU64::new(0), AtomicU64::new(NEVER));
        let looks = |system, count| note(system, count, &offset, &last_look);
        assert_eq!(looks(1_000, 7_000), 1_000);
        assert_eq!(looks(1_010, 7_010), 1_010);
        // Set back by 500, forwards by as much, and again back where the count begins anew.
        assert_eq!(looks(520, 7_020), 1_015);
        assert_eq!(looks(530, 7_030), 1_020);
        assert_eq!(looks(1_040, 7_040), 1_040);
        assert_eq!(looks(540, 3), 1_040);
        assert_eq!(looks(560, 23), 1_050);
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
