//! What the layer takes of real HTTP: hyper's client and server in one process, over
//! loopback, on one core.
//!
//! Client and server share one thread, which is pinned to a core where the system
//! lets it (else `taskset -c 1 cargo bench --bench loopback` does), so that what the
//! layer adds cannot hide on another core. The server reads the request, answers from
//! memory and does nothing else: next to a real provider, any of these times is nothing.
//!
//! ```text
//! cargo bench --bench loopback
//! ```
#![allow(clippy::expect_used)] // a benchmark that cannot run should say so

mod support;

use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

use bytes::Bytes;
use driftlock::{BoxError, DriftlockLayer, Labels};
use http::{Request, Response, header};
use http_body::Body;
use http_body_util::{BodyExt, Either, Full, channel::Channel};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use support::{Effort, at_least, at_most, chat, heading, note, policy, race};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    task::JoinSet,
};
use tower::{Layer, Service, ServiceExt};

fn main() {
    let effort = Effort::from_args();
    println!("loopback: requests of hyper's client to hyper's server, with the layer and without");
    pin();
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let address = runtime.block_on(serve());
    for concurrent in [1, 16, 64] {
        throughput(effort, &runtime, &address, 1, concurrent, Some(97.0));
    }
    throughput(effort, &runtime, &address, 10, 16, None);
    first_byte(effort, &runtime, &address);
}

/// Keeps this thread, on which everything runs, on one core.
fn pin() {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    match cores.last().is_some_and(|core| core_affinity::set_for_current(*core)) {
        true => println!("  all of it on one core"),
        false => println!("  NOT on one core: this system does not let itself be told"),
    }
}

fn throughput(
    effort: Effort,
    runtime: &Runtime,
    address: &str,
    kilobytes: usize,
    concurrent: usize,
    least: Option<f64>,
) {
    heading(&format!("JSON, {concurrent} concurrent, requests of {kilobytes} KB"));
    let call = Call {
        uri: format!("{address}/v1/chat/completions"),
        json: chat("gpt-4o-mini", kilobytes * 1_024),
    };
    let bare = client();
    let governed = DriftlockLayer::new(policy()).layer(client());
    let requests = effort.pick(1_280, 320).next_multiple_of(concurrent);
    let race = race(
        effort.pick(51, 9),
        &mut [
            ("bare", &mut || runtime.block_on(load(&bare, &call, concurrent, requests))),
            ("driftlock", &mut || runtime.block_on(load(&governed, &call, concurrent, requests))),
        ],
    );
    race.print_times();
    note("requests per second, bare", 1e9 / race.nanos(0), "");
    note("added to a request", race.added(1, 0) / 1_000.0, "µs");
    let kept = 100.0 * race.ratio(0, 1);
    match least {
        Some(least) => at_least("requests per second kept", kept, "%", least),
        None => note("requests per second kept", kept, "%"),
    }
}

fn first_byte(effort: Effort, runtime: &Runtime, address: &str) {
    heading("a stream, from the call to its first byte");
    let call = Call {
        uri: format!("{address}/stream/v1/chat/completions"),
        json: chat("gpt-4o-mini", 1_024).replacen('{', r#"{"stream":true,"#, 1),
    };
    let bare = client();
    let governed = DriftlockLayer::new(policy()).layer(client());
    let streams = effort.pick(400, 100);
    let race = race(
        effort.pick(51, 9),
        &mut [
            ("bare", &mut || runtime.block_on(streamed(&bare, &call, streams))),
            ("driftlock", &mut || runtime.block_on(streamed(&governed, &call, streams))),
        ],
    );
    race.print_times();
    note("added", race.added(1, 0) / 1_000.0, "µs");
    at_most("time of the bare one", race.ratio(1, 0), "x", 1.05);
}

type Http = Client<HttpConnector, Full<Bytes>>;

fn client() -> Http {
    let mut tcp = HttpConnector::new();
    tcp.set_nodelay(true);
    Client::builder(TokioExecutor::new()).build(tcp)
}

/// A call to be made many times.
#[derive(Clone)]
struct Call {
    uri: String,
    json: String,
}

impl Call {
    fn request(&self, labels: &Labels) -> Request<Full<Bytes>> {
        Request::post(&self.uri)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONTENT_LENGTH, self.json.len())
            .extension(labels.clone())
            .body(Full::from(Bytes::from(self.json.as_bytes().to_vec())))
            .expect("a sound request")
    }
}

fn labels() -> Labels {
    Labels::new().with("user", "u-4711").with("plan", "pro")
}

#[allow(clippy::disallowed_methods)] // the crate reads time through `Clock`, a stopwatch does not
fn now() -> Instant {
    Instant::now()
}

/// Nanoseconds per request, of so many in all, so many of them at a time.
async fn load<S, B>(service: &S, call: &Call, concurrent: usize, requests: usize) -> f64
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError> + Send,
    S::Future: Send,
    B: Body<Data = Bytes> + Send,
    B::Error: std::fmt::Debug,
{
    let each = requests / concurrent;
    let began = now();
    let mut callers = JoinSet::new();
    for _ in 0..concurrent {
        let (service, call, labels) = (service.clone(), call.clone(), labels());
        callers.spawn(async move {
            for _ in 0..each {
                let response = send(service.clone(), call.request(&labels)).await;
                let answer = response.into_body().collect().await.expect("a whole answer");
                assert_eq!(answer.to_bytes().len(), ANSWER.len());
            }
        });
    }
    callers.join_all().await;
    began.elapsed().as_nanos() as f64 / requests as f64
}

/// Nanoseconds to the first byte of a stream, of so many after another.
async fn streamed<S, B>(service: &S, call: &Call, streams: usize) -> f64
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Debug,
{
    let labels = labels();
    let mut took = Duration::ZERO;
    for _ in 0..streams {
        let request = call.request(&labels);
        let began = now();
        let mut body = send(service.clone(), request).await.into_body();
        let first = body.frame().await.expect("a frame").expect("no error");
        took += began.elapsed();
        assert!(first.is_data());
        body.collect().await.expect("a whole stream");
    }
    took.as_nanos() as f64 / streams as f64
}

async fn send<S, B>(service: S, request: Request<Full<Bytes>>) -> Response<B>
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>>,
    S::Error: Into<BoxError>,
{
    let answer = service.oneshot(request).await;
    answer.map_err(Into::into).expect("the server answers")
}

const ANSWER: &str = r#"{"id":"chatcmpl-9xK","object":"chat.completion","created":1760000000,"model":"gpt-4o-mini","choices":[{"index":0,"message":{"role":"assistant","content":"Lock both tables in the same order everywhere."},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":310,"completion_tokens":11,"total_tokens":321}}"#;

const EVENTS: [&str; 4] = [
    "data: {\"id\":\"chatcmpl-9xK\",\"object\":\"chat.completion.chunk\",\"created\":1760000000,\"model\":\"gpt-4o-mini\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Lock both\"},\"finish_reason\":null}],\"usage\":null}\n\n",
    "data: {\"id\":\"chatcmpl-9xK\",\"object\":\"chat.completion.chunk\",\"created\":1760000000,\"model\":\"gpt-4o-mini\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n",
    "data: {\"id\":\"chatcmpl-9xK\",\"object\":\"chat.completion.chunk\",\"created\":1760000000,\"model\":\"gpt-4o-mini\",\"choices\":[],\"usage\":{\"prompt_tokens\":310,\"completion_tokens\":11,\"total_tokens\":321}}\n\n",
    "data: [DONE]\n\n",
];

/// Starts the server on this runtime, and gives its address.
async fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            stream.set_nodelay(true).expect("no delay");
            let connection = http1::Builder::new();
            tokio::spawn(connection.serve_connection(TokioIo::new(stream), service_fn(answer)));
        }
    });
    format!("http://{address}")
}

type Answered = Response<Either<Full<Bytes>, Channel<Bytes>>>;

async fn answer(request: Request<Incoming>) -> Result<Answered, Infallible> {
    let streams = request.uri().path().starts_with("/stream");
    request.into_body().collect().await.expect("a whole request");
    let (kind, body) = match streams {
        false => {
            ("application/json", Either::Left(Full::from(Bytes::from_static(ANSWER.as_bytes()))))
        }
        true => {
            let (mut sender, body) = Channel::new(1);
            tokio::spawn(async move {
                for event in EVENTS {
                    let event = Bytes::from_static(event.as_bytes());
                    if sender.send_data(event).await.is_err() {
                        return;
                    }
                }
            });
            ("text/event-stream", Either::Right(body))
        }
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    Ok(response)
}
