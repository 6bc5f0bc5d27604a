//! What threads write, apart from what others read.
//!
//! Processors hand memory to each other in lines of 64 bytes, most of them two at a time. What
//! one thread writes on every call takes along whatever lies on the same line, and another
//! thread that only reads that waits for it.

use std::ops::Deref;

/// Has its lines to itself.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Apart<T>(pub(crate) T);

impl<T> Deref for Apart<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}
