//! Retries that take a denial for an answer.
//!
//! Put retries above the layer: each attempt is then admitted, counted and charged as
//! the call it is, and so is each call of a hedge. Below it they are hidden, and any
//! number of attempts is seen as one call; say so with
//! [`hidden_retries`](crate::PolicyBuilder::hidden_retries), because the error of the
//! last attempt proves nothing about those before it.

use tower::retry::Policy;

use crate::{
    denial::Denial,
    error::{BoxError, Error},
};

/// A retry policy that lets no denied call be tried again.
///
/// Anything else is up to the policy within. A denial that a wait would lift
/// ([`Denial::retry_after`]) is not waited for either: the caller knows best whether it
/// is worth that.
///
/// # Example
/// ```
/// use std::future::{Ready, ready};
///
/// use driftlock::{DriftlockLayer, Error, Policy, RestrictModel, retry::RespectDenials};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
/// # use bytes::Bytes;
/// # use http::{Request, Response};
/// # use http_body_util::Full;
///
/// /// Tries again whatever failed.
/// #[derive(Clone)]
/// struct Attempts(usize);
///
/// impl<Req: Clone, Res, E> tower::retry::Policy<Req, Res, E> for Attempts {
///     type Future = Ready<()>;
///
///     fn retry(&mut self, _: &mut Req, result: &mut Result<Res, E>) -> Option<Ready<()>> {
///         self.0 = self.0.checked_sub(1)?;
///         result.is_err().then(|| ready(()))
///     }
///
///     fn clone_request(&mut self, request: &Req) -> Option<Req> {
///         Some(request.clone())
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// # let http_client = service_fn(|_: Request<Full<Bytes>>| async {
/// #     Ok::<_, std::io::Error>(Response::new(Full::<Bytes>::default()))
/// # });
/// # let body = r#"{"model":"gpt-4o","messages":[]}"#;
/// # let request = Request::post("https://api.openai.com/v1/chat/completions").body(Full::from(body))?;
/// let policy = Policy::builder().rule(RestrictModel::new(["gpt-4o"])).build()?;
/// let client = ServiceBuilder::new()
///     .retry(RespectDenials::new(Attempts(5)))
///     .layer(DriftlockLayer::new(policy.clone()))
///     .service(http_client);
/// client.oneshot(request).await.unwrap_err();
/// assert_eq!(policy.stats().denied, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct RespectDenials<P>(P);

impl<P> RespectDenials<P> {
    /// Asks this policy about everything but denials.
    pub const fn new(policy: P) -> Self {
        Self(policy)
    }

    /// The policy within.
    pub fn into_inner(self) -> P {
        self.0
    }
}

impl<P, Req, Res, E> Policy<Req, Res, E> for RespectDenials<P>
where
    P: Policy<Req, Res, E>,
    E: MayBeDenied,
{
    type Future = P::Future;

    fn retry(&mut self, request: &mut Req, result: &mut Result<Res, E>) -> Option<P::Future> {
        match result {
            Err(error) if error.denial().is_some() => None,
            result => self.0.retry(request, result),
        }
    }

    fn clone_request(&mut self, request: &Req) -> Option<Req> {
        self.0.clone_request(request)
    }
}

/// An error that may hold a denial.
///
/// Implemented by [`Error`], boxed errors, and async-openai's. For another it takes a
/// line:
///
/// ```
/// use driftlock::{Denial, retry::MayBeDenied};
///
/// struct Failure(std::io::Error);
///
/// impl MayBeDenied for Failure {
///     fn denial(&self) -> Option<&Denial> {
///         Denial::find(&self.0)
///     }
/// }
/// ```
pub trait MayBeDenied {
    /// The denial in it.
    fn denial(&self) -> Option<&Denial>;
}

impl MayBeDenied for Error {
    fn denial(&self) -> Option<&Denial> {
        self.denial()
    }
}

impl MayBeDenied for BoxError {
    fn denial(&self) -> Option<&Denial> {
        Denial::find(self.as_ref())
    }
}

#[cfg(feature = "async-openai")]
impl MayBeDenied for async_openai::error::OpenAIError {
    fn denial(&self) -> Option<&Denial> {
        Denial::find(self)
    }
}
