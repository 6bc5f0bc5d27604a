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
mod json;
mod price;
mod provider;

// remembering
pub mod store;

pub use call::{Bound, Call, Estimate, Input, Needs, Operation, Provider};
pub use claim::{Amount, Claim, Scope, Unit};
pub use clock::{Clock, ManualClock, ParseTimeError, SystemClock, Timestamp};
pub use denial::{Denial, DenialKind, Deny, Exceeded, Retry};
pub use error::{BoxError, Error};
pub use estimate::{BytesEstimator, Estimator, InputEstimate, OpenEnded, OutputBound};
pub use labels::{CaptureLayer, Labels};
pub use provider::{Endpoint, Format, Route, Routes};
pub use store::StoreError;
pub use unreadable::Unreadable;
pub use usage::Usage;
pub use usd::{ParseUsdError, Usd};
pub use window::{Period, Window, Zone, ZoneError};
