//! Recordings, read from their files.

use std::{
    env,
    fs::File,
    io::{BufRead, BufReader},
    path::PathBuf,
};

use flate2::read::GzDecoder;
use serde_json::Value;

/// One recorded request and its answer.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) id: String,
    pub(super) kind: String,
    /// Whose prices hold, where that was recorded.
    pub(super) provider: Option<String>,
    pub(super) uri: String,
    pub(super) is_stream: bool,
    pub(super) request: Value,
    /// The answer's bytes: a document, or a whole stream of events.
    pub(super) response: String,
    /// The model that the answer names.
    pub(super) model: Option<String>,
    /// The usage as the answer has it, in the provider's own words.
    pub(super) usage: Value,
    /// What an independent calculator made of it: `total_price`, or `error`.
    pub(super) oracle: Value,
}

impl Exchange {
    fn parse(line: &str) -> Self {
        let record: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| record[key].as_str().map(str::to_owned);
        Self {
            id: text("id").unwrap(),
            kind: text("kind").unwrap(),
            provider: text("provider"),
            uri: text("uri").unwrap(),
            is_stream: record["stream"] == true,
            request: record["request"].clone(),
            response: text("response").unwrap(),
            model: text("reported_model"),
            usage: record["reported_usage"].clone(),
            oracle: record["oracle"].clone(),
        }
    }
}

/// All exchanges of a kind; none, and said aloud, where the recordings are absent.
pub(super) fn exchanges(kind: &str) -> Vec<Exchange> {
    let shared = env::var_os("DRIFTLOCK_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let mark = format!("\"{kind}\"");
    let mut all = Vec::new();
    for name in ["rig", "otel-contrib"] {
        let path = shared.join(format!("data/recordings/{name}.jsonl.gz"));
        let Ok(file) = File::open(&path) else {
            eprintln!("SKIPPED: no recordings at {}", path.display());
            continue;
        };
        let lines = BufReader::new(GzDecoder::new(file)).lines().map(Result::unwrap);
        // to parse only what is wanted saves most of the time
        let wanted = lines.filter(|line| line.contains(&mark));
        all.extend(wanted.map(|line| Exchange::parse(&line)).filter(|found| found.kind == kind));
    }
    all
}
