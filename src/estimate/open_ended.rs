//! Input that is not in the request.

/// What to make of calls whose input cannot be known from the request.
///
/// Tools that run on the provider's side read pages into the prompt; stored
/// conversations, file ids and linked documents stand for texts of any length. See
/// [`Call::open_ended`](crate::Call::open_ended).
///
/// # Example
/// ```
/// use driftlock::OpenEnded;
///
/// assert_eq!(OpenEnded::default(), OpenEnded::Assume(32_000));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenEnded {
    /// Assume so many input tokens more than the request shows. The default, with
    /// 32,000. The bound is an assumption.
    Assume(u64),
    /// Assume the most the model can read. The bound is an assumption all the same:
    /// a tool may have the model called more than once.
    ContextLimit,
    /// Deny such calls.
    Deny,
}

impl Default for OpenEnded {
    fn default() -> Self {
        Self::Assume(32_000)
    }
}
