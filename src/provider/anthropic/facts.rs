//! What the keys of a messages request say, gathered in any order.

use smol_str::SmolStr;

use super::{Key, blocks, tools};
use crate::{
    call::{Call, Input, Needs, Operation},
    json::{Span, Walker},
    provider::{
        endpoint::Endpoint,
        format::Reading,
        layout::{Layout, Slot},
        value,
    },
    unreadable::Unreadable,
};

/// The facts so far.
#[derive(Debug, Default)]
pub(super) struct Facts {
    model: Option<(SmolStr, Span)>,
    has_messages: bool,
    pub(super) input: Input,
    pub(super) needs: Needs,
    pub(super) open_ended: Option<&'static str>,
    /// Bytes of documents that are to be cited, and one for each.
    pub(super) cited_bytes: u64,
    /// The most searches of the provider's own.
    pub(super) searches: u64,
    stream: bool,
    /// The stated output maximum; `None` inside if it is `null`.
    max_tokens: Option<(Option<u64>, Span)>,
    service_tier: Option<SmolStr>,
    is_fast: bool,
    region: Option<SmolStr>,
}

/// What stands for the explanation, in bytes that come to more than its 500 tokens.
const CITING_BYTES: u64 = 1_536;

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
                self.model = Some((value::model(name, text)?, walk.span()));
            }
            Key::Messages => self.has_messages = blocks::read_messages(walk, name, self)?,
            Key::System => blocks::read_content(walk, self)?,
            Key::MaxTokens => {
                self.max_tokens = Some((tools::count(walk, name)?, walk.span()));
            }
            Key::Stream => self.stream = value::flag(walk, name)?,
            Key::Tools => tools::read(walk, name, self)?,
            Key::OutputConfig => tools::read_output_config(walk, name, self)?,
            Key::OutputFormat => tools::read_format(walk, name, self)?,
            Key::ServiceTier => {
                self.service_tier = value::string(walk, name)?.map(|tier| tier.read().into());
            }
            Key::Speed => {
                self.is_fast = value::string(walk, name)?.is_some_and(|speed| speed.is("fast"));
            }
            Key::InferenceGeo => {
                self.region = value::string(walk, name)?.map(|region| region.read().into());
            }
            Key::McpServers => {
                let is_given = value::is_given(walk)?;
                self.open_end(is_given, "server tools");
            }
            Key::Container => {
                let is_given = value::is_given(walk)?;
                self.open_end(is_given, "containers");
            }
            Key::ContextManagement => {
                let compacts = tools::may_compact(walk, name)?;
                self.open_end(compacts, "compaction");
            }
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
        end: u32,
    ) -> Result<Reading, Unreadable> {
        if !self.has_messages {
            return Err(Unreadable::Missing { key: "messages" });
        }
        let Some((model, at)) = self.model.take() else {
            return Err(Unreadable::Missing { key: "model" });
        };
        let layout = Layout {
            model: Some(Slot::new(at, "\"", "\"")),
            usage: None,
            output: [Some(self.output_slot(end)), None],
        };
        // Usage always comes, so there is nothing to ask for.
        Ok(Reading { call: self.into_call(endpoint, model), layout, ask_usage: false })
    }

    fn output_slot(&self, end: u32) -> Slot {
        match self.max_tokens {
            Some((_, at)) => Slot::new(at, "", ""),
            None => Slot::new(Span { start: end, end }, r#","max_tokens":"#, ""),
        }
    }

    fn into_call(mut self, endpoint: &Endpoint, model: SmolStr) -> Call {
        self.needs.media |= self.input.media > 0;
        if self.cited_bytes > 0 {
            // How to cite is explained to the model, and the sentences are marked off.
            self.input.text_bytes += self.cited_bytes;
            self.input.schema_bytes += CITING_BYTES;
        }
        let mut call = Call::new(endpoint.provider.clone(), Operation::Chat, model)
            .with_input(self.input)
            .with_needs(self.needs)
            .with_streaming(self.stream)
            .with_web_searches(self.searches);
        if let Some((Some(most), _)) = self.max_tokens {
            call = call.with_max_output_tokens(most);
        }
        if let Some(why) = self.open_ended {
            call = call.with_open_ended(why);
        }
        // A fast answer has a price of its own, which takes the place of a tier's.
        let tier = if self.is_fast { Some("fast".into()) } else { self.service_tier };
        if let Some(tier) = tier {
            call = call.with_service_tier(tier);
        }
        if let Some(region) = self.region {
            call = call.with_region(region);
        }
        call
    }
}
