//! Values of governed keys: of the right type, or refused.

use std::ops::RangeInclusive;

use crate::{
    json::{Nest, Text, Token, Walker},
    unreadable::Unreadable,
};

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
