//! Messages and system prompts: how many, how much text, and which media.
//!
//! Both are texts or arrays of blocks, and a block may hold further ones, as the
//! result of a tool does. All strings count as text, whatever their key: names, and
//! the encrypted thoughts that stand for text which is billed. So does what is given
//! to tools, as it is written. Media do not: what they weigh has little to do with
//! their bytes.

use super::facts::Facts;
use crate::{
    json::{Nest, Text, Token, Walker},
    provider::value,
    unreadable::Unreadable,
};

/// Reads `messages`; `false` if they are `null`.
pub(super) fn read_messages(
    walk: &mut Walker<'_>,
    key: &'static str,
    facts: &mut Facts,
) -> Result<bool, Unreadable> {
    if !value::enter_array(walk, key)? {
        return Ok(false);
    }
    loop {
        match walk.token()? {
            Token::Close => return Ok(true),
            Token::Open(Nest::Object) => {
                facts.input.messages += 1;
                read_block(walk, facts)?;
            }
            _ => return Err(Unreadable::Invalid { key, expected: "an array of objects" }),
        }
    }
}

/// Reads content: a text, or blocks. It recurs no deeper than the walker reads.
pub(super) fn read_content(walk: &mut Walker<'_>, facts: &mut Facts) -> Result<(), Unreadable> {
    match walk.token()? {
        Token::Str(text) => facts.input.text_bytes += text.len() as u64,
        Token::Open(Nest::Object) => read_block(walk, facts)?,
        Token::Open(Nest::Array) => loop {
            match walk.token()? {
                Token::Close => break,
                Token::Str(text) => facts.input.text_bytes += text.len() as u64,
                Token::Open(Nest::Object) => read_block(walk, facts)?,
                Token::Open(Nest::Array) => facts.input.text_bytes += value::rest_of(walk)?,
                _ => {}
            }
        },
        _ => {}
    }
    Ok(())
}

/// Reads a block, or a message, which has content as well, behind its opening brace.
fn read_block(walk: &mut Walker<'_>, facts: &mut Facts) -> Result<(), Unreadable> {
    let (mut is_image, mut media, mut cites) = (false, None, false);
    let before = facts.input.text_bytes;
    while let Some(key) = walk.key()? {
        if key.is("content") {
            read_content(walk, facts)?;
        } else if key.is("source") {
            media = read_source(walk, facts)?;
        } else if key.is("citations") {
            cites = read_citations(walk)?;
        } else if key.is("cache_control") {
            walk.skip()?;
        } else {
            let is_type = key.is("type");
            let token = walk.token()?;
            match token {
                Token::Str(text) => {
                    is_image |= is_type && text.is("image");
                    facts.open_end(key.is("file_id"), "file ids");
                    // pages that a search found, of which nobody says how long they are
                    facts.open_end(key.is("encrypted_content"), "server tools");
                    facts.input.text_bytes += text.len() as u64;
                }
                Token::Open(_) => facts.input.text_bytes += value::rest_of(walk)?,
                _ => {}
            }
        }
    }
    if cites {
        facts.cited_bytes += 1 + facts.input.text_bytes - before;
    }
    if let Some(media) = media {
        // An image is scaled down; a document goes on for longer the larger it is.
        let is_image = is_image || media.is_image;
        facts.input.media += 1 + if is_image { 0 } else { media.bytes / PER_DOCUMENT };
        facts.open_end(media.is_linked && !is_image, "linked media");
    }
    Ok(())
}

/// Reads whether a document is to be cited; an array is what an answer has cited, which
/// is not billed again.
fn read_citations(walk: &mut Walker<'_>) -> Result<bool, Unreadable> {
    let mut enabled = false;
    match walk.token()? {
        Token::Open(Nest::Object) => {
            while let Some(key) = walk.key()? {
                if key.is("enabled") {
                    enabled |= value::flag(walk, "enabled")?;
                } else {
                    walk.skip()?;
                }
            }
        }
        Token::Open(Nest::Array) => {
            value::rest_of(walk)?;
        }
        _ => {}
    }
    Ok(enabled)
}

/// Bytes of inline data that count as one more document.
const PER_DOCUMENT: u64 = 32 << 10;

/// What a block's source turned out to be, other than text.
#[derive(Clone, Copy, Debug)]
struct Media {
    is_image: bool,
    is_linked: bool,
    bytes: u64,
}

/// Reads where an image or a document comes from; `None` if it is all in the text.
fn read_source(walk: &mut Walker<'_>, facts: &mut Facts) -> Result<Option<Media>, Unreadable> {
    match walk.token()? {
        Token::Open(Nest::Object) => {}
        // that of a search result is its address
        Token::Str(text) => {
            facts.input.text_bytes += text.len() as u64;
            return Ok(None);
        }
        Token::Open(Nest::Array) => {
            facts.input.text_bytes += value::rest_of(walk)?;
            return Ok(None);
        }
        _ => return Ok(None),
    }
    let mut media = Media { is_image: false, is_linked: false, bytes: 0 };
    let mut kind = Kind::Other;
    while let Some(key) = walk.key()? {
        if key.is("content") {
            read_content(walk, facts)?;
            continue;
        }
        match walk.token()? {
            Token::Str(text) if key.is("type") => kind = Kind::of(text),
            Token::Str(text) if key.is("media_type") => media.is_image = text.starts_with("image/"),
            Token::Str(text) => {
                media.bytes += text.len() as u64;
                facts.open_end(key.is("file_id"), "file ids");
                media.is_linked |= key.is("url");
            }
            Token::Open(_) => media.bytes += value::rest_of(walk)?,
            _ => {}
        }
    }
    if kind == Kind::Text {
        facts.input.text_bytes += media.bytes;
        return Ok(None);
    }
    Ok(Some(media))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It is in the request, as text or as blocks.
    Text,
    Other,
}

impl Kind {
    fn of(text: Text<'_>) -> Self {
        if text.is("text") || text.is("content") { Self::Text } else { Self::Other }
    }
}
