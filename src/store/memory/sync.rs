//! The one lock, from `std` or, under `--cfg loom`, from the model checker.

use std::sync::{PoisonError, TryLockError};

#[cfg(loom)]
pub(super) use loom::sync::{Mutex, MutexGuard};
#[cfg(not(loom))]
pub(super) use std::sync::{Mutex, MutexGuard};

/// Locks.
#[inline]
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Not a `match` with what is below in it: the error of a lock that is poisoned holds it.
    if let Ok(guard) = mutex.try_lock() {
        return guard;
    }
    lock_held(mutex)
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

#[cfg(all(test, not(loom)))]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_thread_that_panics_with_the_lock_is_in_nobodys_way() {
        let mutex = Mutex::new(0);
        thread::scope(|scope| {
            let fails = scope.spawn(|| {
                let _guard = lock(&mutex);
                panic!("on purpose");
            });
            assert!(fails.join().is_err() && mutex.is_poisoned());
            // Whoever finds it free, and whoever has to wait for it.
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|_| *lock(&mutex) += 1));
            }
        });
        assert_eq!(*lock(&mutex), 40_000);
    }
}
