//! Responses cut into frames, and what a metered body makes of them.

use http_body_util::BodyExt;
use serde_json::Value;

use super::exchange::Exchange;
use crate::{
    body::{
        MeteredBody, Mode,
        tests::{Frames, Log, Told},
    },
    meter::Meter,
    provider::Format,
};

/// Streams up to this length are cut at each of their bytes.
const SHORT_STREAM: usize = 1_000;
/// Documents, of which there are more, and less can go wrong.
const SHORT_DOCUMENT: usize = 450;

/// How an exchange's response is read.
pub(super) fn mode(exchange: &Exchange, format: Format, hide: bool) -> Mode {
    if exchange.is_stream { Mode::Sse { format, hide } } else { Mode::Json(format) }
}

/// Passes a response through a body in frames cut at these places: what came out.
pub(super) async fn pass(response: &str, cuts: &[usize], mode: Mode, meter: impl Meter) -> String {
    let (mut frames, mut from) = (Vec::new(), 0);
    for cut in cuts.iter().copied().chain([response.len()]) {
        frames.push(response.as_bytes()[from..cut].to_vec());
        from = cut;
    }
    let body = MeteredBody::new(Frames::new(frames), mode, Some(meter));
    let bytes = body.collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.into()).unwrap()
}

/// As [`pass`], and what the meter was told.
pub(super) async fn told(response: &str, cuts: &[usize], mode: Mode) -> (String, Log) {
    let (meter, log) = Told::new();
    let out = pass(response, cuts, mode, meter).await;
    (out, log())
}

/// Ways of cutting a response: at each of its bytes if it is short, else a few of many
/// cuts, by a small random generator.
pub(super) fn cuttings(response: &str, is_stream: bool, seed: usize) -> Vec<Vec<usize>> {
    if response.len() <= if is_stream { SHORT_STREAM } else { SHORT_DOCUMENT } {
        return (0..=response.len()).map(|cut| vec![cut]).collect();
    }
    let mut state = seed as u64 | 1;
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

/// A stream less the chunks that OpenAI's chat sends only if asked, by a real parser.
pub(super) fn screened(stream: &str) -> String {
    let is_extra = |event: &str| {
        let data = event.trim().strip_prefix("data: ").unwrap_or_default();
        serde_json::from_str::<Value>(data)
            .is_ok_and(|data| data["choices"] == Value::Array(vec![]) && data["usage"].is_object())
    };
    stream.split_inclusive("\n\n").filter(|event| !is_extra(event)).collect()
}
