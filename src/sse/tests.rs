use super::*;
use crate::usage::Usage;

const USAGE: &str = r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#;

/// The events of a stream as (bytes, kind), with what its unterminated end was.
fn events(stream: &str, size: usize) -> (Vec<(usize, EventKind)>, EventKind, Events) {
    let mut events = Events::new(Observer::openai_chat());
    let (mut ended, mut length) = (Vec::new(), 0);
    for frame in stream.as_bytes().chunks(size) {
        let mut at = events.lead(frame);
        match ended.last_mut() {
            Some((last, _)) if length == 0 => *last += at,
            _ => length += at,
        }
        while let Some(event) = events.next(&frame[at..]) {
            ended.push((length + event.end, event.kind));
            (at, length) = (at + event.end, 0);
        }
        length += frame.len() - at;
    }
    let last = events.finish();
    (ended, last, events)
}

fn kinds(stream: &str) -> Vec<EventKind> {
    let (whole, last, _) = events(stream, stream.len().max(1));
    for size in 1..stream.len() {
        let (pieced, pieced_last, _) = events(stream, size);
        assert_eq!((&pieced, pieced_last), (&whole, last), "{size} of {stream:?}");
    }
    whole.into_iter().map(|(_, kind)| kind).chain([last]).collect()
}

use EventKind::{Other, Terminal, UsageOnly};

#[test]
fn lines_end_in_any_of_three_ways() {
    for end in ["\n", "\r\n", "\r"] {
        let stream = format!("data: {USAGE}{end}{end}data: [DONE]{end}{end}");
        assert_eq!(kinds(&stream), [UsageOnly, Terminal, Other], "{end:?}");
    }
}

#[test]
fn the_space_after_the_colon_and_a_byte_order_mark_do_not_count() {
    assert_eq!(kinds("data:[DONE]\n\n"), [Terminal, Other]);
    assert_eq!(kinds("\u{feff}data: [DONE]\n\n"), [Terminal, Other]);
    assert_eq!(kinds("\u{feff}\ndata: [DONE]\n\n"), [Other, Terminal, Other]);
    assert_eq!(kinds("\n\u{feff}data: [DONE]\n\n"), [Other, Other, Other]);
}

#[test]
fn several_data_lines_are_one_document() {
    let (head, tail) = USAGE.split_at(USAGE.find("\"usage").unwrap());
    assert_eq!(kinds(&format!("data: {head}\nid: 1\ndata:{tail}\n\n")), [UsageOnly, Other]);
    // the joint is a line feed, which no number survives
    assert_eq!(kinds("data: [DO\ndata: NE]\n\n"), [Other, Other]);
}

#[test]
fn other_fields_are_stepped_over() {
    let stream = "event: x\nid: data: [DONE]\ndatas: [DONE]\n data: [DONE]\nretry: 5\ndata\n\n";
    assert_eq!(kinds(stream), [Other, Other]);
    assert_eq!(kinds("event: done\ndata: [DONE]\nid: 7\n\n"), [Terminal, Other]);
}

#[test]
fn the_word_is_data_only_at_the_beginning_of_a_line() {
    for beginning in ["x", ":", "d", "data", "data:", "data: ", "id:", "event: x", "\u{fec0}"] {
        let stream = format!("{beginning}data: {USAGE}\n\n");
        assert!(kinds(&stream).iter().all(|kind| *kind == Other), "{stream:?}");
    }
    for mark in [1, 2].map(|length| &BYTE_ORDER_MARK[..length]) {
        let mut events = Events::new(Observer::openai_chat());
        events.read_all(&[mark, format!("data: {USAGE}\n\n").as_bytes()].concat());
        assert_eq!(events.observed().usage, None);
    }
}

#[test]
fn a_comment_outside_of_an_event_does_not_wait_for_one() {
    assert_eq!(kinds(": ping\n: ping\ndata: [DONE]\n: ping\n\n"), [Other, Other, Terminal, Other]);
}

#[test]
fn an_event_that_the_stream_leaves_open_counts() {
    assert_eq!(kinds("data: [DONE]\n"), [Terminal]);
    assert_eq!(kinds("data: [DONE]"), [Terminal]);
    assert_eq!(kinds(&format!("data: {USAGE}")), [UsageOnly]);
    assert_eq!(kinds(&format!("data: {}", &USAGE[..USAGE.len() - 1])), [Other]);
    let (_, _, events) = events(&format!("data: {USAGE}\n"), 7);
    assert_eq!(events.observed().usage, Some(Usage::tokens(3, 4)));
}

#[test]
fn nothing_is_read_after_the_end_marker() {
    let (ended, last, events) = events(&format!("data: [DONE]\n\ndata: {USAGE}\n\n"), 200);
    assert_eq!((ended, last), (vec![(14, Terminal)], Other));
    assert_eq!(events.observed().usage, None);
}

#[test]
fn an_empty_stream_has_no_events() {
    assert_eq!(kinds(""), [Other]);
    assert_eq!(kinds("\n\n"), [Other, Other, Other]);
}
