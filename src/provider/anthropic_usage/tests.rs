use super::*;
use crate::provider::observe::Observer;

fn observed(document: &str) -> Observed {
    let mut observer = Observer::new(&DIALECT);
    observer.feed(document.as_bytes());
    observer.end_document();
    observer.observed().clone()
}

fn usage(usage: &str) -> Option<Usage> {
    let observed = observed(&format!(r#"{{"type":"message","usage":{usage}}}"#));
    assert_eq!(observed.contradictory, observed.usage.is_none(), "{usage}");
    assert!(observed.is_final, "{usage}");
    observed.usage
}

/// What is known after each event.
fn streamed(events: &[&str]) -> Vec<Observed> {
    let mut observer = Observer::new(&DIALECT);
    let after = |event: &&str| {
        observer.feed(event.as_bytes());
        observer.end_event();
        observer.observed().clone()
    };
    events.iter().map(after).collect()
}

const START: &str = r#"{"type":"message_start","message":{"type":"message","model":"claude-x",
    "usage":{"input_tokens":10,"cache_read_input_tokens":5,"cache_creation_input_tokens":7,
    "cache_creation":{"ephemeral_5m_input_tokens":3,"ephemeral_1h_input_tokens":4},"output_tokens":1,
    "service_tier":"standard","inference_geo":"us"}}}"#;
const TEXT: &str =
    r#"{"type":"content_block_delta","delta":{"text":"\"usage\":{}","stop_reason":null}}"#;
const DELTA: &str =
    r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":20}}"#;
const STOP: &str = r#"{"type":"message_stop"}"#;

#[test]
fn the_cache_is_counted_beside_the_input() {
    let told = usage(
        r#"{"input_tokens":100,"cache_read_input_tokens":50,"cache_creation_input_tokens":30,
        "cache_creation":{"ephemeral_5m_input_tokens":20,"ephemeral_1h_input_tokens":10},
        "output_tokens":40,"output_tokens_details":{"thinking_tokens":25},
        "server_tool_use":{"web_search_requests":2,"web_fetch_requests":9}}"#,
    );
    let expected = Usage {
        cached_input_tokens: 50,
        cache_write_tokens: 20,
        cache_write_1h_tokens: 10,
        reasoning_tokens: 25,
        web_searches: 2,
        ..Usage::tokens(180, 40)
    };
    assert_eq!(told, Some(expected));
    let plain = r#"{"input_tokens":1,"output_tokens":2,"cache_creation":null,"server_tool_use":null,
        "cache_read_input_tokens":null,"inference_geo":null,"service_tier":null,"iterations":null}"#;
    assert_eq!(usage(plain), Some(Usage::tokens(1, 2)));
}

#[test]
fn a_cache_without_a_lifetime_is_of_five_minutes_unless_the_rest_lives_longer() {
    let told = usage(r#"{"input_tokens":1,"output_tokens":1,"cache_creation_input_tokens":9}"#);
    assert_eq!(told, Some(Usage { cache_write_tokens: 9, ..Usage::tokens(10, 1) }));
    let told = usage(
        r#"{"input_tokens":1,"output_tokens":1,"cache_creation_input_tokens":9,
        "cache_creation":{"ephemeral_1h_input_tokens":2}}"#,
    );
    assert_eq!(told, Some(Usage { cache_write_1h_tokens: 9, ..Usage::tokens(10, 1) }));
    let told = usage(
        r#"{"input_tokens":1,"output_tokens":1,"cache_creation":{"ephemeral_5m_input_tokens":2}}"#,
    );
    assert_eq!(told, Some(Usage { cache_write_tokens: 2, ..Usage::tokens(3, 1) }));
}

#[test]
fn a_streams_counts_are_laid_over_those_of_its_start() {
    let seen = streamed(&[START, TEXT, DELTA, STOP]);
    let input = Usage {
        cached_input_tokens: 5,
        cache_write_tokens: 3,
        cache_write_1h_tokens: 4,
        ..Usage::tokens(22, 1)
    };
    for (index, output, partial, over) in
        [(0, 1, true, false), (1, 1, true, false), (2, 20, false, false), (3, 20, false, true)]
    {
        let seen = &seen[index];
        assert_eq!(seen.usage, Some(Usage { output_tokens: output, ..input }), "{index}");
        assert_eq!((seen.is_partial, seen.is_final), (partial, over), "{index}");
        assert_eq!(seen.model.as_deref(), Some("claude-x"));
        assert_eq!(seen.service_tier.as_deref(), Some("standard"));
        assert_eq!((seen.region.as_deref(), seen.told().tells_searches), (Some("us"), true));
    }
}

#[test]
fn a_running_count_is_partial_until_the_model_has_stopped() {
    let running = r#"{"type":"message_delta","delta":{},"usage":{"output_tokens":9}}"#;
    let stopped = r#"{"type":"message_delta","delta":{"stop_reason":"pause_turn"}}"#;
    let partial = |events: &[&str]| streamed(events).last().unwrap().is_partial;
    assert!(partial(&[START, running]));
    assert!(partial(&[START, stopped]));
    assert!(!partial(&[START, running, stopped]));
    assert!(!partial(&[START, stopped, running]));
    let error = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    assert!(partial(&[START, TEXT, error]));
    // one that ends without counts is not known to have had no more
    let seen = streamed(&[START, STOP]);
    assert!(seen[1].is_partial && seen[1].is_final);
}

#[test]
fn a_gateway_may_send_zeros_until_it_knows() {
    let zeros =
        r#"{"type":"message_start","message":{"usage":{"input_tokens":0,"output_tokens":0}}}"#;
    let full = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},
        "usage":{"input_tokens":3,"output_tokens":4}}"#;
    let seen = streamed(&[zeros, full]);
    assert_eq!((seen[0].usage, seen[0].contradictory), (None, false));
    assert_eq!((seen[1].usage, seen[1].is_partial), (Some(Usage::tokens(3, 4)), false));
    // counts of the output alone are not enough
    let seen = streamed(&[DELTA]);
    assert_eq!((seen[0].usage, seen[0].contradictory), (None, true));
}

#[test]
fn iterations_other_than_messages_are_billed_on_top() {
    let told = usage(
        r#"{"input_tokens":200,"output_tokens":20,"iterations":[
        {"type":"compaction","input_tokens":50000,"output_tokens":4000,"cache_read_input_tokens":7,
         "cache_creation":{"ephemeral_1h_input_tokens":9}},
        {"type":"message","input_tokens":200,"output_tokens":20},
        {"type":"novelty"}]}"#,
    );
    let expected =
        Usage { cached_input_tokens: 7, cache_write_1h_tokens: 9, ..Usage::tokens(50_216, 4_020) };
    assert_eq!(told, Some(expected));
}

#[test]
fn iterations_are_counted_once_however_often_they_are_told() {
    let delta = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":20,
        "iterations":[{"type":"compaction","input_tokens":100,"output_tokens":30}]}}"#;
    let seen = streamed(&[START, delta, delta]);
    assert_eq!(streamed(&[START, delta, DELTA])[2].usage, seen[2].usage);
    assert_eq!((seen[1].usage, seen[1].is_partial), (seen[2].usage, false));
    assert_eq!(seen[2].usage.map(|usage| usage.input_tokens), Some(122));
    assert_eq!(seen[2].usage.map(|usage| usage.output_tokens), Some(50));
}

#[test]
fn what_another_model_did_leaves_the_usage_partial() {
    let advised = |model: &str| {
        observed(&format!(
            r#"{{"model":"claude-x","usage":{{"input_tokens":1,"output_tokens":1,"iterations":[
            {{"type":"advisor_message","model":"{model}","input_tokens":5,"output_tokens":6}}]}}}}"#
        ))
    };
    assert_eq!(advised("claude-y").usage, Some(Usage::tokens(6, 7)));
    assert!(advised("claude-y").is_partial && !advised("claude-x").is_partial);
}

#[test]
fn a_fast_answer_is_told_by_its_speed() {
    let tier = |usage: &str| {
        let observed =
            observed(&format!(r#"{{"usage":{{"input_tokens":1,"output_tokens":1,{usage}}}}}"#));
        observed.service_tier.unwrap_or_default()
    };
    assert_eq!(tier(r#""service_tier":"priority""#), "priority");
    assert_eq!(tier(r#""service_tier":"standard","speed":"fast""#), "fast");
    assert_eq!(tier(r#""service_tier":"standard","speed":"standard""#), "standard");
    assert_eq!(tier(r#""service_tier":null,"speed":"standard""#), "");
}

#[test]
fn what_makes_no_sense_is_no_usage() {
    for senseless in [
        "{}",
        "7",
        "[]",
        r#"{"input_tokens":1}"#,
        r#"{"output_tokens":1}"#,
        r#"{"input_tokens":-1,"output_tokens":1}"#,
        r#"{"input_tokens":1.5,"output_tokens":1}"#,
        r#"{"input_tokens":"1","output_tokens":1}"#,
        r#"{"input_tokens":1,"input_tokens":1,"output_tokens":1}"#,
        r#"{"input_tokens":1,"output_tokens":18446744073709551615}"#,
        r#"{"input_tokens":1,"output_tokens":1,"cache_read_input_tokens":18446744073709551615}"#,
        r#"{"input_tokens":1,"output_tokens":1,"iterations":[{"input_tokens":18446744073709551615}]}"#,
        r#"{"input_tokens":1,"output_tokens":1,"iterations":{}}"#,
        r#"{"input_tokens":5,"output_tokens":5},"usage":{"input_tokens":1,"output_tokens":1}"#,
    ] {
        assert_eq!(usage(senseless), None, "{senseless}");
    }
}

#[test]
fn a_word_in_the_answer_changes_nothing() {
    let seen = streamed(&[
        START,
        r#"{"type":"content_block_delta","delta":{"partial_json":"{\"type\":\"message_stop\",\"usage\":1}"}}"#,
        r#"{"type":"content_block_start","content_block":{"type":"message_stop","usage":{"input_tokens":1}}}"#,
        r#"{"type":"content_block_stop","x":{"message":{"usage":{"input_tokens":1,"output_tokens":1}}}}"#,
    ]);
    assert!(seen.iter().all(|observed| observed == &seen[0] && !observed.is_final));
}
