//! A client that answers each call as its script says.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use bytes::Bytes;
use driftlock::{BoxError, Driftlock, DriftlockLayer, Policy};
use http::{Request, Response};
use http_body::Body;
use tower::{Layer, Service};

use super::{BodyLog, ScriptedBody, Step, read};

/// How the client answers one call.
#[derive(Clone, Debug)]
pub enum Reply {
    Answer {
        status: u16,
        headers: Vec<(&'static str, &'static str)>,
        body: Vec<Step>,
        admits_end: bool,
    },
    /// Fails with this io error.
    Fail(std::io::ErrorKind),
    /// Fails with [`Refused`].
    Refuse,
    Hang,
    PanicInCall,
    PanicInPoll,
}

impl Reply {
    pub fn json(status: u16, body: impl Into<Bytes>) -> Self {
        let headers = vec![("content-type", "application/json")];
        Self::Answer { status, headers, body: vec![Step::data(body)], admits_end: false }
    }

    pub fn sse(body: impl IntoIterator<Item = Step>) -> Self {
        let headers = vec![("content-type", "text/event-stream; charset=utf-8")];
        Self::Answer { status: 200, headers, body: body.into_iter().collect(), admits_end: false }
    }

    pub fn with_header(mut self, name: &'static str, value: &'static str) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name, value));
        }
        self
    }

    pub fn admitting_end(mut self) -> Self {
        if let Self::Answer { admits_end, .. } = &mut self {
            *admits_end = true;
        }
        self
    }
}

/// An error of a circuit breaker, say, for `nothing_sent`.
#[derive(Debug)]
pub struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused")
    }
}

impl std::error::Error for Refused {}

/// A client with a reply, and how many polls it takes, for each value of the header
/// `x-call`; and the bodies it was called with.
#[derive(Clone, Default)]
pub struct Client {
    replies: Arc<Mutex<HashMap<String, (Reply, usize)>>>,
    sent: Arc<Mutex<Vec<(String, Bytes)>>>,
    logs: Arc<Mutex<HashMap<String, Arc<Mutex<BodyLog>>>>>,
}

impl Client {
    pub fn reply(&self, call: impl Into<String>, reply: Reply, polls: usize) {
        self.replies.lock().unwrap().insert(call.into(), (reply, polls));
    }

    /// What the answer to a call has given so far.
    pub fn log(&self, call: &str) -> BodyLog {
        self.logs
            .lock()
            .unwrap()
            .get(call)
            .map(|log| log.lock().unwrap().clone())
            .unwrap_or_default()
    }

    /// The calls that were made, with their bodies.
    pub fn sent(&self) -> Vec<(String, Bytes)> {
        self.sent.lock().unwrap().clone()
    }
}

/// A client that answers every call the same way, after one poll of waiting.
pub fn client(reply: Reply) -> Client {
    let client = Client::default();
    client.reply("", reply, 1);
    client
}

pub fn layered(policy: &Policy, client: &Client) -> Driftlock<Client> {
    DriftlockLayer::new(policy.clone()).layer(client.clone())
}

impl Service<Request<ScriptedBody>> for Client {
    type Response = Response<ScriptedBody>;
    type Error = BoxError;
    type Future = Replying;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ScriptedBody>) -> Replying {
        let header = request.headers().get("x-call");
        let call = header.map_or(String::new(), |call| call.to_str().unwrap().to_owned());
        let (reply, polls) = self.replies.lock().unwrap()[&call].clone();
        let body = read(&mut request.into_body()).unwrap().concat().into();
        let log = Arc::<Mutex<BodyLog>>::default();
        self.logs.lock().unwrap().insert(call.clone(), log.clone());
        self.sent.lock().unwrap().push((call, body));
        assert!(!matches!(reply, Reply::PanicInCall), "a client panicked");
        Replying { reply: Some(reply), polls, log }
    }
}

/// The future of a [`Client`].
pub struct Replying {
    reply: Option<Reply>,
    polls: usize,
    log: Arc<Mutex<BodyLog>>,
}

impl Future for Replying {
    type Output = Result<Response<ScriptedBody>, BoxError>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        if self.polls > 0 || matches!(self.reply, Some(Reply::Hang)) {
            self.polls = self.polls.saturating_sub(1);
            return Poll::Pending;
        }
        Poll::Ready(match self.reply.take().expect("a future was polled after it was ready") {
            Reply::Answer { status, headers, body, admits_end } => {
                let response = Response::builder().status(status);
                let response = headers
                    .into_iter()
                    .fold(response, |response, (name, value)| response.header(name, value));
                let mut body = ScriptedBody::new(body);
                body.admits_end = admits_end;
                body.log = self.log.clone();
                self.log.lock().unwrap().has_ended = body.is_end_stream();
                Ok(response.body(body).unwrap())
            }
            Reply::Fail(kind) => Err(std::io::Error::from(kind).into()),
            Reply::Refuse => Err(Refused.into()),
            Reply::PanicInPoll => panic!("a client's future panicked"),
            Reply::Hang | Reply::PanicInCall => unreachable!(),
        })
    }
}
