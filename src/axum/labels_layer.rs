//! Labels of inbound requests, for the calls that are made to answer them.

use std::{
    future::Future,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll},
};

use axum_core::response::{IntoResponse, Response};
use http::{HeaderName, Request, request::Parts};
use smol_str::SmolStr;
use tower_layer::Layer;
use tower_service::Service;

use super::{
    LabelsSource, Responder,
    labels_source::{FromExtractor, FromFn, FromHeaders, IntoLabels},
    reason::sentence,
};
use crate::labels;

/// Runs the inner service in a [`labels::scope`](crate::labels::scope()), so that
/// governed clients that are called in a handler know for whom.
///
/// The scope ends when the response's head is there: a call that is made later, from
/// within a response body, or in another task, has to be handed its labels. Labels
/// that no call may have (more than 32, or too long) are answered with 400, which names
/// the label and the limit.
///
/// Put it inside of the layer that authenticates: labels are only as true as what
/// they are taken from.
///
/// # Example
/// See [`from_fn`](Self::from_fn), and for a router the [module](crate::axum).
#[derive(Clone, Debug)]
pub struct LabelsLayer<L> {
    source: L,
}

impl LabelsLayer<FromHeaders> {
    /// Takes labels from headers: the header's name, and the label's key.
    ///
    /// A header that is missing or empty gives no label; one that is there twice, or
    /// not in visible ASCII, is answered with 400.
    ///
    /// # Example
    /// ```
    /// use driftlock::axum::LabelsLayer;
    /// use http::HeaderName;
    ///
    /// let layer = LabelsLayer::from_headers([
    ///     (HeaderName::from_static("x-authenticated-user"), "user"),
    ///     (HeaderName::from_static("x-plan"), "plan"),
    /// ]);
    /// # let _ = layer;
    /// ```
    pub fn from_headers<K: Into<SmolStr>>(
        headers: impl IntoIterator<Item = (HeaderName, K)>,
    ) -> Self {
        let headers = headers.into_iter().map(|(header, key)| (header, key.into()));
        Self { source: FromHeaders(headers.collect()) }
    }
}

impl<F> LabelsLayer<FromFn<F>> {
    /// Takes labels from a closure over the request's head, which returns [`Labels`](crate::Labels)
    /// or a `Result` of them; an error is sent to the caller.
    ///
    /// # Example
    /// ```
    /// use driftlock::{Labels, axum::LabelsLayer};
    /// use http::{StatusCode, request::Parts};
    ///
    /// /// Left by a layer further out that authenticates.
    /// #[derive(Clone)]
    /// struct User(String);
    ///
    /// let layer = LabelsLayer::from_fn(|parts: &Parts| {
    ///     let user = parts.extensions.get::<User>().ok_or(StatusCode::UNAUTHORIZED)?;
    ///     Ok::<_, StatusCode>(Labels::new().with("user", user.0.as_str()))
    /// });
    /// # let _ = layer;
    /// ```
    pub fn from_fn<T>(labels: F) -> Self
    where
        F: Fn(&Parts) -> T,
        T: IntoLabels,
    {
        Self { source: FromFn(labels) }
    }
}

impl<E, St, F> LabelsLayer<FromExtractor<E, St, F>> {
    /// Takes labels from what one of axum's extractors makes of the request's head.
    /// Its rejection is sent to the caller.
    ///
    /// # Example
    /// ```
    /// use axum_core::extract::FromRequestParts;
    /// use driftlock::{Labels, axum::LabelsLayer};
    /// use http::{StatusCode, request::Parts};
    ///
    /// struct User(String);
    ///
    /// impl<S: Sync> FromRequestParts<S> for User {
    ///     type Rejection = StatusCode;
    ///
    ///     async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
    ///         let user = parts.headers.get("x-user").and_then(|user| user.to_str().ok());
    ///         user.map(|user| Self(user.to_owned())).ok_or(StatusCode::UNAUTHORIZED)
    ///     }
    /// }
    ///
    /// let state = (); // the state that the extractor asks for
    /// let layer = LabelsLayer::from_extractor(state, |User(user)| Labels::new().with("user", user));
    /// # let _ = layer;
    /// ```
    pub fn from_extractor<T>(state: St, to_labels: F) -> Self
    where
        F: Fn(E) -> T,
        T: IntoLabels,
    {
        Self { source: FromExtractor { state, to_labels, extractor: PhantomData } }
    }
}

impl<S, L: Clone> Layer<S> for LabelsLayer<L> {
    type Service = Labelled<S, L>;

    fn layer(&self, inner: S) -> Labelled<S, L> {
        Labelled { inner, source: self.source.clone() }
    }
}

/// The service of [`LabelsLayer`].
///
/// For an example see [`LabelsLayer`](super::LabelsLayer).
#[derive(Clone, Debug)]
pub struct Labelled<S, L> {
    inner: S,
    source: L,
}

impl<S, L, B> Service<Request<B>> for Labelled<S, L>
where
    S: Service<Request<B>> + Clone + Send + 'static,
    S::Response: IntoResponse,
    S::Future: Send,
    L: LabelsSource + Clone + Send + Sync + 'static,
    B: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    // Boxed, as everything between axum's routes is: extractors are async.
    type Future = Pin<Box<dyn Future<Output = Result<Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The clone is not ready: the service that is goes with the request.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let source = self.source.clone();
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let labels = match source.labels(&mut parts).await {
                Ok(labels) => labels,
                Err(response) => return Ok(response),
            };
            if let Err(error) = labels.check() {
                // These are the service's own words for what the caller has sent just now; the
                // error tells no value.
                return Ok(Responder::new().bad_request(&sentence(&error)));
            }
            let request = Request::from_parts(parts, body);
            // A service may look at its labels before its future is polled.
            let answer = labels::scope(labels, async move { inner.call(request).await });
            answer.await.map(IntoResponse::into_response)
        })
    }
}
