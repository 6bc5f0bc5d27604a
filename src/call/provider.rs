//! Whose API a call goes to, and what it asks for.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use smol_str::SmolStr;

use crate::same::same;

/// Whose API a call goes to, by the name under which the price book lists it.
///
/// # Example
/// ```
/// use driftlock::Provider;
///
/// assert_eq!(Provider::OPENAI, Provider::named("openai"));
/// assert_eq!(Provider::named("my-gateway").name(), "my-gateway");
/// ```
#[derive(Clone)]
pub struct Provider(Name);

// Not a `SmolStr`, because every permit has a copy.
#[derive(Clone)]
enum Name {
    Known(&'static &'static str),
    Other(Arc<str>),
}

// Each in one place, so that most often the same provider has the same address.
static OPENAI: &str = "openai";
static ANTHROPIC: &str = "anthropic";
static GOOGLE: &str = "google";
static AZURE: &str = "azure";

impl Provider {
    /// OpenAI.
    pub const OPENAI: Self = Self::known(&OPENAI);
    /// Anthropic.
    pub const ANTHROPIC: Self = Self::known(&ANTHROPIC);
    /// Google's Gemini API and Vertex AI.
    pub const GOOGLE: Self = Self::known(&GOOGLE);
    /// Microsoft Azure.
    pub const AZURE: Self = Self::known(&AZURE);

    /// A provider by name.
    pub fn named(name: impl Into<SmolStr>) -> Self {
        let name: SmolStr = name.into();
        let main = [Self::OPENAI, Self::ANTHROPIC, Self::GOOGLE, Self::AZURE];
        let known = main.into_iter().find(|known| name == known.name());
        known.unwrap_or_else(|| Self(Name::Other(name.as_str().into())))
    }

    pub(crate) const fn known(name: &'static &'static str) -> Self {
        Self(Name::Known(name))
    }

    /// Its name.
    #[inline]
    pub fn name(&self) -> &str {
        match &self.0 {
            Name::Known(name) => name,
            Name::Other(name) => name,
        }
    }
}

impl PartialEq for Provider {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Name::Known(one), Name::Known(other)) if std::ptr::eq(*one, *other) => true,
            _ => same(self.name(), other.name()),
        }
    }
}

impl Eq for Provider {}

impl Hash for Provider {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Provider").field(&self.name()).finish()
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a call asks for, as OpenTelemetry's `gen_ai.operation.name` puts it.
///
/// For an example see [`Call`](crate::Call).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// A chat answer, also by way of a "responses" or "messages" API.
    Chat,
    /// The continuation of a text.
    TextCompletion,
    /// Vectors for texts.
    Embeddings,
    /// Gemini's content generation.
    GenerateContent,
}

impl Operation {
    /// The name OpenTelemetry uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::TextCompletion => "text_completion",
            Self::Embeddings => "embeddings",
            Self::GenerateContent => "generate_content",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_are_told_apart_by_name_wherever_it_is_written() {
        static ELSEWHERE: [&str; 2] = ["openai", "groq"];
        let [openai, groq] = ELSEWHERE.each_ref().map(Provider::known);
        assert_eq!(openai, Provider::OPENAI);
        assert_eq!(groq, Provider::named("groq"));
        assert_eq!(Provider::named("groq"), groq);
        assert_ne!(groq, openai);
        assert_ne!(Provider::named("openai2"), openai);
    }
}
