//! What an error of a client proves about the call it ended.

use std::{error::Error as StdError, io};

use crate::{causes::causes, error::Error};

/// Whether an error proves that nothing was sent.
///
/// A refused connection and a call that a layer below stopped do; the crates that
/// features name have errors of their own that do. A timeout proves nothing, nor does
/// any error of a client that retries on its own.
pub(crate) fn is_nothing_sent(error: &(dyn StdError + 'static)) -> bool {
    causes(error).any(proves)
}

fn proves(error: &(dyn StdError + 'static)) -> bool {
    let refused = error.downcast_ref::<io::Error>();
    refused.is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
        || error.downcast_ref::<Error>().is_some_and(Error::is_not_sent)
        || of_clients(error)
}

fn of_clients(error: &(dyn StdError + 'static)) -> bool {
    #[cfg(feature = "hyper-util")]
    if let Some(error) = error.downcast_ref::<hyper_util::client::legacy::Error>() {
        return error.is_connect();
    }
    #[cfg(feature = "reqwest")]
    if let Some(error) = error.downcast_ref::<reqwest::Error>() {
        return error.is_connect() || error.is_builder();
    }
    #[cfg(feature = "retry")]
    if error.is::<tower::load_shed::error::Overloaded>() {
        return true;
    }
    let _ = error; // without a feature nothing else looks at it
    false
}

/// The status of the response that an error was made of, if it was made of one.
pub(crate) fn status(error: &(dyn StdError + 'static)) -> Option<u16> {
    causes(error).find_map(status_of)
}

fn status_of(error: &(dyn StdError + 'static)) -> Option<u16> {
    #[cfg(feature = "async-openai")]
    if let Some(async_openai::error::OpenAIError::ApiError(told)) = error.downcast_ref() {
        return Some(told.status_code.as_u16());
    }
    #[cfg(feature = "reqwest")]
    if let Some(error) = error.downcast_ref::<reqwest::Error>() {
        return error.status().map(|status| status.as_u16());
    }
    let _ = error; // as above
    None
}
