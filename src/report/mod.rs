//! Reports: who spent what, what is left, and whether it all adds up.
//!
//! A limit says no; it does not say why the month is half gone on the tenth. The file of
//! a [`SqliteStore`](crate::store::SqliteStore) knows: it has sums by day, every counter,
//! and a ledger of all calls. A [`Report`] reads it, beside the service and while that
//! writes. What is asked of a stretch of time comes from the sums by day, so the answer
//! takes milliseconds however many calls there were.
//!
//! The command `driftlock` (feature `cli`) prints all of this, and puts counters right.
//!
//! | what | |
//! |---|---|
//! | spend | [`totals`](Report::totals), [`by_day`](Report::by_day), [`by_model`](Report::by_model), [`by_user`](Report::by_user), [`by_label`](Report::by_label), [`top_users`](Report::top_users) |
//! | denials by rule | [`denials`](Report::denials) |
//! | what is left, and until when | [`budgets`](Report::budgets), [`forecast`](Report::forecast) |
//! | what was changed by hand | [`changes`](Report::changes) |
//! | how certain it is | [`outcomes`](Report::outcomes) |
//! | calls, one by one | [`recent`](Report::recent), [`recent_of`](Report::recent_of), [`calls`](Report::calls), [`export`](Report::export) |
//! | a copy to keep | [`backup`](Report::backup) |
//! | whether it adds up | [`check`](Report::check), [`reconcile`](Report::reconcile), [`reconcile_provider`](Report::reconcile_provider) |
//!
//! Everything they return is `Serialize`. Money is [`Usd`](crate::Usd), as text in JSON.
//!
//! # Example
//! ```
//! use driftlock::{
//!     Call, Labels, MonthlyBudget, Operation, Policy, Provider, Usage, Usd,
//!     report::{Report, Span},
//!     store::SqliteStore,
//! };
//!
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("driftlock.db");
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let policy = Policy::builder()
//!     .rule(MonthlyBudget::new(Usd::dollars(100)))
//!     .store(SqliteStore::open(&path)?)
//!     .build()?;
//! let mut call = Call::new(Provider::OPENAI, Operation::Chat, "gpt-4o")
//!     .with_labels(Labels::new().with("user", "u-17"));
//! let mut permit = policy.admit(&mut call).await?;
//! permit.sent();
//! permit.settle(&Usage::tokens(1_000, 500));
//! policy.drain().await?;
//!
//! let report = Report::open(&path)?;
//! for user in report.top_users(Span::days(7), 10)? {
//!     println!("{} spent {} in {} calls", user.value, user.spent.cost, user.spent.calls);
//! }
//! let month = report.budget(&"workspace".parse()?)?;
//! assert_eq!(month.settled.to_string(), "$0.0075");
//! assert_eq!(month.remaining.map(|left| left.to_string()).as_deref(), Some("$99.9925"));
//! assert!(report.check()?.is_sound());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod audit;
mod backup;
mod billed;
mod budgets;
mod by_label;
mod changes;
mod charged;
mod check;
mod columns;
mod counted;
mod day;
mod denials;
mod error;
mod exact;
mod export;
mod filter;
mod forecast;
mod held;
mod invoice;
mod key;
mod ledger;
mod outcomes;
mod pruned;
mod reconcile;
#[allow(clippy::module_inception)] // the room is named after its main word
mod report;
mod rollup;
mod signed;
mod span;
mod spend;
mod spent;
mod tolerance;

pub use billed::Billed;
pub use budgets::Budget;
pub use by_label::LabelSpend;
pub use changes::{Change, Changed, ChangedBy};
pub use check::{Check, Mismatch};
pub use columns::InvoiceColumns;
pub use day::Day;
pub use denials::Denials;
pub use error::ReportError;
pub use export::Format;
pub use filter::Filter;
pub use forecast::{Forecast, Outlook};
pub use invoice::{Invoice, InvoiceError};
pub use key::{Key, KeyError};
pub use ledger::{Calls, Recorded};
pub use outcomes::Outcome;
pub use reconcile::{Reconciled, Reconciliation, Uncertain};
pub use report::Report;
pub use signed::SignedUsd;
pub use span::{Span, SpanError};
pub use spend::{DaySpend, ModelSpend, Totals};
pub use spent::Spent;
pub use tolerance::{Tolerance, ToleranceError};
