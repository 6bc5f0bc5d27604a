//! What a response tells about its cost, read while it passes.
//!
//! An [`Observer`] is fed the JSON of a response, or the data of its events one by
//! one, and keeps what was told last. How a format writes it down is a [`Dialect`]:
//! which values to take, and a function that reads them. One format is one file.

use serde::Deserialize;
use smol_str::SmolStr;

use super::{list::List, written::plain};
use crate::{
    extract::{Extractor, Finds, Found, Key, whole},
    usage::Usage,
};

/// What a response has told so far.
///
/// For an example see [`Policy`](crate::Policy).
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Observed {
    /// The usage told last, if it could be read.
    pub usage: Option<Usage>,
    /// The model that answers, by the name the provider gives it.
    pub model: Option<SmolStr>,
    /// The service tier the answer was served from.
    pub service_tier: Option<SmolStr>,
    /// Where the model ran, by the name the provider gives it, as Anthropic's
    /// `inference_geo`.
    pub region: Option<SmolStr>,
    /// Whether the response has said that it is complete: its document closed, or
    /// the marker came that ends a stream.
    pub is_final: bool,
    /// Whether the usage told last makes no sense: not counts, parts larger than
    /// their whole, a key given twice. [`usage`](Self::usage) is then what was told
    /// before, a floor and not the truth; the call settles at its estimate.
    pub contradictory: bool,
    /// Whether the usage told last is known not to be all: a running total, of which
    /// more was to come, or one without what another model did on the way. A response
    /// that ends so was cut off, and settles as one that broke off.
    pub is_partial: bool,
    /// Whether the usage told last counts the provider's searches, be it none.
    tells_searches: bool,
}

/// The same at a glance, as far as it matters to a price.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Told<'a> {
    pub(crate) usage: Option<&'a Usage>,
    pub(crate) model: Option<&'a str>,
    pub(crate) service_tier: Option<&'a str>,
    pub(crate) region: Option<&'a str>,
    pub(crate) contradictory: bool,
    pub(crate) is_partial: bool,
    pub(crate) tells_searches: bool,
}

/// What an event of a stream was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventKind {
    /// Usage and nothing else: what a caller who did not ask for it must not see.
    UsageOnly,
    /// The end of the stream.
    Terminal,
    /// Anything else.
    Other,
}

/// How a wire format tells its usage.
#[derive(Debug)]
pub(crate) struct Dialect {
    /// The values to take from a document or event.
    pub(super) keys: &'static [Key],
    /// What a response is taken for before its first byte: a document, or perhaps an array
    /// of parts.
    pub(super) starts_as: List,
    /// The data of an event that ends the stream; empty if the format has none.
    pub(super) end_marker: &'static [u8],
    /// Reads what was taken and says what kind of event it was.
    pub(super) read: fn(&Finds<'_>, &mut Observed, &mut Memory) -> EventKind,
}

/// What a dialect that tells its usage in several parts remembers of the earlier ones.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The counts told so far, by numbers of the dialect's own.
    pub(super) counts: [Option<u64>; 10],
    /// What is billed on top of them.
    pub(super) beside: Usage,
    /// Whether what is read is one part of several: an event, or one of an array.
    pub(super) is_part: bool,
    /// Whether the model has said that it is done.
    pub(super) has_stopped: bool,
    /// Whether the counts are those of the end.
    pub(super) has_totals: bool,
    /// Whether there was more than the counts tell.
    pub(super) is_floor: bool,
}

/// Reads one response; see the [module](self).
#[derive(Debug)]
pub(crate) struct Observer {
    dialect: &'static Dialect,
    extractor: Extractor,
    list: List,
    marker: Marker,
    observed: Observed,
    memory: Memory,
}

impl Observer {
    /// For what is written in this dialect.
    #[inline(always)]
    pub(crate) fn new(dialect: &'static Dialect) -> Self {
        Self {
            dialect,
            extractor: Extractor::new(dialect.keys),
            list: dialect.starts_as,
            marker: Marker::default(),
            observed: Observed::default(),
            memory: Memory::default(),
        }
    }

    /// Reads a piece of the document, or of the present event's data.
    pub(crate) fn feed(&mut self, piece: &[u8]) {
        self.marker.feed(self.dialect.end_marker, piece);
        let mut rest = self.list.skip(piece);
        while !rest.is_empty() {
            let read = self.extractor.feed(rest);
            if self.list != List::Inside || !self.extractor.is_whole() {
                return;
            }
            self.memory.is_part = true;
            self.read();
            self.extractor.reset();
            self.list.end_part();
            rest = self.list.skip(rest.get(read..).unwrap_or_default());
        }
    }

    /// Reads a document that is there in one piece.
    pub(crate) fn document(dialect: &'static Dialect, document: &[u8]) -> Observed {
        // What is told is large, and is written where it goes.
        let (mut observed, mut finds) = (Observed::nothing(), Finds::default());
        match whole(document, dialect.keys, &mut finds) {
            Some(()) => {
                (dialect.read)(&finds, &mut observed, &mut Memory::default());
                observed.finish();
            }
            None => observed = Self::document_in_pieces(dialect, document),
        }
        observed
    }

    #[inline(never)]
    fn document_in_pieces(dialect: &'static Dialect, document: &[u8]) -> Observed {
        let mut observer = Self::new(dialect);
        observer.feed(document);
        observer.end_document();
        observer.observed
    }

    /// Reads an event whose data is there in one piece.
    #[inline]
    pub(crate) fn event(&mut self, data: &[u8]) -> EventKind {
        let mut finds = Finds::default();
        if whole(data, self.dialect.keys, &mut finds).is_none() {
            self.feed(data);
            return self.end_event();
        }
        self.memory.is_part = true;
        let kind = (self.dialect.read)(&finds, &mut self.observed, &mut self.memory);
        if kind == EventKind::Terminal {
            self.observed.finish();
        }
        kind
    }

    /// The document has ended.
    pub(crate) fn end_document(&mut self) {
        self.memory.is_part |= !matches!(self.list, List::Unknown | List::Single);
        if self.list != List::Ended {
            self.read();
        }
        if self.list == List::Single && self.extractor.is_whole() {
            self.observed.finish();
        }
        // The bracket of an array tells nothing: an error may stand before it.
        self.end_stream();
        self.start_anew();
    }

    /// A response in parts has ended, or is read no further. It is complete if the model
    /// has said that it is done, and with what.
    pub(crate) fn end_stream(&mut self) {
        let has_usage = self.observed.usage.is_some() && !self.observed.is_partial;
        if self.memory.has_stopped && has_usage {
            self.observed.finish();
        }
    }

    /// The present event has ended; the next piece belongs to another.
    pub(crate) fn end_event(&mut self) -> EventKind {
        let kind = if self.marker.is_complete(self.dialect.end_marker) {
            self.observed.tell_partial(false);
            EventKind::Terminal
        } else {
            self.memory.is_part = true;
            self.read()
        };
        if kind == EventKind::Terminal {
            self.observed.finish();
        }
        self.start_anew();
        kind
    }

    /// For OpenAI's chat completions.
    #[cfg(test)]
    pub(crate) fn openai_chat() -> Self {
        Self::new(&super::openai::chat_usage::DIALECT)
    }

    /// How many bytes are kept of what passes.
    #[cfg(test)]
    pub(crate) fn kept_len(&self) -> usize {
        self.extractor.kept_len()
    }

    fn read(&mut self) -> EventKind {
        (self.dialect.read)(&self.extractor.finds(), &mut self.observed, &mut self.memory)
    }

    fn start_anew(&mut self) {
        self.extractor.reset();
        self.list = self.dialect.starts_as;
        self.marker = Marker::default();
    }

    /// What has been told so far.
    pub(crate) fn observed(&self) -> &Observed {
        &self.observed
    }
}

/// How a dialect writes down what it has read.
impl Observed {
    /// What of it matters to a price.
    pub(crate) fn told(&self) -> Told<'_> {
        Told {
            usage: self.usage.as_ref(),
            model: self.model.as_deref(),
            service_tier: self.service_tier.as_deref(),
            region: self.region.as_deref(),
            contradictory: self.contradictory,
            is_partial: self.is_partial,
            tells_searches: self.tells_searches,
        }
    }

    /// A response that has told nothing.
    pub(crate) const fn nothing() -> Self {
        Self {
            usage: None,
            model: None,
            service_tier: None,
            is_final: false,
            region: None,
            contradictory: false,
            is_partial: false,
            tells_searches: false,
        }
    }

    /// Notes that the usage counts searches.
    pub(super) fn tell_searches(&mut self) {
        self.tells_searches = true;
    }

    /// Takes a usage; `None` is one that makes no sense.
    pub(super) fn tell_usage(&mut self, told: Option<Usage>) {
        self.contradictory = told.is_none();
        if told.is_some() {
            self.usage = told;
        }
    }

    /// Takes the model that answers from its JSON; empty or no string says nothing.
    pub(super) fn tell_model(&mut self, told: Found<'_>) {
        replace(&mut self.model, told);
    }

    /// Takes the service tier from its JSON; empty or no string says nothing.
    pub(super) fn tell_service_tier(&mut self, told: Found<'_>) {
        replace(&mut self.service_tier, told);
    }

    /// Takes the name of the service tier; an empty one says nothing.
    pub(super) fn tell_tier(&mut self, told: &str) {
        replace_name(&mut self.service_tier, told);
    }

    /// Takes the name of the region; an empty one says nothing.
    pub(super) fn tell_region(&mut self, told: &str) {
        replace_name(&mut self.region, told);
    }

    /// Takes whether the usage is known not to be all.
    pub(super) fn tell_partial(&mut self, is_partial: bool) {
        self.is_partial = is_partial;
    }

    /// Notes that the provider searched for something that the usage does not count.
    pub(super) fn miss_searches(&mut self) {
        self.tells_searches = false;
    }

    fn finish(&mut self) {
        self.is_final = true;
    }
}

/// Replaces a text by that of a JSON string.
fn replace(text: &mut Option<SmolStr>, told: Found<'_>) {
    let Found::Value(raw @ [b'"', written @ .., b'"']) = told else { return };
    // nearly every event repeats the last
    if written.is_empty() || text.as_ref().is_some_and(|text| text.as_bytes() == written) {
        return;
    }
    // Written where it goes: to hand a short text on takes longer than to make it.
    if let Some(new) = plain(written) {
        *text = Some(new);
    } else if let Some(new) = json(raw) {
        *text = Some(new);
    }
}

/// Reads a value that was taken, if it can be read.
pub(super) fn json<'a, T: Deserialize<'a>>(written: &'a [u8]) -> Option<T> {
    // All of it at once, which is quicker than one string after the other.
    let text = simdutf8::basic::from_utf8(written).ok()?;
    serde_json::from_str(text).ok()
}

fn replace_name(name: &mut Option<SmolStr>, told: &str) -> bool {
    let is_new = !told.is_empty() && name.as_deref() != Some(told);
    if is_new {
        *name = Some(told.into());
    }
    is_new
}

/// Compares data with a marker as it comes, white space around it aside.
#[derive(Clone, Copy, Debug, Default)]
struct Marker {
    matched: usize,
    differs: bool,
}

impl Marker {
    fn feed(&mut self, marker: &[u8], piece: &[u8]) {
        for byte in piece {
            if self.differs {
                return;
            }
            if marker.get(self.matched) == Some(byte) {
                self.matched += 1;
            } else {
                let outside = self.matched == 0 || self.matched == marker.len();
                self.differs = !(outside && byte.is_ascii_whitespace());
            }
        }
    }

    fn is_complete(self, marker: &[u8]) -> bool {
        !marker.is_empty() && !self.differs && self.matched == marker.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(observer: &mut Observer, data: &str) -> EventKind {
        observer.feed(data.as_bytes());
        observer.end_event()
    }

    #[test]
    fn the_last_of_several_usages_counts() {
        let mut observer = Observer::openai_chat();
        let usage = |tokens| {
            format!(
                r#"{{"choices":[],"usage":{{"prompt_tokens":9,"completion_tokens":{tokens}}}}}"#
            )
        };
        event(&mut observer, &usage(1));
        event(&mut observer, &usage(5));
        event(&mut observer, r#"{"choices":[{}],"usage":null}"#);
        assert_eq!(observer.observed().usage, Some(Usage::tokens(9, 5)));
        assert!(!observer.observed().is_final);
    }

    #[test]
    fn a_senseless_usage_is_flagged_until_a_better_one_comes() {
        let mut observer = Observer::openai_chat();
        event(&mut observer, r#"{"usage":{"prompt_tokens":9,"completion_tokens":1}}"#);
        event(&mut observer, r#"{"usage":{"prompt_tokens":-9}}"#);
        assert!(observer.observed().contradictory);
        assert_eq!(observer.observed().usage, Some(Usage::tokens(9, 1)));
        event(&mut observer, r#"{"usage":{"prompt_tokens":9,"completion_tokens":2}}"#);
        assert!(!observer.observed().contradictory);
        assert_eq!(observer.observed().usage, Some(Usage::tokens(9, 2)));
    }

    #[test]
    fn the_end_marker_stands_alone() {
        for (data, kind) in [
            ("[DONE]", EventKind::Terminal),
            (" [DONE] ", EventKind::Terminal),
            ("[DONE]x", EventKind::Other),
            ("[DO NE]", EventKind::Other),
            ("[DONE", EventKind::Other),
            ("\"[DONE]\"", EventKind::Other),
            ("", EventKind::Other),
        ] {
            let mut observer = Observer::openai_chat();
            assert_eq!(event(&mut observer, data), kind, "{data}");
            assert_eq!(observer.observed().is_final, kind == EventKind::Terminal);
        }
    }

    #[test]
    fn the_model_and_tier_told_last_are_kept() {
        let mut observer = Observer::openai_chat();
        event(&mut observer, r#"{"model":"gpt-4o","service_tier":"flex"}"#);
        event(&mut observer, r#"{"model":"","service_tier":null}"#);
        event(&mut observer, r#"{"model":"gpt\u002d4o-mini"}"#);
        let observed = observer.observed();
        assert_eq!(
            (observed.model.as_deref(), observed.service_tier.as_deref()),
            (Some("gpt-4o-mini"), Some("flex"))
        );
    }

    #[test]
    fn a_cut_document_is_not_final() {
        let mut observer = Observer::openai_chat();
        observer.feed(br#"{"usage":{"prompt_tokens":9,"completion_tokens":1}"#);
        observer.end_document();
        assert_eq!(observer.observed().usage, Some(Usage::tokens(9, 1)));
        assert!(!observer.observed().is_final);
    }
}
