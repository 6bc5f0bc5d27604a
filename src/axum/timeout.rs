//! Which errors of a wrapped service are timeouts.

use std::{error::Error as StdError, io, iter};

/// A chain of causes longer than this is not looked at to its end.
const MOST_CAUSES: usize = 32;

/// An error and the causes behind it.
pub(super) fn chain<'e>(
    error: &'e (dyn StdError + 'static),
) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    iter::successors(Some(error), |error| cause(*error)).take(MOST_CAUSES)
}

fn cause<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e (dyn StdError + 'static)> {
    // The `source` of an I/O error is that of the error within: it would be skipped.
    match error.downcast_ref::<io::Error>() {
        Some(error) => error.get_ref().map(|within| within as &(dyn StdError + 'static)),
        None => error.source(),
    }
}

/// Whether this error, whatever is behind it, says that time ran out.
pub(super) fn is_timeout(error: &(dyn StdError + 'static)) -> bool {
    error.is::<tower::timeout::error::Elapsed>()
        || error.is::<tokio::time::error::Elapsed>()
        || error
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    #[derive(Debug)]
    struct Outer(io::Error);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("outer")
        }
    }

    impl StdError for Outer {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(&self.0)
        }
    }

    fn times_out(error: &(dyn StdError + 'static)) -> bool {
        chain(error).any(is_timeout)
    }

    #[test]
    fn a_timeout_is_found_wherever_it_is_wrapped() {
        let elapsed = tower::timeout::error::Elapsed::new;
        assert!(times_out(&elapsed()));
        assert!(times_out(&io::Error::from(io::ErrorKind::TimedOut)));
        assert!(times_out(&io::Error::other(elapsed())));
        assert!(times_out(&Outer(io::Error::other(Outer(io::Error::other(elapsed()))))));
    }

    #[test]
    fn a_lost_connection_is_none() {
        assert!(!times_out(&Outer(io::Error::from(io::ErrorKind::ConnectionReset))));
        assert!(!times_out(&io::Error::other("deadline has elapsed")));
    }

    #[test]
    fn an_error_that_is_its_own_cause_comes_to_an_end() {
        #[derive(Debug)]
        struct Circle;
        impl fmt::Display for Circle {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("circle")
            }
        }
        impl StdError for Circle {
            fn source(&self) -> Option<&(dyn StdError + 'static)> {
                Some(&Circle)
            }
        }
        assert!(!times_out(&Circle));
    }
}
