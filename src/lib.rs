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
mod extract;
mod meter;
mod price;
mod provider;

// remembering
pub mod store;

// carriers
mod body;
mod screen;
mod sse;

pub use body::MeteredBody;
pub use call::{Bound, Call, Estimate, Input, Needs, Operation, Provider};
pub use claim::{Amount, Claim, Scope, Unit};
pub use clock::{Clock, ManualClock, ParseTimeError, SystemClock, Timestamp};
pub use denial::{Denial, DenialKind, Deny, Exceeded, Retry};
pub use error::{BoxError, Error};
pub use labels::{CaptureLayer, Labels};
pub use price::{Asked, Entry, EntryId, Overlay, Price, PriceBook, PriceError, Region, Tier};
pub use store::StoreError;
pub use unreadable::Unreadable;
pub use usage::Usage;
pub use usd::{ParseUsdError, Usd};
pub use window::{Period, Window, Zone, ZoneError};
