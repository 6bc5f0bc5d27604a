//! Who is told what a response did.

use crate::provider::Observed;

/// Follows one response on behalf of what it will be charged to.
///
/// Of [`complete`](Self::complete) and [`fail`](Self::fail) at most one is called,
/// at most once; a meter that is dropped without either belonged to a response
/// that was abandoned.
pub trait Meter {
    /// The response has told something new.
    fn observe(&mut self, observed: &Observed);

    /// A frame came: the response is alive, and its deadline may move. Called for
    /// every frame, so it should be cheap.
    fn alive(&mut self);

    /// The response ended well, or said that it is complete.
    fn complete(self);

    /// The response broke off with an error.
    fn fail(self);
}
