//! What it takes to read a request's JSON and to put another model into it, apart from
//! everything else of a call.
//!
//! Two carriers take the same bodies through the same layer and downgrade. One hands the
//! body over to be read, and sends what the model was spliced into; the other says what
//! is in it without a look, and sends it as it is. What is between them is reading and
//! splicing.
//!
//! ```text
//! cargo bench --bench reading
//! ```
#![allow(clippy::expect_used)] // a benchmark that cannot run should say so

mod support;

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use driftlock::{
    Call, DriftlockLayer, Endpoint, Error, Format, Input, Labels, Operation, Permit, Policy,
    Provider, TagBasedModelDowngrade, Usage,
    carrier::{Carrier, Changes, Intake},
    rule::all,
};
use support::{Effort, at_most, chat, heading, note, race, time};
use tower::{Layer, Service, service_fn};

fn main() {
    let effort = Effort::from_args();
    println!("reading: a request read and another model put into it");
    for (kilobytes, most) in [(1, None), (10, Some(4.0)), (100, None), (1_000, Some(400.0))] {
        bodies(effort, kilobytes, most);
    }
}

/// Bodies made and sent at a time.
const CHUNK: usize = 20;
const MODEL: &str = "gpt-4o";
const CHEAPER: &str = "gpt-4o-mini";

fn bodies(effort: Effort, kilobytes: usize, most: Option<f64>) {
    heading(&format!("a body of {kilobytes} KB"));
    let policy = Policy::builder()
        .rule(TagBasedModelDowngrade::new(all([]), CHEAPER))
        .build()
        .expect("the policy is sound");
    let client = service_fn(|body: Bytes| {
        black_box(body);
        ready(Ok::<_, Infallible>(()))
    });
    let layer = DriftlockLayer::new(policy);
    let mut reading = layer.clone().with_carrier(Json { is_read: true }).layer(client);
    let mut knowing = layer.with_carrier(Json { is_read: false }).layer(client);
    let json = chat(MODEL, kilobytes * 1_024);

    let chunks = (effort.pick(200, 20) / kilobytes).max(1);
    let rounds = effort.pick(51, 5).min(if kilobytes > 100 { 21 } else { usize::MAX });
    let race = race(
        rounds,
        &mut [
            ("read and spliced", &mut || round(&mut reading, &json, chunks)),
            ("known and left alone", &mut || round(&mut knowing, &json, chunks)),
        ],
    );
    race.print_times();
    let added = race.added(0, 1) / 1_000.0;
    match most {
        Some(most) => at_most("reading and splicing", added, "µs", most),
        None => note("reading and splicing", added, "µs"),
    }
}

/// Nanoseconds per body; they are made outside the measured time.
fn round<S: Service<Bytes, Response = ()>>(service: &mut S, json: &str, chunks: usize) -> f64 {
    let mut context = Context::from_waker(Waker::noop());
    let mut took = Duration::ZERO;
    for _ in 0..chunks {
        let bodies: Vec<_> = (0..CHUNK).map(|_| Bytes::from(json.as_bytes().to_vec())).collect();
        took += time(|| {
            for body in bodies {
                let answered =
                    matches!(pin!(service.call(body)).poll(&mut context), Poll::Ready(Ok(())));
                assert!(answered, "the service answers at once");
            }
        });
    }
    took.as_nanos() as f64 / (chunks * CHUNK) as f64
}

/// Carries a body and nothing else.
#[derive(Clone)]
struct Json {
    /// Whether the body is read, or known.
    is_read: bool,
}

impl Carrier<Bytes, ()> for Json {
    type Response = ();
    type Read = Ready<Result<Intake<Bytes>, Error>>;

    fn read(&self, body: Bytes, _: &Policy) -> Self::Read {
        if self.is_read {
            let endpoint = Endpoint::new(Format::OpenAiChat, Provider::OPENAI);
            let (request, labels) = (Bytes::new(), Labels::new());
            return ready(Ok(Intake::Call { endpoint, uri: None, body, request, labels }));
        }
        let input = Input { text_bytes: body.len() as u64, messages: 4, ..Input::default() };
        let call = Call::new(Provider::OPENAI, Operation::Chat, MODEL)
            .with_input(input)
            .with_max_output_tokens(800);
        ready(Ok(Intake::facts(call, body)))
    }

    fn replace(&self, body: Bytes, changes: Changes<'_>) -> Result<Bytes, Error> {
        assert_eq!(changes.model, Some(CHEAPER), "every call is downgraded");
        Ok(if self.is_read { changes.body } else { body })
    }

    fn meter(&self, (): (), permit: Permit) {
        permit.settle(&Usage::tokens(700, 120));
    }

    fn pass(&self, (): ()) {}
}
