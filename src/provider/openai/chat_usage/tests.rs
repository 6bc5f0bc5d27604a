use super::*;
use crate::provider::observe::Observer;

fn observed(document: &str) -> Observed {
    let mut observer = Observer::openai_chat();
    observer.feed(document.as_bytes());
    observer.end_document();
    observer.observed().clone()
}

fn usage(usage: &str) -> Option<Usage> {
    let observed = observed(&format!(r#"{{"usage":{usage}}}"#));
    assert_eq!(observed.contradictory, observed.usage.is_none(), "{usage}");
    observed.usage
}

fn kind(data: &str) -> EventKind {
    let mut observer = Observer::openai_chat();
    observer.feed(data.as_bytes());
    observer.end_event()
}

#[test]
fn parts_inside_their_whole_are_openais_way() {
    let told = usage(
        r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
        "prompt_tokens_details":{"cached_tokens":80,"audio_tokens":7,"cache_write_tokens":10},
        "completion_tokens_details":{"reasoning_tokens":30,"audio_tokens":2},"cost":0.1}"#,
    );
    let expected = Usage {
        cached_input_tokens: 80,
        cache_write_tokens: 10,
        input_audio_tokens: 7,
        reasoning_tokens: 30,
        output_audio_tokens: 2,
        ..Usage::tokens(100, 50)
    };
    assert_eq!(told, Some(expected));
}

#[test]
fn what_the_total_holds_beside_its_parts_is_added() {
    let xai = r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":45,
        "completion_tokens_details":{"reasoning_tokens":30}}"#;
    assert_eq!(usage(xai), Some(Usage { reasoning_tokens: 30, ..Usage::tokens(10, 35) }));
    let mistral = r#"{"prompt_tokens":11,"completion_tokens":15,"total_tokens":401,
        "prompt_tokens_details":{"audio_tokens":375,"cached_tokens":9}}"#;
    let audio = Usage { input_audio_tokens: 375, cached_input_tokens: 9, ..Usage::tokens(386, 15) };
    assert_eq!(usage(mistral), Some(audio));
    let gemini = r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":115}"#;
    assert_eq!(usage(gemini), Some(Usage::tokens(10, 105)));
    let cache = r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":95,
        "cache_read_input_tokens":60,"cache_creation_input_tokens":20}"#;
    let read = Usage { cached_input_tokens: 60, cache_write_tokens: 20, ..Usage::tokens(90, 5) };
    assert_eq!(usage(cache), Some(read));
}

#[test]
fn reasoning_above_the_completion_is_cut_or_added_as_the_total_says() {
    let inside = r#"{"prompt_tokens":42,"completion_tokens":16,"total_tokens":58,
        "completion_tokens_details":{"reasoning_tokens":19}}"#;
    assert_eq!(usage(inside), Some(Usage { reasoning_tokens: 16, ..Usage::tokens(42, 16) }));
    let unsaid = r#"{"prompt_tokens":42,"completion_tokens":16,"reasoning_tokens":19}"#;
    assert_eq!(usage(unsaid), Some(Usage { reasoning_tokens: 19, ..Usage::tokens(42, 35) }));
}

#[test]
fn other_hosts_names_for_the_cache_are_known() {
    let deepseek = r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_cache_hit_tokens":8}"#;
    assert_eq!(usage(deepseek), Some(Usage { cached_input_tokens: 8, ..Usage::tokens(10, 5) }));
    let written = r#"{"prompt_tokens":10,"completion_tokens":5,"cache_creation_input_tokens":8,
        "cache_creation":{"ephemeral_1h_input_tokens":6}}"#;
    let expected =
        Usage { cache_write_tokens: 2, cache_write_1h_tokens: 6, ..Usage::tokens(10, 5) };
    assert_eq!(usage(written), Some(expected));
}

#[test]
fn what_makes_no_sense_is_no_usage() {
    for senseless in [
        "{}",
        "7",
        "[]",
        r#""none""#,
        r#"{"prompt_tokens":1}"#,
        r#"{"prompt_tokens":-1,"completion_tokens":1}"#,
        r#"{"prompt_tokens":1.5,"completion_tokens":1}"#,
        r#"{"prompt_tokens":"1","completion_tokens":1}"#,
        r#"{"prompt_tokens":1,"prompt_tokens":1,"completion_tokens":1}"#,
        r#"{"prompt_tokens":1,"completion_tokens":1e300}"#,
        r#"{"prompt_tokens":1,"completion_tokens":18446744073709551615}"#,
        r#"{"prompt_tokens":1,"completion_tokens":1,"total_tokens":18446744073709551615}"#,
        r#"{"prompt_tokens":5,"completion_tokens":5,"total_tokens":9}"#,
        r#"{"prompt_tokens":5,"completion_tokens":5,"cached_tokens":6}"#,
        r#"{"prompt_tokens":5,"completion_tokens":5,"reasoning_tokens":18446744073709551615}"#,
        r#"{"prompt_tokens":5,"completion_tokens":5},"usage":{"prompt_tokens":1,"completion_tokens":1}"#,
    ] {
        assert_eq!(usage(senseless), None, "{senseless}");
    }
}

#[test]
fn null_and_zeros_say_nothing() {
    for silent in ["null", r#"{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#] {
        let observed = observed(&format!(r#"{{"usage":{silent}}}"#));
        assert_eq!((observed.usage, observed.contradictory), (None, false), "{silent}");
    }
}

#[test]
fn groqs_own_place_is_read_if_the_usual_one_is_empty() {
    let nested = r#"{"usage":null,"x_groq":{"usage":{"prompt_tokens":1,"completion_tokens":2}}}"#;
    assert_eq!(observed(nested).usage, Some(Usage::tokens(1, 2)));
    let both = r#"{"x_groq":{"usage":{"prompt_tokens":1,"completion_tokens":2}},
        "usage":{"prompt_tokens":3,"completion_tokens":4}}"#;
    assert_eq!(observed(both).usage, Some(Usage::tokens(3, 4)));
}

#[test]
fn only_an_empty_choice_with_a_usage_object_is_the_extra_chunk() {
    assert_eq!(kind(r#"{"choices":[],"usage":{}}"#), EventKind::UsageOnly);
    assert_eq!(kind(r#"{"usage":{"a":1},"choices":[ ]}"#), EventKind::UsageOnly);
    for other in [
        r#"{"choices":[],"usage":null}"#,
        r#"{"choices":[]}"#,
        r#"{"usage":{}}"#,
        r#"{"choices":[{}],"usage":{}}"#,
        r#"{"choices":[],"usage":{}"#,
        r#"{"choices":[],"choices":[],"usage":{}}"#,
        r#"{"choices":{},"usage":{}}"#,
        r#"{"choices":[],"x_groq":{"usage":{}}}"#,
    ] {
        assert_eq!(kind(other), EventKind::Other, "{other}");
    }
}
