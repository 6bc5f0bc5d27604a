use super::*;
use crate::provider::observe::Observer;

fn observed(document: &str) -> Observed {
    let mut observer = Observer::new(&DIALECT);
    observer.feed(document.as_bytes());
    observer.end_document();
    observer.observed().clone()
}

fn usage(usage: &str) -> Option<Usage> {
    let observed = observed(&format!(r#"{{"usageMetadata":{usage}}}"#));
    assert_eq!(observed.contradictory, observed.usage.is_none(), "{usage}");
    assert!(observed.is_final && !observed.is_partial, "{usage}");
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

/// What is known of an array of chunks, however it is cut in two.
fn listed(array: &str) -> Observed {
    let read = |split: usize| {
        let (head, tail) = array.as_bytes().split_at(split);
        let mut observer = Observer::new(&DIALECT);
        observer.feed(head);
        observer.feed(tail);
        observer.end_document();
        observer.observed().clone()
    };
    let whole = read(0);
    for split in 0..=array.len() {
        assert_eq!(read(split), whole, "split at {split}");
    }
    whole
}

const FIRST: &str = r#"{"candidates":[{"content":{"parts":[{"text":"}]"}]},"index":0}],
    "usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":2,"totalTokenCount":12},
    "modelVersion":"gemini-2.5-flash"}"#;
const LAST: &str = r#"{"candidates":[{"content":{},"finishReason":"STOP","index":0}],
    "usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":8,"thoughtsTokenCount":5,
    "totalTokenCount":23},"modelVersion":"gemini-2.5-flash"}"#;

fn last() -> Usage {
    Usage { reasoning_tokens: 5, ..Usage::tokens(10, 13) }
}

#[test]
fn thoughts_and_tool_prompts_are_counted_beside_and_the_cache_inside() {
    let told = usage(
        r#"{"promptTokenCount":100,"cachedContentTokenCount":60,"toolUsePromptTokenCount":30,
        "candidatesTokenCount":20,"thoughtsTokenCount":40,"totalTokenCount":190,"serviceTier":"standard"}"#,
    );
    let expected =
        Usage { cached_input_tokens: 60, reasoning_tokens: 40, ..Usage::tokens(130, 60) };
    assert_eq!(told, Some(expected));
    let blocked = r#"{"promptTokenCount":5,"totalTokenCount":5}"#;
    assert_eq!(usage(blocked), Some(Usage::tokens(5, 0)));
}

#[test]
fn what_only_the_total_knows_is_output() {
    let hidden = r#"{"promptTokenCount":5,"candidatesTokenCount":3,"totalTokenCount":30}"#;
    assert_eq!(usage(hidden), Some(Usage::tokens(5, 25)));
    let short = r#"{"promptTokenCount":5,"candidatesTokenCount":3,"totalTokenCount":5}"#;
    assert_eq!(usage(short), Some(Usage::tokens(5, 3)));
}

#[test]
fn audio_is_told_by_name_or_by_number() {
    for modality in ["\"AUDIO\"", "4"] {
        let details = |tokens: u64| {
            format!(
                r#"[{{"modality":"TEXT","tokenCount":1}},{{"modality":{modality},"tokenCount":{tokens}}}]"#
            )
        };
        let told = usage(&format!(
            r#"{{"promptTokenCount":100,"cachedContentTokenCount":50,"toolUsePromptTokenCount":9,
            "candidatesTokenCount":20,"totalTokenCount":129,"promptTokensDetails":{},
            "cacheTokensDetails":{},"candidatesTokensDetails":{},"toolUsePromptTokensDetails":{}}}"#,
            details(70),
            details(40),
            details(12),
            details(3),
        ));
        let expected = Usage {
            cached_input_tokens: 50,
            input_audio_tokens: 73,
            cached_audio_tokens: 40,
            output_audio_tokens: 12,
            ..Usage::tokens(109, 20)
        };
        assert_eq!(told, Some(expected));
    }
    let odd =
        r#"{"promptTokenCount":5,"promptTokensDetails":[{"modality":"AUDIO","tokenCount":9},{}]}"#;
    assert_eq!(usage(odd), Some(Usage { input_audio_tokens: 5, ..Usage::tokens(5, 0) }));
}

#[test]
fn of_a_streams_running_totals_the_largest_count() {
    let fewer =
        r#"{"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":3,"totalTokenCount":12}}"#;
    let seen = streamed(&[FIRST, LAST, fewer]);
    assert_eq!((seen[0].usage, seen[0].is_partial), (Some(Usage::tokens(10, 2)), true));
    assert_eq!((seen[1].usage, seen[1].is_partial), (Some(last()), false));
    assert_eq!((seen[2].usage, seen[2].is_partial), (Some(last()), false));
    assert!(!seen[2].is_final, "a stream of events ends with its body");
    let blocked =
        r#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":4}}"#;
    let seen = streamed(&[blocked]);
    assert_eq!((seen[0].usage, seen[0].is_partial), (Some(Usage::tokens(4, 0)), false));
    let error = r#"{"error":{"code":503,"status":"UNAVAILABLE"}}"#;
    assert!(streamed(&[FIRST, error])[1].is_partial);
}

#[test]
fn a_senseless_usage_is_flagged_until_a_better_one_comes() {
    let senseless = r#"{"usageMetadata":{"promptTokenCount":-1}}"#;
    let grounded = r#"{"candidates":[{"groundingMetadata":{"webSearchQueries":["a"]}}]}"#;
    let seen = streamed(&[FIRST, senseless, grounded, LAST]);
    assert_eq!((seen[1].usage, seen[1].contradictory), (Some(Usage::tokens(10, 2)), true));
    assert!(seen[2].contradictory && !seen[3].contradictory);
    assert_eq!(seen[3].usage, Some(Usage { web_searches: 1, ..last() }));
    // the queries of a search may come behind the counts
    let seen = streamed(&[LAST, grounded]);
    assert_eq!(seen[1].usage, Some(Usage { web_searches: 1, ..last() }));
}

#[test]
fn an_array_of_chunks_is_read_as_the_events_are() {
    let seen = listed(&format!(" [{FIRST}\n,\r\n{LAST}\n]\n"));
    assert_eq!((seen.usage, seen.is_partial, seen.is_final), (Some(last()), false, true));
    assert_eq!(seen.model.as_deref(), Some("gemini-2.5-flash"));
    // cut off between two chunks, and in one
    for cut in [format!("[{FIRST},"), format!("[{FIRST},{}", &LAST[..40]), format!("[{FIRST}")] {
        let seen = listed(&cut);
        assert_eq!(seen.usage, Some(Usage::tokens(10, 2)));
        assert!(seen.is_partial && !seen.is_final, "{cut}");
    }
    // an error ends an array that is closed all the same
    let seen = listed(&format!(r#"[{FIRST},{{"error":{{"code":503}}}}]"#));
    assert!(seen.is_partial && !seen.is_final);
    // whoever stops reading at the last chunk has read it all
    assert!(listed(&format!("[{FIRST},{LAST}")).is_final);
    assert_eq!(listed("[]").usage, None);
    assert_eq!(listed(&format!("[[{LAST}]]")).usage, None);
}

#[test]
fn a_chunk_of_an_array_tells_at_once() {
    let mut observer = Observer::new(&DIALECT);
    observer.feed(b"[");
    assert_eq!(observer.observed().usage, None);
    observer.feed(FIRST.as_bytes());
    assert_eq!(observer.observed().usage, Some(Usage::tokens(10, 2)));
    observer.feed(format!(",{LAST}").as_bytes());
    assert_eq!(observer.observed().usage, Some(last()));
}

#[test]
fn tiers_have_the_names_that_prices_know() {
    let tier = |told: &str| {
        let document = format!(r#"{{"usageMetadata":{{"promptTokenCount":1,{told}}}}}"#);
        observed(&document).service_tier.unwrap_or_default()
    };
    for (told, expected) in [
        (r#""serviceTier":"standard""#, "standard"),
        (r#""serviceTier":"PRIORITY""#, "priority"),
        (r#""trafficType":"ON_DEMAND""#, "default"),
        (r#""trafficType":1"#, "default"),
        (r#""trafficType":"ON_DEMAND_FLEX""#, "flex"),
        (r#""trafficType":"PROVISIONED_THROUGHPUT""#, "scale"),
        (r#""trafficType":2"#, "scale"),
        (r#""trafficType":9"#, "unknown"),
        (r#""trafficType":0"#, ""),
        (r#""trafficType":"SOMETHING_NEW""#, "something_new"),
        (r#""x":1"#, ""),
    ] {
        assert_eq!(tier(told), expected, "{told}");
    }
}

#[test]
fn searches_are_billed_for_the_prompt_or_for_each_query() {
    let searches = |model: &str, grounding: &str| {
        let observed = observed(&format!(
            r#"{{"candidates":[{{"finishReason":"STOP","groundingMetadata":{grounding}}}],
            "usageMetadata":{{"promptTokenCount":1}},"modelVersion":"{model}"}}"#
        ));
        (observed.usage.unwrap().web_searches, observed.told().tells_searches)
    };
    let queries =
        r#"{"webSearchQueries":["a","","b"],"searchEntryPoint":{"renderedContent":"<p>"}}"#;
    assert_eq!(searches("gemini-2.5-flash", queries), (1, true));
    assert_eq!(searches("gemini-3-pro-preview", queries), (2, true));
    assert_eq!(searches("gemini-3-pro-preview", "{}"), (0, false));
    assert_eq!(searches("gemini-3-pro-preview", "null"), (0, true));
    assert_eq!(searches("gemini-3-pro-preview", r#"{"webSearchQueries":[1]}"#), (0, false));
    let long = format!(r#"{{"x":"{}"}}"#, "x".repeat(300_000));
    assert_eq!(searches("gemini-3-pro-preview", &long), (0, false));
}

#[test]
fn what_makes_no_sense_is_no_usage() {
    for senseless in [
        "7",
        "[]",
        r#"{"promptTokenCount":-1}"#,
        r#"{"promptTokenCount":1.5}"#,
        r#"{"promptTokenCount":"1"}"#,
        r#"{"promptTokenCount":1,"promptTokenCount":1}"#,
        r#"{"promptTokenCount":18446744073709551615}"#,
        r#"{"promptTokenCount":1,"cachedContentTokenCount":2}"#,
        r#"{"promptTokenCount":1,"promptTokensDetails":{}}"#,
        r#"{"promptTokenCount":1},"usageMetadata":{"promptTokenCount":1}"#,
    ] {
        assert_eq!(usage(senseless), None, "{senseless}");
    }
    for silent in ["null", "{}", r#"{"trafficType":"ON_DEMAND"}"#, r#"{"promptTokenCount":0}"#] {
        let observed = observed(&format!(r#"{{"usageMetadata":{silent}}}"#));
        assert_eq!((observed.usage, observed.contradictory), (None, false), "{silent}");
    }
}
