//! OpenAI's text completions, also as other providers speak them, and completion in
//! the middle (`/fim/completions`), which is written alike.
//!
//! What is read, and what follows from it:
//!
//! | key | |
//! |---|---|
//! | `model`, `models` | the model, and those the provider may fall back to |
//! | `prompt`, `suffix` | bytes of text; the number of a token counts as three bytes |
//! | `max_tokens` | the output maximum; where OpenAI answers itself, 16 if it is not stated |
//! | `n`, `best_of` | choices: the larger, for each prompt |
//! | `stream`, `stream_options` | whether usage has to be asked for, and where |
//! | `service_tier` | the tier |
//! | `prompt_embeds` | an open end: a prompt that is not text |

use http::Uri;
use smol_str::SmolStr;

use super::{
    ask::StreamOptions,
    maximum::{self, Maximum},
    model::{self, Model},
    numbered::{self, Texts},
    prompt::Prompt,
};
use crate::{
    call::{Call, Operation},
    json::Walker,
    provider::{
        endpoint::{Endpoint, OutputKey},
        format::Reading,
        governed::{Governed, Keys, keys, members},
        layout::Layout,
        value,
    },
    unreadable::Unreadable,
};

/// What OpenAI documents as the maximum of a request that states none.
const UNSTATED: u64 = 16;

/// The governed keys of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Model,
    Prompt,
    Suffix,
    Stream,
    StreamOptions,
    MaxTokens,
    Choices,
    ServiceTier,
    Fallbacks,
    Embedded,
}

const KEYS: Keys<Key> = &keys([
    ("model", Key::Model),
    ("prompt", Key::Prompt),
    ("max_tokens", Key::MaxTokens),
    ("stream", Key::Stream),
    ("stream_options", Key::StreamOptions),
    ("n", Key::Choices),
    ("best_of", Key::Choices),
    ("suffix", Key::Suffix),
    ("service_tier", Key::ServiceTier),
    ("models", Key::Fallbacks),
    ("prompt_embeds", Key::Embedded),
]);

/// Reads the body of a request.
pub(in crate::provider) fn read(
    endpoint: &Endpoint,
    uri: &Uri,
    body: &[u8],
) -> Result<Reading, Unreadable> {
    let (mut facts, mut governed) = (Facts::default(), const { Governed::new(KEYS) });
    let end =
        members(body, |key| governed.find(key), |walk, name, key| facts.read(walk, name, key))?;
    facts.into_reading(endpoint, uri, end)
}

/// The facts so far.
#[derive(Debug, Default)]
struct Facts<'a> {
    model: Option<Model<'a>>,
    fallbacks: Vec<SmolStr>,
    texts: Option<Texts>,
    prompt: Prompt,
    stream: bool,
    options: StreamOptions,
    max_tokens: Option<Maximum>,
    choices: u64,
    service_tier: Option<SmolStr>,
}

impl<'a> Facts<'a> {
    fn read(
        &mut self,
        walk: &mut Walker<'a>,
        name: &'static str,
        key: Key,
    ) -> Result<(), Unreadable> {
        match key {
            Key::Model => self.model = Some(Model::read(walk, name)?),
            Key::Prompt => self.texts = numbered::read(walk, name)?,
            Key::Suffix => {
                let bytes = value::string(walk, name)?.map_or(0, |text| text.len() as u64);
                self.prompt.input.text_bytes += bytes;
            }
            Key::Stream => self.stream = value::flag(walk, name)?,
            Key::StreamOptions => self.options = StreamOptions::read(walk, name)?,
            Key::MaxTokens => {
                self.max_tokens = Some(Maximum::read_or_nothing(walk, name)?);
            }
            Key::Choices => {
                let most = value::count(walk, name, 128, "a whole number from 1 to 128")?;
                self.choices = self.choices.max(most.unwrap_or(1));
            }
            Key::ServiceTier => {
                self.service_tier = value::string(walk, name)?.map(|tier| tier.read().into());
            }
            Key::Fallbacks => self.fallbacks = model::read_all(walk, name)?,
            Key::Embedded => {
                let is_given = value::is_given(walk)?;
                self.prompt.open_end(is_given, "prompt embeddings");
            }
        }
        Ok(())
    }

    fn into_reading(
        mut self,
        endpoint: &Endpoint,
        uri: &Uri,
        end: u32,
    ) -> Result<Reading, Unreadable> {
        let slot = maximum::slot(self.max_tokens, r#","max_tokens":"#, end);
        let layout = Layout {
            model: self.model.as_ref().map(Model::slot),
            usage: if self.stream { self.options.slot(end) } else { None },
            output: [Some(slot), None],
        };
        // Without a prompt a text is begun from nothing.
        let texts = self.texts.unwrap_or(Texts { count: 1, bytes: 0 });
        let model = model::answering(endpoint, uri, self.model.as_ref())?;
        self.prompt.input.messages = texts.count;
        self.prompt.input.text_bytes = self.prompt.input.text_bytes.saturating_add(texts.bytes);
        let ask_usage = endpoint.asks_usage && layout.usage.is_some();
        Ok(Reading { call: self.into_call(endpoint, model, texts.count), layout, ask_usage })
    }

    fn into_call(mut self, endpoint: &Endpoint, model: SmolStr, prompts: u64) -> Call {
        let stated = self.max_tokens.and_then(|maximum| maximum.tokens);
        // Only OpenAI and Azure have keys of their own for it elsewhere.
        let is_openai = endpoint.output_key == OutputKey::MaxCompletionTokens;
        let mut call = Call::new(endpoint.provider.clone(), Operation::TextCompletion, model)
            .with_streaming(self.stream)
            .with_choices(self.choices.max(1).saturating_mul(prompts.max(1)))
            .with_fallback_models(self.fallbacks);
        if let Some(most) = stated.or(is_openai.then_some(UNSTATED)) {
            call = call.with_max_output_tokens(most);
        }
        if let Some(tier) = self.service_tier {
            call = call.with_service_tier(tier);
        }
        self.prompt.put_on(call)
    }
}

#[cfg(test)]
mod tests;
