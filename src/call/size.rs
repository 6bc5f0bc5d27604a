//! How large a call is, and what it needs.

/// How large the input is, in what can be counted without a tokenizer.
///
/// Bytes are of the decoded text where that is cheap to know, else of the text as
/// it is written in JSON, which is never shorter.
///
/// For an example see [`Call`](crate::Call).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Input {
    /// Bytes of text in messages, system prompts and the like.
    pub text_bytes: u64,
    /// Bytes of tool definitions, schemas and other text the provider adds to the prompt.
    pub schema_bytes: u64,
    /// Messages, or inputs of an embedding.
    pub messages: u64,
    /// Images, audio clips and documents sent along.
    pub media: u64,
}

/// What a model must be able to do to take a call.
///
/// For an example see [`Call`](crate::Call).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// It defines tools.
    pub tools: bool,
    /// It sends images, audio or documents, or asks for audio or images back.
    pub media: bool,
    /// It asks for an answer that follows a JSON schema.
    pub schema: bool,
}
