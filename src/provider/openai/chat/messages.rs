//! Messages: how many, how much text, and which media.

use crate::{
    json::{Token, Walker},
    provider::{
        openai::{
            media::{self, Media},
            prompt::Prompt,
        },
        value,
    },
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
    prompt: &mut Prompt,
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
            Token::Open(_) if depth == MESSAGE => prompt.input.messages += 1,
            Token::Str(text) => {
                prompt.input.messages += u64::from(depth == 0);
                prompt.input.text_bytes += text.len() as u64;
            }
            Token::Key(name) if depth == MESSAGE => {
                in_content = name.is("content");
                if name.is("audio") {
                    media::read(walk, Media::Audio, prompt)?;
                }
            }
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
