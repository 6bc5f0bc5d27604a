use std::cell::RefCell;

use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// Walks to the end.
fn check(bytes: &[u8]) -> Result<(), Unreadable> {
    let mut walker = Walker::new(bytes)?;
    walker.skip()?;
    walker.finish()
}

fn fault(bytes: &[u8]) -> &'static str {
    match check(bytes) {
        Err(Unreadable::NotJson { what, .. }) => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_kind_of_garbage_has_its_error() {
    assert_eq!(fault(b""), "the end in the middle");
    assert_eq!(fault(b"  {\"a\":1"), "the end in the middle");
    assert_eq!(fault(b"[1"), "the end in the middle");
    assert_eq!(fault(b"{} x"), "bytes behind the end");
    assert_eq!(fault(b"{}{}"), "bytes behind the end");
    assert_eq!(fault(b"01"), "bytes behind the end");
    assert_eq!(fault(b"nul"), "no value");
    assert_eq!(fault(b"[1,]"), "no value");
    assert_eq!(fault(b"NaN"), "no value");
    assert_eq!(fault(b"\xef\xbb\xbf{}"), "no value");
    assert_eq!(fault(b"{a:1}"), "no key");
    assert_eq!(fault(b"{\"a\":1,}"), "no key");
    assert_eq!(fault(b"{\"a\" 1}"), "no colon");
    assert_eq!(fault(b"[1 2]"), "no comma and no end");
    assert_eq!(fault(b"[1}"), "no comma and no end");
    assert_eq!(fault(b"{\"a\":1]"), "no comma and no end");
    assert_eq!(fault(b"\"a"), "a string without end");
    assert_eq!(fault(b"\"a\tb\""), "a control character in a string");
    assert_eq!(fault(b"\"\\x\""), "an unknown escape");
    assert_eq!(fault(b"\"\\ud800\""), "half a surrogate pair");
    assert_eq!(fault(b"1e400"), "a number beyond 1e308");
    assert_eq!(fault(b"\"\xff\""), "bytes that are not UTF-8");
}

#[test]
fn a_fault_is_told_with_its_place() {
    for (body, place) in
        [(r#"{"a"  1}"#, 4), (r#"{"a":  x}"#, 7), (r#"{"a":"\x"}"#, 6), ("{}  x", 4)]
    {
        let fault = check(body.as_bytes());
        assert!(matches!(fault, Err(Unreadable::NotJson { at, .. }) if at == place), "{fault:?}");
    }
}

#[test]
fn nesting_is_read_as_deep_as_serde_json_reads_it() {
    let nested = |depth| [b"[".repeat(depth), b"]".repeat(depth)].concat();
    let deepest = nested(Walker::MOST_DEPTH);
    assert_eq!(check(&deepest), Ok(()));
    assert!(serde_json::from_slice::<Value>(&deepest).is_ok());
    let most = Walker::MOST_DEPTH;
    assert_eq!(check(&nested(most + 1)), Err(Unreadable::TooDeep { most }));
    assert_eq!(check(&b"[".repeat(1 << 20)), Err(Unreadable::TooDeep { most }));
    assert_eq!(check(&b"{\"a\":".repeat(1 << 16)), Err(Unreadable::TooDeep { most }));
}

#[test]
fn members_come_with_their_unescaped_key_and_the_range_of_their_value() {
    let body = br#" { "mod\u0065l" : "gpt-4o" ,"n":[1, {"x":2}],"z":{}} "#;
    let mut walker = Walker::new(body).unwrap();
    assert_eq!(walker.token().unwrap(), Token::Open(Nest::Object));
    let mut seen = Vec::new();
    while let Some(key) = walker.key().unwrap() {
        let span = walker.skip().unwrap();
        let value = std::str::from_utf8(&body[span.start as usize..span.end as usize]).unwrap();
        seen.push((key.read().into_owned(), value));
    }
    walker.finish().unwrap();
    let seen: Vec<_> = seen.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    assert_eq!(seen, [("model", "\"gpt-4o\""), ("n", r#"[1, {"x":2}]"#), ("z", "{}")]);
}

/// The members of an object, all of them the usual way or strings the quick way.
fn members(bytes: &[u8], quickly: bool) -> Result<Vec<(String, Span)>, Unreadable> {
    let mut walker = Walker::new(bytes)?;
    let (mut seen, latest) = (Vec::new(), RefCell::new(String::new()));
    if walker.token()? != Token::Open(Nest::Object) {
        return Ok(seen);
    }
    loop {
        let suits = |key: Text<'_>| {
            *latest.borrow_mut() = key.read().into_owned();
            !key.is("no")
        };
        while quickly && let Some(text) = walker.string_under(suits)? {
            assert!(walker.span().len() >= text.len() as u64 + 2);
            seen.push((latest.take(), walker.span()));
        }
        let Some(key) = walker.key()? else { break };
        seen.push((key.read().into_owned(), walker.skip()?));
    }
    walker.finish()?;
    Ok(seen)
}

#[test]
fn strings_are_read_the_same_the_quick_way() {
    for body in [
        r#"{"role":"user","content":"a text that is longer than a block, or two, and \"cited\""}"#,
        r#"{"role": "user", "content": "a text that is longer than a block, or two"}"#,
        r#"{ "role" : "user"  ,"no":"x","n\u006f":"x","x":{"a":"b"},"y":"z","list":["a","b"]}    "#,
        r#"{"a":"b","a key that is longer than a block":"c","":"","d":1,"e":null,"f":"g"}        "#,
        r#"{"a":"b"  "c":"d"}                    "#,
        r#"{"a":"b""c":"d"}"#,
        r#"{"a":"b" "c":"d"}"#,
        r#"{"a\:"b"}"#,
        "{\"a\n:\"b\"}",
        r#"{"a": 1, "b": "c"}"#,
        r#"{"a": "b", c":"d"}"#,
        r#"{ a":"b"}"#,
        r#"{"a":"b","c":"d                       "#,
        r#"{"a":"b",}                            "#,
        r#"{,"a":"b"}                            "#,
    ] {
        let quick = members(body.as_bytes(), true);
        assert_eq!(quick, members(body.as_bytes(), false), "{body}");
    }
}

/// The members of the objects in an array, all of them the usual way or their beginnings the
/// quick way.
fn items(bytes: &[u8], quickly: bool) -> Result<Vec<(String, Span)>, Unreadable> {
    fn members(walker: &mut Walker<'_>, seen: &mut Vec<(String, Span)>) -> Result<(), Unreadable> {
        while let Some(key) = walker.key()? {
            seen.push((key.read().into_owned(), walker.skip()?));
        }
        Ok(())
    }
    let mut walker = Walker::new(bytes)?;
    let mut seen = Vec::new();
    if walker.token()? != Token::Open(Nest::Array) {
        return Ok(seen);
    }
    loop {
        while quickly && let Some((text, ends)) = walker.string_behind(beginning)? {
            let mut span = walker.span();
            if ends {
                assert_eq!(span.len(), 1);
                span = Span { start: span.start - text.written() as u32 - 2, end: span.start };
            }
            assert!(span.len() >= text.len() as u64 + 2);
            let before = Span { start: span.start - 8, end: span.start - 5 };
            seen.extend([("a".to_owned(), before), ("c".to_owned(), span)]);
            if !ends {
                members(&mut walker, &mut seen)?;
            }
        }
        match walker.token()? {
            Token::Close => break,
            Token::Open(Nest::Object) => members(&mut walker, &mut seen)?,
            Token::Open(Nest::Array) => {
                let inside = walker.depth();
                while walker.depth() >= inside {
                    walker.token()?;
                }
            }
            _ => {}
        }
    }
    walker.finish()?;
    Ok(seen)
}

fn beginning(bytes: &[u8]) -> Option<usize> {
    const BEGINNING: &[u8] = br#"{"a":"b","c":""#;
    bytes.starts_with(BEGINNING).then_some(BEGINNING.len())
}

#[test]
fn items_are_read_the_same_the_quick_way() {
    for body in [
        r#"[{"a":"b","c":"d"},{"a":"b","c":"a text of \"some\" length, longer than a block","e":1}]"#,
        r#"[ {"a":"b","c":"d"} , {"a":"b","c":""},[{"a":"b","c":"d"}],{"a":"b","c":"d" }]"#,
        r#"[{"a":"b","c":"d"}{"a":"b","c":"d"}]"#,
        r#"[{"a":"b","c":"d"]]"#,
        r#"[{"a":"b","c":"d"#,
        r#"[,{"a":"b","c":"d"}]"#,
        r#"[{"a":"b","c":"d"},]"#,
    ] {
        assert_eq!(items(body.as_bytes(), true), items(body.as_bytes(), false), "{body}");
    }
    let deep = [b"[".repeat(Walker::MOST_DEPTH).as_slice(), br#"{"a":"b","c":"d"}"#].concat();
    let mut walker = Walker::new(&deep).unwrap();
    (0..Walker::MOST_DEPTH).for_each(|_| assert!(walker.token().is_ok()));
    assert_eq!(walker.string_behind(beginning), Ok(None));
    assert_eq!(walker.token(), Err(Unreadable::TooDeep { most: Walker::MOST_DEPTH }));
}

/// JSON, and near misses of it: fragments of the grammar in any order.
fn fragments() -> impl Strategy<Value = Vec<u8>> {
    let fragment = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\"a\"",
        "\"a\":",
        ",\"b\": \"a text that fills a block\"",
        "\"\\u00e9\"",
        "\\ud83d\\ude00",
        "\\ud83d",
        "1",
        "-",
        "0",
        ".5",
        "e9",
        "e999",
        "true",
        "false",
        "null",
        "tru",
        " ",
        "\n",
        "é",
        "\u{1}",
        "[[",
        "]]",
        "{\"k\":[",
        "]}",
        "[{\"a\":\"b\",\"c\":\"",
        ",{\"a\":\"b\",\"c\":\"x\"",
    ]);
    prop::collection::vec(fragment, 0..24).prop_map(|parts| parts.concat().into_bytes())
}

/// Whole values, as a client would write them, with white space.
pub(crate) fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // However one byte of it is changed, no number comes near the largest.
        (-1e280..1e280).prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((".{0,12}", inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes_are_json_here_if_and_only_if_serde_json_says_so(
        bytes in prop_oneof![prop::collection::vec(any::<u8>(), 0..64), fragments()],
    ) {
        let theirs = serde_json::from_slice::<Value>(&bytes);
        prop_assert_eq!(check(&bytes).is_ok(), theirs.is_ok(), "{:?} {:?}", check(&bytes), theirs);
        prop_assert_eq!(members(&bytes, true), members(&bytes, false));
        prop_assert_eq!(items(&bytes, true), items(&bytes, false));
    }

    #[test]
    fn whole_values_pass_and_a_changed_byte_is_judged_alike(
        value in values(), pretty in any::<bool>(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut bytes =
            if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.unwrap();
        prop_assert_eq!(check(&bytes), Ok(()));
        prop_assert_eq!(members(&bytes, true), members(&bytes, false));
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let theirs = serde_json::from_slice::<Value>(&bytes);
        prop_assert_eq!(check(&bytes).is_ok(), theirs.is_ok(), "{:?} {:?}", check(&bytes), theirs);
    }
}
