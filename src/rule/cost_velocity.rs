//! A limit on how much is spent within a time.

use std::time::Duration;

use super::counted::{Counted, counted_rule, counting_options};
use crate::{claim::Unit, denial::DenialKind, usd::Usd, window::Window};

/// Admits at most `limit` of spend, reserved included, in **any** span of `window`.
///
/// A circuit breaker: a loop that burns $5 an hour is stopped within the hour,
/// not at the end of the month. Spend is counted in steps of a sixtieth of the
/// window and is never let past the limit.
///
/// # Example
/// ```
/// use std::time::Duration;
/// use driftlock::{CostVelocity, Policy, Usd};
///
/// let policy = Policy::builder()
///     .rule(CostVelocity::new(Usd::dollars(5), Duration::from_secs(3_600)).per_user())
///     .build()?;
/// # Ok::<(), driftlock::BuildError>(())
/// ```
#[doc(alias = "CostVelocityRule")]
#[derive(Clone, Debug)]
pub struct CostVelocity(Counted);

impl CostVelocity {
    /// At most `limit` in any `window`; a zero window is refused when the policy is built.
    pub fn new(limit: Usd, window: Duration) -> Self {
        let window = Window::Sliding(window);
        Self(Counted::new(
            "cost_velocity",
            DenialKind::Velocity,
            Unit::Cost,
            window,
            limit.as_nanos(),
        ))
    }

    counting_options!(Usd, Usd::as_nanos);
}

counted_rule!(CostVelocity);
