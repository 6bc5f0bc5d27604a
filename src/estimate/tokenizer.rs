//! Which tokenizer a model has, as far as its name tells.

use super::measure::Measure;
use crate::call::Provider;

/// Models whose texts come to about as many tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    OpenAi,
    Gemini,
    Claude,
    /// Claude from 4.7 on, whose tokens are shorter.
    NewClaude,
    /// All that are not known. Their hosts wrap a prompt as they like, some in a system
    /// prompt of their own that is billed as well: one of 1,500 tokens was recorded.
    Other,
}

impl Family {
    /// By the name first: gateways serve the models of others.
    pub(crate) fn of(provider: &Provider, model: &str) -> Self {
        let other = matches!(provider.name(), "anthropic" | "google");
        if !other && is_openai(model) {
            return Self::OpenAi; // the common case, told from the first letters
        }
        let (claude, gemini) = families(model.as_bytes());
        if let Some(at) = claude {
            return Self::claude(model.get(at..).unwrap_or_default());
        }
        if gemini {
            return Self::Gemini;
        }
        // Names without a version, as a deployment's, are taken for the dearer.
        match provider.name() {
            "anthropic" => Self::NewClaude,
            "google" => Self::Gemini,
            _ => Self::Other,
        }
    }

    fn claude(name: &str) -> Self {
        // A version is one or two digits; longer numbers are dates.
        let mut numbers = name
            .split(|letter: char| !letter.is_ascii_alphanumeric())
            .filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
            .map(|part| if part.len() > 2 { Some(0) } else { part.parse::<u32>().ok() });
        let major = numbers.next().flatten();
        let minor = numbers.next().flatten().unwrap_or(0);
        match major {
            Some(major) if major > 0 && (major, minor) < (4, 7) => Self::Claude,
            _ if name.starts_with("claude-instant") => Self::Claude,
            _ => Self::NewClaude,
        }
    }

    /// What its tokens come to.
    pub(crate) const fn measure(self) -> Measure {
        let (tenths, per_call, tools) = match self {
            Self::OpenAi => (10, 24, 64),
            Self::Gemini => (11, 8, 64),
            Self::Claude => (13, 24, 700),
            Self::NewClaude => (19, 24, 700),
            Self::Other => (10, 80, 256),
        };
        Measure { tenths, per_call, tools, is_bounded: !matches!(self, Self::Other) }
    }
}

/// Whether a name is one of OpenAI's, also of a fine-tuned model, but not of the open
/// ones that others serve.
fn is_openai(model: &str) -> bool {
    let name = memchr::memrchr(b'/', model.as_bytes()).map_or(model, |slash| &model[slash + 1..]);
    let name = name.strip_prefix("ft:").unwrap_or(name);
    let is_gpt = name.starts_with("gpt-") && !name.starts_with("gpt-oss");
    let mut letters = name.bytes();
    let is_o = letters.next() == Some(b'o') && letters.next().is_some_and(|n| n.is_ascii_digit());
    let is_embedding = name.starts_with("text-embedding-3-") || name == "text-embedding-ada-002";
    is_gpt || is_o || name.starts_with("chatgpt-") || is_embedding
}

/// Where "claude" begins in a name, and whether "gemini" is in it. One walk for both,
/// because every call pays for it.
fn families(name: &[u8]) -> (Option<usize>, bool) {
    let (mut claude, mut gemini) = (None, false);
    for (at, window) in name.windows(6).enumerate() {
        match window.first() {
            Some(b'c' | b'C') if window.eq_ignore_ascii_case(b"claude") => {
                claude = claude.or(Some(at));
            }
            Some(b'g' | b'G') => gemini |= window.eq_ignore_ascii_case(b"gemini"),
            _ => {}
        }
    }
    (claude, gemini)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_known_by_its_name_wherever_it_is_served() {
        for (model, family) in [
            ("gpt-4o", Family::OpenAi),
            ("ft:gpt-4o-mini-2024-07-18:org", Family::OpenAi),
            ("openai/o4-mini", Family::OpenAi),
            ("openai/text-embedding-3-small", Family::OpenAi),
            ("text-embedding-ada-002", Family::OpenAi),
            ("text-embedding-004", Family::Other),
            ("openai/gpt-oss-20b", Family::Other),
            ("mistral-large-latest", Family::Other),
            ("olmo-2", Family::Other),
            ("google/gemini-2.5-flash", Family::Gemini),
            ("claude-3-5-sonnet-20241022", Family::Claude),
            ("claude-instant-v1", Family::Claude),
            ("claude-opus-4-20250514", Family::Claude),
            ("anthropic/claude-haiku-4.5", Family::Claude),
            ("us.anthropic.claude-sonnet-4-6-20260101-v1:0", Family::Claude),
            ("Claude-Opus-4-7", Family::NewClaude),
            ("claude-opus-4-8", Family::NewClaude),
            ("claude-sonnet-5", Family::NewClaude),
            ("claude-opus-latest", Family::NewClaude),
        ] {
            assert_eq!(Family::of(&Provider::OPENAI, model), family, "{model}");
        }
        assert_eq!(Family::of(&Provider::ANTHROPIC, "mine"), Family::NewClaude);
        assert_eq!(Family::of(&Provider::GOOGLE, "mine"), Family::Gemini);
    }
}
