//! Counts that an object tells under their names.
//!
//! Nearly every response tells its usage so, and a dozen names are looked for where two
//! or three are. The object is at hand in one piece, so it is walked over as a request's
//! body is, which is a good deal quicker than to have each field deserialized; and where it
//! holds nothing but counts, as most do, there is a shorter way still.

mod plain;

use self::plain::plain;
use crate::{
    extract::Path,
    json::{Nest, Token, Walker},
};

/// The counts at these paths of an object; what is told beside them is passed over.
/// `None` if it is no object, has one of the keys twice, or something else than a whole
/// number of no sign where a count should be. `null` tells nothing.
#[inline]
pub(super) fn counts<const N: usize>(
    written: &[u8],
    paths: &[Path; N],
) -> Option<[Option<u64>; N]> {
    const { assert!(N <= 32, "a bit each") };
    plain(written, paths).or_else(|| walked(written, paths))
}

#[inline(never)]
fn walked<const N: usize>(written: &[u8], paths: &[Path; N]) -> Option<[Option<u64>; N]> {
    let mut walk = Walker::new(written).ok()?;
    if walk.token().ok()? != Token::Open(Nest::Object) {
        return None;
    }
    let mut told = Told::new(paths);
    told.read(&mut walk, None)?;
    walk.finish().ok()?;
    Some(told.counts)
}

struct Told<'p, const N: usize> {
    paths: &'p [Path; N],
    counts: [Option<u64>; N],
    /// Bit n: whether the key of the nth path was there, and whether the one around it.
    taken: u32,
    entered: u32,
}

/// What a key leads to, by the number of a path.
enum Role {
    Take(usize),
    Enter(usize, &'static str),
}

impl<'p, const N: usize> Told<'p, N> {
    #[inline]
    fn new(paths: &'p [Path; N]) -> Self {
        Self { paths, counts: [None; N], taken: 0, entered: 0 }
    }

    /// Reads the rest of the object, or of the one `within` it.
    fn read(&mut self, walk: &mut Walker<'_>, within: Option<&'static str>) -> Option<()> {
        while let Some(key) = walk.key().ok()? {
            match self.role(|name| key.is(name), within) {
                None => {
                    walk.skip().ok()?;
                }
                Some(Role::Take(index)) => {
                    let count = match walk.token().ok()? {
                        Token::Number(number) => Some(number.parse().ok()?),
                        Token::Null => None,
                        _ => return None,
                    };
                    self.take(index, count)?;
                }
                Some(Role::Enter(index, outer)) => {
                    first(&mut self.entered, index)?;
                    match walk.token().ok()? {
                        Token::Open(Nest::Object) => self.read(walk, Some(outer))?,
                        Token::Null => {}
                        _ => return None,
                    }
                }
            }
        }
        Some(())
    }

    /// Takes a count; `None` if it was there before.
    #[inline]
    fn take(&mut self, index: usize, count: Option<u64>) -> Option<()> {
        first(&mut self.taken, index)?;
        *self.counts.get_mut(index)? = count;
        Some(())
    }

    #[inline]
    fn role(&self, is: impl Fn(&str) -> bool, within: Option<&'static str>) -> Option<Role> {
        self.paths.iter().enumerate().find_map(|(index, path)| match (*path, within) {
            (Path::Top(name), None) if is(name) => Some(Role::Take(index)),
            (Path::Within(outer, _), None) if is(outer) => Some(Role::Enter(index, outer)),
            (Path::Within(outer, name), Some(within)) if outer == within && is(name) => {
                Some(Role::Take(index))
            }
            _ => None,
        })
    }
}

/// Notes that a key is there; `None` if it was there before.
fn first(seen: &mut u32, index: usize) -> Option<()> {
    let bit = 1 << index;
    let is_first = *seen & bit == 0;
    *seen |= bit;
    is_first.then_some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PATHS: [Path; 3] = [Path::Top("a"), Path::Within("in", "a"), Path::Within("in", "b")];

    fn told(written: &str) -> Option<[Option<u64>; 3]> {
        let walked = walked(written.as_bytes(), &PATHS);
        let plain = plain(written.as_bytes(), &PATHS);
        assert!(plain.is_none() || plain == walked, "{written}");
        walked
    }

    #[test]
    fn an_object_of_nothing_but_counts_is_read_the_short_way() {
        for written in [
            "{}",
            r#"{"a":1,"in":{"a":20,"b":300},"other":4}"#,
            "{\n  \"a\": 1,\n  \"in\": { \"b\" : 0 }, \"x\": null }",
            r#"{"in":null,"a":9999999999999999999}"#,
        ] {
            let plain = plain(written.as_bytes(), &PATHS);
            assert_eq!((plain.is_some(), plain), (true, told(written)), "{written}");
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
        assert_eq!((walked(not_utf8, &PATHS), plain(not_utf8, &PATHS)), (None, None));
    }
}
