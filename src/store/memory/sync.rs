//! The one lock, from `std` or, under `--cfg loom`, from the model checker.

use std::sync::{PoisonError, TryLockError};

#[cfg(loom)]
pub(super) use loom::sync::{Mutex, MutexGuard};
#[cfg(not(loom))]
pub(super) use std::sync::{Mutex, MutexGuard};

/// Locks.
#[inline]
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    match mutex.try_lock() {
        Ok(guard) => guard,
        Err(_) => lock_held(mutex),
    }
}

/// Leaves a lock that is held alone for a moment, and then looks again, a few times before
/// it sleeps.
///
/// What is behind it lies on a dozen lines of memory. Threads that take turns spend most of
/// their time on having those brought from one processor to the other. So whoever finds it
/// held lets the other one go on for a few calls, which takes a microsecond or two.
#[cold]
fn lock_held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    const LOOKS: usize = 4;
    const PAUSES: usize = 60;
    // The model checker is not to try every moment at which one could look again.
    let looks = if cfg!(loom) { 0 } else { LOOKS };
    for _ in 0..looks {
        (0..PAUSES).for_each(|_| std::hint::spin_loop());
        // Nothing behind it runs foreign code, so there is no half-done change to fear
        // where a thread has panicked.
        match mutex.try_lock() {
            Ok(guard) => return guard,
            Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {}
        }
    }
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
