use std::borrow::Cow;

use proptest::prelude::*;

use super::{keys::LONGEST_KEY, *};

const KEYS: &[Key] = &[
    Key::counts("usage", 0, 64, COUNTS),
    Key::take("model", 1, 32),
    Key::enter("x_groq", &[Key::take("usage", 2, 64)]),
    Key::each("items", &[Key::take("end", 3, 64)]),
];

const COUNTS: &[Key] = &[Key::count("a", 0), Key::enter("n", &[Key::count("a", 1)])];

/// What is found the short way.
fn shortly<'a>(document: &'a [u8], keys: &[Key]) -> Option<Finds<'a>> {
    let mut finds = Finds::default();
    whole(document, keys, &mut finds).map(|()| finds)
}

/// Whether the short way and the other find the same.
fn are_same(finds: &Finds<'_>, others: &Finds<'_>) -> bool {
    let counts = |finds: &Finds<'_>| finds.counts(0, COUNTS).map(Cow::into_owned);
    finds.values == others.values
        && finds.is_whole == others.is_whole
        && counts(finds) == counts(others)
}

fn read(pieces: &[&[u8]]) -> Extractor {
    let mut extractor = Extractor::new(KEYS);
    for piece in pieces {
        extractor.feed(piece);
    }
    extractor
}

/// What is found, for every split into two pieces, which must agree.
fn found(document: &str) -> [Option<String>; 4] {
    let text = |found: Found<'_>| match found {
        Found::Absent => None,
        Found::Value(raw) => Some(String::from_utf8_lossy(raw).into_owned()),
        Found::Unusable => Some("unusable".into()),
    };
    let all =
        |extractor: &Extractor| [0, 1, 2, 3].map(|index| text(extractor.finds().found(index)));
    let at_once = read(&[document.as_bytes()]);
    if let Some(finds) = shortly(document.as_bytes(), KEYS) {
        assert!(are_same(&finds, &at_once.finds()), "{document}");
    }
    for split in 0..=document.len() {
        let (head, tail) = document.as_bytes().split_at(split);
        let split_read = read(&[head, tail]);
        assert_eq!(all(&split_read), all(&at_once), "split at {split} of {document}");
        assert_eq!(split_read.is_whole(), at_once.is_whole(), "split at {split} of {document}");
    }
    all(&at_once)
}

fn usage(document: &str) -> Option<String> {
    let [usage, ..] = found(document);
    usage
}

#[test]
fn values_at_the_top_are_taken_as_written() {
    let document =
        r#" { "model" : "gpt-4o\n" , "n":[1,{"a":"]"}], "usage": {"a": [1, "}"]} , "z":1 } "#;
    let [usage, model, ..] = found(document);
    assert_eq!(usage.as_deref(), Some(r#"{"a": [1, "}"]}"#));
    assert_eq!(model.as_deref(), Some(r#""gpt-4o\n""#));
    assert_eq!(self::usage(r#"{"usage":null}"#).as_deref(), Some("null"));
    assert_eq!(self::usage(r#"{"usage":12 ,"a":1}"#).as_deref(), Some("12"));
}

#[test]
fn a_value_may_stand_in_one_of_two_places_but_not_in_both() {
    const USAGE: Key = Key::take("usage", 0, 64);
    const EITHER: &[Key] = &[USAGE, Key::enter("response", &[USAGE]), Key::take("type", 1, 64)];
    for (document, expected) in [
        (r#"{"usage":1,"response":{"x":2}}"#, Found::Value(b"1")),
        (r#"{"response":{"usage":1},"x":{"usage":2}}"#, Found::Value(b"1")),
        (r#"{"response":[{"usage":1}],"usages":2}"#, Found::Absent),
        (r#"{"response":{"response":{"usage":1},"type":2}}"#, Found::Absent),
        (r#"{"response":{"usage":1},"usage":1}"#, Found::Unusable),
    ] {
        for split in 0..=document.len() {
            let (head, tail) = document.as_bytes().split_at(split);
            let mut extractor = Extractor::new(EITHER);
            extractor.feed(head);
            extractor.feed(tail);
            assert_eq!(extractor.finds().found(0), expected, "split at {split} of {document}");
            assert_eq!(extractor.finds().found(1), Found::Absent, "{document}");
        }
    }
}

#[test]
fn the_same_word_elsewhere_is_never_taken() {
    for document in [
        r#"{"choices":[{"usage":{"a":1}}],"x":{"usage":2}}"#,
        r#"{"content":"\"usage\":{\"a\":1}"}"#,
        r#"{"content":"\\\",\"usage\":1"}"#,
        r#"{"a":"usage","b":["usage",{"usage":1}]}"#,
        r#"[{"usage":1}]"#,
        r#""usage""#,
        r#"{"Usage":1,"usage ":2,"usag":3,"usages":4}"#,
        r#"{"x":{"x_groq":{"usage":1}},"x_groq":[{"usage":1}]}"#,
        r#"{"x_groq":{"x":{"usage":1}}}"#,
    ] {
        assert_eq!(found(document), [None, None, None, None], "{document}");
    }
}

#[test]
fn an_escaped_key_is_the_same_key() {
    assert_eq!(usage(r#"{"us\u0061ge":1}"#).as_deref(), Some("1"));
    assert_eq!(usage(r#"{"\u0075\u0073\u0061\u0067\u0065":1}"#).as_deref(), Some("1"));
    assert_eq!(usage(r#"{"us\u00zzge":1}"#), None);
}

#[test]
fn a_second_level_is_found_beside_the_first() {
    let [top, model, inner, _] =
        found(r#"{"x_groq":{"id":"r","usage":{"a":1},"model":"m"},"usage":{"b":2}}"#);
    assert_eq!(top.as_deref(), Some(r#"{"b":2}"#));
    assert_eq!(model, None);
    assert_eq!(inner.as_deref(), Some(r#"{"a":1}"#));
}

#[test]
fn a_second_level_is_found_in_the_objects_of_an_array() {
    for (document, end) in [
        (r#"{"items":[{"a":{"end":1},"end":"x"}],"usage":1}"#, Some("\"x\"")),
        (r#"{"items": [ {} , {"b":[{"end":2}]}, {"end" : [3]} ] ,"usage":1}"#, Some("[3]")),
        (r#"{"items":[null,7,"end",[{"end":1}],{"end":4}],"usage":1}"#, Some("4")),
        (r#"{"items":[{"end":1},{"end":2}],"usage":1}"#, Some("unusable")),
        (r#"{"items":[{"end":1}],"items":[{"end":1}],"usage":1}"#, Some("unusable")),
        (r#"{"items":[],"usage":1}"#, None),
        (r#"{"items":{"end":1},"end":2,"usage":1}"#, None),
        (r#"{"x":{"items":[{"end":1}]},"y":[{"end":1}],"usage":1}"#, None),
        (r#"{"items":[{"usage":2}],"usage":1}"#, None),
    ] {
        let [usage, _, _, found] = found(document);
        assert_eq!(found.as_deref(), end, "{document}");
        assert_eq!(usage.as_deref(), Some("1"), "{document}");
        assert!(read(&[document.as_bytes()]).is_whole(), "{document}");
    }
    for broken in [r#"{"items":[}]}"#, r#"{"items":[{]}"#, r#"{"items":[:]}"#, r#"{"items":[{}}"#] {
        assert!(!read(&[broken.as_bytes()]).is_whole(), "{broken}");
    }
}

#[test]
fn nothing_is_read_behind_the_end() {
    let mut extractor = Extractor::new(KEYS);
    assert_eq!(extractor.feed(br#" {"usage":1"#), 11);
    assert_eq!(extractor.feed(br#"},{"usage":2}"#), 1);
    assert_eq!(extractor.feed(b"x"), 0);
    assert_eq!(extractor.finds().found(0), Found::Value(b"1"));
}

#[test]
fn a_key_that_stands_there_twice_is_unusable() {
    assert_eq!(usage(r#"{"usage":1,"usage":1}"#).as_deref(), Some("unusable"));
    assert_eq!(usage(r#"{"usage":1,"us\u0061ge":2,"usage":3}"#).as_deref(), Some("unusable"));
    let [_, _, inner, _] = found(r#"{"x_groq":{"usage":1},"x_groq":{"usage":1}}"#);
    assert_eq!(inner.as_deref(), Some("unusable"));
}

#[test]
fn a_long_value_is_given_up_and_a_long_key_is_not_ours() {
    for (length, is_taken) in [(62, true), (63, false)] {
        let long = format!(r#"{{"usage":"{}","model":"m"}}"#, "x".repeat(length));
        assert!(shortly(long.as_bytes(), KEYS).is_some());
        let [usage, model, ..] = found(&long);
        assert_eq!(usage.as_deref() != Some("unusable"), is_taken);
        assert_eq!(model.as_deref(), Some(r#""m""#));
    }
    let key = format!(r#"{{"usage{}":1,"model":"m"}}"#, "x".repeat(1_000));
    assert_eq!(found(&key)[1].as_deref(), Some(r#""m""#));
}

#[test]
fn a_document_is_whole_once_its_root_has_closed() {
    assert!(read(&[br#"{"a":{"b":[]}}"#]).is_whole());
    assert!(read(&[b"\xEF\xBB\xBF{}"]).is_whole());
    for document in [r#"{"a":1"#, r#"{"a":}"#, r#"{"a" 1}"#, "{a:1}", "[]", "1", ""] {
        assert!(!read(&[document.as_bytes()]).is_whole(), "{document}");
    }
}

#[test]
fn reading_starts_afresh_after_a_reset() {
    for cut in [
        r#"{"usage":1,"a":"\"#,
        r#"{"usage":1,"a":[[{"#,
        r#"{"usage":1,"a":["x"#,
        r#"{"usage":1,"x_groq":{"id":"#,
        r#"{"usage":1,"items":[{"a":1"#,
        r#"{"usage":{"a":"#,
        r#"{"usage":1,"us"#,
    ] {
        let mut extractor = read(&[cut.as_bytes()]);
        extractor.reset();
        assert_eq!((extractor.finds().found(0), extractor.kept_len()), (Found::Absent, 0), "{cut}");
        extractor.feed(br#"{"":[1],"model":"m"}"#);
        let usage = extractor.finds().found(0);
        assert_eq!((usage, extractor.is_whole()), (Found::Absent, true), "{cut}");
        assert_eq!(extractor.finds().found(1), Found::Value(br#""m""#), "{cut}");
    }
}

fn json_like() -> impl Strategy<Value = Vec<u8>> {
    let token = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"",
        "\\",
        " ",
        "usage",
        "model",
        "x_groq",
        "1",
        "\"usage\":",
        "\"x_groq\":{",
        "\\u0061",
        "é",
        "{\"usage\":{\"a\":1}}",
        "{\"a\":1,\"n\":{\"a\":2}}",
        "\"a\":1",
    ]);
    prop::collection::vec(token, 0..40).prop_map(|tokens| tokens.concat().into_bytes())
}

proptest! {
    #[test]
    fn any_bytes_in_any_pieces_read_the_same_within_bounds(
        bytes in prop_oneof![json_like(), prop::collection::vec(any::<u8>(), 0..200)],
        size in 1usize..20,
    ) {
        let whole = read(&[&bytes]);
        let pieces: Vec<_> = bytes.chunks(size).collect();
        let pieced = read(&pieces);
        for index in 0..KEYS.len() {
            prop_assert_eq!(whole.finds().found(index), pieced.finds().found(index));
        }
        prop_assert_eq!(whole.is_whole(), pieced.is_whole());
        if let Some(finds) = shortly(&bytes, KEYS) {
            prop_assert!(are_same(&finds, &whole.finds()));
        }
        let most = 64 + 32 + 64 + 64;
        prop_assert!(pieced.kept_len() <= most && pieced.key_len() <= LONGEST_KEY + 1);
    }

    #[test]
    fn a_real_parser_finds_the_same(
        before in any::<String>(), model in "[ -~]{0,20}", tokens in any::<u16>(),
    ) {
        let document = serde_json::json!({
            "before": before, "list": [{"usage": 1, "text": before}],
            "model": model, "usage": {"n": tokens},
        });
        let written = document.to_string();
        let extractor = read(&[written.as_bytes()]);
        let value = |index| match extractor.finds().found(index) {
            Found::Value(raw) => serde_json::from_slice(raw).ok(),
            _ => None,
        };
        prop_assert_eq!(value(0), Some(document["usage"].clone()));
        if written.len() < 10_000 && document["model"].to_string().len() <= 32 {
            prop_assert_eq!(value(1), Some(document["model"].clone()));
        }
    }
}

#[test]
fn what_is_written_as_usual_is_read_in_one_piece() {
    for document in [
        "{}",
        r#" { "a" : [ ] , "usage" : { "n" : 1 } , "model" : "m\n" , "n" : 1.5 } behind"#,
        r#"{"x_groq":{"id":"x","usage":{}},"items":[{"a":"\"]"},{"end":1},null,[{}]],"usage":null}"#,
        r#"{"usage":1,"usage":1}"#,
        r#"{"items":[{"end":1},{"end":1}]}"#,
        r#"{"usage":"a text of more bytes than are taken from a value that goes by this name"}"#,
        "{\n  \"a\": \"a text that is longer than a block, with \\\"quotes\\\" in it\",\n  \"usage\": {}\n}",
    ] {
        let finds = shortly(document.as_bytes(), KEYS).unwrap();
        assert!(are_same(&finds, &read(&[document.as_bytes()]).finds()), "{document}");
    }
    for unusual in [
        "",
        "7",
        "{",
        "[{}]",
        "{,}",
        r#"{"a":1"#,
        r#"{"a":1,}"#,
        r#"{"a" 1}"#,
        r#"{"a":}"#,
        r#"{"us\u0061ge":1}"#,
    ] {
        assert_eq!(shortly(unusual.as_bytes(), KEYS), None, "{unusual}");
    }
}

#[test]
fn a_string_ends_wherever_its_quote_is() {
    for length in 0..70 {
        let text = "x".repeat(length);
        let document = format!(r#"{{"{text}":"{text}","n":"\"{text}\"","model":"m"}}"#);
        let finds = shortly(document.as_bytes(), KEYS).unwrap();
        assert_eq!(finds.found(1), Found::Value(br#""m""#), "{document}");
        assert!(are_same(&finds, &read(&[document.as_bytes()]).finds()), "{document}");
    }
}

#[test]
fn counts_are_read_while_they_pass_and_only_of_the_first() {
    let document = br#"{"usage":{"a":1,"n":{"a":2},"b":3},"x_groq":{"usage":{"a":9}}}"#;
    let finds = shortly(document, KEYS).unwrap();
    let counts = finds.counts(0, COUNTS).unwrap();
    assert!(matches!((&counts, counts[0], counts[1]), (Cow::Borrowed(_), Some(1), Some(2))));
    // What is more than counts is read when it is asked for, as all is that comes in pieces.
    let document = br#"{"usage":{"a":1,"text":"x"}}"#;
    for finds in [shortly(document, KEYS).unwrap(), read(&[document]).finds()] {
        let counts = finds.counts(0, COUNTS).unwrap();
        assert!(matches!((&counts, counts[0]), (Cow::Owned(_), Some(1))));
    }
    const TWO: &[Key] = &[Key::counts("x", 0, 64, COUNTS), Key::counts("y", 1, 64, COUNTS)];
    let finds = shortly(br#"{"x":{"a":1},"y":{"a":2}}"#, TWO).unwrap();
    assert_eq!([0, 1].map(|index| finds.counts(index, COUNTS).unwrap()[0]), [Some(1), Some(2)]);
    let finds = shortly(br#"{"x":{"a":1,"a":1},"y":{"a":2},"x":{}}"#, TWO).unwrap();
    assert_eq!([0, 1].map(|index| finds.counts(index, COUNTS).is_some()), [false, true]);
    let finds = shortly(br#"{"x":{"a":1},"x":{"a":1}}"#, TWO).unwrap();
    assert_eq!(finds.counts(0, COUNTS), None);
}

#[test]
fn one_wrong_byte_changes_nothing_that_pieces_would_not_tell() {
    const USUAL: &[u8] =
        br#"{"a":[1,"x\\"] ,"x_groq":{"usage":2,"b":{}},"items":[{"end":1},[3],4], "usage":{"a":5 ,"n":{"a":7},"x":null}}"#;
    let judge = |bent: &[u8]| {
        if let Some(finds) = shortly(bent, KEYS) {
            assert!(are_same(&finds, &read(&[bent]).finds()), "{}", bent.escape_ascii());
        }
    };
    assert!(shortly(USUAL, KEYS).is_some());
    for at in 0..=USUAL.len() {
        let (head, tail) = USUAL.split_at(at);
        let without = tail.get(1..).unwrap_or_default();
        judge(&[head, without].concat());
        for byte in b"{}[]:,\"\\ \t\x0Cx" {
            judge(&[head, &[*byte], tail].concat());
            judge(&[head, &[*byte], without].concat());
        }
    }
}

#[test]
fn depth_costs_no_memory() {
    let mut extractor = read(&[br#"{"a":"#]);
    let deep = "[{\"usage\":".repeat(100_000);
    extractor.feed(deep.as_bytes());
    assert_eq!((extractor.depth(), extractor.kept_len() + extractor.key_len()), (200_000, 0));
}
