//! A [Tower](https://docs.rs/tower) layer that keeps what a service spends on LLM calls under hard caps.
//!
//! [`DriftlockLayer`] goes around an **outbound** HTTP client. Each call is read, decided by the ordered
//! rules of a [`Policy`], its estimated cost reserved, and settled to the real usage when the response,
//! streamed or not, ends or is dropped. A cap holds under any concurrency, and every path settles exactly
//! once.
//!
//! # From here
//! - **Getting started**: [`DriftlockLayer`] has a complete example; [`PolicyBuilder`] lists every setting
//!   with its default.
//! - **Rules**: [`rule`], the eight built-in ones and your own: [`Rule`], [`rule_fn`], [`Claim`].
//! - **For whom**: [`labels`].
//! - **Prices**: [`price`]; **which requests are calls**: [`provider`].
//! - **What came of a call**: [`Error`] and [`Denial`]; [`Receipt`] and [`Settled`]; [`Policy::spend`].
//! - **Other clients and request types**: [`carrier`]; **without a layer**: [`Policy::admit`], [`Answer`].
//! - **Around it**: `retry::RespectDenials` for retries (feature `retry`); in a service of axum, `axum` (feature
//!   `axum`).
//! - **Budgets that survive**, and other stores: [`store`]; at the end of a service, [`Policy::drain`]; **time in tests**: [`ManualClock`].
//! - **Who spent what**: `report` (feature `sqlite`).
//! - **What it logs**: [`events`]. **How it works**: [`design`].
//!
//! # Example
//! ```
//! use std::time::Duration;
//! use driftlock::{DriftlockLayer, MaxCostPerRequest, MonthlyBudget, Policy, Usd, VelocityLimit};
//! use tower::ServiceBuilder;
//!
//! # use bytes::Bytes; use http::{Request, Response}; use http_body_util::Full;
//! # let http_client = tower::service_fn(|_: Request<Full<Bytes>>| async {
//! #     Ok::<_, std::io::Error>(Response::new(Full::<Bytes>::default()))
//! # });
//! let policy = Policy::builder()
//!     .rule(MonthlyBudget::new(Usd::dollars(100)))
//!     .rule(MaxCostPerRequest::new(Usd::cents(10)))
//!     .rule(VelocityLimit::new(60, Duration::from_secs(60)))
//!     .build()?;
//! let client = ServiceBuilder::new().layer(DriftlockLayer::new(policy)).service(http_client);
//! # fn is_service<S: tower::Service<Request<Full<Bytes>>>>(_: S) {}
//! # is_service(client);
//! # Ok::<(), driftlock::BuildError>(())
//! ```
//!
//! # Features
//! None is on by default. Each opens a door:
//!
//! | feature | |
//! |---|---|
//! | `reqwest` | the layer goes around a `reqwest::Client` |
//! | `async-openai` | … around async-openai's client, and services of its typed requests; its errors come out as they were |
//! | `hyper-util` | hyper-util's failed connections are known to cost nothing |
//! | `retry` | `retry::RespectDenials`: a denial is not tried again; what Tower sheds is known to cost nothing |
//! | `axum` | on the inbound side: errors as responses, labels from requests, remaining budgets as headers |
//! | `sqlite` | `SqliteStore`: budgets survive restarts, in a file with a ledger of all calls; `report` reads it |
//! | `cli` | the command `driftlock`: what was spent, by whom, what is left, and how to put a counter right |
//! | `tiktoken` | `TiktokenEstimator`: the input of OpenAI's models is counted by their own tokenizers |
//!
//! `examples` is for those of this crate's examples and tests that call a client.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(clippy::unwrap_used, clippy::expect_used)]

/// The README's code compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;

#[doc = include_str!("docs/design.md")]
pub mod design {}

#[doc = include_str!("docs/events.md")]
pub mod events {}

// ground: words
mod apart;
mod blocks;
#[cfg(feature = "reqwest")]
mod by_http;
mod call;
mod causes;
mod claim;
mod clock;
mod deciding;
mod denial;
mod error;
mod failure;
pub mod labels;
mod name;
#[cfg(feature = "async-openai")]
mod openai_error;
mod same;
mod settled;
mod unreadable;
mod usage;
mod usd;
mod window;

// knowledge, pure
mod estimate;
mod extract;
mod json;
mod meter;
pub mod price;
pub mod provider;

// telling
mod telemetry;

// deciding ‖ remembering: neighbours who do not know each other
pub mod rule;
pub mod store;

// governing, without a transport
mod policy;
#[cfg(feature = "sqlite")]
#[cfg_attr(docsrs, doc(cfg(feature = "sqlite")))]
pub mod report;

// carriers
mod body;
pub mod carrier;
mod screen;
mod sse;

// Tower
mod future;
mod layer;
mod nested;
#[cfg(feature = "retry")]
pub mod retry;
mod service;

// roof
#[cfg(feature = "axum")]
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
pub mod axum;

#[cfg(test)]
mod recorded;

pub use body::MeteredBody;
pub use call::{Bound, Call, Estimate, Input, Needs, Operation, Provider, Used};
pub use claim::{Amount, Claim, Scope, Unit};
pub use clock::{Clock, ManualClock, ParseTimeError, SystemClock, Timestamp};
pub use denial::{Denial, DenialKind, Deny, Exceeded, Retry};
pub use error::{BoxError, Error};
#[cfg(feature = "tiktoken")]
#[cfg_attr(docsrs, doc(cfg(feature = "tiktoken")))]
pub use estimate::TiktokenEstimator;
pub use estimate::{BytesEstimator, Estimator, InputEstimate, OpenEnded, OutputBound};
pub use future::ResponseFuture;
pub use labels::{CaptureLayer, Labels};
pub use layer::DriftlockLayer;
pub use policy::{
    Answer, BuildError, InputBound, Mode, OnAbandoned, OnAmbiguous, OnOutage, OnUnreadable, Permit,
    Policy, PolicyBuilder, Receipt, Settings, Spend, SpendError, Stats, UnknownPrice,
};
pub use price::{Asked, Entry, EntryId, Overlay, Price, PriceBook, PriceError, Region, Tier};
pub use provider::{Endpoint, Format, Route, Routes};
pub use rule::{
    Budget, Condition, CostVelocity, ForecastBudget, IntoRule, MaxCostPerRequest, MonthlyBudget,
    Otherwise, PerUserBudget, RestrictModel, Rule, RuleFn, TagBasedModelDowngrade, VelocityLimit,
    Verdict, rule_fn,
};
pub use service::Driftlock;
pub use settled::{Settled, SettledHow};
/// The string of names and labels: short ones are kept inline. From the crate of this name.
pub use smol_str::SmolStr;
pub use store::{MemoryStore, StoreError};
pub use unreadable::Unreadable;
pub use usage::Usage;
pub use usd::{ParseUsdError, Usd};
pub use window::{Period, Window, Zone, ZoneError};
