//! Hosts that are known by name.

use http::{HeaderMap, Uri, header::HOST};

use super::{endpoint::OutputKey, format::Format, short};
use crate::{blocks::are, call::Provider, same::same};

/// Where a request goes: name or address, and port if it is stated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Host<'a> {
    pub(super) name: &'a str,
    pub(super) port: Option<u16>,
}

impl<'a> Host<'a> {
    /// The host of the address or, where that is only a path, of the `host` header.
    #[inline]
    pub(super) fn of(uri: &'a Uri, headers: &'a HeaderMap) -> Self {
        let authority = match uri.authority() {
            Some(authority) => authority.as_str(),
            None => headers.get(&HOST).and_then(|host| host.to_str().ok()).unwrap_or_default(),
        };
        // Most often a name and nothing else.
        match short::has(authority, |block| are(block, b'@') | are(block, b':')) {
            false => Self { name: authority.trim_end_matches('.'), port: None },
            // What stands before an `@` is a name and a password.
            true => Self::parse(split_last(authority, b'@').map_or(authority, |(_, host)| host)),
        }
    }

    /// A host as it is written, as `localhost:11434` or `[::1]`.
    pub(super) fn parse(authority: &'a str) -> Self {
        let (name, port) = match split_last(authority, b':') {
            Some((name, port)) if !port.ends_with(']') => (name, port.parse().ok()),
            _ => (authority, None),
        };
        Self { name: name.trim_end_matches('.'), port }
    }

    /// What is known of the host.
    pub(super) fn known(self) -> &'static Known {
        let known = KNOWN.iter().find(|known| known.is(self.name));
        known.unwrap_or_else(|| if self.is_loopback() { &LOOPBACK } else { &UNKNOWN })
    }

    fn is_loopback(self) -> bool {
        let address = self.name.trim_start_matches('[').trim_end_matches(']');
        self.name.eq_ignore_ascii_case("localhost")
            || address.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
    }
}

/// As `rsplit_once`, without its preparations: hosts are short.
fn split_last(text: &str, byte: u8) -> Option<(&str, &str)> {
    let at = text.bytes().rposition(|other| other == byte)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// What is known of a host that speaks OpenAI's format, and maybe others.
#[derive(Debug)]
pub(super) struct Known {
    // With a leading dot or hyphen: every host that ends so.
    name: &'static str,
    pub(super) provider: Provider,
    pub(super) asks_usage: bool,
    pub(super) output_key: OutputKey,
}

impl Known {
    /// Whose prices calls in one of the other formats have here. Hosts that do not have
    /// models of their own in it resell its maker's.
    pub(super) fn maker_of(&self, format: Format) -> Provider {
        if self.provider != Provider::OPENAI && self.provider != Provider::AZURE {
            return self.provider.clone();
        }
        match format {
            Format::AnthropicMessages => Provider::ANTHROPIC,
            Format::GeminiGenerate => Provider::GOOGLE,
            Format::OpenAiChat
            | Format::OpenAiResponses
            | Format::OpenAiEmbeddings
            | Format::OpenAiCompletions => Provider::OPENAI,
        }
    }

    fn is(&self, host: &str) -> bool {
        if self.name.starts_with(['.', '-']) {
            let start = host.len().saturating_sub(self.name.len());
            start > 0 && host.get(start..).is_some_and(|end| end.eq_ignore_ascii_case(self.name))
        } else {
            same(host, self.name) || host.eq_ignore_ascii_case(self.name)
        }
    }
}

// Mistral, OpenRouter, Perplexity and Fireworks send usage unasked. Azure is asked only in
// versions of its API that understand.
static KNOWN: [Known; 20] = [
    known("api.openai.com", Provider::OPENAI, ASK, OutputKey::MaxCompletionTokens),
    known(".api.openai.com", Provider::OPENAI, ASK, OutputKey::MaxCompletionTokens),
    known(".openai.azure.com", Provider::AZURE, ASK, OutputKey::MaxCompletionTokens),
    known(".services.ai.azure.com", Provider::AZURE, ASK, OutputKey::MaxCompletionTokens),
    known(".cognitiveservices.azure.com", Provider::AZURE, ASK, OutputKey::MaxCompletionTokens),
    known("api.anthropic.com", Provider::ANTHROPIC, ASK, OutputKey::MaxTokens),
    known("generativelanguage.googleapis.com", Provider::GOOGLE, ASK, OutputKey::MaxTokens),
    known("aiplatform.googleapis.com", Provider::GOOGLE, ASK, OutputKey::MaxTokens),
    known("-aiplatform.googleapis.com", Provider::GOOGLE, ASK, OutputKey::MaxTokens),
    known("api.groq.com", Provider::known(&"groq"), ASK, OutputKey::MaxTokens),
    known("api.deepseek.com", Provider::known(&"deepseek"), ASK, OutputKey::MaxTokens),
    known("api.x.ai", Provider::known(&"x-ai"), ASK, OutputKey::MaxTokens),
    known(".api.x.ai", Provider::known(&"x-ai"), ASK, OutputKey::MaxTokens),
    known("api.mistral.ai", Provider::known(&"mistral"), DO_NOT, OutputKey::MaxTokens),
    known("openrouter.ai", Provider::known(&"openrouter"), DO_NOT, OutputKey::MaxTokens),
    known("api.perplexity.ai", Provider::known(&"perplexity"), DO_NOT, OutputKey::MaxTokens),
    known("api.together.xyz", Provider::known(&"together"), ASK, OutputKey::MaxTokens),
    known("api.together.ai", Provider::known(&"together"), ASK, OutputKey::MaxTokens),
    known("api.fireworks.ai", Provider::known(&"fireworks"), DO_NOT, OutputKey::MaxTokens),
    known("api.cerebras.ai", Provider::known(&"cerebras"), ASK, OutputKey::MaxTokens),
];
/// Ollama, vLLM, llama.cpp and tests: all of them understand the ask.
static LOOPBACK: Known = known("", Provider::OPENAI, ASK, OutputKey::MaxTokens);
/// A strict host may refuse a request with a key it does not know.
static UNKNOWN: Known = known("", Provider::OPENAI, DO_NOT, OutputKey::MaxTokens);

const ASK: bool = true;
const DO_NOT: bool = false;

const fn known(
    name: &'static str,
    provider: Provider,
    asks_usage: bool,
    output_key: OutputKey,
) -> Known {
    Known { name, provider, asks_usage, output_key }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(host: &str) -> (&'static str, bool) {
        let known = Host::parse(host).known();
        (known.provider.name(), known.asks_usage)
    }

    #[test]
    fn hosts_are_known_by_their_whole_name_in_any_case() {
        assert_eq!(provider("API.OpenAI.com"), ("openai", true));
        assert_eq!(provider("eu.api.openai.com:443"), ("openai", true));
        assert_eq!(provider("Me.OpenAI.Azure.com."), ("azure", true));
        assert_eq!(provider("api.mistral.ai"), ("mistral", false));
        assert_eq!(provider("europe-west4-aiplatform.googleapis.com"), ("google", true));
        for stranger in [
            "evil-api.groq.com.example",
            "api.groq.com.example",
            "me.openai.azure.com.example",
            "xapi.groq.com",
            ".openai.azure.com",
            "-aiplatform.googleapis.com",
            "",
            "é.ai",
        ] {
            assert_eq!(provider(stranger), ("openai", false), "{stranger}");
        }
    }

    #[test]
    fn a_format_has_its_makers_prices_unless_the_host_has_its_own() {
        let maker = |host: &'static str, format| Host::parse(host).known().maker_of(format);
        let (claude, gemini) = (Format::AnthropicMessages, Format::GeminiGenerate);
        assert_eq!(maker("api.anthropic.com", claude), Provider::ANTHROPIC);
        assert_eq!(maker("me.services.ai.azure.com", claude), Provider::ANTHROPIC);
        assert_eq!(maker("localhost:8080", claude), Provider::ANTHROPIC);
        assert_eq!(maker("llm.corp", gemini), Provider::GOOGLE);
        assert_eq!(maker("openrouter.ai", claude).name(), "openrouter");
    }

    #[test]
    fn loopback_is_asked_at_any_port() {
        for host in
            ["localhost", "LOCALHOST:11434", "127.0.0.1:8000", "127.8.9.1", "[::1]", "[::1]:80"]
        {
            assert_eq!(provider(host), ("openai", true), "{host}");
        }
        assert_eq!(provider("128.0.0.1"), ("openai", false));
    }

    #[test]
    fn the_header_names_the_host_of_a_bare_path() {
        let headers = HeaderMap::from_iter([(HOST, "api.groq.com:443".parse().unwrap())]);
        let uri = Uri::from_static("/openai/v1/chat/completions");
        assert_eq!(Host::of(&uri, &headers).name, "api.groq.com");
    }

    #[test]
    fn an_address_names_one_host_however_it_is_written() {
        for authority in [
            "api.x.ai",
            "API.x.AI",
            "api.x.ai.",
            "api.x.ai:443",
            "api.x.ai.:443",
            "api.groq.com@api.x.ai",
            "api.openai.com:x@api.x.ai:443",
        ] {
            let uri = format!("https://{authority}/v1/chat/completions").parse().unwrap();
            assert_eq!(
                Host::of(&uri, &HeaderMap::new()).known().provider.name(),
                "x-ai",
                "{authority}"
            );
        }
    }
}
