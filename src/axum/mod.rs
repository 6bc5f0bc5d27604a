//! For services built on axum: errors as responses, labels from requests, and
//! remaining budgets as headers.
//!
//! The layer of this crate goes around the *outbound* client. What is here sits on
//! the *inbound* side of a service whose handlers use that client: [`LabelsLayer`]
//! says for whom a request is, [`Responder`] tells its caller why a call was not
//! made, and [`RemainingLayer`] what is left. All of it is plain Tower and
//! `axum-core`: any router of axum 0.8 takes it.
//!
//! [`Error`](crate::Error) and [`Denial`](crate::Denial) are responses themselves,
//! so that a handler may end in `?`.
//!
//! # Example
// The crate `axum` comes with this feature only.
#![cfg_attr(feature = "examples", doc = "```")]
#![cfg_attr(not(feature = "examples"), doc = "```ignore")]
//! use axum::{Router, body::Body, extract::{Request, State}, response::Response, routing::post};
//! use driftlock::{Driftlock, DriftlockLayer, Labels, MonthlyBudget, Policy, Usd, axum::LabelsLayer};
//! use http::{StatusCode, request::Parts};
//! use tower::{Layer, ServiceExt};
//!
//! # type Http = tower::util::BoxCloneSyncService<Request, http::Response<Body>, std::io::Error>;
//! # fn http_client() -> Http {
//! #     Http::new(tower::service_fn(|_: Request| async { Ok(http::Response::new(Body::empty())) }))
//! # }
//! /// The error of a governed client is a response.
//! async fn chat(
//!     State(client): State<Driftlock<Http>>,
//!     request: Request,
//! ) -> Result<Response, driftlock::Error> {
//!     Ok(client.oneshot(request).await?.map(Body::new))
//! }
//!
//! /// For whom a request is; here from a header that a proxy sets after it has checked it.
//! fn labels(parts: &Parts) -> Result<Labels, StatusCode> {
//!     let user = parts.headers.get("x-authenticated-user").ok_or(StatusCode::UNAUTHORIZED)?;
//!     let user = user.to_str().map_err(|_| StatusCode::BAD_REQUEST)?;
//!     Ok(Labels::new().with("user", user))
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! // Nothing may be spent, so that there is something to see.
//! let policy = Policy::builder().rule(MonthlyBudget::new(Usd::ZERO)).build()?;
//! let app = Router::new()
//!     .route("/v1/chat/completions", post(chat))
//!     .layer(LabelsLayer::from_fn(labels))
//!     .with_state(DriftlockLayer::new(policy).layer(http_client()));
//!
//! let json = r#"{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}"#;
//! let request = Request::post("/v1/chat/completions").header("x-authenticated-user", "ann");
//! let response = app.oneshot(request.body(Body::from(json))?).await?;
//! assert_eq!(response.status(), StatusCode::FORBIDDEN); // it is larger than all there is
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod labels_layer;
mod labels_source;
mod reason;
mod remaining;
mod responder;
mod shape;
mod timeout;

pub use labels_layer::{Labelled, LabelsLayer};
pub use labels_source::{FromExtractor, FromFn, FromHeaders, IntoLabels, LabelsSource};
pub use remaining::{Remaining, RemainingLayer, RemainingService};
pub use responder::Responder;
