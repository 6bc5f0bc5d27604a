//! What a policy changed in a request.

use bytes::Bytes;
use http::Uri;

/// What a request has to say before it is sent.
///
/// Carriers of JSON send [`body`](Self::body), which has every change in it already;
/// those of typed requests write the other fields into their own.
///
/// For an example see [`Carrier`](crate::carrier::Carrier).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Changes<'a> {
    /// The body: as it was read, but for what was changed.
    pub body: Bytes,
    /// Whether anything was changed in the body. A length that the request states is then to
    /// be that of the new one.
    pub is_body_changed: bool,
    /// Another address, where that depends on the model.
    pub uri: Option<Uri>,
    /// Another model.
    pub model: Option<&'a str>,
    /// An output maximum per choice to state, or to lower a higher one to.
    pub max_output_tokens: Option<u64>,
    /// Whether to ask a stream for its usage, and hide the answer from the caller.
    pub include_usage: bool,
}

impl Changes<'_> {
    /// None.
    pub(crate) fn none(body: Bytes) -> Self {
        Self {
            body,
            is_body_changed: false,
            uri: None,
            model: None,
            max_output_tokens: None,
            include_usage: false,
        }
    }
}
