//! The layer.

use bytes::Bytes;
use tower_layer::Layer;

use crate::{
    carrier::{Auto, Rebuild},
    policy::Policy,
    service::Driftlock,
};

/// Puts a [`Policy`] around an outbound client.
///
/// Each call is read, decided, reserved, sent, and settled when its response ends
/// or is dropped. A denied call is an [`Error::Denied`](crate::Error::Denied);
/// nothing is sent then, and the client below is free at once.
///
/// # Example
/// ```
/// use bytes::Bytes;
/// use driftlock::{DriftlockLayer, MaxCostPerRequest, Policy, Usd};
/// use http::{Request, Response};
/// use http_body_util::{BodyExt, Full};
/// use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// // Stands for a hyper or reqwest client.
/// let http_client = service_fn(|_: Request<Full<Bytes>>| async {
///     let answer = r#"{"model":"gpt-4o-mini","usage":{"prompt_tokens":9,"completion_tokens":3}}"#;
///     Ok::<_, std::io::Error>(Response::new(Full::from(answer)))
/// });
///
/// let policy = Policy::builder().rule(MaxCostPerRequest::new(Usd::cents(10))).build()?;
/// let mut client = ServiceBuilder::new().layer(DriftlockLayer::new(policy)).service(http_client);
///
/// let call = |max_tokens: u32| {
///     let body = format!(
///         r#"{{"model":"gpt-4o-mini","messages":[{{"role":"user","content":"Hi"}}],"max_tokens":{max_tokens}}}"#
///     );
///     Request::post("https://api.openai.com/v1/chat/completions").body(Full::from(body))
/// };
///
/// let response = client.ready().await?.call(call(100)?).await?;
/// response.into_body().collect().await?; // settles to what was used
///
/// let denied = client.ready().await?.call(call(1_000_000)?).await.unwrap_err();
/// assert_eq!(denied.denial().unwrap().rule(), "max_cost_per_request");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct DriftlockLayer<C = Auto> {
    policy: Policy,
    carrier: C,
}

impl DriftlockLayer {
    /// A layer for clients that take `http::Request<B>` with `B: From<Bytes>`.
    pub fn new(policy: Policy) -> Self {
        Self { policy, carrier: Auto }
    }
}

impl<C> DriftlockLayer<C> {
    /// Carries requests whose body cannot be made by `From<Bytes>`.
    ///
    /// # Example
    /// ```
    /// use bytes::Bytes;
    /// use driftlock::{DriftlockLayer, Policy};
    /// use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
    ///
    /// type Boxed = UnsyncBoxBody<Bytes, std::convert::Infallible>;
    ///
    /// let layer = DriftlockLayer::new(Policy::builder().build()?)
    ///     .rebuild_with(|bytes| -> Boxed { Full::from(bytes).boxed_unsync() });
    /// # let _ = layer;
    /// # Ok::<(), driftlock::BuildError>(())
    /// ```
    pub fn rebuild_with<B>(self, rebuild: fn(Bytes) -> B) -> DriftlockLayer<Rebuild<B>> {
        self.with_carrier(Rebuild(rebuild))
    }

    /// Carries requests of another type; see [`Carrier`](crate::carrier::Carrier).
    pub fn with_carrier<D>(self, carrier: D) -> DriftlockLayer<D> {
        DriftlockLayer { policy: self.policy, carrier }
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }
}

impl<S, C: Clone> Layer<S> for DriftlockLayer<C> {
    type Service = Driftlock<S, C>;

    fn layer(&self, inner: S) -> Driftlock<S, C> {
        Driftlock::new(inner, self.policy.clone(), self.carrier.clone())
    }
}
