//! How many tokens a call may take, before it is made.
//!
//! Input is estimated from what the request holds, by an [`Estimator`]; output is
//! bounded by what the request states, or else by an [`OutputBound`]; what no request
//! shows, as the pages a search on the server reads, is up to [`OpenEnded`].

mod input;
mod measure;
mod open_ended;
mod output;
#[cfg(feature = "tiktoken")]
mod tiktoken;
mod tokenizer;

pub use input::{BytesEstimator, Estimator, InputEstimate};
pub use open_ended::OpenEnded;
pub use output::OutputBound;
#[cfg(feature = "tiktoken")]
#[cfg_attr(docsrs, doc(cfg(feature = "tiktoken")))]
pub use tiktoken::TiktokenEstimator;

pub(crate) use measure::Measure;
pub(crate) use output::{OVERSHOOT, Output, output_tokens};
pub(crate) use tokenizer::Family;
