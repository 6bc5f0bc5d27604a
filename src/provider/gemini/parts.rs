//! Contents: how many, how much text, and which media.
//!
//! All strings count as text, whatever their key, and so does what is given to and by
//! functions, as it is written. Media do not: what they weigh has little to do with
//! their bytes.

use super::{
    facts::Facts,
    keys::{Key, PART, Spellings},
};
use crate::{
    json::{Nest, Token, Walker},
    provider::value,
    unreadable::Unreadable,
};

/// Reads `contents`; `false` if they are `null`.
pub(super) fn read_contents(
    walk: &mut Walker<'_>,
    key: &'static str,
    facts: &mut Facts,
) -> Result<bool, Unreadable> {
    value::each(walk, key, |walk| {
        facts.input.messages += 1;
        read_part(walk, facts)
    })
}

/// Reads `systemInstruction`: parts, or a text.
pub(super) fn read_system(walk: &mut Walker<'_>, facts: &mut Facts) -> Result<(), Unreadable> {
    match walk.token()? {
        Token::Str(text) => facts.input.text_bytes += text.len() as u64,
        Token::Open(Nest::Object) => read_part(walk, facts)?,
        Token::Open(Nest::Array) => facts.input.text_bytes += value::rest_of(walk)?,
        _ => {}
    }
    Ok(())
}

/// Reads a part, a content, which has parts, or the response of a function, which may
/// have them as well, behind its opening brace. It recurs no deeper than the walker
/// reads.
fn read_part(walk: &mut Walker<'_>, facts: &mut Facts) -> Result<(), Unreadable> {
    let mut spellings = Spellings::new(PART);
    while let Some(key) = walk.key()? {
        match spellings.find(key)? {
            Some((name, Key::Parts)) => {
                value::each(walk, name, |walk| read_part(walk, facts))?;
            }
            Some((name, Key::FunctionResponse)) => {
                if value::enter_object(walk, name)? {
                    read_part(walk, facts)?;
                }
            }
            Some((name, Key::InlineData)) => {
                if value::enter_object(walk, name)? {
                    read_inline(walk, facts)?;
                }
            }
            Some((_, Key::FileData)) => {
                let is_given = value::is_given(walk)?;
                facts.input.media += u64::from(is_given);
                facts.open_end(is_given, "files");
            }
            _ => match walk.token()? {
                Token::Str(text) => facts.input.text_bytes += text.len() as u64,
                Token::Open(_) => facts.input.text_bytes += value::rest_of(walk)?,
                _ => {}
            },
        }
    }
    Ok(())
}

/// How many bytes of inline data count as one more of its kind.
const PER_DOCUMENT: u64 = 32 << 10;
const PER_RECORDING: u64 = 1 << 20;

/// Reads media that stand in the request, behind the opening brace.
fn read_inline(walk: &mut Walker<'_>, facts: &mut Facts) -> Result<(), Unreadable> {
    // What does not say what it is, is the dearest.
    let (mut unit, mut is_text, mut bytes) = (Some(PER_DOCUMENT), false, 0);
    let mut spellings = Spellings::new(PART);
    while let Some(key) = walk.key()? {
        let key = spellings.find(key)?;
        match walk.token()? {
            Token::Str(kind) if matches!(key, Some((_, Key::MimeType))) => {
                is_text = kind.starts_with("text/");
                unit = if kind.starts_with("image/") {
                    None // scaled down, whatever its size
                } else if kind.starts_with("audio/") || kind.starts_with("video/") {
                    Some(PER_RECORDING)
                } else {
                    Some(PER_DOCUMENT)
                };
            }
            Token::Str(text) => bytes += text.len() as u64,
            Token::Open(_) => bytes += value::rest_of(walk)?,
            _ => {}
        }
    }
    if is_text {
        facts.input.text_bytes += bytes;
    } else {
        facts.input.media += 1 + unit.map_or(0, |unit| bytes / unit);
    }
    Ok(())
}
