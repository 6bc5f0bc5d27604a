//! What the keys of a request for content say, gathered in any order.

use http::Uri;
use smol_str::{SmolStr, StrExt};

use super::{
    keys::{CONFIG, Key, Spellings},
    parts, tools,
};
use crate::{
    call::{Call, Input, Needs, Operation},
    json::{Span, Walker},
    provider::{
        endpoint::Endpoint,
        format::Reading,
        gemini_path,
        layout::{Layout, Slot},
        value,
    },
    unreadable::Unreadable,
};

/// The facts so far.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// The model that the body repeats.
    model: Option<(SmolStr, Span)>,
    has_contents: bool,
    pub(super) input: Input,
    pub(super) needs: Needs,
    pub(super) open_ended: Option<&'static str>,
    /// The most searches of the provider's own.
    pub(super) searches: u64,
    max_output_tokens: Option<u64>,
    output_slot: Option<Slot>,
    candidates: Option<u64>,
    service_tier: Option<SmolStr>,
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
            Key::Contents => self.has_contents = parts::read_contents(walk, name, self)?,
            Key::SystemInstruction => parts::read_system(walk, self)?,
            Key::GenerationConfig => self.config(walk, name)?,
            Key::Tools => tools::read(walk, name, self)?,
            Key::CachedContent => {
                let is_given = value::string(walk, name)?.is_some_and(|text| text.len() > 0);
                self.open_end(is_given, "cached content");
            }
            Key::ServiceTier => {
                let tier = value::string(walk, name)?;
                self.service_tier = tier.map(|tier| tier.read().to_lowercase_smolstr());
            }
            Key::Model => {
                if let Some(text) = value::string(walk, name)? {
                    self.model = Some((value::model(name, Some(text))?, walk.span()));
                }
            }
            // of the objects within
            _ => {
                walk.skip()?;
            }
        }
        Ok(())
    }

    fn config(&mut self, walk: &mut Walker<'_>, name: &'static str) -> Result<(), Unreadable> {
        if !value::enter_object(walk, name)? {
            let null = Slot::new(walk.span(), r#"{"maxOutputTokens":"#, "}");
            self.output_slot = Some(null);
            return Ok(());
        }
        let inside = Span { start: walk.span().end, end: walk.span().end };
        let (mut empty, mut stated) = (true, None);
        let mut spellings = Spellings::new(CONFIG);
        while let Some(key) = walk.key()? {
            empty = false;
            let Some((name, key)) = spellings.find(key)? else {
                walk.skip()?;
                continue;
            };
            match key {
                Key::MaxOutputTokens => {
                    let expected = "a whole number from 1 to 4294967295";
                    self.max_output_tokens = value::count(walk, name, u32::MAX, expected)?;
                    stated = Some(Slot::new(walk.span(), "", ""));
                }
                Key::CandidateCount => {
                    self.candidates =
                        value::count(walk, name, 128, "a whole number from 1 to 128")?;
                }
                Key::Schema => {
                    let bytes = value::bytes(walk)?;
                    self.needs.schema |= bytes.is_some();
                    self.input.schema_bytes += bytes.unwrap_or_default();
                }
                Key::Modalities => {
                    if value::enter_array(walk, name)? {
                        while let Some(text) = value::item(walk, name)? {
                            self.needs.media |= !text.read().eq_ignore_ascii_case("text");
                        }
                    }
                }
                _ => {
                    walk.skip()?;
                }
            }
        }
        let after = if empty { "" } else { "," };
        self.output_slot = stated.or(Some(Slot::new(inside, r#""maxOutputTokens":"#, after)));
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
        if !self.has_contents {
            return Err(Unreadable::Missing { key: "contents" });
        }
        let (model, model_slot) = match (endpoint.model_in(uri), self.model.take()) {
            (Some(model), Some((own, at))) => {
                let slot = repeated(&own, &model, at)?;
                (model.as_ref().into(), Some(slot))
            }
            (Some(model), None) => (model.as_ref().into(), None),
            // a gateway's own path
            (None, Some((model, at))) => {
                let name = model.strip_prefix("models/").map(SmolStr::from);
                let before = if name.is_some() { "\"models/" } else { "\"" };
                (name.unwrap_or(model), Some(Slot::new(at, before, "\"")))
            }
            (None, None) => return Err(Unreadable::Missing { key: "model" }),
        };
        let at_end = || {
            let end = Span { start: end, end };
            Slot::new(end, r#","generationConfig":{"maxOutputTokens":"#, "}")
        };
        let layout = Layout {
            model: model_slot,
            usage: None,
            output: [Some(self.output_slot.unwrap_or_else(at_end)), None],
        };
        let is_stream = gemini_path::is_stream(uri.path());
        let call = self.into_call(endpoint, model).with_streaming(is_stream);
        // Usage always comes, so there is nothing to ask for.
        Ok(Reading { call, layout, ask_usage: false })
    }

    fn into_call(mut self, endpoint: &Endpoint, model: SmolStr) -> Call {
        self.needs.media |= self.input.media > 0;
        let mut call = Call::new(endpoint.provider.clone(), Operation::GenerateContent, model)
            .with_input(self.input)
            .with_needs(self.needs)
            .with_choices(self.candidates.unwrap_or(1))
            .with_web_searches(self.searches);
        if let Some(most) = self.max_output_tokens {
            call = call.with_max_output_tokens(most);
        }
        if let Some(why) = self.open_ended {
            call = call.with_open_ended(why);
        }
        if let Some(tier) = self.service_tier {
            call = call.with_service_tier(tier);
        }
        call
    }
}

/// Where the body repeats the model of the path. Nobody says which of the two counts,
/// so they have to be the same.
fn repeated(own: &str, model: &str, at: Span) -> Result<Slot, Unreadable> {
    if own == model {
        Ok(Slot::new(at, "\"", "\""))
    } else if own.strip_prefix("models/") == Some(model) {
        Ok(Slot::new(at, "\"models/", "\""))
    } else {
        Err(Unreadable::Invalid { key: "model", expected: "the model that the path names" })
    }
}
