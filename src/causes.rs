//! The errors within an error.
//!
//! `Error::source` is not the whole chain: some errors step over what they hold.
//! Whoever looks for a denial, or for proof that nothing was sent, must not.

use std::{error::Error as StdError, io, iter};

/// A chain longer than this says nothing new, and one that leads back to itself ends.
const MOST: usize = 64;

/// An error and what it holds, outermost first.
pub(crate) fn causes<'e>(
    error: &'e (dyn StdError + 'static),
) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    iter::successors(Some(error), |error| within(*error)).take(MOST)
}

fn within<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e (dyn StdError + 'static)> {
    // Both give the source of what they hold for their own.
    if let Some(held) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        return Some(held);
    }
    #[cfg(feature = "async-openai")]
    if let Some(async_openai::error::OpenAIError::Boxed(held)) = error.downcast_ref() {
        return Some(held.as_ref());
    }
    error.source()
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    #[derive(Debug)]
    struct Snake;

    impl fmt::Display for Snake {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("its own tail")
        }
    }

    impl StdError for Snake {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(self)
        }
    }

    #[test]
    fn a_chain_that_leads_back_to_itself_ends() {
        assert_eq!(causes(&Snake).count(), MOST);
    }

    #[test]
    fn what_an_io_error_holds_is_not_stepped_over() {
        let error = io::Error::other(io::Error::other(fmt::Error));
        assert!(error.source().is_none());
        assert!(causes(&error).any(|cause| cause.is::<fmt::Error>()));
    }

    #[cfg(feature = "async-openai")]
    #[test]
    fn what_an_openai_error_holds_is_not_stepped_over() {
        let error = async_openai::error::OpenAIError::Boxed(Box::new(fmt::Error));
        assert!(error.source().is_none());
        assert!(causes(&error).any(|cause| cause.is::<fmt::Error>()));
    }
}
