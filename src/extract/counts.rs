//! Counts that an object tells under their names.
//!
//! Nearly every response tells its usage so, and a dozen names are looked for where two
//! or three are. The object is at hand in one piece, so it is walked over as a request's
//! body is, which is a good deal quicker than to have each field deserialized; and where it
//! holds nothing but counts, as most do, there is a shorter way still.

mod plain;

pub(super) use self::plain::read as read_plain;
use super::{Key, Role};
use crate::{
    json::{Nest, Token, Walker},
    name::Candidate,
};

/// The most counts that an object tells.
const MOST: usize = 14;

/// Counts at the numbers that their keys have; `null` tells nothing.
pub(crate) type Counts = [Option<u64>; MOST];

/// The counts under these keys of an object; what is told beside them is passed over.
/// `None` if it is no object, has one of the keys twice, or something else than a whole
/// number of no sign where a count should be.
#[inline(never)]
pub(super) fn counts(written: &[u8], keys: &'static [Key]) -> Option<Counts> {
    let mut walk = Walker::new(written).ok()?;
    if walk.token().ok()? != Token::Open(Nest::Object) {
        return None;
    }
    let mut told = Counts::default();
    read(&mut told, &mut walk, keys)?;
    walk.finish().ok()?;
    Some(told)
}

/// Reads the rest of an object.
fn read(told: &mut Counts, walk: &mut Walker<'_>, keys: &'static [Key]) -> Option<()> {
    let mut seen = 0;
    while let Some(key) = walk.key().ok()? {
        let key = key.read();
        match find(keys, Candidate::new(key.as_bytes()), &mut seen)? {
            Role::Skip | Role::EnterEach(_) | Role::Counts { .. } => {
                walk.skip().ok()?;
            }
            Role::Take { index, .. } => {
                *told.get_mut(index)? = match walk.token().ok()? {
                    Token::Number(number) => Some(number.parse().ok()?),
                    Token::Null => None,
                    _ => return None,
                };
            }
            Role::Enter(keys) => match walk.token().ok()? {
                Token::Open(Nest::Object) => read(told, walk, keys)?,
                Token::Null => {}
                _ => return None,
            },
        }
    }
    Some(())
}

/// What a key leads to; `None` if it was `seen` before, where the nth key has the nth bit.
#[inline(always)]
fn find(keys: &'static [Key], written: Candidate<'_>, seen: &mut u32) -> Option<Role> {
    let Some((index, key)) = keys.iter().enumerate().find(|(_, key)| written.is(key.name)) else {
        return Some(Role::Skip);
    };
    let bit = 1_u32.checked_shl(index as u32)?;
    let is_first = *seen & bit == 0;
    *seen |= bit;
    is_first.then_some(key.role)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    static KEYS: [Key; 2] =
        [Key::count("a", 0), Key::enter("in", &[Key::count("a", 1), Key::count("b", 2)])];

    fn told(written: &str) -> Option<[Option<u64>; 3]> {
        let told = counts(written.as_bytes(), &KEYS);
        let plain = plain(written.as_bytes());
        assert!(plain.is_none() || plain == told, "{written}");
        let [a, in_a, in_b, rest @ ..] = told?;
        assert_eq!(rest, [None; 11]);
        Some([a, in_a, in_b])
    }

    /// What is read the short way, if that is all there is.
    fn plain(written: &[u8]) -> Option<Counts> {
        let mut told = Counts::default();
        let end = written.starts_with(b"{").then(|| read_plain(written, 1, &KEYS, &mut told))??;
        (end == written.len()).then_some(told)
    }

    #[test]
    fn an_object_of_nothing_but_counts_is_read_the_short_way() {
        for written in [
            "{}",
            r#"{"a":1,"in":{"a":20,"b":300},"other":4}"#,
            "{\n  \"a\": 1,\n  \"in\": { \"b\" : 0 }, \"x\": null }",
            r#"{"in":null,"a":9999999999999999999}"#,
        ] {
            assert!(plain(written.as_bytes()).is_some() && told(written).is_some(), "{written}");
        }
    }

    proptest! {
        #[test]
        fn the_short_way_comes_to_the_same_or_to_nothing(
            parts in prop::collection::vec(prop::sample::select(vec![
                "{", "}", ",", ":", " ", "\"a\":", "\"in\":{", "\"b\":", "\"x\":", "\"", "\\", "0", "12",
                "18446744073709551615", "-", ".", "null", "nul", "[", "]", "é", "\u{1}", "\"a\":1,", "}}",
            ]), 0..14),
        ) {
            told(&parts.concat());
            told(&format!("{{{}}}", parts.concat()));
        }
    }

    #[test]
    fn counts_are_found_where_they_stand_and_nowhere_else() {
        let written =
            r#" {"x":{"a":9,"in":{"b":9}},"in":{"b":2,"x":[{"a":9}],"\u0061":1},"b":9,"a":0} "#;
        assert_eq!(told(written), Some([Some(0), Some(1), Some(2)]));
        assert_eq!(told(r#"{"a":null,"in":null}"#), Some([None; 3]));
        assert_eq!(told(r#"{"in":{},"A":1}"#), Some([None; 3]));
        assert_eq!(told(r#"{"a":18446744073709551615}"#), Some([Some(u64::MAX), None, None]));
    }

    #[test]
    fn what_can_be_read_in_two_ways_or_none_is_no_count() {
        for senseless in [
            "",
            "7",
            "null",
            "[1]",
            r#"{"a":1"#,
            r#"{"a":1}}"#,
            r#"{"a":1,}"#,
            r#"{"a":-0}"#,
            r#"{"a":-1}"#,
            r#"{"a":1.0}"#,
            r#"{"a":1e3}"#,
            r#"{"a":"1"}"#,
            r#"{"a":[1]}"#,
            r#"{"a":true}"#,
            r#"{"a":nope}"#,
            r#"{"a":01}"#,
            r#"{"x":00}"#,
            r#"{"x\:1}"#,
            "{\"x\u{1}\":1}",
            r#"{"a":18446744073709551616}"#,
            r#"{"a":1,"\u0061":1}"#,
            r#"{"a":null,"a":1}"#,
            r#"{"in":{"a":1,"a":null}}"#,
            r#"{"in":{"a":1},"in":{"b":1}}"#,
            r#"{"in":null,"in":{"b":1}}"#,
            r#"{"in":1}"#,
            r#"{"in":[{"a":1}]}"#,
        ] {
            assert_eq!(told(senseless), None, "{senseless}");
        }
        let not_utf8 = b"{\"\xFF\":1}";
        assert_eq!((counts(not_utf8, &KEYS), plain(not_utf8)), (None, None));
    }
}
