//! A limit on how many calls are made within a time.

use std::time::Duration;

use super::counted::{Counted, counted_rule, counting_options};
use crate::{claim::Unit, denial::DenialKind, window::Window};

/// Admits at most `calls` calls in **any** span of `window`.
///
/// Not per calendar minute, which lets twice as many through around the full
/// minute. Exact up to 1,024 calls; above that in steps of a sixtieth of the
/// window, never letting more through. A denied call does not count; an admitted
/// one does, whatever became of it, unless nothing was sent.
///
/// # Example
/// ```
/// use std::time::Duration;
/// use driftlock::{Policy, VelocityLimit};
///
/// let policy = Policy::builder()
///     .rule(VelocityLimit::new(60, Duration::from_secs(60)))
///     .rule(VelocityLimit::new(5, Duration::from_secs(1)).per_user().named("user burst"))
///     .build()?;
/// # Ok::<(), driftlock::BuildError>(())
/// ```
#[doc(alias = "VelocityLimitRule")]
#[derive(Clone, Debug)]
pub struct VelocityLimit(Counted);

impl VelocityLimit {
    /// At most `calls` in any `window`; a zero window is refused when the policy is built.
    pub fn new(calls: u64, window: Duration) -> Self {
        let window = Window::Sliding(window);
        Self(Counted::new("velocity_limit", DenialKind::Velocity, Unit::Calls, window, calls))
    }

    counting_options!(u64, |calls| calls);
}

counted_rule!(VelocityLimit);
