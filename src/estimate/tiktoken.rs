//! Input tokens of OpenAI's models, counted by their own tokenizers.

use std::{fmt, ops::ControlFlow};

use bpe_openai::Tokenizer;
use serde_json::Value;

use super::{BytesEstimator, Estimator, InputEstimate, tokenizer::Family};
use crate::call::{Call, Operation};

/// Counts the input of OpenAI's models exactly, as far as OpenAI says how: the tokens
/// of every text, three around each message and one more for a name. All else, also
/// tools, schemas, media and other providers' models, is estimated as by
/// [`BytesEstimator`].
///
/// Of recorded chats without tools nine in ten come to exactly what was billed, where
/// [`BytesEstimator`] reserves two to three times as much. It has to parse the body of
/// every call and to look up its words, some 20 µs for a kilobyte of English and never
/// more than a few times that, whatever is in it; texts beyond [`max_bytes`](Self::max_bytes) are left to
/// [`BytesEstimator`]. The tables are part of the program, which they make some tens of
/// megabytes larger, and are read when the estimator is made, so not by a first call.
///
/// The [message framing] is OpenAI's own example; the tokenizers are those of
/// [bpe-openai].
///
/// [message framing]: https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken
/// [bpe-openai]: https://docs.rs/bpe-openai
///
/// # Example
/// ```
/// use bytes::Bytes;
/// use driftlock::{Call, Estimator, Operation, Policy, Provider, TiktokenEstimator};
///
/// let estimator = TiktokenEstimator::new();
/// let body = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"Hello, world!"}]}"#;
/// let call = Call::new(Provider::OPENAI, Operation::Chat, "gpt-4o").with_body(Bytes::from(body));
/// assert_eq!(estimator.input_tokens(&call).expected, 11);
///
/// let policy = Policy::builder().estimator(estimator).build()?;
/// # Ok::<(), driftlock::BuildError>(())
/// ```
#[derive(Clone)]
pub struct TiktokenEstimator {
    o200k: &'static Tokenizer,
    cl100k: &'static Tokenizer,
    rest: BytesEstimator,
    max_bytes: usize,
}

/// A text is counted in pieces, so that no single step takes long.
const PIECE: usize = 32 * 1024;
const PER_MESSAGE: u64 = 3;
const PER_NAME: u64 = 1;
/// What the answer begins with; those of models that reason begin with less.
const PRIMING: u64 = 3;
const PRIMING_TO_REASON: u64 = 2;
/// Around the calls of tools, for each thing in them that has parts. Not documented:
/// recorded calls took up to this.
const PER_PART: u64 = 8;

impl TiktokenEstimator {
    /// Reads the tables, which takes some tens of milliseconds the first time.
    pub fn new() -> Self {
        Self {
            o200k: bpe_openai::o200k_base(),
            cl100k: bpe_openai::cl100k_base(),
            rest: BytesEstimator::new(),
            max_bytes: 256 * 1024,
        }
    }

    /// The most bytes of text that are counted. Defaults to 256 KiB, which takes five
    /// milliseconds, or fifteen for a text without words.
    #[must_use]
    pub fn max_bytes(mut self, most: usize) -> Self {
        self.max_bytes = most;
        self
    }

    /// What estimates all else. Defaults to [`BytesEstimator::new`].
    #[must_use]
    pub fn otherwise(mut self, rest: BytesEstimator) -> Self {
        self.rest = rest;
        self
    }

    /// The tokenizer of a model, if it is known.
    fn tokenizer(&self, model: &str) -> Option<&'static Tokenizer> {
        let name = model.rsplit('/').next().unwrap_or(model);
        let name = name.strip_prefix("ft:").unwrap_or(name);
        let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
        if starts(&["gpt-oss"]) {
            return None; // their hosts put prompts of their own before
        }
        let is_newer =
            starts(&["gpt-4o", "gpt-4.", "gpt-5", "gpt-6", "chatgpt-", "o1", "o3", "o4"]);
        let is_older = starts(&["gpt-4", "gpt-3.5", "text-embedding-3-", "text-embedding-ada-002"]);
        match (is_newer, is_older) {
            (true, _) => Some(self.o200k),
            (false, true) => Some(self.cl100k),
            (false, false) => None,
        }
    }

    /// The tokens of a call's texts; `None` if they cannot be told or are too many.
    fn texts(&self, call: &Call) -> Option<u64> {
        let tokenizer = self.tokenizer(call.model())?;
        let mut count = Count { tokenizer, tokens: 0, bytes_left: self.max_bytes };
        let counted = match call.operation() {
            Operation::Chat => count.chat(call),
            Operation::Embeddings => count.list(call.parameter("input")?),
            Operation::TextCompletion => count.list(call.parameter("prompt")?),
            Operation::GenerateContent => ControlFlow::Break(()),
        };
        counted.is_continue().then_some(count.tokens)
    }
}

impl Default for TiktokenEstimator {
    fn default() -> Self {
        Self::new()
    }
}

impl Estimator for TiktokenEstimator {
    fn input_tokens(&self, call: &Call) -> InputEstimate {
        let family = Family::of(call.provider(), call.model());
        let estimate = self.rest.count(call, family);
        if family != Family::OpenAi || call.input().media > 0 {
            return estimate;
        }
        let Some(texts) = self.texts(call) else { return estimate };
        let expected = texts.saturating_add(self.rest.schemas(call, family));
        let ceiling = estimate.ceiling.unwrap_or(u64::MAX);
        InputEstimate { expected: expected.min(ceiling), ..estimate }
    }
}

impl fmt::Debug for TiktokenEstimator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TiktokenEstimator")
            .field("max_bytes", &self.max_bytes)
            .field("otherwise", &self.rest)
            .finish_non_exhaustive()
    }
}

/// A count that goes on; it breaks off where something cannot be counted.
struct Count {
    tokenizer: &'static Tokenizer,
    tokens: u64,
    bytes_left: usize,
}

type Counted = ControlFlow<()>;

impl Count {
    fn chat(&mut self, call: &Call) -> Counted {
        let model = call.model().rsplit('/').next().unwrap_or_default();
        let reasons = model.starts_with("gpt-5") || model.starts_with('o');
        self.tokens += if reasons { PRIMING_TO_REASON } else { PRIMING };
        if let Some(instructions) = call.parameter("instructions").filter(|one| !one.is_null()) {
            self.tokens += PER_MESSAGE + 1;
            self.content(instructions)?;
        }
        let messages = call.messages();
        if messages.is_empty() {
            return ControlFlow::Break(());
        }
        messages.iter().try_for_each(|message| self.message(message))
    }

    fn message(&mut self, message: &Value) -> Counted {
        self.tokens += PER_MESSAGE;
        if message.is_object() && message.get("role").is_none() {
            self.tokens += PER_PART; // a tool's call or its answer
        }
        match message {
            Value::Object(members) => members.iter().try_for_each(|(key, value)| match &**key {
                "content" => self.content(value),
                "name" => {
                    self.tokens += PER_NAME;
                    self.content(value)
                }
                key => self.member(key, value),
            }),
            // A text alone is a user's message.
            text => {
                self.tokens += 1;
                self.content(text)
            }
        }
    }

    /// A text, or the texts of its parts.
    fn content(&mut self, content: &Value) -> Counted {
        match content {
            Value::Array(parts) => parts.iter().try_for_each(|part| match part.get("text") {
                Some(text) => self.content(text),
                None => self.other(part),
            }),
            other => self.other(other),
        }
    }

    /// Texts without anything around them, or tokens by number.
    fn list(&mut self, list: &Value) -> Counted {
        match list {
            Value::Array(items) => items.iter().try_for_each(|item| self.list(item)),
            Value::Number(_) => {
                self.tokens += 1;
                ControlFlow::Continue(())
            }
            other => self.other(other),
        }
    }

    fn other(&mut self, value: &Value) -> Counted {
        match value {
            Value::Null => ControlFlow::Continue(()),
            Value::String(text) => self.text(text),
            Value::Array(items) => items.iter().try_for_each(|item| self.other(item)),
            Value::Object(members) => {
                self.tokens += PER_PART;
                members.iter().try_for_each(|(key, value)| self.member(key, value))
            }
            number @ (Value::Number(_) | Value::Bool(_)) => self.text(&number.to_string()),
        }
    }

    fn member(&mut self, key: &str, value: &Value) -> Counted {
        match key {
            // By these the caller tells things apart; the model is not shown them.
            "type" | "id" | "call_id" | "tool_call_id" | "status" => ControlFlow::Continue(()),
            _ => self.other(value),
        }
    }

    fn text(&mut self, mut text: &str) -> Counted {
        let Some(left) = self.bytes_left.checked_sub(text.len()) else {
            return ControlFlow::Break(());
        };
        self.bytes_left = left;
        while !text.is_empty() {
            // To cut a text costs a token at most.
            let mut end = PIECE.min(text.len());
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            let (piece, rest) = text.split_at(end);
            self.tokens += self.tokenizer.count(piece) as u64;
            text = rest;
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::call::{Input, Provider};

    fn tokens(operation: Operation, model: &str, body: &str) -> u64 {
        let call = Call::new(Provider::OPENAI, operation, model)
            .with_input(Input { text_bytes: 8 << 20, messages: 2, ..Input::default() })
            .with_body(Bytes::copy_from_slice(body.as_bytes()));
        TiktokenEstimator::new().input_tokens(&call).expected
    }

    #[test]
    fn texts_are_counted_with_what_stands_around_them() {
        let body = r#"{"messages":[{"role":"system","content":"You are helpful."},
            {"role":"user","name":"ann","content":[{"type":"text","text":"Hello, world!"}]}]}"#;
        assert_eq!(tokens(Operation::Chat, "gpt-4o", body), 3 + (3 + 1 + 4) + (3 + 1 + 2 + 4));
        assert_eq!(tokens(Operation::Chat, "openai/gpt-4o-mini", body), 21);
        assert_eq!(tokens(Operation::Chat, "gpt-4", body), 21);
        let body = r#"{"input":"Hello, world!","instructions":"You are helpful."}"#;
        assert_eq!(tokens(Operation::Chat, "gpt-5", body), 2 + (3 + 1 + 4) + (3 + 1 + 4));
        let body = r#"{"input":["Hello, world!","Hello"],"dimensions":8}"#;
        assert_eq!(tokens(Operation::Embeddings, "text-embedding-3-small", body), 5);
        assert_eq!(
            tokens(Operation::Embeddings, "text-embedding-3-small", r#"{"input":[1,2]}"#),
            2
        );
    }

    #[test]
    fn what_cannot_be_counted_is_estimated_from_bytes() {
        let bytes = (8u64 << 20).div_ceil(3) + 2 * 6 + 24;
        let long =
            format!(r#"{{"messages":[{{"role":"user","content":"{}"}}]}}"#, "a ".repeat(1 << 18));
        for (model, body) in [
            ("gpt-4o", "{}"),
            ("gpt-4o", r#"{"messages":[]}"#),
            ("gpt-4o", "no JSON"),
            ("gpt-4o", &long),
            ("gpt-nobody-knows", r#"{"messages":[{"role":"user","content":"Hi"}]}"#),
        ] {
            assert_eq!(tokens(Operation::Chat, model, body), bytes, "{model}");
        }
    }

    #[test]
    fn a_megabyte_of_anything_is_counted_or_estimated_without_a_panic() {
        let estimator = TiktokenEstimator::new().max_bytes(usize::MAX);
        for unit in [" ", "\n", "a", "ab1!", "😀", "\u{301}", "\t\r "] {
            let text = unit.repeat((1 << 20) / unit.len());
            let body = serde_json::json!({"messages": [{"role": "user", "content": text}]});
            let call = Call::new(Provider::OPENAI, Operation::Chat, "gpt-4o")
                .with_input(Input { text_bytes: 1 << 20, messages: 1, ..Input::default() })
                .with_body(body.to_string().into());
            let tokens = estimator.input_tokens(&call).expected;
            assert!((8_000..1_100_000).contains(&tokens), "{unit:?}: {tokens}");
        }
    }
}
