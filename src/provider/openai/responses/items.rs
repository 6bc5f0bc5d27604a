//! The items of an input: how many, how much text, and which media.

use crate::{
    json::{Nest, Text, Token, Walker},
    provider::{
        openai::{
            media::{self, Media},
            prompt::Prompt,
            tools,
        },
        value,
    },
    unreadable::Unreadable,
};

/// Depths below the array of items.
const ITEM: usize = 1;
const PART: usize = 3;

/// Reads `input`; `false` if it is `null`.
///
/// All strings count as text, as in a chat's messages: arguments and results of tool
/// calls, and the encrypted reasoning that is handed back. Media do not.
pub(super) fn read(
    walk: &mut Walker<'_>,
    key: &'static str,
    prompt: &mut Prompt,
) -> Result<bool, Unreadable> {
    match walk.token()? {
        Token::Null => return Ok(false),
        Token::Str(text) => {
            prompt.input.messages += 1;
            prompt.input.text_bytes += text.len() as u64;
            return Ok(true);
        }
        Token::Open(Nest::Array) => {}
        _ => return Err(Unreadable::Invalid { key, expected: "a string or an array" }),
    }
    let inside = walk.depth();
    let mut item = Item::default();
    loop {
        let token = walk.token()?;
        // An item's own keys are at depth 1, those of a part of its content at 3.
        let depth = walk.depth().saturating_sub(inside);
        match token {
            Token::Close if walk.depth() < inside => return Ok(true),
            Token::Close if depth == 0 => std::mem::take(&mut item).end(prompt),
            Token::Open(_) if depth == ITEM => prompt.input.messages += 1,
            Token::Str(text) if depth == ITEM && item.key == Key::Result => {
                item.result += text.len() as u64;
            }
            Token::Str(text) => {
                prompt.input.messages += u64::from(depth == 0);
                prompt.input.text_bytes += text.len() as u64;
                if depth == ITEM && item.key == Key::Type {
                    item.is_of_type(text, prompt);
                }
            }
            Token::Key(name) if depth == ITEM => {
                item.begins(name);
                if item.key == Key::Tools {
                    tools::read(walk, "tools", prompt)?;
                }
            }
            Token::Key(name) if item.may_hold_media(depth) => read_media(walk, name, prompt)?,
            Token::Key(name) if depth > PART => prompt.input.text_bytes += name.len() as u64,
            Token::Number(number) if depth > PART => {
                prompt.input.text_bytes += number.len() as u64;
            }
            _ => {}
        }
    }
}

/// What is known of the present item.
#[derive(Debug, Default)]
struct Item {
    /// Its key whose value is being read.
    key: Key,
    has_type: bool,
    has_role: bool,
    is_image: bool,
    /// Bytes of its `result`: an image that was generated before, or text.
    result: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Key {
    #[default]
    Other,
    Type,
    Content,
    Output,
    Result,
    Tools,
}

impl Item {
    fn begins(&mut self, name: Text<'_>) {
        const KEYS: [(&str, Key); 5] = [
            ("type", Key::Type),
            ("content", Key::Content),
            ("output", Key::Output),
            ("result", Key::Result),
            ("tools", Key::Tools),
        ];
        let known = KEYS.iter().find(|(known, _)| name.is(known));
        self.key = known.map_or(Key::Other, |(_, key)| *key);
        self.has_type |= self.key == Key::Type;
        self.has_role |= name.is("role");
    }

    fn is_of_type(&mut self, kind: Text<'_>, prompt: &mut Prompt) {
        self.is_image = kind.is("image_generation_call");
        prompt.open_end(kind.is("item_reference"), "stored items");
        prompt.open_end(kind.is("compaction_trigger"), "compaction");
    }

    /// Whether keys at this depth may announce media: those of the parts of a content
    /// or output, and of an output that is one part.
    fn may_hold_media(&self, depth: usize) -> bool {
        match self.key {
            Key::Content => depth == PART,
            Key::Output => depth == PART || depth == PART - 1,
            _ => false,
        }
    }

    fn end(self, prompt: &mut Prompt) {
        match self.is_image {
            true => prompt.input.media += 1,
            false => prompt.input.text_bytes += self.result,
        }
        // A reference need not say that it is one.
        prompt.open_end(!self.has_type && !self.has_role, "stored items");
    }
}

fn read_media(
    walk: &mut Walker<'_>,
    name: Text<'_>,
    prompt: &mut Prompt,
) -> Result<(), Unreadable> {
    if name.is("file_id") {
        let given = value::is_given(walk)?;
        prompt.input.media += u64::from(given);
        prompt.open_end(given, "file ids");
        return Ok(());
    }
    let kind = if name.is("file_data") { Some(Media::Document) } else { Media::of(name) };
    match kind {
        Some(kind) => media::read(walk, kind, prompt),
        None => Ok(()),
    }
}
