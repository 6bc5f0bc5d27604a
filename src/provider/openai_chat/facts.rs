//! What the keys of a chat request say, gathered in any order.

use http::Uri;
use smol_str::SmolStr;

use super::{Key, messages, tools};
use crate::{
    call::{Call, Input, Needs, Operation},
    json::{Span, Text, Token, Walker},
    provider::{
        endpoint::{Endpoint, OutputKey},
        format::Reading,
        governed::Governed,
        layout::{Layout, Slot},
        value,
    },
    unreadable::Unreadable,
};

/// The longest name of a model, in bytes.
const MOST_MODEL: usize = 256;

/// The facts so far.
#[derive(Debug, Default)]
pub(super) struct Facts {
    model: Option<(SmolStr, Span)>,
    fallbacks: Vec<SmolStr>,
    has_messages: bool,
    pub(super) input: Input,
    pub(super) needs: Needs,
    pub(super) open_ended: Option<&'static str>,
    stream: bool,
    options: Options,
    max_tokens: Option<Maximum>,
    max_completion_tokens: Option<Maximum>,
    choices: Option<u64>,
    service_tier: Option<SmolStr>,
    predicted: u64,
}

/// A stated output maximum; `None` if it is `null`.
type Maximum = (Option<u64>, Span);

#[derive(Debug, Default)]
enum Options {
    #[default]
    Absent,
    Null(Span),
    Given {
        inside: Span,
        empty: bool,
        include_usage: Option<(bool, Span)>,
    },
}

impl Facts {
    /// Reads the value of a governed key.
    pub(super) fn read(
        &mut self,
        walk: &mut Walker<'_>,
        name: &'static str,
        key: Key,
    ) -> Result<(), Unreadable> {
        match key {
            Key::Model => {
                let text = value::string(walk, name)?;
                self.model = Some((model(name, text)?, walk.span()));
            }
            Key::Messages => {
                self.has_messages = messages::read(walk, name, self)?;
            }
            Key::Stream => self.stream = value::flag(walk, name)?,
            Key::StreamOptions => self.options = options(walk, name)?,
            Key::MaxTokens => self.max_tokens = Some(maximum(walk, name)?),
            Key::MaxCompletionTokens => self.max_completion_tokens = Some(maximum(walk, name)?),
            Key::Tools => tools::read(walk, name, self)?,
            Key::ResponseFormat => tools::read_format(walk, name, self)?,
            Key::Choices => {
                self.choices = value::count(walk, name, 128, "a whole number from 1 to 128")?;
            }
            Key::ServiceTier => {
                self.service_tier = value::string(walk, name)?.map(|tier| tier.read().into());
            }
            Key::Fallbacks => {
                if value::enter_array(walk, name)? {
                    while let Some(text) = value::item(walk, name)? {
                        self.fallbacks.push(model(name, Some(text))?);
                    }
                }
            }
            Key::Modalities => {
                if value::enter_array(walk, name)? {
                    while let Some(text) = value::item(walk, name)? {
                        self.needs.media |= !text.is("text");
                    }
                }
            }
            Key::Prediction => self.predicted = messages::text_bytes(walk)?,
            Key::Audio => self.needs.media |= is_given(walk)?,
            Key::Search => self.open_end(is_given(walk)?, "server tools"),
            Key::Background => self.open_end(value::flag(walk, name)?, "background"),
        }
        Ok(())
    }

    /// Notes why the input cannot be known from the request; the first reason stays.
    pub(super) fn open_end(&mut self, is_open: bool, why: &'static str) {
        if is_open {
            self.open_ended.get_or_insert(why);
        }
    }

    /// What follows from it all; `end` is where the request's closing brace is.
    pub(super) fn into_reading(
        mut self,
        endpoint: &Endpoint,
        uri: &Uri,
        end: u32,
    ) -> Result<Reading, Unreadable> {
        if !self.has_messages {
            return Err(Unreadable::Missing { key: "messages" });
        }
        let layout = Layout {
            model: self.model.as_ref().map(|(_, at)| Slot::new(*at, "\"", "\"")),
            usage: self.usage_slot(end),
            output: self.output_slots(endpoint.output_key, end),
        };
        // Azure serves the deployment in the path, whatever the body says.
        let model = match (endpoint.model_in(uri), self.model.take()) {
            (Some(deployment), _) => deployment.into(),
            (None, Some((model, _))) => model,
            (None, None) => return Err(Unreadable::Missing { key: "model" }),
        };
        // OpenRouter's suffix for a search on the server.
        self.open_end(model.ends_with(":online"), "server tools");
        let ask_usage = endpoint.asks_usage && layout.usage.is_some();
        Ok(Reading { call: self.into_call(endpoint, model), layout, ask_usage })
    }

    fn into_call(mut self, endpoint: &Endpoint, model: SmolStr) -> Call {
        let stated = [self.max_tokens, self.max_completion_tokens];
        let most = stated.into_iter().flatten().filter_map(|(tokens, _)| tokens).max();
        self.open_end(self.predicted > 0 && most.is_none(), "predicted output");
        self.needs.media |= self.input.media > 0;

        let mut call = Call::new(endpoint.provider.clone(), Operation::Chat, model)
            .with_input(self.input)
            .with_needs(self.needs)
            .with_streaming(self.stream)
            .with_choices(self.choices.unwrap_or(1))
            .with_fallback_models(self.fallbacks);
        if let Some(most) = most {
            call = call.with_max_output_tokens(most.saturating_add(self.predicted));
        }
        if let Some(why) = self.open_ended {
            call = call.with_open_ended(why);
        }
        if let Some(tier) = self.service_tier {
            call = call.with_service_tier(tier);
        }
        call
    }

    fn usage_slot(&self, end: u32) -> Option<Slot> {
        // Outside streams usage always comes, and the ask is an error.
        if !self.stream {
            return None;
        }
        Some(match self.options {
            Options::Absent => {
                Slot::new(before(end), r#","stream_options":{"include_usage":true}"#, "")
            }
            Options::Null(at) => Slot::new(at, r#"{"include_usage":true}"#, ""),
            Options::Given { include_usage: Some((true, _)), .. } => return None,
            Options::Given { include_usage: Some((false, at)), .. } => Slot::new(at, "true", ""),
            Options::Given { inside, empty: true, .. } => {
                Slot::new(inside, r#""include_usage":true"#, "")
            }
            Options::Given { inside, .. } => Slot::new(inside, r#""include_usage":true,"#, ""),
        })
    }

    // A key that states a maximum is where it is replaced. Without one, it is stated
    // at the key of the host's choice, which may be there as `null`.
    fn output_slots(&self, key: OutputKey, end: u32) -> [Option<Slot>; 2] {
        let stated = |maximum: Option<Maximum>| {
            maximum.and_then(|(tokens, at)| tokens.map(|_| Slot::new(at, "", "")))
        };
        let slots = [stated(self.max_tokens), stated(self.max_completion_tokens)];
        if slots.iter().any(Option::is_some) {
            return slots;
        }
        let (chosen, inserted) = match key {
            OutputKey::MaxTokens => (self.max_tokens, r#","max_tokens":"#),
            OutputKey::MaxCompletionTokens => {
                (self.max_completion_tokens, r#","max_completion_tokens":"#)
            }
        };
        match chosen {
            Some((_, null)) => [Some(Slot::new(null, "", "")), None],
            None => [Some(Slot::new(before(end), inserted, "")), None],
        }
    }
}

/// The empty place before a byte.
fn before(at: u32) -> Span {
    Span { start: at, end: at }
}

fn model(key: &'static str, text: Option<Text<'_>>) -> Result<SmolStr, Unreadable> {
    text.filter(|text| (1..=MOST_MODEL).contains(&text.len()))
        .map(|text| text.read().into())
        .ok_or(Unreadable::Invalid { key, expected: "a name of 1 to 256 bytes" })
}

fn maximum(walk: &mut Walker<'_>, key: &'static str) -> Result<Maximum, Unreadable> {
    let tokens = value::count(walk, key, u32::MAX, "a whole number from 1 to 4294967295")?;
    Ok((tokens, walk.span()))
}

fn options(walk: &mut Walker<'_>, key: &'static str) -> Result<Options, Unreadable> {
    if !value::enter_object(walk, key)? {
        return Ok(Options::Null(walk.span()));
    }
    let inside = before(walk.span().end);
    let (mut empty, mut include_usage) = (true, None);
    let mut governed = Governed::new(&[("include_usage", ())]);
    while let Some(key) = walk.key()? {
        empty = false;
        match governed.find(key)? {
            Some((name, ())) => include_usage = Some((value::flag(walk, name)?, walk.span())),
            None => {
                walk.skip()?;
            }
        }
    }
    Ok(Options::Given { inside, empty, include_usage })
}

/// Whether the next value is there: neither `null`, `false` nor empty.
fn is_given(walk: &mut Walker<'_>) -> Result<bool, Unreadable> {
    let depth = walk.depth();
    let given = match walk.token()? {
        Token::Null | Token::Bool(false) => false,
        Token::Open(nest) => nest == crate::json::Nest::Object || walk.token()? != Token::Close,
        _ => true,
    };
    while walk.depth() > depth {
        walk.token()?;
    }
    Ok(given)
}
