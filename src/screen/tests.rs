use proptest::prelude::*;

use super::*;
use crate::provider::Observed;
use crate::provider::Observer;

const CHUNK: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n";
const USAGE: &str =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

fn screen() -> Screen {
    Screen::new(Events::new(Observer::openai_chat()))
}

fn drain(screen: &mut Screen) -> Vec<Bytes> {
    std::iter::from_fn(|| screen.pop()).collect()
}

/// What comes out of a stream, cut into frames of these sizes, over and over.
fn seen(stream: &[u8], sizes: &[usize]) -> Vec<u8> {
    screened(stream, sizes).0
}

/// As [`seen`], with what was observed.
fn screened(stream: &[u8], sizes: &[usize]) -> (Vec<u8>, Observed) {
    let (mut screen, mut rest, mut out) = (screen(), stream, Vec::new());
    let mut sizes = sizes.iter().cycle();
    while !rest.is_empty() {
        let size = sizes.next().map_or(1, |size| (*size).clamp(1, rest.len()));
        screen.push(Bytes::copy_from_slice(&rest[..size]));
        rest = &rest[size..];
        for bytes in drain(&mut screen) {
            assert!(!bytes.is_empty(), "an empty frame came out");
            out.extend_from_slice(&bytes);
        }
        assert!(screen.held.len() <= LONGEST_HIDDEN);
    }
    screen.finish();
    drain(&mut screen).iter().for_each(|bytes| out.extend_from_slice(bytes));
    assert!(!screen.is_holding());
    (out, screen.observed().clone())
}

#[track_caller]
fn assert_seen(stream: &str, expected: &str) {
    for size in 1..=stream.len() {
        let out = String::from_utf8(seen(stream.as_bytes(), &[size])).unwrap();
        assert_eq!(out, expected, "in frames of {size}");
    }
}

#[test]
fn the_usage_chunk_is_taken_out_and_nothing_else() {
    assert_seen(&[CHUNK, CHUNK, USAGE, DONE].concat(), &[CHUNK, CHUNK, DONE].concat());
    assert_seen(&[USAGE, CHUNK].concat(), CHUNK);
    assert_seen(USAGE, "");
    assert_seen(&[USAGE, USAGE, DONE].concat(), DONE);
    for end in ["\r\n", "\r"] {
        let with = |text: &str| text.replace('\n', end);
        assert_seen(&with(&[CHUNK, USAGE, DONE].concat()), &with(&[CHUNK, DONE].concat()));
        assert_seen(&with(&[USAGE, CHUNK].concat()), &with(CHUNK));
    }
}

#[test]
fn what_follows_the_end_marker_passes() {
    assert_seen(&[DONE, USAGE].concat(), &[DONE, USAGE].concat());
}

#[test]
fn an_open_end_comes_out_unless_it_is_the_usage_chunk() {
    assert_seen(&[CHUNK, "data: {\"choi"].concat(), &[CHUNK, "data: {\"choi"].concat());
    assert_seen(&[CHUNK, USAGE.trim_end()].concat(), CHUNK);
    assert_seen(&[CHUNK, &USAGE[..USAGE.len() - 1]].concat(), CHUNK);
    let cut = [CHUNK, &USAGE[..USAGE.len() - 3]].concat();
    assert_seen(&cut, &cut);
}

#[test]
fn complete_events_are_the_frames_own_bytes() {
    let mut screen = screen();
    let frame = Bytes::from([CHUNK, CHUNK].concat());
    screen.push(frame.clone());
    let out = drain(&mut screen);
    assert_eq!((out.len(), out[0].as_ptr(), out[0].len()), (1, frame.as_ptr(), frame.len()));

    let mixed = Bytes::from([CHUNK, USAGE, DONE].concat());
    screen.push(mixed.clone());
    let out = drain(&mut screen);
    assert_eq!(out, [CHUNK, DONE]);
    assert_eq!(out[1].as_ptr(), mixed[CHUNK.len() + USAGE.len()..].as_ptr());
}

#[test]
fn only_an_events_beginning_waits() {
    let mut screen = screen();
    screen.push(Bytes::from([CHUNK, &CHUNK[..9]].concat()));
    assert_eq!(drain(&mut screen), [CHUNK]);
    assert!(screen.is_holding());
    screen.push(Bytes::from(CHUNK[9..].to_owned()));
    assert_eq!(drain(&mut screen), [&CHUNK[..9], &CHUNK[9..]]);
    assert!(!screen.is_holding());
}

#[test]
fn a_long_event_passes_as_it_comes_and_the_next_is_screened_again() {
    let long =
        format!("data: {{\"choices\":[],\"usage\":{{}},\"x\":\"{}\"}}\n\n", "x".repeat(70_000));
    let stream = [CHUNK, &long, USAGE, DONE].concat();
    let expected = [CHUNK, &long, DONE].concat();
    for size in [1, 1_000, 65_536, stream.len()] {
        assert_eq!(seen(stream.as_bytes(), &[size]), expected.as_bytes(), "in frames of {size}");
    }
}

#[test]
fn debug_does_not_tell_the_answer() {
    let mut screen = screen();
    screen.push(Bytes::from_static(b"data: {\"model\":\"m\"}\n\ndata: secret"));
    let text = format!("{screen:?}");
    assert!(text.contains("held: 12") && !text.contains("secret"), "{text}");
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let part = prop::sample::select(vec![
        CHUNK,
        USAGE,
        DONE,
        "\n",
        "\r",
        "\r\n",
        "data:",
        ": ping\n",
        "\u{feff}",
        "event: x\n",
        "id\n",
        "data: {\"choices\":[],\"usage\":{}}\r\n\r\n",
        "data: {\"choices\":[],\ndata: \"usage\":{}}\n\n",
        "data: {\"choices\":[],\"usage\":{}}\r\r",
        "data: {\"choices\":[],\"usage\":null}\n\n",
        "{\"usage\":",
        "é",
        "}",
        "x",
    ]);
    prop_oneof![
        4 => prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..200),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn what_comes_out_does_not_depend_on_the_frames(
        stream in stream(), sizes in prop::collection::vec(1usize..60, 1..8),
    ) {
        let whole = screened(&stream, &[stream.len()]);
        prop_assert_eq!(&screened(&stream, &sizes), &whole);
        // unhidden, the same is observed
        let mut events = Events::new(Observer::openai_chat());
        stream.chunks(sizes[0]).for_each(|frame| events.read_all(frame));
        events.finish();
        prop_assert_eq!(events.observed(), &whole.1);
    }

    #[test]
    fn what_comes_out_is_what_went_in_less_the_hidden(
        chunks in prop::collection::vec(any::<(bool, bool)>(), 0..12), size in 1usize..300,
    ) {
        let end = |crlf: bool, text: &str| if crlf { text.replace('\n', "\r\n") } else { text.into() };
        let stream: String =
            chunks.iter().map(|(is_usage, crlf)| end(*crlf, if *is_usage { USAGE } else { CHUNK })).collect();
        let expected: String =
            chunks.iter().filter(|(is_usage, _)| !is_usage).map(|(_, crlf)| end(*crlf, CHUNK)).collect();
        prop_assert_eq!(seen(stream.as_bytes(), &[size]), expected.into_bytes());
    }
}
