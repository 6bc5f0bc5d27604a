//! Values of governed keys: of the right type, or refused.

use std::ops::RangeInclusive;

use smol_str::SmolStr;

use crate::{
    json::{Nest, Text, Token, Walker},
    unreadable::Unreadable,
};

/// The longest name of a model, in bytes.
const MOST_MODEL: usize = 256;

/// The name of a model, from its string.
pub(super) fn model(key: &'static str, text: Option<Text<'_>>) -> Result<SmolStr, Unreadable> {
    model_text(key, text).map(|text| text.read().into())
}

/// The same where it stands.
pub(super) fn model_text<'a>(
    key: &'static str,
    text: Option<Text<'a>>,
) -> Result<Text<'a>, Unreadable> {
    text.filter(|text| (1..=MOST_MODEL).contains(&text.len()))
        .ok_or(Unreadable::Invalid { key, expected: "a name of 1 to 256 bytes" })
}

/// A string; `None` if it is `null`.
pub(super) fn string<'a>(
    walk: &mut Walker<'a>,
    key: &'static str,
) -> Result<Option<Text<'a>>, Unreadable> {
    match walk.token()? {
        Token::Str(text) => Ok(Some(text)),
        Token::Null => Ok(None),
        _ => Err(Unreadable::Invalid { key, expected: "a string" }),
    }
}

/// `true` or `false`, which `null` stands for.
pub(super) fn flag(walk: &mut Walker<'_>, key: &'static str) -> Result<bool, Unreadable> {
    match walk.token()? {
        Token::Bool(value) => Ok(value),
        Token::Null => Ok(false),
        _ => Err(Unreadable::Invalid { key, expected: "true or false" }),
    }
}

/// A whole number from 1 to `most`, written in digits; `None` if it is `null`.
pub(super) fn count(
    walk: &mut Walker<'_>,
    key: &'static str,
    most: u32,
    expected: &'static str,
) -> Result<Option<u64>, Unreadable> {
    whole(walk, key, 1..=most, expected)
}

/// A whole number of a range, written in digits; `None` if it is `null`.
pub(super) fn whole(
    walk: &mut Walker<'_>,
    key: &'static str,
    range: RangeInclusive<u32>,
    expected: &'static str,
) -> Result<Option<u64>, Unreadable> {
    let number = match walk.token()? {
        Token::Number(number) => number.parse::<u32>().ok(),
        Token::Null => return Ok(None),
        _ => None,
    };
    match number.filter(|number| range.contains(number)) {
        Some(number) => Ok(Some(number.into())),
        None => Err(Unreadable::Invalid { key, expected }),
    }
}

/// Whether the next value is there: neither `null`, `false` nor an empty array.
pub(super) fn is_given(walk: &mut Walker<'_>) -> Result<bool, Unreadable> {
    let depth = walk.depth();
    let given = match walk.token()? {
        Token::Null | Token::Bool(false) => false,
        Token::Open(nest) => nest == Nest::Object || walk.token()? != Token::Close,
        _ => true,
    };
    while walk.depth() > depth {
        walk.token()?;
    }
    Ok(given)
}

/// Passes over the rest of the array or object that was just opened: how many bytes it
/// has as written.
pub(super) fn rest_of(walk: &mut Walker<'_>) -> Result<u64, Unreadable> {
    let (start, inside) = (walk.span(), walk.depth());
    while walk.depth() >= inside {
        walk.token()?;
    }
    Ok(walk.since(start).len())
}

/// Passes over the next value: how many bytes it has as written; `None` if it is `null`.
pub(super) fn bytes(walk: &mut Walker<'_>) -> Result<Option<u64>, Unreadable> {
    match walk.token()? {
        Token::Null => Ok(None),
        Token::Open(_) => Ok(Some(rest_of(walk)?)),
        _ => Ok(Some(walk.span().len())),
    }
}

/// Reads each object of an array behind its opening brace, or the one object that
/// stands for an array of one; `false` if there is `null` instead.
pub(super) fn each<'a>(
    walk: &mut Walker<'a>,
    key: &'static str,
    mut read: impl FnMut(&mut Walker<'a>) -> Result<(), Unreadable>,
) -> Result<bool, Unreadable> {
    let invalid = Err(Unreadable::Invalid { key, expected: "an array of objects" });
    match walk.token()? {
        Token::Open(Nest::Object) => read(walk)?,
        Token::Open(Nest::Array) => loop {
            match walk.token()? {
                Token::Open(Nest::Object) => read(walk)?,
                Token::Close => break,
                _ => return invalid,
            }
        },
        Token::Null => return Ok(false),
        _ => return invalid,
    }
    Ok(true)
}

/// Enters an array; `false` if there is `null` instead.
pub(super) fn enter_array(walk: &mut Walker<'_>, key: &'static str) -> Result<bool, Unreadable> {
    match walk.token()? {
        Token::Open(Nest::Array) => Ok(true),
        Token::Null => Ok(false),
        _ => Err(Unreadable::Invalid { key, expected: "an array" }),
    }
}

/// Enters an object; `false` if there is `null` instead.
pub(super) fn enter_object(walk: &mut Walker<'_>, key: &'static str) -> Result<bool, Unreadable> {
    match walk.token()? {
        Token::Open(Nest::Object) => Ok(true),
        Token::Null => Ok(false),
        _ => Err(Unreadable::Invalid { key, expected: "an object" }),
    }
}

/// The next string of an array that was entered, `None` at its end.
pub(super) fn item<'a>(
    walk: &mut Walker<'a>,
    key: &'static str,
) -> Result<Option<Text<'a>>, Unreadable> {
    match walk.token()? {
        Token::Str(text) => Ok(Some(text)),
        Token::Close => Ok(None),
        _ => Err(Unreadable::Invalid { key, expected: "an array of strings" }),
    }
}
