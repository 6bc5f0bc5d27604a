//! Messages: how many, how much text, and which media.

use super::{
    facts::Facts,
    media::{self, Media},
};
use crate::{
    json::{Token, Walker},
    provider::value,
    unreadable::Unreadable,
};

/// Depths below the array of messages.
const MESSAGE: usize = 1;
const PART: usize = 3;

/// Reads `messages`; `false` if they are `null`.
///
/// All strings count as text, whatever their key: roles, names and arguments of tool
/// calls are part of the prompt as well. So do the keys and numbers of what is nested
/// deeper than a part of a message, which some providers write into the prompt as
/// they are. Media do not: what they weigh has little to do with their bytes.
pub(super) fn read(
    walk: &mut Walker<'_>,
    key: &'static str,
    facts: &mut Facts,
) -> Result<bool, Unreadable> {
    if !value::enter_array(walk, key)? {
        return Ok(false);
    }
    let inside = walk.depth();
    let mut in_content = false;
    loop {
        let token = walk.token()?;
        // A message's own keys are at depth 1, those of a part of its content at 3.
        let depth = walk.depth().saturating_sub(inside);
        match token {
            Token::Close if walk.depth() < inside => return Ok(true),
            Token::Open(_) if depth == MESSAGE => facts.input.messages += 1,
            Token::Str(text) => {
                facts.input.messages += u64::from(depth == 0);
                facts.input.text_bytes += text.len() as u64;
            }
            Token::Key(name) if depth == MESSAGE => {
                in_content = name.is("content");
                if name.is("audio") {
                    media::read(walk, Media::Audio, facts)?;
                }
            }
            Token::Key(name) if depth == PART && in_content => {
                if let Some(kind) = Media::of(name) {
                    media::read(walk, kind, facts)?;
                }
            }
            Token::Key(name) if depth > PART => facts.input.text_bytes += name.len() as u64,
            Token::Number(number) if depth > PART => {
                facts.input.text_bytes += number.len() as u64;
            }
            _ => {}
        }
    }
}

/// Passes over a value and counts the bytes of the strings in it.
pub(super) fn text_bytes(walk: &mut Walker<'_>) -> Result<u64, Unreadable> {
    let depth = walk.depth();
    let mut bytes = 0;
    loop {
        if let Token::Str(text) = walk.token()? {
            bytes += text.len() as u64;
        }
        if walk.depth() == depth {
            return Ok(bytes);
        }
    }
}
