//! Prices: what a call cost, and the most it can cost.
//!
//! The bundled book is generated from public price lists by
//! `scripts/update-prices.py`; `as_of` says when. A model it does not know has no
//! price, and no price is never taken for free.
//!
//! # Example
//! ```
//! use driftlock::{Asked, PriceBook, Provider, Region, Tier, Usage};
//!
//! let book = PriceBook::bundled();
//! let id = book.find(&Provider::ANTHROPIC, "claude-sonnet-4-5-20250929").expect("a listed model");
//! let price = book.entry(id).price();
//! let reserved = price.ceiling(10_000, 1_000, &Asked::default());
//! let cost = price.cost(&Usage::tokens(10_000, 200), Tier::Default, Region::Global);
//! assert_eq!(reserved.to_string(), "$0.075");
//! assert_eq!(cost.to_string(), "$0.033");
//! ```

mod book;
mod cost;
mod entry;
mod error;
mod learned;
mod name;
mod overlay;
mod plain;
#[allow(clippy::module_inception)] // the room is named after its main word
mod price;
mod rates;
mod recent;
mod rule;
mod shelf;
mod tier;

pub use book::PriceBook;
pub use entry::{Entry, EntryId};
pub use error::PriceError;
pub use overlay::Overlay;
pub(crate) use plain::Bill;
pub use price::Price;
pub use tier::{Asked, Region, Tier};
