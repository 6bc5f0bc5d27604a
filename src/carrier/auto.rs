//! The carriers of `http` requests.

use std::{any, fmt};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::Body;

use super::{Carrier, ReadBody, http as carry};
use crate::{
    body::MeteredBody,
    error::{BoxError, Error},
    labels::Labels,
    policy::{Permit, Policy},
};

/// Carries `http::Request<B>` for every body that can be made from bytes; the
/// carrier of [`DriftlockLayer::new`](crate::DriftlockLayer::new).
///
/// # Example
/// See [`DriftlockLayer`](crate::DriftlockLayer).
#[derive(Clone, Copy, Debug, Default)]
pub struct Auto;

impl<B, R> Carrier<Request<B>, Response<R>> for Auto
where
    B: Body + From<Bytes>,
    B::Error: Into<BoxError>,
    R: Body<Data = Bytes>,
{
    type Response = Response<MeteredBody<R>>;
    type Read = ReadBody<B>;

    fn labels(&self, request: &Request<B>) -> Labels {
        carry::labels(request)
    }

    fn read(&self, request: Request<B>, policy: &Policy) -> ReadBody<B> {
        carry::read(request, policy, B::from)
    }

    fn replace(
        &self,
        request: Request<B>,
        body: Bytes,
        uri: Option<Uri>,
    ) -> Result<Request<B>, Error> {
        Ok(carry::replace(request, body, uri, B::from))
    }

    fn meter(&self, response: Response<R>, permit: Permit) -> Self::Response {
        carry::meter(response, permit)
    }

    fn pass(&self, response: Response<R>) -> Self::Response {
        carry::pass(response)
    }
}

/// Carries `http::Request<B>` for a body that a function makes from bytes.
///
/// # Example
/// See [`DriftlockLayer::rebuild_with`](crate::DriftlockLayer::rebuild_with).
pub struct Rebuild<B>(pub(crate) fn(Bytes) -> B);

impl<B, R> Carrier<Request<B>, Response<R>> for Rebuild<B>
where
    B: Body,
    B::Error: Into<BoxError>,
    R: Body<Data = Bytes>,
{
    type Response = Response<MeteredBody<R>>;
    type Read = ReadBody<B>;

    fn labels(&self, request: &Request<B>) -> Labels {
        carry::labels(request)
    }

    fn read(&self, request: Request<B>, policy: &Policy) -> ReadBody<B> {
        carry::read(request, policy, self.0)
    }

    fn replace(
        &self,
        request: Request<B>,
        body: Bytes,
        uri: Option<Uri>,
    ) -> Result<Request<B>, Error> {
        Ok(carry::replace(request, body, uri, self.0))
    }

    fn meter(&self, response: Response<R>, permit: Permit) -> Self::Response {
        carry::meter(response, permit)
    }

    fn pass(&self, response: Response<R>) -> Self::Response {
        carry::pass(response)
    }
}

impl<B> Clone for Rebuild<B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for Rebuild<B> {}

impl<B> fmt::Debug for Rebuild<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rebuild<{}>", any::type_name::<B>())
    }
}
