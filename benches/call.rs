//! What the layer adds to a whole call: the request read, the call decided under eight
//! rules, the answer metered, its body read to the end.
//!
//! The baseline is the least a layer can do that needs its service in a future: it
//! clones the service and boxes the future. Both stand over the same service, which
//! answers at once.
//!
//! ```text
//! cargo bench --bench call
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
use driftlock::{DriftlockLayer, Labels};
use http::{Request, Response, header};
use http_body::Body;
use http_body_util::Full;
use support::{Effort, allocations, at_most, chat, heading, note, policy, race, time};
use tower::{Layer, Service, service_fn};

fn main() {
    let effort = Effort::from_args();
    println!("call: a whole call through the layer, above a cloning and boxing pass-through");
    for (kilobytes, most) in [(1, 2.0), (10, 5.5), (1_000, 400.0)] {
        calls(effort, kilobytes, most);
    }
}

/// Requests made and sent at a time.
const CHUNK: usize = 50;

fn calls(effort: Effort, kilobytes: usize, most: f64) {
    heading(&format!("a request of {kilobytes} KB"));
    let bare = service_fn(answer);
    let mut passing = PassThrough(bare);
    let mut governed = DriftlockLayer::new(policy()).layer(bare);
    let json = chat("gpt-4o-mini", kilobytes * 1_024);

    let added = |with: u64, without: u64| (with as f64 - without as f64) / CHUNK as f64;
    let mut service = bare;
    let without = counted(&mut service, &json);
    let boxed = counted(&mut passing, &json);
    counted(&mut governed, &json); // makes the user known
    let with = counted(&mut governed, &json);
    note("allocations of a bare call", without as f64 / CHUNK as f64, "");
    note("added by the pass-through", added(boxed, without), "");
    at_most("added by driftlock", added(with, without), "", 0.0);

    // As many bytes a round, whatever the size; a large call is timed well enough by one.
    let per_round = (effort.pick(40, 10) / kilobytes.div_ceil(10)).max(1);
    let rounds = effort.pick(75, 11).min(if kilobytes > 100 { 11 } else { usize::MAX });
    let race = race(
        rounds,
        &mut [
            ("bare", &mut || round(&mut service, &json, per_round)),
            ("pass-through", &mut || round(&mut passing, &json, per_round)),
            ("driftlock", &mut || round(&mut governed, &json, per_round)),
        ],
    );
    race.print_times();
    at_most("driftlock above the pass-through", race.added(2, 1) / 1_000.0, "µs", most);
    // A machine that is busy with others slows both.
    note("the same, in pass-throughs", race.ratio(2, 1) - 1.0, "×");
    assert!(with <= without, "a call in one piece allocates nothing more: {with} above {without}");
}

const ANSWER: &str = r#"{"id":"chatcmpl-9xK","object":"chat.completion","created":1760000000,"model":"gpt-4o-mini","choices":[{"index":0,"message":{"role":"assistant","content":"Lock both tables in the same order everywhere."},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":310,"completion_tokens":11,"total_tokens":321}}"#;

type Call = Request<Full<Bytes>>;
type Answer = Response<Full<Bytes>>;

async fn answer(request: Call) -> Result<Answer, Infallible> {
    black_box(request);
    let body = Full::new(Bytes::from_static(ANSWER.as_bytes()));
    let mut response = Response::new(body);
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    Ok(response)
}

fn request(json: &str, labels: &Labels) -> Call {
    Request::post("https://api.openai.com/v1/chat/completions")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONTENT_LENGTH, json.len())
        .extension(labels.clone())
        .body(Full::from(Bytes::from(json.as_bytes().to_vec())))
        .expect("a sound request")
}

/// Nanoseconds per call; the requests are made outside the measured time.
fn round<S, B>(service: &mut S, json: &str, chunks: usize) -> f64
where
    S: Service<Call, Response = Response<B>>,
    B: Body,
{
    let labels = Labels::new().with("user", "u-4711").with("plan", "pro");
    let mut took = Duration::ZERO;
    for _ in 0..chunks {
        let requests: Vec<_> = (0..CHUNK).map(|_| request(json, &labels)).collect();
        took += time(|| requests.into_iter().for_each(|request| call(service, request)));
    }
    took.as_nanos() as f64 / (chunks * CHUNK) as f64
}

/// Allocations of a chunk of calls, without those of making the requests.
fn counted<S, B>(service: &mut S, json: &str) -> u64
where
    S: Service<Call, Response = Response<B>>,
    B: Body,
{
    let labels = Labels::new().with("user", "u-4711").with("plan", "pro");
    let requests: Vec<_> = (0..CHUNK).map(|_| request(json, &labels)).collect();
    allocations(|| requests.into_iter().for_each(|request| call(service, request))).count_total
}

/// Calls the service and reads the answer to its end.
fn call<S, B>(service: &mut S, request: Call)
where
    S: Service<Call, Response = Response<B>>,
    B: Body,
{
    let mut context = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut context).is_ready(), "always ready");
    let calling = pin!(service.call(request));
    let Poll::Ready(Ok(response)) = calling.poll(&mut context) else {
        panic!("the service answers at once");
    };
    let mut body = pin!(response.into_body());
    while let Poll::Ready(Some(frame)) = body.as_mut().poll_frame(&mut context) {
        black_box(frame.is_ok());
    }
}

/// The least a layer can do that needs its service in a future.
#[derive(Clone)]
struct PassThrough<S>(S);

impl<S> Service<Call> for PassThrough<S>
where
    S: Service<Call> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Call) -> Self::Future {
        let clone = self.0.clone();
        let mut inner = std::mem::replace(&mut self.0, clone);
        Box::pin(async move { inner.call(request).await })
    }
}
