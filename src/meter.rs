//! Who is told what a response did.

use crate::provider::Observed;

/// Follows one response on behalf of what it will be charged to.
///
/// One of [`complete`](Self::complete), [`fail`](Self::fail) and
/// [`abandon`](Self::abandon) is called, once, with what the response has told.
pub trait Meter {
    /// A frame came: the response is alive, and its deadline may move. Called for
    /// every frame that does not settle the call, so it should be cheap.
    fn alive(&mut self);

    /// The response ended well, or said that it is complete.
    fn complete(self, told: &Observed);

    /// The response broke off with an error.
    fn fail(self, told: &Observed);

    /// The response was not read to its end.
    fn abandon(self, told: &Observed);
}
