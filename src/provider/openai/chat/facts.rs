//! What the keys of a chat request say, gathered in any order.

use http::Uri;
use smol_str::SmolStr;

use super::{Key, messages};
use crate::{
    call::{Call, Operation, SERVER_TOOLS},
    json::Walker,
    provider::{
        endpoint::{Endpoint, OutputKey},
        format::Reading,
        layout::{Layout, Slot},
        openai::{
            ask::StreamOptions,
            maximum::{self, Maximum},
            model::{self, Model},
            prompt::{self, Prompt},
            tools,
        },
        value,
    },
    unreadable::Unreadable,
};

/// The facts so far.
#[derive(Debug, Default)]
pub(super) struct Facts<'a> {
    model: Option<Model<'a>>,
    fallbacks: Vec<SmolStr>,
    has_messages: bool,
    prompt: Prompt,
    stream: bool,
    options: StreamOptions,
    max_tokens: Option<Maximum>,
    max_completion_tokens: Option<Maximum>,
    choices: Option<u64>,
    service_tier: Option<SmolStr>,
    predicted: u64,
    has_data_sources: bool,
}

impl<'a> Facts<'a> {
    /// Reads the value of a governed key.
    pub(super) fn read(
        &mut self,
        walk: &mut Walker<'a>,
        name: &'static str,
        key: Key,
    ) -> Result<(), Unreadable> {
        let prompt = &mut self.prompt;
        match key {
            Key::Model => self.model = Some(Model::read(walk, name)?),
            Key::Messages => self.has_messages = messages::read(walk, name, prompt)?,
            Key::Stream => self.stream = value::flag(walk, name)?,
            Key::StreamOptions => self.options = StreamOptions::read(walk, name)?,
            Key::MaxTokens => self.max_tokens = Some(Maximum::read(walk, name)?),
            Key::MaxCompletionTokens => {
                self.max_completion_tokens = Some(Maximum::read(walk, name)?);
            }
            Key::Tools => tools::read(walk, name, prompt)?,
            Key::ResponseFormat => tools::read_format(walk, name, prompt)?,
            Key::Choices => {
                self.choices = value::count(walk, name, 128, "a whole number from 1 to 128")?;
            }
            Key::ServiceTier => {
                self.service_tier = value::string(walk, name)?.map(|tier| tier.read().into());
            }
            Key::Fallbacks => self.fallbacks = model::read_all(walk, name)?,
            Key::Modalities => {
                if value::enter_array(walk, name)? {
                    while let Some(text) = value::item(walk, name)? {
                        prompt.needs.media |= !text.is("text");
                    }
                }
            }
            Key::Prediction => self.predicted = prompt::text_bytes(walk)?,
            Key::Audio => prompt.needs.media |= value::is_given(walk)?,
            Key::Search => prompt.open_end(value::is_given(walk)?, SERVER_TOOLS),
            Key::DataSources => {
                self.has_data_sources |= value::is_given(walk)?;
                prompt.open_end(self.has_data_sources, "data sources");
            }
            Key::Background => prompt.open_end(value::flag(walk, name)?, "background"),
        }
        Ok(())
    }

    /// What follows from it all; `end` is where the request's closing brace is.
    #[inline(always)] // facts are large, and are taken apart where they are
    pub(super) fn reading(
        &mut self,
        endpoint: &Endpoint,
        uri: &Uri,
        end: u32,
    ) -> Result<Reading, Unreadable> {
        if !self.has_messages {
            return Err(Unreadable::Missing { key: "messages" });
        }
        let layout = Layout {
            model: self.model.as_ref().map(Model::slot),
            // Outside streams usage always comes, and the ask is an error.
            usage: if self.stream { self.options.slot(end) } else { None },
            output: self.output_slots(endpoint.output_key, end),
        };
        let model = model::answering(endpoint, uri, self.model.as_ref())?;
        // OpenRouter's suffix for a search on the server.
        self.prompt.open_end(model.ends_with(":online"), SERVER_TOOLS);
        // Azure refuses the ask of a call that brings data sources.
        let ask_usage = endpoint.asks_usage && layout.usage.is_some() && !self.has_data_sources;
        Ok(Reading { call: self.call(endpoint, model), layout, ask_usage })
    }

    #[inline(always)]
    fn call(&mut self, endpoint: &Endpoint, model: SmolStr) -> Call {
        let stated = [self.max_tokens, self.max_completion_tokens];
        let most = stated.into_iter().flatten().filter_map(|maximum| maximum.tokens).max();
        self.prompt.open_end(self.predicted > 0 && most.is_none(), "predicted output");

        let mut call = Call::new(endpoint.provider.clone(), Operation::Chat, model)
            .with_streaming(self.stream)
            .with_choices(self.choices.unwrap_or(1));
        if !self.fallbacks.is_empty() {
            call = call.with_fallback_models(std::mem::take(&mut self.fallbacks));
        }
        if let Some(most) = most {
            call = call.with_max_output_tokens(most.saturating_add(self.predicted));
        }
        if let Some(tier) = self.service_tier.take() {
            call = call.with_service_tier(tier);
        }
        self.prompt.put_on(call)
    }

    // A key that states a maximum is where it is replaced. Without one, it is stated
    // at the key of the host's choice, which may be there as `null`.
    fn output_slots(&self, key: OutputKey, end: u32) -> [Option<Slot>; 2] {
        let stated = [self.max_tokens, self.max_completion_tokens];
        let slots = stated.map(|maximum| maximum.and_then(Maximum::stated_slot));
        if slots.iter().any(Option::is_some) {
            return slots;
        }
        let slot = match key {
            OutputKey::MaxTokens => maximum::slot(self.max_tokens, r#","max_tokens":"#, end),
            OutputKey::MaxCompletionTokens => {
                maximum::slot(self.max_completion_tokens, r#","max_completion_tokens":"#, end)
            }
            OutputKey::None => return [None; 2],
        };
        [Some(slot), None]
    }
}
