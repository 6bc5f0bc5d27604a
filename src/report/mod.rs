//! Reports.

mod audit;
mod budgets;
mod by_label;
mod check;
mod counted;
mod day;
mod denials;
mod error;
mod exact;
mod export;
mod forecast;
mod held;
mod invoice;
mod key;
mod ledger;
mod reconcile;
#[allow(clippy::module_inception)] // the room is named after its main word
mod report;
mod rollup;
mod span;
mod spend;
mod spent;

pub use budgets::Budget;
pub use by_label::LabelSpend;
pub use check::{Check, Mismatch};
pub use day::Day;
pub use denials::Denials;
pub use error::ReportError;
pub use export::Format;
pub use forecast::{Forecast, Outlook};
pub use invoice::{Invoice, InvoiceError};
pub use key::{Key, KeyError};
pub use ledger::{Calls, Recorded};
pub use reconcile::{Difference, Reconciled, Reconciliation};
pub use report::Report;
pub use span::{Span, SpanError};
pub use spend::{DaySpend, ModelSpend, Totals};
pub use spent::Spent;
