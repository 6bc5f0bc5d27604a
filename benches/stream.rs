//! What metering adds to a streamed answer, per event of 260 bytes, and how much
//! memory it takes however long the stream is.
//!
//! ```text
//! cargo bench --bench stream
//! ```
#![allow(clippy::expect_used)] // a benchmark that cannot run should say so

mod support;

use std::{
    convert::Infallible,
    future::Future,
    hint::black_box,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use driftlock::{DriftlockLayer, Policy};
use http::{Request, Response, header};
use http_body::{Body, Frame};
use http_body_util::Full;
use support::{Effort, allocations, at_most, heading, race, time};
use tower::{Layer, Service, service_fn};

fn main() {
    let effort = Effort::from_args();
    println!("stream: server-sent events of {} bytes, one in a frame", event().len());
    speed(effort);
    memory(effort);
}

/// One chunk of an answer, as OpenAI sends it.
fn event() -> Bytes {
    Bytes::from_static(concat!(
        r#"data: {"id":"chatcmpl-BhYq2vKpXo7sLwTz4rNcE1dGmUa0J","object":"chat.completion.chunk","#,
        r#""created":1760000000,"model":"gpt-4o-mini-2024-07-18","service_tier":"default","#,
        r#""choices":[{"index":0,"delta":{"content":" order of"},"logprobs":null,"#,
        r#""finish_reason":null}]}"#,
        "\n\n"
    ).as_bytes())
}

const USAGE: &str = concat!(
    r#"data: {"id":"chatcmpl-BhYq2vKpXo7sLwTz4rNcE1dGmUa0J","object":"chat.completion.chunk","#,
    r#""model":"gpt-4o-mini-2024-07-18","choices":[],"usage":{"prompt_tokens":310,"#,
    r#""completion_tokens":1000,"total_tokens":1310}}"#,
    "\n\n"
);

/// Gives the same event so many times, then the usage, then the end.
struct Stream {
    event: Bytes,
    left: usize,
}

impl Stream {
    fn of(events: usize) -> Self {
        Self { event: event(), left: events + 2 }
    }
}

impl Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = match self.left {
            0 => return Poll::Ready(None),
            1 => Bytes::from_static(b"data: [DONE]\n\n"),
            2 => Bytes::from_static(USAGE.as_bytes()),
            _ => self.event.clone(),
        };
        self.left -= 1;
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }
}

/// The body of an answer that came through the layer. If the caller did not ask for
/// usage, the layer did, and hides the event that tells it.
fn metered(policy: &Policy, events: usize, hide: bool) -> impl Body<Data = Bytes> + use<> {
    let client = service_fn(move |_: Request<Full<Bytes>>| async move {
        let mut response = Response::new(Stream::of(events));
        let kind = header::HeaderValue::from_static("text/event-stream");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        Ok::<_, Infallible>(response)
    });
    let options = if hide { "" } else { r#","stream_options":{"include_usage":true}"# };
    let json = format!(
        r#"{{"model":"gpt-4o-mini","messages":[{{"role":"user","content":"Hi"}}],"stream":true{options}}}"#
    );
    let request = Request::post("https://api.openai.com/v1/chat/completions")
        .body(Full::from(json))
        .expect("a sound request");
    let mut service = DriftlockLayer::new(policy.clone()).layer(client);
    let mut context = Context::from_waker(Waker::noop());
    match pin!(service.call(request)).poll(&mut context) {
        Poll::Ready(Ok(response)) => response.into_body(),
        _ => panic!("admitted and answered at once"),
    }
}

/// Reads a body to its end: how many frames it had.
fn read(body: impl Body<Data = Bytes>) -> usize {
    let mut context = Context::from_waker(Waker::noop());
    let mut body = pin!(body);
    let mut frames = 0;
    while let Poll::Ready(Some(frame)) = body.as_mut().poll_frame(&mut context) {
        black_box(frame.is_ok());
        frames += 1;
    }
    frames
}

fn policy() -> Policy {
    Policy::builder().ephemeral_ok().build().expect("the policy is sound")
}

fn speed(effort: Effort) {
    heading("time per event");
    let policy = policy();
    let (rounds, events) = (effort.pick(51, 11), effort.pick(2_000, 500));
    let per_event = |took: Duration| took.as_nanos() as f64 / events as f64;
    let through = |hide| {
        let body = metered(&policy, events, hide);
        per_event(time(|| read(body)))
    };
    let race = race(
        rounds,
        &mut [
            ("bare body", &mut || per_event(time(|| read(Stream::of(events))))),
            ("metered", &mut || through(false)),
            ("metered, usage hidden", &mut || through(true)),
        ],
    );
    race.print_times();
    at_most("metered above bare", race.added(1, 0) / 1_000.0, "µs", 0.5);
    at_most("metered and hidden above bare", race.added(2, 0) / 1_000.0, "µs", 0.5);
}

/// What the layer may take for a stream, which is what it holds back at most.
const BOUND: u64 = 64 << 10;

fn memory(effort: Effort) {
    heading("peak memory of a stream");
    let policy = policy();
    let long = effort.pick(100, 10);
    for hide in [false, true] {
        for megabytes in [1, long] {
            let events = (megabytes << 20) / event().len();
            let body = metered(&policy, events, hide);
            let mut frames = 0;
            let peak = allocations(|| frames = read(body)).bytes_max;
            assert_eq!(frames, events + if hide { 1 } else { 2 });
            let how = if hide { "hidden" } else { "shown" };
            at_most(&format!("{megabytes} MB, usage {how}"), peak as f64, "B", BOUND as f64);
            assert!(peak <= BOUND, "{peak} bytes for {megabytes} MB");
        }
    }
}
