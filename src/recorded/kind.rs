//! The kinds of recordings, and what is known of each.

use serde_json::Value;

use super::{anthropic, exchange::Exchange, gemini, openai};
use crate::{
    provider::{Format, Observed},
    usage::Usage,
};

/// One kind of recordings.
pub(super) struct Kind {
    /// As the recordings have it.
    pub(super) name: &'static str,
    /// What reads it.
    pub(super) format: Format,
    /// How many messages, or inputs, a request has.
    pub(super) messages: fn(&Value) -> u64,
    /// The reported usage in our words, by the inventor's documentation and nothing
    /// else: no dialects, no merging, no corrections.
    pub(super) reported: fn(&Value) -> Usage,
    /// How many documents and streams there are.
    pub(super) count: (usize, usize),
    /// Where another usage is read than was reported.
    pub(super) read_otherwise: &'static [Exception],
    /// How many cost what the calculator says.
    pub(super) priced: usize,
    /// Where a call costs something else than the calculator says.
    pub(super) priced_otherwise: &'static [Exception],
}

/// Recordings for which something does not hold, and why that is right.
pub(super) struct Exception {
    pub(super) why: &'static str,
    /// Whether it is one of them.
    pub(super) is: fn(&Exchange, &Observed) -> bool,
    /// How many there are.
    pub(super) count: usize,
}

/// Every kind that a format reads.
pub(super) const KINDS: &[Kind] =
    &[openai::CHAT, openai::RESPONSES, openai::EMBEDDINGS, anthropic::MESSAGES, gemini::GENERATE];

/// Kinds on record, for a word about those that are not in [`KINDS`].
pub(super) const RECORDED: [&str; 5] = [
    "openai.chat",
    "openai.responses",
    "openai.embeddings",
    "anthropic.messages",
    "gemini.generate",
];

/// Sorts what does not hold by its reason.
#[derive(Default)]
pub(super) struct Tally(Vec<(&'static str, usize)>);

impl Tally {
    /// Counts an exchange under the first exception that it is.
    ///
    /// # Panics
    /// If it is none of them; `what` says what does not hold then.
    pub(super) fn count(
        &mut self,
        exceptions: &'static [Exception],
        exchange: &Exchange,
        observed: &Observed,
        what: impl FnOnce() -> String,
    ) {
        let known = exceptions.iter().find(|exception| (exception.is)(exchange, observed));
        let why = known.map_or_else(
            || panic!("{} {} ({}): {}", exchange.kind, exchange.id, exchange.uri, what()),
            |known| known.why,
        );
        match self.0.iter_mut().find(|(other, _)| *other == why) {
            Some((_, count)) => *count += 1,
            None => self.0.push((why, 1)),
        }
    }

    /// Checks that there were as many as are known, no fewer and no more.
    pub(super) fn check(&self, exceptions: &[Exception]) {
        for (why, count) in &self.0 {
            eprintln!("    {count}: {why}");
        }
        for Exception { why, count, .. } in exceptions {
            let counted = self.0.iter().find(|(other, _)| other == why).map_or(0, |(_, n)| *n);
            assert_eq!(counted, *count, "{why}");
        }
    }
}
