//! driftlock's errors as async-openai's.

use async_openai::error::OpenAIError;

use crate::error::Error;

/// So that an unmodified program's matches keep working: an error of the client comes
/// out as it was, and a call that was stopped is [`OpenAIError::Boxed`] with this
/// [`Error`] in it. [`Denial::find`](crate::Denial::find) sees through that.
///
/// # Example
/// ```
/// use async_openai::error::OpenAIError;
/// use driftlock::{Denial, Error};
///
/// fn explain(error: &OpenAIError) -> String {
///     match (Denial::find(error), error) {
///         (Some(denial), _) => format!("blocked by {denial}"),
///         (None, OpenAIError::ApiError(refused)) => format!("refused: {refused}"),
///         (None, other) => format!("failed: {other}"),
///     }
/// }
///
/// let own = OpenAIError::InvalidArgument("no messages".into());
/// let error = OpenAIError::from(Error::inner(own));
/// assert_eq!(explain(&error), "failed: invalid args: no messages");
/// ```
impl From<Error> for OpenAIError {
    fn from(error: Error) -> Self {
        let inner = match error.downcast_inner::<Self>() {
            Ok(own) => return own,
            Err(error) => error.downcast_inner::<reqwest::Error>(),
        };
        inner.map_or_else(|error| Self::Boxed(error.flatten()), Self::Reqwest)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::denial::{Denial, Deny};

    #[test]
    fn a_denial_comes_out_typed() {
        let denied = Error::Denied(Deny::new("no").by("rule"));
        let error = OpenAIError::from(denied);
        assert_eq!(Denial::find(&error).map(Denial::rule), Some("rule"));
        let OpenAIError::Boxed(boxed) = error else { panic!("{error}") };
        assert!(matches!(boxed.downcast_ref(), Some(Error::Denied(_))));
    }

    #[test]
    fn what_the_client_or_a_layer_said_comes_out_as_it_was() {
        let own = OpenAIError::InvalidArgument("x".into());
        assert!(matches!(Error::inner(own).into(), OpenAIError::InvalidArgument(_)));
        let OpenAIError::Boxed(boxed) = Error::inner(io::Error::other("y")).into() else {
            panic!("boxed");
        };
        assert!(boxed.is::<io::Error>());
    }
}
