//! Two layers of one workspace and store around one client: only the outer one decides.
//!
//! The outer layer calls its inner service on this thread, inside [`within`]; an
//! inner layer of the same workspace finds itself there. Behind a `Buffer`, which
//! calls from another task, and on a retry's later attempts, it does not, and
//! governs the call itself.

use std::cell::Cell;

use crate::policy::Policy;

thread_local! {
    /// A mark of the workspace and store whose layer is calling its inner service.
    static CALLING: Cell<u64> = const { Cell::new(0) };
}

/// Calls an inner service on behalf of `policy`.
#[inline]
pub(crate) fn within<T>(policy: &Policy, call: impl FnOnce() -> T) -> T {
    struct Restore(u64);
    impl Drop for Restore {
        #[inline]
        fn drop(&mut self) {
            CALLING.set(self.0);
        }
    }
    let _restore = Restore(CALLING.replace(policy.workspace_mark()));
    call()
}

/// Whether an outer layer of the policy's workspace and store is making this call.
///
/// One decision is good for one call: a service in between that makes two through
/// governed clients has the second one decided.
#[inline]
pub(crate) fn take(policy: &Policy) -> bool {
    let is_within = CALLING.get() == policy.workspace_mark();
    if is_within {
        CALLING.set(0);
    }
    is_within
}
