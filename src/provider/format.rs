//! The formats that are read, and what reading yields.

use http::Uri;

use super::{
    anthropic, anthropic_usage,
    endpoint::Endpoint,
    gemini, gemini_usage,
    layout::Layout,
    observe::{Dialect, Observer},
    openai,
};
use crate::{call::Call, unreadable::Unreadable};

/// How a request and its response are written.
///
/// # Example
/// ```
/// use driftlock::{Format, Provider, Routes};
///
/// // A gateway of one's own that speaks OpenAI's chat format under another path.
/// let routes = Routes::new()
///     .metered_at("llm.example.com/v2/talk", Format::OpenAiChat, Provider::named("groq"));
/// # let _ = routes;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// OpenAI's chat completions, which most providers speak.
    OpenAiChat,
    /// OpenAI's responses, and what compacts them.
    OpenAiResponses,
    /// OpenAI's embeddings.
    OpenAiEmbeddings,
    /// OpenAI's text completions, from before there were chats.
    OpenAiCompletions,
    /// Anthropic's messages.
    AnthropicMessages,
    /// Gemini's content generation, at once or streamed, as events or as a JSON array.
    GeminiGenerate,
}

impl Format {
    /// What reads a response in this format.
    #[inline(always)]
    pub(crate) fn observer(self) -> Observer {
        // An observer is large, and is to be written once.
        Observer::new(self.dialect())
    }

    /// How a response in this format is read.
    pub(crate) fn dialect(self) -> &'static Dialect {
        match self {
            Self::OpenAiChat | Self::OpenAiCompletions => &openai::chat_usage::DIALECT,
            Self::OpenAiResponses => &openai::responses_usage::DIALECT,
            Self::OpenAiEmbeddings => &openai::embeddings_usage::DIALECT,
            Self::AnthropicMessages => &anthropic_usage::DIALECT,
            Self::GeminiGenerate => &gemini_usage::DIALECT,
        }
    }
}

/// What is known of a call once its body has been read.
#[derive(Debug)]
pub(crate) struct Reading {
    /// The facts for rules. It does not hold the body: give it that with
    /// [`Call::with_body`] if a rule may look into it.
    pub(crate) call: Call,
    /// Where a policy may write.
    pub(crate) layout: Layout,
    /// Whether the response will carry usage only if the layer asks for it, and the
    /// host is known to understand the ask: [`Edits`](super::Edits) should then
    /// include it, and the answer to it be hidden from the caller.
    pub(crate) ask_usage: bool,
}

/// Reads the body of a metered call, allocating nothing in the common case.
pub(crate) fn read(endpoint: &Endpoint, uri: &Uri, body: &[u8]) -> Result<Reading, Unreadable> {
    match endpoint.format {
        Format::OpenAiChat => openai::chat::read(endpoint, uri, body),
        Format::OpenAiResponses => openai::responses::read(endpoint, uri, body),
        Format::OpenAiEmbeddings => openai::embeddings::read(endpoint, uri, body),
        Format::OpenAiCompletions => openai::completions::read(endpoint, uri, body),
        Format::AnthropicMessages => anthropic::read(endpoint, uri, body),
        Format::GeminiGenerate => gemini::read(endpoint, uri, body),
    }
}
