//! Carries a task's labels along with a request.

use std::task::{Context, Poll};

#[cfg(feature = "async-openai")]
use async_openai::middleware::HttpRequestFactory;
use tower_layer::Layer;
use tower_service::Service;

use super::current;
#[cfg(feature = "async-openai")]
use crate::by_http::Parts;

/// Writes the labels of the current task into each request's extensions.
///
/// For `http::Request`, and with the feature `async-openai` for what its client sends.
///
/// Put it outermost, above `Buffer`: the worker behind a buffer is another task,
/// in which the [`scope`](super::scope()) of the caller is gone and per-user rules
/// would see no user. Labels already on the request win, key by key.
///
/// # Example
/// ```
/// use driftlock::{Labels, labels::{self, CaptureLayer}};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let client = ServiceBuilder::new()
///     .layer(CaptureLayer::new())
///     .buffer::<http::Request<()>>(8)
///     .service(service_fn(|request: http::Request<()>| async move {
///         let user = request.extensions().get::<Labels>().and_then(Labels::user);
///         Ok::<_, std::convert::Infallible>(user.map(str::to_owned))
///     }));
///
/// let call = client.oneshot(http::Request::new(()));
/// let user = labels::scope(Labels::new().with("user", "u-17"), call).await?;
/// assert_eq!(user.as_deref(), Some("u-17"));
/// # Ok::<(), tower::BoxError>(())
/// # })?;
/// # Ok::<(), tower::BoxError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct CaptureLayer(());

impl CaptureLayer {
    /// A layer that captures every label of the task.
    pub const fn new() -> Self {
        Self(())
    }
}

impl<S> Layer<S> for CaptureLayer {
    type Service = Capture<S>;

    fn layer(&self, inner: S) -> Capture<S> {
        Capture { inner }
    }
}

/// The service of [`CaptureLayer`].
///
/// For an example see [`CaptureLayer`](crate::labels::CaptureLayer).
#[derive(Clone, Debug)]
pub struct Capture<S> {
    inner: S,
}

impl<S, B> Service<http::Request<B>> for Capture<S>
where
    S: Service<http::Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<B>) -> S::Future {
        current().add_to(request.extensions_mut());
        self.inner.call(request)
    }
}

/// A factory of requests with the labels in each.
#[cfg(feature = "async-openai")]
impl<S> Service<HttpRequestFactory> for Capture<S>
where
    S: Service<HttpRequestFactory>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, factory: HttpRequestFactory) -> S::Future {
        let labels = current();
        if labels.is_empty() {
            return self.inner.call(factory);
        }
        self.inner.call(HttpRequestFactory::new(move || {
            let (factory, labels) = (factory.clone(), labels.clone());
            async move {
                let mut parts = Parts::of(factory.build().await?)?;
                labels.add_to(parts.request.extensions_mut());
                Ok(parts.together()?)
            }
        }))
    }
}
