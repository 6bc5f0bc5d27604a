use super::*;
use crate::{provider::Observer, sse::Events};

fn document(document: &str) -> Observed {
    let mut observer = Observer::new(&DIALECT);
    observer.feed(document.as_bytes());
    observer.end_document();
    observer.observed().clone()
}

/// What a stream tells and whether it was over before its end, the same for every
/// split into two pieces.
fn stream(stream: &str) -> (Observed, bool) {
    let read = |pieces: [&str; 2]| {
        let mut events = Events::new(Observer::new(&DIALECT));
        pieces.iter().for_each(|piece| events.read_all(piece.as_bytes()));
        let is_over = events.is_over();
        events.finish();
        (events.observed().clone(), is_over)
    };
    let whole = read([stream, ""]);
    for at in 0..stream.len() {
        assert_eq!(read([&stream[..at], &stream[at..]]), whole, "split at {at} of {stream}");
    }
    whole
}

const USAGE: &str = r#"{"input_tokens":100,"input_tokens_details":{"cached_tokens":80,
    "cache_write_tokens":10,"audio_tokens":5},"output_tokens":50,
    "output_tokens_details":{"reasoning_tokens":30,"audio_tokens":2},"total_tokens":150}"#;

fn expected() -> Usage {
    Usage {
        cached_input_tokens: 80,
        cache_write_tokens: 10,
        input_audio_tokens: 5,
        reasoning_tokens: 30,
        output_audio_tokens: 2,
        ..Usage::tokens(100, 50)
    }
}

#[test]
fn a_document_is_the_response_itself() {
    let told = document(&format!(
        r#"{{"object":"response","model":"gpt-5-2025","service_tier":"flex","usage":{USAGE},
        "output":[{{"usage":{{"input_tokens":1}}}}],"type":"response.failed"}}"#
    ));
    assert_eq!((told.usage, told.contradictory, told.is_final), (Some(expected()), false, true));
    assert_eq!(told.model.as_deref(), Some("gpt-5-2025"));
    assert_eq!(told.service_tier.as_deref(), Some("flex"));
}

#[test]
fn the_last_event_of_a_stream_has_the_usage_and_ends_it() {
    for last in ["completed", "incomplete", "failed"] {
        let (told, is_over) = stream(&format!(
            "event: response.created\ndata: {{\"type\":\"response.created\",\"response\":\
            {{\"model\":\"gpt-5\",\"service_tier\":\"auto\",\"usage\":null}}}}\n\n\
            data: {{\"type\":\"response.output_text.delta\",\"delta\":\"response.completed\"}}\n\n\
            data: {{\"type\":\"response.{last}\",\"response\":{{\"service_tier\":\"default\",\
            \"usage\":{}}}}}\n\n",
            USAGE.replace('\n', "")
        ));
        assert_eq!((told.usage, told.is_final, is_over), (Some(expected()), true, true), "{last}");
        assert_eq!(told.model.as_deref(), Some("gpt-5"));
        assert_eq!(told.service_tier.as_deref(), Some("default"));
    }
}

#[test]
fn only_those_events_end_a_stream() {
    for data in [
        r#"{"type":"response.in_progress","response":{"usage":null}}"#,
        r#"{"type":"response.output_text.done","text":"response.completed"}"#,
        r#"{"type":"error","message":"x"}"#,
        r#"{"response":{"type":"response.completed"}}"#,
        r#"{"type":"response.completed","response":{"usage":null}"#,
    ] {
        let (told, is_over) = stream(&format!("data: {data}\n\n"));
        assert_eq!((told.is_final, is_over), (false, false), "{data}");
    }
    let (told, is_over) = stream("data: [DONE]\n\n");
    assert!(told.is_final && is_over);
    let (told, _) =
        stream("data: {\"type\":\"response.failed\",\"response\":{\"usage\":null}}\n\n");
    assert_eq!((told.usage, told.contradictory, told.is_final), (None, false, true));
}

#[test]
fn what_the_total_holds_beside_its_parts_is_added() {
    let beside = r#"{"usage":{"input_tokens":10,"output_tokens":5,"total_tokens":45,
        "output_tokens_details":{"reasoning_tokens":30}}}"#;
    let usage = Usage { reasoning_tokens: 30, ..Usage::tokens(10, 35) };
    assert_eq!(document(beside).usage, Some(usage));
}

#[test]
fn the_providers_own_tools_are_counted() {
    let tools = r#"{"image_gen":{"input_tokens":40,"output_tokens":1000,"total_tokens":1040},
        "web_search":{"num_requests":3}}"#;
    let told = document(&format!(r#"{{"usage":{USAGE},"tool_usage":{tools}}}"#));
    let usage = Usage { web_searches: 3, input_tokens: 140, output_tokens: 1050, ..expected() };
    assert_eq!(told.usage, Some(usage));
    let event = format!(r#"{{"response":{{"usage":{USAGE},"tool_usage":{tools}}}}}"#);
    assert_eq!(document(&event).usage, Some(usage));
    assert!(
        told.told().tells_searches
            && !document(&format!(r#"{{"usage":{USAGE}}}"#)).told().tells_searches
    );
    let empty = format!(r#"{{"usage":{USAGE},"tool_usage":{{"image_gen":null}}}}"#);
    assert_eq!(document(&empty).usage, Some(expected()));
}

#[test]
fn nonsense_is_flagged() {
    for nonsense in [
        r#"{"usage":{"input_tokens":10,"output_tokens":5,"total_tokens":14}}"#,
        r#"{"usage":{"input_tokens":10}}"#,
        r#"{"usage":{"input_tokens":-1,"output_tokens":5}}"#,
        r#"{"usage":{"input_tokens":1e3,"output_tokens":5}}"#,
        r#"{"usage":{"input_tokens":10,"output_tokens":5,"output_tokens":5}}"#,
        r#"{"usage":{"input_tokens":10,"output_tokens":99999999999999}}"#,
        r#"{"usage":{"input_tokens":10,"output_tokens":5,"input_tokens_details":{"cached_tokens":11}}}"#,
        r#"{"usage":{"input_tokens":10,"output_tokens":5},"tool_usage":[1]}"#,
        r#"{"usage":{"input_tokens":10,"output_tokens":5},"tool_usage":{"image_gen":{"input_tokens":18446744073709551615}}}"#,
        r#"{"usage":{},"usage":{}}"#,
        r#"{"usage":[]}"#,
    ] {
        let told = document(nonsense);
        assert!(told.contradictory && told.usage.is_none(), "{nonsense}: {told:?}");
    }
}

#[test]
fn what_an_event_tells_before_the_last_one_is_partial() {
    let event = |kind: &str, output: u64| {
        format!(
            "data: {{\"type\":\"response.{kind}\",\"response\":{{\"usage\":\
             {{\"input_tokens\":9,\"output_tokens\":{output}}}}}}}\n\n"
        )
    };
    let (told, is_over) = stream(&event("in_progress", 1));
    assert_eq!((told.usage, told.is_partial, is_over), (Some(Usage::tokens(9, 1)), true, false));
    let (told, is_over) = stream(&(event("in_progress", 1) + &event("completed", 7)));
    assert_eq!((told.usage, told.is_partial, is_over), (Some(Usage::tokens(9, 7)), false, true));
}
