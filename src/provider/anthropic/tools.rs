//! What is added to the prompt beside the messages: tools and output schemas.

use super::facts::Facts;
use crate::{
    json::{Nest, Token, Walker},
    provider::{
        governed::{Governed, Keys, keys},
        value,
    },
    unreadable::Unreadable,
};

#[derive(Clone, Copy, Debug)]
enum Key {
    Type,
    MaxUses,
}

const KEYS: Keys<Key> = &keys([("type", Key::Type), ("max_uses", Key::MaxUses)]);

/// Reads `tools`: their size, and whether one runs on the server.
pub(super) fn read(
    walk: &mut Walker<'_>,
    key: &'static str,
    facts: &mut Facts,
) -> Result<(), Unreadable> {
    if !value::enter_array(walk, key)? {
        return Ok(());
    }
    let array = walk.span();
    loop {
        match walk.token()? {
            Token::Close => break,
            Token::Open(Nest::Object) => read_tool(walk, facts)?,
            _ => return Err(Unreadable::Invalid { key, expected: "an array of objects" }),
        }
    }
    facts.input.schema_bytes += walk.since(array).len();
    Ok(())
}

fn read_tool(walk: &mut Walker<'_>, facts: &mut Facts) -> Result<(), Unreadable> {
    facts.needs.tools = true;
    let (mut maker, mut max_uses) = (Maker::Caller, None);
    let mut governed = const { Governed::new(KEYS) };
    while let Some(key) = walk.key()? {
        match governed.find(key)? {
            Some((name, Key::Type)) => {
                let kind = value::string(walk, name)?;
                maker = kind.map_or(Maker::Caller, |kind| Maker::of(&kind.read()));
            }
            Some((name, Key::MaxUses)) => max_uses = count(walk, name)?,
            None => {
                walk.skip()?;
            }
        }
    }
    match maker {
        Maker::Caller => {}
        Maker::Known => facts.input.schema_bytes += KNOWN_BYTES,
        Maker::Server { searches } => {
            facts.open_end(true, "server tools");
            if searches {
                facts.searches = facts.searches.saturating_add(max_uses.unwrap_or(1).max(1));
            }
        }
    }
    Ok(())
}

/// Whose a tool is.
#[derive(Clone, Copy, Debug)]
enum Maker {
    /// The caller's, defined in the request.
    Caller,
    /// Defined by Anthropic in a text of known length, and run by the caller.
    Known,
    /// Run by Anthropic, which brings its own input.
    Server { searches: bool },
}

/// What stands for the definition of a known tool, in bytes that come to more tokens
/// than the 700 of the longest.
const KNOWN_BYTES: u64 = 2_048;

impl Maker {
    fn of(kind: &str) -> Self {
        match kind {
            "custom" => Self::Caller,
            _ if ["bash_", "text_editor_", "memory_"].iter().any(|k| kind.starts_with(k)) => {
                Self::Known
            }
            _ => Self::Server { searches: kind.starts_with("web_search") },
        }
    }
}

/// A number of tokens or uses.
pub(super) fn count(walk: &mut Walker<'_>, key: &'static str) -> Result<Option<u64>, Unreadable> {
    value::whole(walk, key, 0..=u32::MAX, "a whole number from 0 to 4294967295")
}

/// Reads `output_config`, in which there may be a format.
pub(super) fn read_output_config(
    walk: &mut Walker<'_>,
    key: &'static str,
    facts: &mut Facts,
) -> Result<(), Unreadable> {
    if !value::enter_object(walk, key)? {
        return Ok(());
    }
    while let Some(name) = walk.key()? {
        if name.is("format") {
            read_format(walk, "format", facts)?;
        } else {
            walk.skip()?;
        }
    }
    Ok(())
}

/// Reads a format: a schema that the answer follows.
pub(super) fn read_format(
    walk: &mut Walker<'_>,
    key: &'static str,
    facts: &mut Facts,
) -> Result<(), Unreadable> {
    if !value::enter_object(walk, key)? {
        return Ok(());
    }
    facts.needs.schema = true;
    facts.input.schema_bytes += value::rest_of(walk)?;
    Ok(())
}

/// Reads `context_management`: whether the conversation may be compacted.
pub(super) fn may_compact(walk: &mut Walker<'_>, key: &'static str) -> Result<bool, Unreadable> {
    if !value::enter_object(walk, key)? {
        return Ok(false);
    }
    let (inside, mut compacts) = (walk.depth(), false);
    while walk.depth() >= inside {
        if let Token::Str(text) = walk.token()? {
            compacts |= text.starts_with("compact");
        }
    }
    Ok(compacts)
}
