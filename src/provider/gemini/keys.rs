//! Keys in the two spellings that Google reads.

use crate::{json::Text, provider::governed::fold, unreadable::Unreadable};

/// What the keys of a request, its configuration, its tools and its parts mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Contents,
    SystemInstruction,
    GenerationConfig,
    Tools,
    CachedContent,
    ServiceTier,
    Model,

    MaxOutputTokens,
    CandidateCount,
    Schema,
    Modalities,

    FunctionDeclarations,
    Search,
    ServerTool,

    Text,
    InlineData,
    FileData,
    FunctionResponse,
    Parts,
    MimeType,
}

/// A key in camel case and in snake case, and what it means.
pub(super) type Spelling = (&'static str, &'static str, Key);

/// Of the request.
pub(super) const REQUEST: &[Spelling] = &[
    ("contents", "contents", Key::Contents),
    ("systemInstruction", "system_instruction", Key::SystemInstruction),
    ("generationConfig", "generation_config", Key::GenerationConfig),
    ("tools", "tools", Key::Tools),
    ("cachedContent", "cached_content", Key::CachedContent),
    ("serviceTier", "service_tier", Key::ServiceTier),
    ("model", "model", Key::Model),
];

/// Of `generationConfig`.
pub(super) const CONFIG: &[Spelling] = &[
    ("maxOutputTokens", "max_output_tokens", Key::MaxOutputTokens),
    ("candidateCount", "candidate_count", Key::CandidateCount),
    ("responseSchema", "response_schema", Key::Schema),
    ("responseJsonSchema", "response_json_schema", Key::Schema),
    ("responseModalities", "response_modalities", Key::Modalities),
];

/// Of a tool. All others stand for tools of the provider's.
pub(super) const TOOL: &[Spelling] = &[
    ("functionDeclarations", "function_declarations", Key::FunctionDeclarations),
    ("googleSearch", "google_search", Key::Search),
    ("googleSearchRetrieval", "google_search_retrieval", Key::Search),
    ("enterpriseWebSearch", "enterprise_web_search", Key::Search),
    ("googleMaps", "google_maps", Key::Search),
    ("codeExecution", "code_execution", Key::ServerTool),
    ("urlContext", "url_context", Key::ServerTool),
    ("fileSearch", "file_search", Key::ServerTool),
    ("computerUse", "computer_use", Key::ServerTool),
    ("retrieval", "retrieval", Key::ServerTool),
    ("mcpServers", "mcp_servers", Key::ServerTool),
];

/// Of a part, and of a function's response.
pub(super) const PART: &[Spelling] = &[
    ("text", "text", Key::Text),
    ("inlineData", "inline_data", Key::InlineData),
    ("fileData", "file_data", Key::FileData),
    ("functionResponse", "function_response", Key::FunctionResponse),
    ("parts", "parts", Key::Parts),
    ("mimeType", "mime_type", Key::MimeType),
];

/// The governed keys of one object, and which of them were there already.
#[derive(Debug)]
pub(super) struct Spellings {
    keys: &'static [Spelling],
    // Bit n: whether the nth key was there, in either spelling.
    seen: u32,
}

impl Spellings {
    pub(super) fn new(keys: &'static [Spelling]) -> Self {
        debug_assert!(keys.len() <= 32, "one bit each");
        Self { keys, seen: 0 }
    }

    /// The governed key that this is, if it is one.
    pub(super) fn find(
        &mut self,
        key: Text<'_>,
    ) -> Result<Option<(&'static str, Key)>, Unreadable> {
        let key = key.read();
        let mut keys = self.keys.iter().enumerate();
        let Some((index, (name, _, which))) =
            keys.find(|(_, (camel, snake, _))| *camel == key || *snake == key)
        else {
            return self.check_spelling(&key).map(|()| None);
        };
        let bit = 1 << index;
        if self.seen & bit != 0 {
            return Err(Unreadable::Twice { key: name });
        }
        self.seen |= bit;
        Ok(Some((name, *which)))
    }

    /// Refuses what a lenient reader would take for a governed key.
    fn check_spelling(&self, key: &str) -> Result<(), Unreadable> {
        // Most keys are of no governed one's length. In camel case there is no underscore.
        let letters = plain(key).count();
        let is = |camel: &str| camel.len() == letters && plain(key).eq(plain(camel));
        match self.keys.iter().find(|(camel, _, _)| is(camel)) {
            Some((name, _, _)) => Err(Unreadable::Miscased { key: name }),
            None => Ok(()),
        }
    }
}

/// The small letters of a key.
fn plain(key: &str) -> impl Iterator<Item = char> {
    key.chars().filter(|letter| *letter != '_').map(fold)
}
