//! What is left of budgets, told in response headers.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use http::{HeaderName, HeaderValue, Request, Response};
use smol_str::SmolStr;
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    claim::Scope,
    labels::{self, Labels},
    policy::{Policy, Spend, SpendError},
    usd::Usd,
    window::Window,
};

/// Adds headers that tell what is left of budgets.
///
/// A value is US dollars as a decimal number, `4.98`, with up to nine decimals, and
/// `0.00` when nothing is left. It is read when the head of the response is ready:
/// the answered call counts with its reservation while its body still flows, and
/// with its cost once it has settled. What is not known has no header, because the
/// store does not answer, or because no rule counts that scope and window, which is
/// warned of once.
///
/// The headers tell callers amounts, so they are there only where this layer is. It
/// enforces nothing: limits are stated again, because a rule's may depend on the
/// call. With a store that is not in memory each header is a round trip.
///
/// Put it inside of [`LabelsLayer`](super::LabelsLayer), whose labels it reads.
///
/// # Example
/// ```
/// use driftlock::{MonthlyBudget, PerUserBudget, Policy, Usd, Window, Zone};
/// use driftlock::axum::{Remaining, RemainingLayer};
/// use http::{HeaderName, Request, Response};
/// use tower::{Layer, ServiceExt, service_fn};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let (all, each) = (Usd::dollars(100), Usd::dollars(5));
/// let policy = Policy::builder()
///     .rule(MonthlyBudget::new(all))
///     .rule(PerUserBudget::new().default_limit(each))
///     .build()?;
/// let month = Window::month(Zone::UTC);
/// let layer = RemainingLayer::new(policy)
///     .header(HeaderName::from_static("x-driftlock-remaining"), Remaining::of(all, month))
///     .header(HeaderName::from_static("x-driftlock-remaining-user"), Remaining::of(each, month).per_user());
///
/// let handler = service_fn(|_: Request<()>| async { Ok::<_, std::io::Error>(Response::new(())) });
/// let response = layer.layer(handler).oneshot(Request::new(())).await?;
/// assert_eq!(response.headers()["x-driftlock-remaining"], "100.00");
/// assert_eq!(response.headers()["x-driftlock-remaining-user"], "5.00");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct RemainingLayer(Arc<Told>);

#[derive(Debug)]
struct Told {
    policy: Policy,
    headers: Vec<(HeaderName, Remaining)>,
    warned: AtomicBool,
}

impl RemainingLayer {
    /// A layer that adds nothing yet; the policy is the one of the governed client.
    pub fn new(policy: Policy) -> Self {
        Self(Arc::new(Told { policy, headers: Vec::new(), warned: AtomicBool::new(false) }))
    }

    /// Adds a header, in place of one of this name in the response.
    #[must_use]
    pub fn header(self, name: HeaderName, remaining: Remaining) -> Self {
        let Told { policy, headers, .. } = &*self.0;
        let headers = headers.iter().cloned().chain([(name, remaining)]).collect();
        Self(Arc::new(Told { policy: policy.clone(), headers, warned: AtomicBool::new(false) }))
    }
}

/// What a header of a [`RemainingLayer`] tells: what of a limit, over some time, is
/// neither spent nor reserved. What the limit is raised by, by hand and for a while, counts;
/// a limit that changes in a rule is to be changed here, too.
///
/// For an example see [`RemainingLayer`].
#[derive(Clone)]
pub struct Remaining {
    label: Option<SmolStr>,
    window: Window,
    limit: Limit,
}

#[derive(Clone)]
enum Limit {
    Fixed(Usd),
    From(Arc<LimitFn>),
}

type LimitFn = dyn Fn(&Labels) -> Option<Usd> + Send + Sync;

impl Remaining {
    /// Of this limit, in this window, for the whole workspace.
    pub fn of(limit: Usd, window: Window) -> Self {
        Self { label: None, window, limit: Limit::Fixed(limit) }
    }

    /// For the request's user. Defaults to the whole workspace.
    #[must_use]
    pub fn per_user(self) -> Self {
        self.per_label("user")
    }

    /// For the request's value of a label; a request without the label is told what is
    /// left for all those without. Defaults to the whole workspace.
    #[must_use]
    pub fn per_label(mut self, key: impl Into<SmolStr>) -> Self {
        self.label = Some(key.into());
        self
    }

    /// Takes the limit from the request's labels; `None` is no limit, and no header.
    /// Defaults to the fixed one.
    #[must_use]
    pub fn limit_from(
        mut self,
        limit: impl Fn(&Labels) -> Option<Usd> + Send + Sync + 'static,
    ) -> Self {
        self.limit = Limit::From(Arc::new(limit));
        self
    }

    async fn read(&self, policy: &Policy, labels: &Labels) -> Result<Option<Usd>, SpendError> {
        let limit = match &self.limit {
            Limit::Fixed(limit) => Some(*limit),
            Limit::From(limit) => limit(labels),
        };
        let Some(limit) = limit else { return Ok(None) };
        let scope = match &self.label {
            Some(key) => Scope::of(labels, key),
            None => Scope::Workspace,
        };
        let spend: Spend = policy.spend(&scope, self.window).await?;
        Ok(Some(limit.saturating_add(spend.raised).saturating_sub(spend.total())))
    }
}

impl fmt::Debug for Remaining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remaining")
            .field("label", &self.label)
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}

impl Told {
    async fn tell<B>(&self, labels: &Labels, response: &mut Response<B>) {
        for (name, remaining) in &self.headers {
            match remaining.read(&self.policy, labels).await {
                Ok(Some(usd)) => {
                    let dollars = usd.to_string();
                    let value = HeaderValue::try_from(dollars.trim_start_matches('$'));
                    if let Ok(value) = value {
                        response.headers_mut().insert(name.clone(), value);
                    }
                }
                Ok(None) => {}
                Err(error) => self.warn(name, &error),
            }
        }
    }

    fn warn(&self, name: &HeaderName, error: &SpendError) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(target: "driftlock", %error, "no header `{name}`");
        }
    }
}

impl<S> Layer<S> for RemainingLayer {
    type Service = RemainingService<S>;

    fn layer(&self, inner: S) -> RemainingService<S> {
        RemainingService { inner, told: Arc::clone(&self.0) }
    }
}

/// The service of [`RemainingLayer`].
///
/// For an example see [`RemainingLayer`].
#[derive(Clone, Debug)]
pub struct RemainingService<S> {
    inner: S,
    told: Arc<Told>,
}

impl<S, B, R> Service<Request<B>> for RemainingService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    R: Send + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    // Boxed, because a store is asked.
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (answer, told) = (self.inner.call(request), Arc::clone(&self.told));
        Box::pin(async move {
            let mut response = answer.await?;
            told.tell(&labels::current(), &mut response).await;
            Ok(response)
        })
    }
}
