//! The carriers of `http` requests.

use std::{any, fmt};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;

use super::{Carrier, Changes, ReadBody, http as carry};
use crate::{
    body::MeteredBody,
    error::{BoxError, Error},
    policy::{Permit, Policy},
};

/// Carries what clients take; the carrier of [`DriftlockLayer::new`](crate::DriftlockLayer::new).
///
/// | requests and responses | |
/// |---|---|
/// | `http::Request<B>` → `http::Response<R>` | `B: http_body::Body + From<Bytes>`, `R: http_body::Body<Data = Bytes>` |
/// | `reqwest::Request` → `reqwest::Response` | feature `reqwest` |
/// | `HttpRequestFactory` → `reqwest::Response` | feature `async-openai` |
/// | async-openai's typed requests, | feature `async-openai` |
///
/// # Example
/// See [`DriftlockLayer`](crate::DriftlockLayer).
#[derive(Clone, Copy, Debug, Default)]
pub struct Auto;

/// Carries `http::Request<B>` for a body that a function makes from bytes.
///
/// # Example
/// See [`DriftlockLayer::rebuild_with`](crate::DriftlockLayer::rebuild_with).
pub struct Rebuild<B>(pub(crate) fn(Bytes) -> B);

/// Carries `http` requests by a carrier that knows how to make their bodies.
macro_rules! carry_http {
    ($carrier:ty, where B: $($from_bytes:path)?, |$this:ident| $rebuild:expr) => {
        impl<B, R> Carrier<Request<B>, Response<R>> for $carrier
        where
            B: Body $(+ $from_bytes)?,
            B::Error: Into<BoxError>,
            R: Body<Data = Bytes>,
        {
            type Response = Response<MeteredBody<R>>;
            type Read = ReadBody<B>;

            #[inline]
            fn read(&self, request: Request<B>, policy: &Policy) -> ReadBody<B> {
                let $this = self;
                carry::read(request, policy, $rebuild)
            }

            #[inline(always)] // what was changed is large, and mostly nothing
            fn change(&self, request: &mut Request<B>, changes: Changes<'_>) -> Result<(), Error> {
                let $this = self;
                carry::change(request, changes, $rebuild);
                Ok(())
            }

            #[inline]
            fn meter(&self, response: Response<R>, permit: Permit) -> Self::Response {
                carry::meter(response, permit)
            }

            fn pass(&self, response: Response<R>) -> Self::Response {
                carry::pass(response)
            }
        }
    };
}

carry_http!(Auto, where B: From<Bytes>, |_this| B::from);
carry_http!(Rebuild<B>, where B:, |this| this.0);

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
