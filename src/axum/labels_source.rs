//! Where the labels of an inbound request come from.

use std::{future::Future, marker::PhantomData, sync::Arc};

use axum_core::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, request::Parts};
use smol_str::SmolStr;

use super::Responder;
use crate::labels::Labels;

/// Says for whom an inbound request is, from its head.
///
/// A closure is one through [`LabelsLayer::from_fn`](super::LabelsLayer::from_fn),
/// where the example is.
pub trait LabelsSource {
    /// The labels, or the response to send instead of asking the inner service.
    fn labels(&self, parts: &mut Parts) -> impl Future<Output = Result<Labels, Response>> + Send;
}

/// What a closure may return that says for whom a request is: [`Labels`], or a
/// `Result` of them whose error is sent to the caller.
///
/// For an example see [`LabelsLayer::from_fn`](super::LabelsLayer::from_fn).
pub trait IntoLabels {
    /// The labels, or the response to send instead.
    ///
    /// # Errors
    /// The response.
    #[allow(clippy::result_large_err)] // a response is moved once, to the caller
    fn into_labels(self) -> Result<Labels, Response>;
}

impl IntoLabels for Labels {
    fn into_labels(self) -> Result<Labels, Response> {
        Ok(self)
    }
}

impl<R: IntoResponse> IntoLabels for Result<Labels, R> {
    fn into_labels(self) -> Result<Labels, Response> {
        self.map_err(IntoResponse::into_response)
    }
}

/// Labels by a closure; see [`LabelsLayer::from_fn`](super::LabelsLayer::from_fn).
#[derive(Clone, Debug)]
pub struct FromFn<F>(pub(super) F);

impl<F, T> LabelsSource for FromFn<F>
where
    F: Fn(&Parts) -> T + Sync,
    T: IntoLabels,
{
    async fn labels(&self, parts: &mut Parts) -> Result<Labels, Response> {
        (self.0)(parts).into_labels()
    }
}

/// Labels from headers; see [`LabelsLayer::from_headers`](super::LabelsLayer::from_headers).
#[derive(Clone, Debug)]
pub struct FromHeaders(pub(super) Arc<[(HeaderName, SmolStr)]>);

impl LabelsSource for FromHeaders {
    async fn labels(&self, parts: &mut Parts) -> Result<Labels, Response> {
        let mut labels = Labels::new();
        for (header, key) in self.0.iter() {
            let mut values = parts.headers.get_all(header).iter();
            let value = match (values.next(), values.next()) {
                (None, _) => continue,
                (Some(value), None) => HeaderValue::to_str(value).map_err(drop),
                (Some(_), Some(_)) => Err(()),
            };
            match value {
                Ok("") => {}
                Ok(value) => labels = labels.with(key.clone(), value),
                // Taking it for nobody's, or for one of several, would be a way around limits.
                Err(()) => {
                    let why =
                        format!("The header `{header}` must be there once, in visible ASCII.");
                    return Err(Responder::new().bad_request(&why));
                }
            }
        }
        Ok(labels)
    }
}

/// Labels from an extractor; see
/// [`LabelsLayer::from_extractor`](super::LabelsLayer::from_extractor).
#[derive(Debug)]
pub struct FromExtractor<E, St, F> {
    pub(super) state: St,
    pub(super) to_labels: F,
    pub(super) extractor: PhantomData<fn() -> E>,
}

impl<E, St: Clone, F: Clone> Clone for FromExtractor<E, St, F> {
    fn clone(&self) -> Self {
        let (state, to_labels) = (self.state.clone(), self.to_labels.clone());
        Self { state, to_labels, extractor: PhantomData }
    }
}

impl<E, St, F, T> LabelsSource for FromExtractor<E, St, F>
where
    E: FromRequestParts<St>,
    St: Send + Sync,
    F: Fn(E) -> T + Sync,
    T: IntoLabels,
{
    async fn labels(&self, parts: &mut Parts) -> Result<Labels, Response> {
        match E::from_request_parts(parts, &self.state).await {
            Ok(extracted) => (self.to_labels)(extracted).into_labels(),
            Err(rejection) => Err(rejection.into_response()),
        }
    }
}
