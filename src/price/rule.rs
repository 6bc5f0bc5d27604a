//! How the book recognises a model whose name it does not list word for word.
//!
//! There is no matching by bare prefix here: `gpt-4o` says nothing about the
//! price of `gpt-4o-mini`. A rule is one that the price list states, and where
//! that one was meant for dated names only, it has been tightened to those.

use serde::Deserialize;
use smol_str::SmolStr;

/// How a rule's text has to be found in a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Starts,
    Ends,
    Contains,
    /// The name is the text, then nothing but versions: dates, `v2`, `latest`.
    Versioned,
    /// The same, behind anything, as `us.anthropic.`.
    EndsVersioned,
}

/// In the price file: `[kind, text]`, or `[kind, text, unless]`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct RuleText(
    Kind,
    SmolStr,
    /// A segment that must not be there, as `-tts`.
    #[serde(default)]
    Option<SmolStr>,
);

/// A rule, and the entry it leads to.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    text: RuleText,
    pairs: Pairs,
    pub(super) entry: u32,
}

impl Rule {
    pub(super) fn new(text: RuleText, entry: u32) -> Self {
        let pairs = Pairs::of(&text.1);
        Self { text, pairs, entry }
    }

    /// Whether it holds for a lower-case name; `pairs` are the name's.
    pub(super) fn holds(&self, name: &str, pairs: Pairs) -> bool {
        pairs.cover(self.pairs) && self.text.holds(name)
    }
}

impl RuleText {
    fn holds(&self, name: &str) -> bool {
        let Self(kind, text, unless) = self;
        let text = text.as_str();
        let found = match kind {
            Kind::Starts => name.starts_with(text),
            Kind::Ends => name.ends_with(text),
            Kind::Contains => name.contains(text),
            Kind::Versioned => name.strip_prefix(text).is_some_and(is_version),
            Kind::EndsVersioned => {
                name.match_indices(text).any(|(at, _)| is_version(&name[at + text.len()..]))
            }
        };
        found && !unless.as_ref().is_some_and(|segment| has_segment(name, segment))
    }
}

/// `segment` is there and ends where the name or one of its parts does.
fn has_segment(name: &str, segment: &str) -> bool {
    name.match_indices(segment).any(|(at, _)| {
        let rest = &name[at + segment.len()..];
        rest.is_empty() || rest.starts_with('-')
    })
}

/// Nothing, or parts like `-20250929`, `@20250929`, `-2024-08-06`, `-0613`,
/// `-v2`, `:0`, `-latest`, `-preview-05-06`. One or two digits alone are no
/// version: `claude-opus-4-5` is not a version of `claude-opus-4`.
fn is_version(suffix: &str) -> bool {
    let mut rest = suffix;
    let mut in_date = false;
    while let Some(separator) = rest.chars().next() {
        if !matches!(separator, '-' | '@' | ':') {
            return false;
        }
        let part = rest[1..].split(['-', '@', ':']).next().unwrap_or("");
        let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let known = match part.len() {
            1 if is_number => separator == ':',
            2 if is_number => in_date,
            _ if is_number => true,
            _ => is_word(part),
        };
        if !known {
            return false;
        }
        in_date = matches!(part, "preview" | "exp") || is_number && (part.len() == 4 || in_date);
        rest = &rest[1 + part.len()..];
    }
    true
}

fn is_word(part: &str) -> bool {
    let numbered = part.strip_prefix('v').is_some_and(|number| {
        matches!(number.len(), 1 | 2) && number.bytes().all(|byte| byte.is_ascii_digit())
    });
    numbered || matches!(part, "latest" | "preview" | "exp" | "default")
}

/// Which pairs of neighbouring bytes a text has, as a set that may claim a few
/// too many. One look at it rules out nearly every rule that cannot hold, which
/// makes trying two hundred of them take less than a microsecond.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pairs(u128);

impl Pairs {
    pub(super) fn of(text: &str) -> Self {
        let bit = |pair: &[u8]| {
            let [left, right] = [pair[0], pair[1]].map(u32::from);
            1 << (left.wrapping_mul(37).wrapping_add(right.wrapping_mul(101)) % 128)
        };
        Self(text.as_bytes().windows(2).map(bit).fold(0, |pairs, bit: u128| pairs | bit))
    }

    fn cover(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(kind: Kind, text: &str, name: &str) -> bool {
        Rule::new(RuleText(kind, text.into(), None), 0).holds(name, Pairs::of(name))
    }

    #[test]
    fn a_dated_name_is_the_model_and_a_sibling_is_not() {
        let sonnet = |name: &str| holds(Kind::Versioned, "claude-sonnet-4", name);
        for good in [
            "",
            "-20250514",
            "@20250514",
            "-2025-05-14",
            "-latest",
            "-v1:0",
            "-0514",
            "-preview-05-06",
        ] {
            assert!(sonnet(&format!("claude-sonnet-4{good}")), "{good}");
        }
        for bad in
            ["-5", "-05-06", "-5-20250929", "-mini", "x", "-fast", "-", "-20250514-fast", ".5", "é"]
        {
            assert!(!sonnet(&format!("claude-sonnet-4{bad}")), "{bad}");
        }
    }

    #[test]
    fn a_rule_behind_a_host_s_prefix_still_ends_in_a_version() {
        let opus = |name: &str| holds(Kind::EndsVersioned, "claude-opus-4-6", name);
        assert!(opus("publishers/anthropic/models/claude-opus-4-6@20260205"));
        assert!(!opus("claude-opus-4-6-fast"));
    }

    #[test]
    fn an_exception_is_a_whole_segment() {
        let rule = RuleText(Kind::Starts, "gemini-2.5-pro".into(), Some("-tts".into()));
        assert!(rule.holds("gemini-2.5-pro-preview-05-06"));
        assert!(rule.holds("gemini-2.5-pro-ttsx"));
        assert!(!rule.holds("gemini-2.5-pro-preview-tts"));
        assert!(!rule.holds("gemini-2.5-pro-tts-1"));
    }
}
