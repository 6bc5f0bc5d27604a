//! driftlock
#![cfg_attr(docsrs, feature(doc_cfg))]

// ground: words
mod call;
mod claim;
mod clock;
mod denial;
mod error;
pub mod labels;
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

// deciding ‖ remembering: neighbours who do not know each other
pub mod rule;
pub mod store;

// governing, without a transport
mod policy;
mod telemetry;

// carriers
mod body;
pub mod carrier;
mod screen;
mod sse;

// Tower
mod future;
mod layer;
mod nested;
mod service;

pub use body::MeteredBody;
pub use call::{Bound, Call, Estimate, Input, Needs, Operation, Provider, Used};
pub use claim::{Amount, Claim, Scope, Unit};
pub use clock::{Clock, ManualClock, ParseTimeError, SystemClock, Timestamp};
pub use denial::{Denial, DenialKind, Deny, Exceeded, Retry};
pub use error::{BoxError, Error};
pub use estimate::{BytesEstimator, Estimator, InputEstimate, OpenEnded, OutputBound};
pub use future::ResponseFuture;
pub use labels::{CaptureLayer, Labels};
pub use layer::DriftlockLayer;
pub use policy::{
    BuildError, InputBound, Mode, OnAbandoned, OnAmbiguous, OnOutage, OnUnreadable, Permit, Policy,
    PolicyBuilder, Receipt, Settings, Settled, SettledHow, Spend, Stats, UnknownPrice,
};
pub use price::{Asked, Entry, EntryId, Overlay, Price, PriceBook, PriceError, Region, Tier};
pub use provider::{Endpoint, Format, Route, Routes};
pub use rule::{
    Budget, Condition, CostVelocity, ForecastBudget, IntoRule, MaxCostPerRequest, MonthlyBudget,
    Otherwise, PerUserBudget, RestrictModel, Rule, RuleFn, TagBasedModelDowngrade, VelocityLimit,
    Verdict, rule_fn,
};
pub use service::Driftlock;
pub use store::{MemoryStore, StoreError};
pub use unreadable::Unreadable;
pub use usage::Usage;
pub use usd::{ParseUsdError, Usd};
pub use window::{Period, Window, Zone, ZoneError};
