//! The one error type of a governed client.

use std::{error::Error as StdError, fmt};

use crate::{denial::Denial, store::StoreError, unreadable::Unreadable};

/// A boxed error, as in Tower.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// What a governed call can fail with.
///
/// One concrete type, so that it composes with every Tower layer: the error of
/// the wrapped service is kept boxed in [`Error::Inner`] and comes back out with
/// [`downcast_inner`](Self::downcast_inner).
///
/// Its text tells the causes too, since many programs log only the outermost error. They are
/// its [`source`](StdError::source) as well, to be found by their types; so a chain that is
/// printed whole, as by anyhow's `{:#}`, tells them twice. Print it with `{}`.
///
/// Behind a layer that boxes errors (`Buffer`, `Timeout`, `LoadShed`) a denial is
/// found with [`Denial::find`]`(error.as_ref())`.
///
/// # Example
/// ```
/// use driftlock::Error;
///
/// fn explain(error: &Error) -> String {
///     match error.denial() {
///         Some(denial) => format!("blocked by {}: {denial}", denial.rule()),
///         None => format!("failed: {error}"),
///     }
/// }
/// # let error = Error::from(driftlock::StoreError::new("away"));
/// # assert_eq!(explain(&error), "failed: not sent: the store of budgets did not answer: away");
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A rule said no. Nothing was sent.
    Denied(Denial),
    /// The request could not be read. Nothing was sent.
    Unreadable(Unreadable),
    /// The store of counters did not answer, and the policy denies in that case. Nothing was sent.
    Store(StoreError),
    /// The wrapped service failed.
    Inner(BoxError),
}

impl Error {
    /// An error of the wrapped service; one that is driftlock's already, from a
    /// layer below, is taken as it is.
    pub fn inner(error: impl Into<BoxError>) -> Self {
        match error.into().downcast::<Self>() {
            Ok(ours) => *ours,
            Err(error) => Self::Inner(error),
        }
    }

    /// The denial, if a rule said no, here or in a layer below.
    pub fn denial(&self) -> Option<&Denial> {
        match self {
            Self::Denied(denial) => Some(denial),
            Self::Inner(error) => Denial::find(error.as_ref()),
            Self::Unreadable(_) | Self::Store(_) => None,
        }
    }

    /// Whether it was this layer, or one below of another workspace, that stopped the call.
    pub(crate) fn is_not_sent(&self) -> bool {
        matches!(self, Self::Denied(_) | Self::Unreadable(_) | Self::Store(_))
    }

    /// The error of the wrapped service, if it is an `E`.
    pub fn inner_ref<E: StdError + 'static>(&self) -> Option<&E> {
        match self {
            Self::Inner(error) => error.downcast_ref(),
            Self::Denied(_) | Self::Unreadable(_) | Self::Store(_) => None,
        }
    }

    /// Takes the error of the wrapped service out.
    ///
    /// # Errors
    /// This error, unchanged, if it is none of the wrapped service's or not an `E`.
    pub fn downcast_inner<E: StdError + Send + Sync + 'static>(self) -> Result<E, Self> {
        match self {
            Self::Inner(error) => error.downcast().map(|inner| *inner).map_err(Self::Inner),
            other => Err(other),
        }
    }

    /// A boxed error without this layer around it: an inner error as it was, else this one.
    pub fn flatten(self) -> BoxError {
        match self {
            Self::Inner(error) => error,
            other => Box::new(other),
        }
    }
}

/// A chain of causes longer than this says nothing new.
const MOST_CAUSES: usize = 8;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The whole story in one line: many programs log only the outermost error.
        match self {
            Self::Denied(denial) => write!(f, "denied by {denial}"),
            Self::Unreadable(error) => write!(f, "not sent: {error}"),
            Self::Store(error) => {
                write!(f, "not sent: the store of budgets did not answer: {error}")
            }
            Self::Inner(error) => {
                write!(f, "the call failed: {error}")?;
                let causes = std::iter::successors(error.source(), |cause| (*cause).source());
                causes.take(MOST_CAUSES).try_for_each(|cause| write!(f, ": {cause}"))
            }
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(match self {
            Self::Denied(denial) => denial,
            Self::Unreadable(error) => error,
            Self::Store(error) => error,
            Self::Inner(error) => error.as_ref(),
        })
    }
}

impl From<Denial> for Error {
    fn from(denial: Denial) -> Self {
        Self::Denied(denial)
    }
}

impl From<Unreadable> for Error {
    fn from(error: Unreadable) -> Self {
        Self::Unreadable(error)
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::denial::Deny;

    #[test]
    fn nested_errors_of_ours_collapse() {
        let denied = Error::Denied(Deny::new("no").by("rule"));
        let outer = Error::inner(denied);
        assert!(matches!(outer, Error::Denied(_)));
    }

    #[test]
    fn the_causes_of_an_inner_error_are_told_in_the_same_line() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let outer = Error::inner(Error::inner(std::io::Error::other(refused)));
        assert_eq!(outer.to_string(), "the call failed: connection refused");
        let denied = Error::inner(Box::new(Wrapped(Deny::new("no").by("rule"))) as BoxError);
        assert_eq!(denied.to_string(), "the call failed: wrapped: rule: no");
    }

    #[derive(Debug)]
    struct Wrapped(Denial);

    impl fmt::Display for Wrapped {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("wrapped")
        }
    }

    impl StdError for Wrapped {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn the_inner_error_comes_back_out_as_it_was() {
        let error = Error::inner(std::io::Error::other("reset"));
        assert!(error.inner_ref::<fmt::Error>().is_none());
        let error = error.downcast_inner::<fmt::Error>().unwrap_err();
        assert_eq!(error.downcast_inner::<std::io::Error>().unwrap().to_string(), "reset");
    }
}
