//! The facts of a call.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde_json::Value;
use smol_str::SmolStr;

use super::{Counters, Estimate, Input, Needs, Operation, Provider};
use crate::{clock::Timestamp, labels::Labels};

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
    pub(super) provider: Provider,
    pub(super) operation: Operation,
    pub(super) model: SmolStr,
    pub(super) requested_model: Option<SmolStr>,
    pub(super) fallback_models: Vec<SmolStr>,
    pub(super) input: Input,
    pub(super) max_output_tokens: Option<u64>,
    pub(super) choices: u64,
    pub(super) streaming: bool,
    pub(super) needs: Needs,
    pub(super) open_ended: Option<&'static str>,
    pub(super) service_tier: Option<SmolStr>,
    pub(super) region: Option<SmolStr>,
    pub(super) web_searches: Option<u64>,
    /// Whether something else than its size moves its price. Never taken back: at worst a
    /// plain call is priced at length.
    pub(super) is_special: bool,
    pub(super) labels: Labels,
    pub(super) body: Bytes,
    pub(super) json: OnceLock<Value>,
    pub(super) at: Timestamp,
    pub(super) estimate: Option<Estimate>,
    pub(super) counters: Option<Arc<dyn Counters>>,
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
            region: None,
            web_searches: None,
            is_special: operation == Operation::Embeddings,
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
        self.is_special |= input.media > 0;
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
        self.is_special |= choices > 1;
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
        self.is_special |= needs.media;
        self
    }

    /// Why the input cannot be known from the request, as `"server tools"`.
    /// Defaults to it being known.
    #[must_use]
    #[inline]
    pub fn with_open_ended(mut self, why: &'static str) -> Self {
        self.open_ended = Some(why);
        self.is_special = true;
        self
    }

    /// Other models the provider may fall back to. Defaults to none.
    #[must_use]
    #[inline]
    pub fn with_fallback_models(mut self, models: Vec<SmolStr>) -> Self {
        self.fallback_models = models;
        self.is_special |= !self.fallback_models.is_empty();
        self
    }

    /// The service tier asked for, as `"flex"`. Defaults to none stated.
    #[must_use]
    #[inline]
    pub fn with_service_tier(mut self, tier: impl Into<SmolStr>) -> Self {
        self.service_tier = Some(tier.into());
        self.is_special = true;
        self
    }

    /// Where the model is to run, as `"us"` in Anthropic's `inference_geo`. Defaults to
    /// none stated.
    #[must_use]
    #[inline]
    pub fn with_region(mut self, region: impl Into<SmolStr>) -> Self {
        self.region = Some(region.into());
        self.is_special = true;
        self
    }

    /// The most web searches that the provider is expected to run and bill. Defaults
    /// to none stated: to one if the input is open-ended.
    #[must_use]
    #[inline]
    pub fn with_web_searches(mut self, searches: u64) -> Self {
        self.web_searches = Some(searches);
        self.is_special |= searches > 0;
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
    #[inline]
    pub fn provider(&self) -> &Provider {
        &self.provider
    }

    /// What it asks for.
    #[inline]
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// The model as things stand: after a rewrite, the new one.
    #[inline]
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The model the caller asked for.
    pub fn requested_model(&self) -> &str {
        self.requested_model.as_ref().unwrap_or(&self.model)
    }

    /// Other models the provider may fall back to.
    #[inline]
    pub fn fallback_models(&self) -> &[SmolStr] {
        &self.fallback_models
    }

    /// How large the input is.
    #[inline]
    pub fn input(&self) -> Input {
        self.input
    }

    /// The most output tokens asked for, per choice.
    #[inline]
    pub fn max_output_tokens(&self) -> Option<u64> {
        self.max_output_tokens
    }

    /// How many answers are asked for.
    #[inline]
    pub fn choices(&self) -> u64 {
        self.choices
    }

    /// Whether the answer is streamed.
    pub fn is_streaming(&self) -> bool {
        self.streaming
    }

    /// What the model must be able to do.
    #[inline]
    pub fn needs(&self) -> Needs {
        self.needs
    }

    /// Why the input cannot be known from the request, if it cannot.
    #[inline]
    pub fn open_ended(&self) -> Option<&'static str> {
        self.open_ended
    }

    /// The service tier asked for.
    #[inline]
    pub fn service_tier(&self) -> Option<&str> {
        self.service_tier.as_deref()
    }

    /// Where the model is asked to run.
    #[inline]
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// The most web searches that the provider is expected to run and bill, if stated.
    #[inline]
    pub fn web_searches(&self) -> Option<u64> {
        self.web_searches
    }

    /// Whether nothing but its model and its size moves its price: one answer in text to
    /// texts, on nobody's special terms. That of any other call may be as plain.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        !self.is_special
    }

    /// Its labels.
    #[inline]
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
    #[inline]
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// What it may cost at the current model; `None` before a policy has seen the
    /// call, and where the policy allows a model without a known price.
    #[inline]
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

    /// The messages of the JSON body: its `messages`, which Gemini calls `contents`, else
    /// the items of its `input`, as a response or an embedding has it, of which a text is
    /// one. Empty if it has none.
    pub fn messages(&self) -> &[Value] {
        let first = ["messages", "contents", "input"].iter().find_map(|name| self.parameter(name));
        match first {
            Some(Value::Array(messages)) => messages,
            Some(text @ Value::String(_)) => std::slice::from_ref(text),
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_parsed_when_asked_for() {
        let body = Bytes::from_static(br#"{"messages":[{"role":"user"}],"temperature":1}"#);
        let call = Call::new(Provider::OPENAI, Operation::Chat, "gpt-4o").with_body(body);
        assert_eq!(call.messages().len(), 1);
        assert_eq!(call.parameter("temperature"), Some(&1.into()));
        for (body, messages) in [
            (r#"{"input":"Hi"}"#, 1),
            (r#"{"input":[{"role":"user"},{"type":"reasoning"}]}"#, 2),
            (r#"{"input":null}"#, 0),
        ] {
            let call =
                Call::new(Provider::OPENAI, Operation::Chat, "gpt-4o").with_body(body.into());
            assert_eq!(call.messages().len(), messages, "{body}");
        }
        let body = Bytes::from_static(br#"{"contents":[{"role":"user"},{"role":"model"}]}"#);
        let call = Call::new(Provider::GOOGLE, Operation::GenerateContent, "gemini-2.5-pro");
        assert_eq!(call.with_body(body).messages().len(), 2);
        let none = Call::new(Provider::OPENAI, Operation::Chat, "gpt-4o");
        assert!(none.messages().is_empty());
    }
}
