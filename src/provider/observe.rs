//! What a response tells about its cost, read while it passes.
//!
//! An [`Observer`] is fed the JSON of a response, or the data of its events one by
//! one, and keeps what was told last. How a format writes it down is a [`Dialect`]:
//! which values to take, and a function that reads them. One format is one file.

use smol_str::SmolStr;

use super::openai::chat_usage;
use crate::{
    extract::{Extractor, Found, Wanted},
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
    /// Whether the response has said that it is complete: its document closed, or
    /// the marker came that ends a stream.
    pub is_final: bool,
    /// Whether the usage told last makes no sense: not counts, parts larger than
    /// their whole, a key given twice. [`usage`](Self::usage) is then what was told
    /// before, a floor and not the truth; the call settles at its estimate.
    pub contradictory: bool,
    /// Whether the usage told last counts the provider's searches, be it none.
    tells_searches: bool,
}

/// The same at a glance, as far as it matters to a price.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Told<'a> {
    pub(crate) usage: Option<&'a Usage>,
    pub(crate) model: Option<&'a str>,
    pub(crate) service_tier: Option<&'a str>,
    pub(crate) contradictory: bool,
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
pub(super) struct Dialect {
    /// The values to take from a document or event.
    pub(super) wanted: &'static [Wanted],
    /// The data of an event that ends the stream; empty if the format has none.
    pub(super) end_marker: &'static [u8],
    /// Reads what was taken and says what kind of event it was.
    pub(super) read: fn(&Extractor, &mut Observed) -> EventKind,
}

/// Reads one response; see the [module](self).
#[derive(Debug)]
pub(crate) struct Observer {
    dialect: &'static Dialect,
    extractor: Extractor,
    marker: Marker,
    observed: Observed,
}

impl Observer {
    /// For OpenAI's chat completions and what is compatible with them.
    pub(crate) fn openai_chat() -> Self {
        Self::new(&chat_usage::DIALECT)
    }

    /// For what is written in this dialect.
    pub(super) fn new(dialect: &'static Dialect) -> Self {
        Self {
            dialect,
            extractor: Extractor::new(dialect.wanted),
            marker: Marker::default(),
            observed: Observed::default(),
        }
    }

    /// Reads a piece of the document, or of the present event's data.
    pub(crate) fn feed(&mut self, piece: &[u8]) {
        self.marker.feed(self.dialect.end_marker, piece);
        self.extractor.feed(piece);
    }

    /// The document has ended.
    pub(crate) fn end_document(&mut self) {
        (self.dialect.read)(&self.extractor, &mut self.observed);
        if self.extractor.is_whole() {
            self.observed.finish();
        }
        self.extractor.reset();
        self.marker = Marker::default();
    }

    /// The present event has ended; the next piece belongs to another.
    pub(crate) fn end_event(&mut self) -> EventKind {
        let kind = if self.marker.is_complete(self.dialect.end_marker) {
            EventKind::Terminal
        } else {
            (self.dialect.read)(&self.extractor, &mut self.observed)
        };
        if kind == EventKind::Terminal {
            self.observed.finish();
        }
        self.extractor.reset();
        self.marker = Marker::default();
        kind
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
            contradictory: self.contradictory,
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
            contradictory: false,
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
        self.usage = told.or(self.usage);
    }

    /// Takes the model that answers from its JSON; empty or no string says nothing.
    pub(super) fn tell_model(&mut self, told: Found<'_>) {
        replace(&mut self.model, told);
    }

    /// Takes the service tier from its JSON; empty or no string says nothing.
    pub(super) fn tell_service_tier(&mut self, told: Found<'_>) {
        replace(&mut self.service_tier, told);
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
    if let Ok(new) = serde_json::from_slice::<SmolStr>(raw)
        && !new.is_empty()
    {
        *text = Some(new);
    }
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
