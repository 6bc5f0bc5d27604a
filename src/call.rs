//! The facts of one outbound LLM call.

use std::{
    fmt,
    future::Future,
    hash::{Hash, Hasher},
    pin::Pin,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use serde::{Serialize, Serializer};
use serde_json::Value;
use smol_str::SmolStr;

use crate::{
    claim::{Amount, Scope, Unit},
    clock::Timestamp,
    labels::Labels,
    usd::Usd,
    window::Window,
};

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

// Not a `SmolStr`, because every permit has a copy: moving a string that is kept
// inline, by odd parts, costs ten times what moving a pointer does.
#[derive(Clone)]
enum Name {
    Known(&'static str),
    Other(Arc<str>),
}

impl Provider {
    /// OpenAI.
    pub const OPENAI: Self = Self::known("openai");
    /// Anthropic.
    pub const ANTHROPIC: Self = Self::known("anthropic");
    /// Google's Gemini API and Vertex AI.
    pub const GOOGLE: Self = Self::known("google");
    /// Microsoft Azure.
    pub const AZURE: Self = Self::known("azure");

    /// A provider by name.
    pub fn named(name: impl Into<SmolStr>) -> Self {
        let name: SmolStr = name.into();
        let main = [Self::OPENAI, Self::ANTHROPIC, Self::GOOGLE, Self::AZURE];
        let known = main.into_iter().find(|known| name == known.name());
        known.unwrap_or_else(|| Self(Name::Other(name.as_str().into())))
    }

    pub(crate) const fn known(name: &'static str) -> Self {
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
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
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

/// An LLM call as rules see it: which model, how much, for whom.
///
/// A layer reads it from the request; code without a layer builds it with
/// [`Call::new`] and hands it to [`Policy::admit`](crate::Policy::admit), which
/// adds the time, the default labels and the [`Estimate`] before rules run, and
/// leaves the model in it that was admitted.
///
/// # Example
/// ```
/// use driftlock::{Call, Input, Labels, Operation, Provider};
///
/// let call = Call::new(Provider::OPENAI, Operation::Chat, "gpt-4o-mini")
///     .with_input(Input { text_bytes: 4_000, messages: 2, ..Input::default() })
///     .with_max_output_tokens(500)
///     .with_labels(Labels::new().with("user", "u-17"));
/// assert_eq!(call.model(), "gpt-4o-mini");
/// ```
#[derive(Debug)]
pub struct Call {
    provider: Provider,
    operation: Operation,
    model: SmolStr,
    requested_model: Option<SmolStr>,
    fallback_models: Vec<SmolStr>,
    input: Input,
    max_output_tokens: Option<u64>,
    choices: u64,
    streaming: bool,
    needs: Needs,
    open_ended: Option<&'static str>,
    service_tier: Option<SmolStr>,
    labels: Labels,
    body: Bytes,
    json: OnceLock<Value>,
    at: Timestamp,
    estimate: Option<Estimate>,
    counters: Option<Arc<dyn Counters>>,
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

// The builder's methods take and give a large value: inlined, it stays where it is.
impl Call {
    /// A call with empty input, one choice and no stated output maximum.
    #[inline]
    pub fn new(provider: Provider, operation: Operation, model: impl Into<SmolStr>) -> Self {
        Self {
            provider,
            operation,
            model: model.into(),
            requested_model: None,
            fallback_models: Vec::new(),
            input: Input::default(),
            max_output_tokens: None,
            choices: 1,
            streaming: false,
            needs: Needs::default(),
            open_ended: None,
            service_tier: None,
            labels: Labels::new(),
            body: Bytes::new(),
            json: OnceLock::new(),
            at: Timestamp::EPOCH,
            estimate: None,
            counters: None,
        }
    }

    /// How large the input is. Defaults to empty.
    #[must_use]
    #[inline]
    pub fn with_input(mut self, input: Input) -> Self {
        self.input = input;
        self
    }

    /// The most output tokens asked for, per choice. Defaults to none stated.
    #[must_use]
    #[inline]
    pub fn with_max_output_tokens(mut self, tokens: u64) -> Self {
        self.max_output_tokens = Some(tokens);
        self
    }

    /// How many answers are asked for. Defaults to 1.
    #[must_use]
    #[inline]
    pub fn with_choices(mut self, choices: u64) -> Self {
        self.choices = choices;
        self
    }

    /// Whether the answer is streamed. Defaults to no.
    #[must_use]
    #[inline]
    pub fn with_streaming(mut self, streaming: bool) -> Self {
        self.streaming = streaming;
        self
    }

    /// What the model must be able to do. Defaults to nothing special.
    #[must_use]
    #[inline]
    pub fn with_needs(mut self, needs: Needs) -> Self {
        self.needs = needs;
        self
    }

    /// Why the input cannot be known from the request, as `"server tools"`.
    /// Defaults to it being known.
    #[must_use]
    #[inline]
    pub fn with_open_ended(mut self, why: &'static str) -> Self {
        self.open_ended = Some(why);
        self
    }

    /// Other models the provider may fall back to. Defaults to none.
    #[must_use]
    #[inline]
    pub fn with_fallback_models(mut self, models: Vec<SmolStr>) -> Self {
        self.fallback_models = models;
        self
    }

    /// The service tier asked for, as `"flex"`. Defaults to none stated.
    #[must_use]
    #[inline]
    pub fn with_service_tier(mut self, tier: impl Into<SmolStr>) -> Self {
        self.service_tier = Some(tier.into());
        self
    }

    /// Labels. Defaults to none.
    #[must_use]
    #[inline]
    pub fn with_labels(mut self, labels: Labels) -> Self {
        self.labels = labels;
        self
    }

    /// The JSON body that was or will be sent, for rules that look into it.
    #[must_use]
    #[inline]
    pub fn with_body(mut self, body: Bytes) -> Self {
        self.body = body;
        self
    }

    /// Whose API it goes to.
    pub fn provider(&self) -> &Provider {
        &self.provider
    }

    /// What it asks for.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// The model as things stand: after a rewrite, the new one.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The model the caller asked for.
    pub fn requested_model(&self) -> &str {
        self.requested_model.as_ref().unwrap_or(&self.model)
    }

    /// Other models the provider may fall back to.
    pub fn fallback_models(&self) -> &[SmolStr] {
        &self.fallback_models
    }

    /// How large the input is.
    pub fn input(&self) -> Input {
        self.input
    }

    /// The most output tokens asked for, per choice.
    pub fn max_output_tokens(&self) -> Option<u64> {
        self.max_output_tokens
    }

    /// How many answers are asked for.
    pub fn choices(&self) -> u64 {
        self.choices
    }

    /// Whether the answer is streamed.
    pub fn is_streaming(&self) -> bool {
        self.streaming
    }

    /// What the model must be able to do.
    pub fn needs(&self) -> Needs {
        self.needs
    }

    /// Why the input cannot be known from the request, if it cannot.
    pub fn open_ended(&self) -> Option<&'static str> {
        self.open_ended
    }

    /// The service tier asked for.
    pub fn service_tier(&self) -> Option<&str> {
        self.service_tier.as_deref()
    }

    /// Its labels.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// The value of one label.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels.value(key)
    }

    /// The user it is made for: the label `user`.
    pub fn user(&self) -> Option<&str> {
        self.labels.user()
    }

    /// The time of the decision; the epoch before a policy has seen the call.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// What it may cost at the current model; `None` before a policy has seen the
    /// call, and where the policy allows a model without a known price.
    pub fn estimate(&self) -> Option<&Estimate> {
        self.estimate.as_ref()
    }

    /// The JSON body, parsed when first asked for; `null` if there is none.
    pub fn json(&self) -> &Value {
        self.json.get_or_init(|| serde_json::from_slice(&self.body).unwrap_or(Value::Null))
    }

    /// One parameter of the JSON body, as `"temperature"`.
    pub fn parameter(&self, name: &str) -> Option<&Value> {
        self.json().get(name)
    }

    /// The messages of the JSON body, empty if it has none.
    pub fn messages(&self) -> &[Value] {
        self.parameter("messages").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }
}

impl Call {
    /// What a counter of the policy holds now, `None` before a policy has seen the
    /// call or if its store does not answer.
    ///
    /// Advisory: it may have changed by the time the call is admitted. To enforce a
    /// limit, return a [`Claim`](crate::Claim).
    pub async fn used(&self, scope: Scope, unit: Unit, window: Window) -> Option<Used> {
        match &self.counters {
            Some(counters) => counters.used(scope, unit, window, self.at).await,
            None => None,
        }
    }
}

/// What a counter holds.
///
/// For an example see [`Rule`](crate::Rule).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Used {
    /// By calls that have settled.
    pub settled: Amount,
    /// By calls in flight.
    pub reserved: Amount,
    /// When a calendar window starts again at zero.
    pub resets_at: Option<Timestamp>,
}

/// A future without its type.
pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The counters a rule may look at, as the policy lends them to a call.
pub(crate) trait Counters: Send + Sync {
    fn used(
        &self,
        scope: Scope,
        unit: Unit,
        window: Window,
        at: Timestamp,
    ) -> BoxFuture<'_, Option<Used>>;
}

impl fmt::Debug for dyn Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counters")
    }
}

/// What of a call a rule may change.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    model: SmolStr,
    requested_model: Option<SmolStr>,
    max_output_tokens: Option<u64>,
    estimate: Option<Estimate>,
}

/// What a policy does with a call while deciding.
impl Call {
    pub(crate) fn terms(&self) -> Terms {
        Terms {
            model: self.model.clone(),
            requested_model: self.requested_model.clone(),
            max_output_tokens: self.max_output_tokens,
            estimate: self.estimate,
        }
    }

    pub(crate) fn set_terms(&mut self, terms: Terms) {
        let Terms { model, requested_model, max_output_tokens, estimate } = terms;
        (self.model, self.requested_model) = (model, requested_model);
        (self.max_output_tokens, self.estimate) = (max_output_tokens, estimate);
    }

    pub(crate) fn lend(&mut self, counters: Option<Arc<dyn Counters>>) {
        self.counters = counters;
    }

    pub(crate) fn set_labels(&mut self, labels: Labels) {
        self.labels = labels;
    }

    pub(crate) fn decide_at(&mut self, at: Timestamp) {
        self.at = at;
    }

    pub(crate) fn set_estimate(&mut self, estimate: Option<Estimate>) {
        self.estimate = estimate;
    }

    pub(crate) fn model_name(&self) -> &SmolStr {
        &self.model
    }

    pub(crate) fn rewrite(&mut self, model: SmolStr) {
        let asked = std::mem::replace(&mut self.model, model);
        self.requested_model.get_or_insert(asked);
    }

    pub(crate) fn clamp_output(&mut self, most: u64) {
        self.max_output_tokens = self.max_output_tokens.map(|asked| asked.min(most));
    }

    pub(crate) fn set_max_output_tokens(&mut self, tokens: u64) {
        self.max_output_tokens = Some(tokens);
    }
}

/// What a call may cost, before it is made.
///
/// For an example see [`Call`](crate::Call).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Estimate {
    /// Input tokens, at most or assumed.
    pub input_tokens: u64,
    /// Output tokens over all choices, at most or assumed.
    pub output_tokens: u64,
    /// Their cost at the dearest rate the call can trigger.
    pub cost: Usd,
    /// How sure this is.
    pub bound: Bound,
}

/// Whether an estimate is a ceiling.
///
/// For an example see [`Permit`](crate::Permit).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bound {
    /// The call cannot cost more.
    Hard,
    /// The call is unlikely to cost more.
    Assumed,
}

impl Serialize for Bound {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl Bound {
    /// `hard` or `assumed`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hard => "hard",
            Self::Assumed => "assumed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rewrite_keeps_the_model_that_was_asked_for() {
        let mut call = Call::new(Provider::OPENAI, Operation::Chat, "gpt-4o");
        call.rewrite("gpt-4o-mini".into());
        call.rewrite("gpt-4.1-nano".into());
        assert_eq!((call.requested_model(), call.model()), ("gpt-4o", "gpt-4.1-nano"));
    }

    #[test]
    fn the_body_is_parsed_when_asked_for() {
        let body = Bytes::from_static(br#"{"messages":[{"role":"user"}],"temperature":1}"#);
        let call = Call::new(Provider::OPENAI, Operation::Chat, "gpt-4o").with_body(body);
        assert_eq!(call.messages().len(), 1);
        assert_eq!(call.parameter("temperature"), Some(&1.into()));
        let none = Call::new(Provider::OPENAI, Operation::Chat, "gpt-4o");
        assert!(none.messages().is_empty());
    }
}
