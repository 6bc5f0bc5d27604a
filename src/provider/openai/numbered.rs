//! Texts as they are written or as the numbers of their tokens.

use crate::{
    json::{Nest, Token, Walker},
    unreadable::Unreadable,
};

/// How much a token weighs that is given by its number: as much as an estimate from
/// bytes takes for one token.
const BYTES_OF_A_TOKEN: u64 = 3;

/// How many texts there are, and how long they are together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Texts {
    pub(super) count: u64,
    pub(super) bytes: u64,
}

/// Reads a text, an array of texts, the tokens of one text, or an array of those;
/// `None` if it is `null`. What hosts of their own mind take beside these counts by
/// the strings and numbers in it.
pub(super) fn read(walk: &mut Walker<'_>, key: &'static str) -> Result<Option<Texts>, Unreadable> {
    let mut texts = Texts::default();
    match walk.token()? {
        Token::Null => return Ok(None),
        Token::Str(text) => {
            return Ok(Some(Texts { count: 1, bytes: text.len() as u64 }));
        }
        Token::Open(Nest::Array) => {}
        _ => return Err(Unreadable::Invalid { key, expected: "a string or an array" }),
    }
    let inside = walk.depth();
    let mut has_numbers = false;
    loop {
        let token = walk.token()?;
        let is_outer = walk.depth() == inside;
        match token {
            Token::Close if walk.depth() < inside => break,
            Token::Open(_) if walk.depth() == inside + 1 => texts.count += 1,
            Token::Str(text) => {
                texts.count += u64::from(is_outer);
                texts.bytes = texts.bytes.saturating_add(text.len() as u64);
            }
            Token::Number(_) => {
                has_numbers |= is_outer;
                texts.bytes = texts.bytes.saturating_add(BYTES_OF_A_TOKEN);
            }
            Token::Key(name) => texts.bytes = texts.bytes.saturating_add(name.len() as u64),
            _ => {}
        }
    }
    // numbers that stand by themselves are one text
    texts.count += u64::from(has_numbers);
    Ok(Some(texts))
}
