//! Where the time comes from.
//!
//! Nothing in driftlock reads the machine's clock but [`SystemClock`]. Everything
//! else is handed a [`Timestamp`], so that a test moves time with a
//! [`ManualClock`] instead of waiting for it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Serialize, Serializer};

mod counter;

/// A moment: nanoseconds since 1970-01-01T00:00:00Z, up to the year 2554.
///
/// # Example
/// ```
/// use driftlock::Timestamp;
///
/// let noon: Timestamp = "2026-11-22T12:00:00Z".parse()?;
/// assert_eq!(noon.to_string(), "2026-11-22T12:00:00Z");
/// # Ok::<(), driftlock::ParseTimeError>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);
    /// The last moment, in the year 2554; stands for "never".
    pub const MAX: Self = Self(u64::MAX);

    /// Nanoseconds since the epoch.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the epoch.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// This moment plus `duration`, at most [`Timestamp::MAX`].
    pub fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(saturating_nanos(duration)))
    }

    /// The time from `earlier` to this moment, zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This moment, or the next full second.
    pub(crate) fn ceil_second(self) -> Self {
        const SECOND: u64 = 1_000_000_000;
        Self(self.0.div_ceil(SECOND).saturating_mul(SECOND))
    }

    pub(crate) fn to_jiff(self) -> jiff::Timestamp {
        // u64 nanoseconds end in 2554, jiff's range in 9999.
        jiff::Timestamp::from_nanosecond(i128::from(self.0)).unwrap_or(jiff::Timestamp::MAX)
    }

    pub(crate) fn from_jiff(time: jiff::Timestamp) -> Self {
        Self(u64::try_from(time.as_nanosecond().max(0)).unwrap_or(u64::MAX))
    }
}

/// `duration` in nanoseconds; above 584 years, the largest number.
#[inline]
pub(crate) fn saturating_nanos(duration: Duration) -> u64 {
    // Not by `as_nanos`, whose 128 bits take three times as long.
    let whole = duration.as_secs().checked_mul(1_000_000_000);
    whole.and_then(|nanos| nanos.checked_add(duration.subsec_nanos().into())).unwrap_or(u64::MAX)
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        Self(time.duration_since(UNIX_EPOCH).map_or(0, saturating_nanos))
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> Self {
        UNIX_EPOCH + Duration::from_nanos(time.0)
    }
}

/// RFC 3339, as `2026-12-01T00:00:00Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.to_jiff(), f)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Reads RFC 3339, with any offset.
impl std::str::FromStr for Timestamp {
    type Err = ParseTimeError;

    fn from_str(text: &str) -> Result<Self, ParseTimeError> {
        text.parse()
            .map(Self::from_jiff)
            .map_err(|error: jiff::Error| ParseTimeError(error.to_string()))
    }
}

/// The text is not an RFC 3339 time.
///
/// For an example see [`Timestamp`](crate::Timestamp).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseTimeError(String);

impl fmt::Display for ParseTimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a time like 2026-12-01T00:00:00Z: {}", self.0)
    }
}

impl std::error::Error for ParseTimeError {}

/// A source of wall-clock time.
///
/// Budgets reset at calendar boundaries, so this is wall time and may be stepped
/// by the machine's operator. Stores never let a step back undo anything: they
/// use the latest time they have seen.
///
/// # Example
/// ```
/// use driftlock::{Clock, Timestamp};
///
/// #[derive(Debug)]
/// struct Stopped;
///
/// impl Clock for Stopped {
///     fn now(&self) -> Timestamp {
///         Timestamp::EPOCH
///     }
/// }
/// assert_eq!(Stopped.now(), Timestamp::EPOCH);
/// ```
pub trait Clock: Send + Sync + 'static {
    /// The time now. Called once for a decision, so it should be cheap.
    fn now(&self) -> Timestamp;
}

/// The machine's clock; the default. Within a microsecond of the system's, of whose
/// steps it knows within a millisecond.
///
/// A step forwards is followed at once. After a step back by up to a day, it goes on at half
/// speed until the system's clock has caught up: sliding windows are up to twice as long
/// meanwhile, where they would otherwise stand still, since stores never go back in time.
///
/// For an example see [`Clock`](crate::Clock).
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[inline]
    fn now(&self) -> Timestamp {
        Timestamp(counter::now())
    }
}

/// A clock that moves only when told to. Clones share one time.
///
/// # Example
/// ```
/// use std::time::Duration;
/// use driftlock::{Clock, ManualClock};
///
/// let clock = ManualClock::at("2026-11-30T23:59:59Z".parse()?);
/// clock.advance(Duration::from_secs(1));
/// assert_eq!(clock.now().to_string(), "2026-12-01T00:00:00Z");
/// # Ok::<(), driftlock::ParseTimeError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// A clock that stands at `time`.
    pub fn at(time: Timestamp) -> Self {
        Self(Arc::new(AtomicU64::new(time.0)))
    }

    /// Moves the clock forwards.
    pub fn advance(&self, by: Duration) {
        self.set(self.now().saturating_add(by));
    }

    /// Puts the clock at `time`, also backwards, as an operator might.
    pub fn set(&self, time: Timestamp) {
        self.0.store(time.0, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_convert_without_loss_and_saturate() {
        let time: Timestamp = "2026-11-22T12:00:00.123456789Z".parse().unwrap();
        assert_eq!(Timestamp::from(SystemTime::from(time)), time);
        assert_eq!(Timestamp::MAX.saturating_add(Duration::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::EPOCH.since(time), Duration::ZERO);
        assert_eq!(Timestamp::from(UNIX_EPOCH - Duration::from_secs(1)), Timestamp::EPOCH);
        assert!("yesterday".parse::<Timestamp>().is_err());
    }
}
