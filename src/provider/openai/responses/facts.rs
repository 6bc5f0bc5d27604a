//! What the keys of a request say, gathered in any order.

use http::Uri;
use smol_str::SmolStr;

use super::{Key, items};
use crate::{
    call::{Call, Operation, SERVER_TOOLS},
    json::Walker,
    provider::{
        endpoint::{Endpoint, OutputKey},
        format::Reading,
        governed::{Governed, Keys, keys},
        layout::{Layout, Slot},
        openai::{
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
    has_input: bool,
    /// Whether something that is stored is asked to be read.
    is_stored: bool,
    prompt: Prompt,
    stream: bool,
    background: bool,
    max_output_tokens: Option<Maximum>,
    service_tier: Option<SmolStr>,
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
            Key::Input => self.has_input = items::read(walk, name, prompt)?,
            Key::Instructions => {
                if let Some(text) = value::string(walk, name)? {
                    prompt.input.messages += 1;
                    prompt.input.text_bytes += text.len() as u64;
                }
            }
            Key::Stream => self.stream = value::flag(walk, name)?,
            Key::MaxOutputTokens => self.max_output_tokens = Some(Maximum::read(walk, name)?),
            Key::Tools => tools::read(walk, name, prompt)?,
            Key::Text => inside(walk, name, const { &keys([("format", ())]) }, |walk, name| {
                tools::read_format(walk, name, prompt)
            })?,
            Key::Reasoning => inside(walk, name, const { &keys([("mode", ())]) }, |walk, name| {
                let mode = value::string(walk, name)?;
                // Others answer more than once, and read what they wrote.
                let is_one_pass = mode.is_none_or(|mode| mode.is("standard"));
                prompt.open_end(!is_one_pass, "reasoning mode");
                Ok(())
            })?,
            Key::ServiceTier => {
                self.service_tier = value::string(walk, name)?.map(|tier| tier.read().into());
            }
            Key::Stored => {
                let is_given = value::is_given(walk)?;
                self.is_stored |= is_given;
                prompt.open_end(is_given, "stored conversation");
            }
            Key::Prompt => {
                if value::enter_object(walk, name)? {
                    self.is_stored = true;
                    prompt.open_end(true, "stored prompt");
                    prompt.input.text_bytes += prompt::rest_of_text(walk)?;
                }
            }
            Key::Background => self.background = value::flag(walk, name)?,
            Key::Compaction => prompt.open_end(value::is_given(walk)?, "compaction"),
            Key::Fallbacks => self.fallbacks = model::read_all(walk, name)?,
            Key::Search => prompt.open_end(value::is_given(walk)?, SERVER_TOOLS),
        }
        Ok(())
    }

    /// What follows from it all; `end` is where the request's closing brace is.
    pub(super) fn into_reading(
        mut self,
        endpoint: &Endpoint,
        uri: &Uri,
        end: u32,
    ) -> Result<Reading, Unreadable> {
        if self.background {
            return Err(Unreadable::Unmeterable {
                why: "it runs in the background (`background: true`), and its usage goes to whoever asks later",
            });
        }
        if !self.has_input && !self.is_stored {
            return Err(Unreadable::Missing { key: "input" });
        }
        let layout = Layout {
            model: self.model.as_ref().map(Model::slot),
            usage: None,
            output: [self.output_slot(endpoint.output_key, end), None],
        };
        let model = model::answering(endpoint, uri, self.model.as_ref())?;
        self.prompt.open_end(model.ends_with(":online"), SERVER_TOOLS);
        self.prompt.open_end(endpoint.output_key == OutputKey::None, "compaction");
        Ok(Reading { call: self.into_call(endpoint, model), layout, ask_usage: false })
    }

    fn into_call(mut self, endpoint: &Endpoint, model: SmolStr) -> Call {
        let mut call = Call::new(endpoint.provider.clone(), Operation::Chat, model)
            .with_streaming(self.stream)
            .with_fallback_models(self.fallbacks);
        if let Some(most) = self.max_output_tokens.and_then(|maximum| maximum.tokens) {
            call = call.with_max_output_tokens(most);
        }
        if let Some(tier) = self.service_tier {
            call = call.with_service_tier(tier);
        }
        self.prompt.put_on(call)
    }

    fn output_slot(&self, key: OutputKey, end: u32) -> Option<Slot> {
        if key == OutputKey::None {
            return self.max_output_tokens.and_then(Maximum::stated_slot);
        }
        Some(maximum::slot(self.max_output_tokens, r#","max_output_tokens":"#, end))
    }
}

/// Reads the value of one governed key in an object that may be `null`.
fn inside<'a>(
    walk: &mut Walker<'a>,
    name: &'static str,
    keys: Keys<()>,
    mut read: impl FnMut(&mut Walker<'a>, &'static str) -> Result<(), Unreadable>,
) -> Result<(), Unreadable> {
    if !value::enter_object(walk, name)? {
        return Ok(());
    }
    let mut governed = Governed::new(keys);
    while let Some(key) = walk.key()? {
        match governed.find(key)? {
            Some((name, ())) => read(walk, name)?,
            None => {
                walk.skip()?;
            }
        }
    }
    Ok(())
}
