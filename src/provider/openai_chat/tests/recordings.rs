//! Requests that were really sent.

use std::{collections::BTreeMap, env, fs::File, io::Read, path::PathBuf};

use flate2::read::GzDecoder;

use super::*;
use crate::estimate::{BytesEstimator, Estimator};

/// The recorded chat exchanges; none, and said aloud, where the recordings are absent.
fn recorded() -> Vec<Value> {
    let shared = env::var_os("DRIFTLOCK_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let mut all = Vec::new();
    for name in ["rig", "otel-contrib"] {
        let path = shared.join(format!("data/recordings/{name}.jsonl.gz"));
        let Ok(file) = File::open(&path) else {
            eprintln!("SKIPPED: no recordings at {}", path.display());
            continue;
        };
        let mut lines = String::new();
        GzDecoder::new(file).read_to_string(&mut lines).unwrap();
        let exchanges = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        all.extend(exchanges.filter(|exchange| exchange["kind"] == "openai.chat"));
    }
    all
}

#[test]
fn every_recorded_request_is_read_and_few_are_under_estimated() {
    // Per kind: calls, under-estimates, above the ceiling.
    let mut tally = BTreeMap::<_, [u32; 3]>::new();
    for exchange in recorded() {
        let id = &exchange["id"];
        let body = exchange["request"].to_string();
        let reading = read_at(exchange["uri"].as_str().unwrap(), &body)
            .unwrap_or_else(|error| panic!("{id}: {error}"));
        let call = reading.call;
        assert_eq!(call.model(), exchange["request"]["model"].as_str().unwrap());
        let messages = exchange["request"]["messages"].as_array().unwrap();
        assert_eq!(call.input().messages, messages.len() as u64, "{id}");

        let Some(actual) = exchange["reported_usage"]["prompt_tokens"].as_u64() else { continue };
        let estimate = BytesEstimator::new().input_tokens(&call);
        let kind = match (call.open_ended(), call.needs()) {
            (Some(_), _) => "open-ended",
            (_, needs) if needs.media => "media",
            (_, needs) if needs.tools || needs.schema => "tools and schemas",
            _ => "plain text",
        };
        let family = if estimate.ceiling.is_some() { "bounded" } else { "unbounded" };
        let tally = tally.entry((kind, family)).or_default();
        tally[0] += 1;
        tally[1] += u32::from(actual > estimate.expected);
        let over = estimate.ceiling.is_some_and(|ceiling| actual > ceiling);
        tally[2] += u32::from(over);
        if actual > estimate.expected {
            eprintln!("{id} {} {kind}: {actual} > {estimate:?}", call.model());
        }
    }
    eprintln!("(kind, model): [calls, under-estimates, above the ceiling]: {tally:#?}");
    if let Some([calls, under, _]) = tally.get(&("plain text", "bounded")) {
        assert!(under * 20 <= *calls, "{under} of {calls} under-estimated");
    }
    assert!(tally.values().all(|[_, _, above]| *above == 0));
}
