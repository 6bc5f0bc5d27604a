//! Time that goes by while a thread waits. No budget depends on it: theirs is the clock's.

use std::time::Instant;

#[allow(clippy::disallowed_methods)]
pub(super) fn now() -> Instant {
    Instant::now()
}
