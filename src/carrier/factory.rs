//! The carrier of what async-openai's client sends.
//!
//! Its services are not called with requests but with something that makes them, once
//! for each attempt. A request is made once here, and what is read is what is sent:
//! the factory that is passed on makes copies of it.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use async_openai::{error::OpenAIError, middleware::HttpRequestFactory};
use pin_project_lite::pin_project;
use reqwest::{Body, Request, Response, Url};

use super::{Auto, Carrier, Changes, Intake, ReadBody, reqwest as carry};
use crate::{
    call::BoxFuture,
    error::Error,
    policy::{Permit, Policy},
};

/// For `async_openai::Client::with_http_service`, whose service takes the place of
/// async-openai's own retries: its `OpenAIRetryLayer`, put above the layer, brings them
/// back, and stops at a denial.
///
/// # Example
/// ```
/// use async_openai::{Client, config::OpenAIConfig, middleware::ReqwestService};
/// use driftlock::{DriftlockLayer, MonthlyBudget, Policy, Usd};
/// use tower::ServiceBuilder;
///
/// let policy = Policy::builder().rule(MonthlyBudget::new(Usd::dollars(100))).build()?;
/// let governed = ServiceBuilder::new()
///     .layer(DriftlockLayer::new(policy))
///     .service(ReqwestService::new(reqwest::Client::new()));
/// let client = Client::with_config(OpenAIConfig::default()).with_http_service(governed);
/// # let _ = client;
/// # Ok::<(), driftlock::BuildError>(())
/// ```
impl Carrier<HttpRequestFactory, Response> for Auto {
    type Response = Response;
    type Read = ReadFactory;

    fn read(&self, factory: HttpRequestFactory, policy: &Policy) -> ReadFactory {
        let made = factory.clone();
        let making: BoxFuture<'static, _> = Box::pin(async move { made.build().await });
        ReadFactory { state: State::Making { making, policy: policy.clone() }, factory }
    }

    fn change(&self, factory: &mut HttpRequestFactory, changes: Changes<'_>) -> Result<(), Error> {
        let url = changes.uri.map(|uri| Url::parse(&uri.to_string())).transpose();
        let (url, body) = (url.map_err(Error::inner)?, changes.body);
        let bodiless = factory.clone();
        *factory = HttpRequestFactory::new(move || {
            let (made, url, body) = (bodiless.clone(), url.clone(), body.clone());
            async move {
                let mut request = made.build().await?;
                if let Some(url) = url {
                    *request.url_mut() = url;
                }
                carry::put_body(&mut request, body);
                Ok(request)
            }
        });
        Ok(())
    }

    fn meter(&self, response: Response, permit: Permit) -> Response {
        carry::meter(response, permit)
    }

    fn pass(&self, response: Response) -> Response {
        response
    }
}

pin_project! {
    /// Makes a request and reads it. Resolves to an [`Intake`].
    ///
    /// For an example see [`Auto`](crate::carrier::Auto).
    pub struct ReadFactory {
        #[pin]
        state: State,
        factory: HttpRequestFactory,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State {
        Making { making: BoxFuture<'static, Result<Request, OpenAIError>>, policy: Policy },
        Reading { #[pin] read: ReadBody<Body, Request> },
    }
}

impl Future for ReadFactory {
    type Output = Result<Intake<HttpRequestFactory>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProjection::Making { making, policy } => {
                    let request = ready!(making.as_mut().poll(cx)).map_err(Error::inner)?;
                    let read = carry::read(request, policy).map_err(OpenAIError::from);
                    let read = read.map_err(Error::inner)?;
                    this.state.set(State::Reading { read });
                }
                StateProjection::Reading { read } => {
                    let intake = ready!(read.poll(cx))?;
                    return Poll::Ready(Ok(factories(intake, this.factory)));
                }
            }
        }
    }
}

/// The same with factories of the requests.
fn factories(intake: Intake<Request>, whole: &HttpRequestFactory) -> Intake<HttpRequestFactory> {
    match intake {
        Intake::Free(request) => Intake::Free(first(request, whole)),
        Intake::Unmeterable { why, request } => {
            Intake::Unmeterable { why, request: first(request, whole) }
        }
        Intake::Facts { call, request } => Intake::Facts { call, request: first(request, whole) },
        Intake::Call { endpoint, uri, body, request, labels } => {
            Intake::Call { endpoint, uri, body, request: copies(request), labels }
        }
    }
}

/// Makes this request first, whose body may be a stream, and others after it.
fn first(request: Request, others: &HttpRequestFactory) -> HttpRequestFactory {
    let (made, others) = (Mutex::new(Some(request)), others.clone());
    HttpRequestFactory::new(move || {
        let made = made.lock().unwrap_or_else(PoisonError::into_inner).take();
        let others = others.clone();
        async move {
            match made {
                Some(request) => Ok(request),
                None => others.build().await,
            }
        }
    })
}

/// Makes copies of a request without a body.
fn copies(request: Request) -> HttpRequestFactory {
    let request = Arc::new(request);
    HttpRequestFactory::new(move || {
        let copy = request.try_clone();
        let copy =
            copy.ok_or_else(|| OpenAIError::InvalidArgument("a body that is a stream".into()));
        std::future::ready(copy)
    })
}

impl fmt::Debug for ReadFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadFactory").finish_non_exhaustive()
    }
}
