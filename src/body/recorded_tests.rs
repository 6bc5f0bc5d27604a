//! Recorded exchanges, cut into frames in many ways.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
};

use flate2::read::GzDecoder;
use http_body_util::BodyExt;
use serde_json::Value;

use super::{
    MeteredBody, Mode,
    tests::{Frames, Log, Told, json, sse},
};
use crate::usage::Usage;

struct Recording {
    id: String,
    is_stream: bool,
    response: String,
    usage: Value,
}

/// The chat completions on record, or nothing and a word about it.
fn recordings() -> Vec<Recording> {
    let shared = std::env::var_os("DRIFTLOCK_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let mut recordings = Vec::new();
    for name in ["rig.jsonl.gz", "otel-contrib.jsonl.gz"] {
        let path = shared.join("data/recordings").join(name);
        let Ok(file) = std::fs::File::open(&path) else {
            eprintln!("SKIPPED: no recordings at {}", path.display());
            continue;
        };
        for line in BufReader::new(GzDecoder::new(file)).lines() {
            let record: Value = serde_json::from_str(&line.unwrap()).unwrap();
            if record["kind"] == "openai.chat" {
                recordings.push(Recording {
                    id: record["id"].as_str().unwrap().to_owned(),
                    is_stream: record["stream"] == true,
                    response: record["response"].as_str().unwrap().to_owned(),
                    usage: record["reported_usage"].clone(),
                });
            }
        }
    }
    recordings
}

/// The usage by OpenAI's own rules, no dialects.
fn naive(usage: &Value) -> Usage {
    let count = |path: &str| usage.pointer(path).and_then(Value::as_u64).unwrap_or_default();
    Usage {
        input_tokens: count("/prompt_tokens"),
        cached_input_tokens: count("/prompt_tokens_details/cached_tokens"),
        cache_write_tokens: count("/prompt_tokens_details/cache_write_tokens"),
        input_audio_tokens: count("/prompt_tokens_details/audio_tokens"),
        output_tokens: count("/completion_tokens"),
        reasoning_tokens: count("/completion_tokens_details/reasoning_tokens"),
        output_audio_tokens: count("/completion_tokens_details/audio_tokens"),
        ..Usage::default()
    }
}

/// A stream less its usage chunks, by a real parser.
fn screened(stream: &str) -> String {
    let is_extra = |event: &str| {
        let data = event.trim().strip_prefix("data: ").unwrap_or_default();
        serde_json::from_str::<Value>(data)
            .is_ok_and(|data| data["choices"] == Value::Array(vec![]) && data["usage"].is_object())
    };
    stream.split_inclusive("\n\n").filter(|event| !is_extra(event)).collect()
}

/// What came out, and what the meter was told.
async fn pass(response: &str, cuts: &[usize], mode: Mode) -> (String, Log) {
    let (meter, log) = Told::new();
    let (mut frames, mut from) = (Vec::new(), 0);
    for cut in cuts.iter().copied().chain([response.len()]) {
        frames.push(response.as_bytes()[from..cut].to_vec());
        from = cut;
    }
    let body = MeteredBody::new(Frames::new(frames), mode, Some(meter));
    let bytes = body.collect().await.unwrap().to_bytes();
    (String::from_utf8(bytes.into()).unwrap(), log())
}

/// One way of cutting a response for each of its bytes if it is short, else a few of
/// many cuts by a small random generator.
fn cuttings(response: &str, seed: u64) -> Vec<Vec<usize>> {
    if response.len() < 700 {
        return (0..=response.len()).map(|cut| vec![cut]).collect();
    }
    let mut state = seed | 1;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize
    };
    let mut cutting = |longest: usize| {
        let mut cuts = Vec::new();
        let mut at = random() % longest;
        while at < response.len() {
            cuts.push(at);
            at += random() % longest;
        }
        cuts
    };
    vec![vec![], cutting(50), cutting(1_000), cutting(8_000)]
}

#[tokio::test]
async fn every_recorded_usage_is_read_however_it_is_cut() {
    let (mut documents, mut streams, mut hidden, mut runs) = (0, 0, 0, 0);
    let mut exceptions = Vec::new();
    let recordings = recordings();
    for (seed, recording) in recordings.iter().enumerate() {
        let Recording { id, is_stream, response, usage } = recording;
        let expected = naive(usage);
        let (_, whole) = pass(response, &[], if *is_stream { sse(false) } else { json() }).await;
        let read = whole.observed.usage.unwrap_or_else(|| panic!("{id}: no usage read"));
        assert!(whole.observed.model.is_some() && !whole.observed.contradictory, "{id}");
        if read != expected {
            exceptions.push((id, usage, read));
        }
        let without = screened(response);
        for cuts in cuttings(response, seed as u64 + 1) {
            let modes = if *is_stream { vec![false, true] } else { vec![false] };
            for hide in modes {
                let mode = if *is_stream { sse(hide) } else { json() };
                let (out, log) = pass(response, &cuts, mode).await;
                assert_eq!(log.observed, whole.observed, "{id} cut at {cuts:?}");
                assert_eq!(log.end, Some("complete"), "{id}");
                assert_eq!(&out, if hide { &without } else { response }, "{id} cut at {cuts:?}");
                runs += 1;
            }
        }
        documents += usize::from(!is_stream);
        streams += usize::from(*is_stream);
        hidden += usize::from(*is_stream && without.len() < response.len());
    }
    if documents + streams == 0 {
        return;
    }
    eprintln!(
        "{documents} documents, {streams} streams ({hidden} with a hidden chunk), {runs} runs"
    );
    for (id, usage, read) in &exceptions {
        let (told, total) = (naive(usage), &usage["total_tokens"]);
        eprintln!("{id}, total {total}: {told:?}\n    read as {read:?}");
    }
    // audio beside the prompt, and reasoning counted above the completion it is part of
    let beside = exceptions.iter().filter(|(.., read)| read.input_audio_tokens > 0).count();
    let shortened = exceptions
        .iter()
        .filter(|(_, usage, read)| {
            Usage { reasoning_tokens: 0, ..naive(usage) } == Usage { reasoning_tokens: 0, ..*read }
        })
        .count();
    assert_eq!((documents, streams, beside, shortened), (696, 434, 3, 10));
    assert_eq!(exceptions.len(), beside + shortened);
}
