//! Calls, prices and a policy with numbers that a test can work out in its head.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use driftlock::{
    Call, InputEstimate, ManualClock, MemoryStore, Policy, PolicyBuilder, Price, PriceBook,
    Settled, Timestamp, Usd, Window, Zone,
};
use http::Request;

use super::{ScriptedBody, Step};

/// $1 and $10 per million tokens.
pub const MODEL: &str = "plain";

/// An event that ends a stream.
pub const DONE: &str = "data: [DONE]\n\n";
/// An event with the usage of 40 tokens in and 5 out, and nothing else.
pub const USAGE_ONLY: &str = "data: {\"model\":\"plain\",\"choices\":[],\"usage\":{\"prompt_tokens\":40,\"completion_tokens\":5}}\n\n";

/// Bundled prices and models of round ones: `plain`, `dear` at ten times, `free`.
pub fn book() -> PriceBook {
    let price = |input, output| Price::per_mtok(Usd::dollars(input), Usd::dollars(output));
    PriceBook::bundled()
        .overlay()
        .model(MODEL, price(1, 10))
        .model("dear", price(10, 100))
        .model("free", Price::free())
        .build()
        .unwrap()
}

/// What a call to `plain` with this output maximum reserves: 100 tokens in, and
/// two more out than stated.
pub fn estimate(max_tokens: u64) -> Usd {
    usage_cost(100, max_tokens + 2)
}

/// What so many tokens of `plain` cost.
pub fn usage_cost(input: u64, output: u64) -> Usd {
    Usd::nanos(input * 1_000 + output * 10_000)
}

pub fn noon() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

pub fn month() -> Window {
    Window::month(Zone::UTC)
}

/// A chat request to `plain`; more keys of the body as in `,"stream":true`.
pub fn chat(max_tokens: u64, more: &str) -> Request<ScriptedBody> {
    let body = format!(
        r#"{{"model":"{MODEL}","messages":[{{"role":"user","content":"Hi"}}],"max_tokens":{max_tokens}{more}}}"#
    );
    let body = ScriptedBody::new([Step::Wait, Step::Data(body.into())]);
    Request::post("https://api.openai.com/v1/chat/completions").body(body).unwrap()
}

/// A JSON answer with this usage.
pub fn json(input: u64, output: u64) -> Bytes {
    format!(
        r#"{{"model":"{MODEL}","choices":[{{}}],"usage":{{"prompt_tokens":{input},"completion_tokens":{output}}}}}"#
    )
    .into()
}

/// An event with some of an answer.
pub fn content(text: &str) -> String {
    format!(
        "data: {{\"model\":\"{MODEL}\",\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}],\"usage\":null}}\n\n"
    )
}

/// What the callback of a policy was told.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Arc<Mutex<Vec<Settled>>>);

impl Ledger {
    pub fn all(&self) -> Vec<Settled> {
        self.0.lock().unwrap().clone()
    }

    /// The one call that was settled.
    pub fn only(&self) -> Settled {
        let all = self.all();
        assert_eq!(all.len(), 1, "{all:?}");
        all[0]
    }

    pub fn note(&self, settled: &Settled) {
        self.0.lock().unwrap().push(*settled);
    }
}

/// A policy with the prices of [`book`], 100 tokens of input for every call, receipts
/// and a ledger, at [`noon`].
pub fn policy() -> (PolicyBuilder, Ledger, Arc<MemoryStore>, ManualClock) {
    let (ledger, store, clock) =
        (Ledger::default(), Arc::new(MemoryStore::new()), ManualClock::at(noon()));
    let notes = ledger.clone();
    let builder = Policy::builder()
        .prices(book())
        .estimator(|_: &Call| InputEstimate { expected: 100, ceiling: Some(100) })
        .memory_store(store.clone())
        .clock(clock.clone())
        .receipts(true)
        .ephemeral_ok()
        .on_settled(move |settled, _| notes.note(settled));
    (builder, ledger, store, clock)
}
