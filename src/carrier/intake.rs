//! The trait of carriers.

use std::future::Future;

use bytes::Bytes;
use http::Uri;

use crate::{
    error::Error,
    labels::Labels,
    policy::{Permit, Policy},
    provider::Endpoint,
};

/// Takes requests of one type apart and puts them together again.
///
/// `Req` is what the governed service is called with, `Res` what it answers with.
/// The request type stays the same on both sides of the layer.
///
/// # Example
/// A client whose request is the JSON itself:
/// ```
/// use std::future::{Ready, ready};
///
/// use bytes::Bytes;
/// use driftlock::{Call, Error, Labels, Operation, Permit, Policy, Provider};
/// use driftlock::carrier::{Carrier, Intake};
/// use driftlock::provider::{Endpoint, Format};
/// use http::Uri;
///
/// #[derive(Clone, Debug)]
/// struct RawJson;
///
/// struct Answer {
///     json: String,
///     _permit: Permit, // dropped with the answer; a real carrier reads the usage
/// }
///
/// impl Carrier<Bytes, String> for RawJson {
///     type Response = Answer;
///     type Read = Ready<Result<Intake<Bytes>, Error>>;
///
///     fn labels(&self, _: &Bytes) -> Labels {
///         Labels::new()
///     }
///
///     fn read(&self, body: Bytes, _: &Policy) -> Self::Read {
///         let endpoint = Endpoint::new(Format::OpenAiChat, Provider::OPENAI);
///         ready(Ok(Intake::Call { endpoint, uri: None, body, request: Bytes::new() }))
///     }
///
///     fn replace(&self, _: Bytes, body: Bytes, _: Option<Uri>) -> Result<Bytes, Error> {
///         Ok(body)
///     }
///
///     fn pass(&self, json: String) -> Answer {
///         unreachable!("this client makes no other calls than chat: {json}")
///     }
///
///     fn meter(&self, json: String, permit: Permit) -> Answer {
///         Answer { json, _permit: permit }
///     }
/// }
/// # fn assert<C: Carrier<Bytes, String>>(_: C) {}
/// # assert(RawJson);
/// # let _ = |a: Answer| a.json;
/// ```
#[diagnostic::on_unimplemented(
    message = "driftlock cannot carry requests of type `{Req}` and responses of type `{Res}`",
    note = "`http::Request<B>` needs `B: http_body::Body + From<bytes::Bytes>`; for other bodies use \
            `DriftlockLayer::rebuild_with(fn(Bytes) -> B)`",
    note = "`http::Response<B>` needs `B: http_body::Body<Data = bytes::Bytes>`",
    note = "for other request types implement `driftlock::carrier::Carrier` and use `DriftlockLayer::with_carrier`"
)]
pub trait Carrier<Req, Res>: Clone {
    /// The response as the caller gets it, with the permit inside.
    type Response;
    /// Reads a request.
    type Read: Future<Output = Result<Intake<Req>, Error>>;

    /// The labels the request itself carries.
    fn labels(&self, request: &Req) -> Labels;

    /// Takes a request apart. What is free is told from its head alone, so that its
    /// body need not be polled.
    fn read(&self, request: Req, policy: &Policy) -> Self::Read;

    /// Puts a request together again with this body, and at another place if `uri`
    /// is given.
    ///
    /// # Errors
    /// If that is not possible; nothing is sent then.
    fn replace(&self, request: Req, body: Bytes, uri: Option<Uri>) -> Result<Req, Error>;

    /// Wraps a response so that the permit learns how it ends.
    fn meter(&self, response: Res, permit: Permit) -> Self::Response;

    /// The response of a request that is not metered.
    fn pass(&self, response: Res) -> Self::Response;
}

/// What a carrier made of a request.
///
/// For an example see [`Carrier`](crate::carrier::Carrier).
#[derive(Debug)]
pub enum Intake<Req> {
    /// To be sent as it is; its body was not polled.
    Free(Req),
    /// A call, taken apart: where it goes, its body, and the request without it.
    Call {
        /// Where it goes and in which format it speaks.
        endpoint: Endpoint,
        /// Its address, for endpoints that have the model in it.
        uri: Option<Uri>,
        /// Its body.
        body: Bytes,
        /// The request without its body.
        request: Req,
    },
    /// A call that may be sent only if the policy lets unmetered calls pass.
    Unmeterable {
        /// Why it cannot be metered, and where it was going.
        why: String,
        /// The request, whole.
        request: Req,
    },
}
