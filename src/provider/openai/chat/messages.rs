//! Messages: how many, how much text, and which media.

use crate::{
    json::{Nest, Token, Walker},
    provider::{
        openai::{
            media::{self, Media},
            prompt::Prompt,
        },
        value,
    },
    unreadable::Unreadable,
};

/// Reads `messages`; `false` if they are `null`.
///
/// All strings count as text, whatever their key: roles, names and arguments of tool
/// calls are part of the prompt as well. So do the keys and numbers of what is nested
/// deeper than a part of a message, which some providers write into the prompt as
/// they are. Media do not: what they weigh has little to do with their bytes.
pub(super) fn read(
    walk: &mut Walker<'_>,
    key: &'static str,
    prompt: &mut Prompt,
) -> Result<bool, Unreadable> {
    if !value::enter_array(walk, key)? {
        return Ok(false);
    }
    loop {
        let mut role = 0;
        while let Some((text, ends)) = walk.string_behind(|bytes| beginning(bytes, &mut role))? {
            prompt.input.text_bytes += (role + text.len()) as u64;
            prompt.input.messages += 1;
            if !ends {
                message(walk, prompt)?;
            }
        }
        match walk.token()? {
            Token::Close => return Ok(true),
            Token::Open(Nest::Object) => message(walk, prompt)?,
            Token::Open(Nest::Array) => nested(walk, MESSAGE, false, prompt)?,
            Token::Str(text) => prompt.input.text_bytes += text.len() as u64,
            _ => continue,
        }
        prompt.input.messages += 1;
    }
}

/// How long the beginning of a message is up to its text, if it is written as most are; and
/// how long its role is.
#[inline(always)]
fn beginning(message: &[u8], role: &mut usize) -> Option<usize> {
    const USER: &[u8; 26] = br#"{"role":"user","content":""#;
    const ASSISTANT: &[u8; 31] = br#"{"role":"assistant","content":""#;
    const SYSTEM: &[u8; 28] = br#"{"role":"system","content":""#;
    let length = if message.first_chunk() == Some(USER) {
        USER.len()
    } else if message.first_chunk() == Some(ASSISTANT) {
        ASSISTANT.len()
    } else if message.first_chunk() == Some(SYSTEM) {
        SYSTEM.len()
    } else {
        return None;
    };
    *role = length + "user".len() - USER.len();
    Some(length)
}

/// Reads the rest of a message.
fn message(walk: &mut Walker<'_>, prompt: &mut Prompt) -> Result<(), Unreadable> {
    loop {
        while let Some(text) = walk.string_under(|name| !name.is("audio"))? {
            prompt.input.text_bytes += text.len() as u64;
        }
        let Some(name) = walk.key()? else { return Ok(()) };
        if name.is("audio") {
            media::read(walk, Media::Audio, prompt)?;
            continue;
        }
        match walk.token()? {
            Token::Str(text) => prompt.input.text_bytes += text.len() as u64,
            Token::Open(_) => nested(walk, MESSAGE + 1, name.is("content"), prompt)?,
            _ => {}
        }
    }
}

/// Depths below the array of messages.
const MESSAGE: usize = 1;
const PART: usize = 3;

/// Reads the rest of a nest at a depth below the messages.
fn nested(
    walk: &mut Walker<'_>,
    depth: usize,
    in_content: bool,
    prompt: &mut Prompt,
) -> Result<(), Unreadable> {
    let inside = walk.depth();
    let outside = inside - depth;
    loop {
        let token = walk.token()?;
        let depth = walk.depth() - outside;
        match token {
            Token::Close if walk.depth() < inside => return Ok(()),
            Token::Str(text) => prompt.input.text_bytes += text.len() as u64,
            Token::Key(name) if depth == PART && in_content => {
                if let Some(kind) = Media::of(name) {
                    media::read(walk, kind, prompt)?;
                }
            }
            Token::Key(name) if depth > PART => prompt.input.text_bytes += name.len() as u64,
            Token::Number(number) if depth > PART => {
                prompt.input.text_bytes += number.len() as u64;
            }
            _ => {}
        }
    }
}
