//! Reports.

mod budgets;
mod by_label;
mod counted;
mod day;
mod denials;
mod error;
mod forecast;
mod held;
mod key;
#[allow(clippy::module_inception)] // the room is named after its main word
mod report;
mod rollup;
mod span;
mod spend;
mod spent;

pub use budgets::Budget;
pub use by_label::LabelSpend;
pub use day::Day;
pub use denials::Denials;
pub use error::ReportError;
pub use forecast::{Forecast, Outlook};
pub use key::{Key, KeyError};
pub use report::Report;
pub use span::{Span, SpanError};
pub use spend::{DaySpend, ModelSpend, Totals};
pub use spent::Spent;
