//! A provider of one's own: a real HTTP server on this machine that answers chat
//! completions like OpenAI, and messages like Anthropic.
//!
//! It needs no key, costs nothing and can be asked what it billed, so that the spend
//! that driftlock counts can be held against a second pair of books. A request says
//! itself how many tokens it is to take:
//!
//! ```json
//! { "model": "gpt-4o", "messages": […], "max_tokens": 100,
//!   "metadata": { "prompt_tokens": "374", "completion_tokens": "44" } }
//! ```
//!
//! Without `metadata` it has a token for every four bytes of its messages, and
//! [`COMPLETION_TOKENS`] in the answer. A stated maximum cuts the answer off. Streams
//! of chat end with a usage chunk only if `stream_options.include_usage` asks for one.
//! `"pause_ms": "50"` in the metadata puts a pause before each event but the first.

// Every example and test needs another part of it.
#![allow(dead_code, unreachable_pub)]

use std::{
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use driftlock::{PriceBook, Provider, Region, Tier, Usage, Usd};
use http::{Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Either, Full, channel::Channel};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::AbortHandle};

/// The length of an answer that the request says nothing about.
pub const COMPLETION_TOKENS: u64 = 16;

mod messages;

/// The path of chat completions.
pub const CHAT: &str = "/v1/chat/completions";
/// The path of Anthropic's messages.
pub const MESSAGES: &str = "/v1/messages";
/// The path of the list of models.
pub const MODELS: &str = "/v1/models";

/// A running provider; it stops when dropped.
#[derive(Debug)]
pub struct Loopback {
    address: SocketAddr,
    books: Arc<Books>,
    accepting: AbortHandle,
}

/// A call the provider answered, and what it wants for it.
#[derive(Clone, Debug)]
pub struct Bill {
    /// The model it was sent.
    pub model: String,
    /// The request's field `user`.
    pub user: Option<String>,
    /// Whether the answer was a stream.
    pub streamed: bool,
    /// The tokens it took.
    pub usage: Usage,
    /// Their price.
    pub cost: Usd,
}

/// What all connections share.
#[derive(Debug)]
struct Books {
    latency: Duration,
    prices: PriceBook,
    bills: Mutex<Vec<Bill>>,
}

impl Loopback {
    /// Starts a provider that takes this long for every answer.
    pub async fn start(latency: Duration) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let prices = PriceBook::bundled();
        let books = Arc::new(Books { latency, prices, bills: Mutex::default() });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&books))).abort_handle();
        Ok(Self { address, books, accepting })
    }

    /// What to put where an application has `https://api.openai.com`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many calls it has answered.
    pub fn calls(&self) -> usize {
        self.books.bills().len()
    }

    /// What it has billed in all.
    pub fn billed(&self) -> Usd {
        self.books.bills().iter().map(|bill| bill.cost).sum()
    }

    /// Every call it has answered, in that order.
    pub fn bills(&self) -> Vec<Bill> {
        self.books.bills().clone()
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Books {
    fn bills(&self) -> MutexGuard<'_, Vec<Bill>> {
        self.bills.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bills a call and gives it a number; `None` for a model without a price.
    fn bill(&self, asked: &Asked) -> Option<usize> {
        let entry = self.prices.find(&asked.api.provider(), &asked.model)?;
        let price = self.prices.entry(entry).price();
        let bill = Bill {
            model: asked.model.clone(),
            user: asked.user.clone(),
            streamed: asked.stream,
            usage: asked.usage,
            cost: price.cost(&asked.usage, Tier::Default, Region::Global),
        };
        let mut bills = self.bills();
        bills.push(bill);
        Some(bills.len())
    }
}

async fn accept(listener: TcpListener, books: Arc<Books>) {
    // An error here is of one connection, not of the listener.
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true); // else small events wait for each other
        let books = Arc::clone(&books);
        let service = service_fn(move |request| serve(Arc::clone(&books), request));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

type Answer = Response<Either<Full<Bytes>, Channel<Bytes>>>;

async fn serve(books: Arc<Books>, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let api = match (request.method(), request.uri().path()) {
        (&Method::POST, CHAT) => Api::Chat,
        (&Method::POST, MESSAGES) => Api::Messages,
        (&Method::GET, MODELS) => return Ok(json_answer(StatusCode::OK, &models())),
        _ => return Ok(Api::Chat.error(StatusCode::NOT_FOUND, "there is nothing here")),
    };
    let Ok(body) = request.into_body().collect().await else {
        return Ok(api.error(StatusCode::BAD_REQUEST, "the body broke off"));
    };
    let Some(asked) = api.read(&body.to_bytes()) else {
        return Ok(api.error(StatusCode::BAD_REQUEST, "this is not a request of this kind"));
    };
    if !books.latency.is_zero() {
        tokio::time::sleep(books.latency).await; // also of nothing it would take a millisecond
    }
    let Some(number) = books.bill(&asked) else {
        return Ok(api.error(StatusCode::NOT_FOUND, "there is no such model"));
    };
    Ok(match (api, asked.stream) {
        (Api::Chat, false) => json_answer(StatusCode::OK, &asked.whole(&chat_id(number))),
        (Api::Chat, true) => stream(asked.events(&chat_id(number)), asked.pause),
        (Api::Messages, false) => json_answer(StatusCode::OK, &messages::whole(&asked, number)),
        (Api::Messages, true) => stream(messages::events(&asked, number), asked.pause),
    })
}

/// What is spoken at a path.
#[derive(Clone, Copy, Debug)]
enum Api {
    Chat,
    Messages,
}

impl Api {
    fn provider(self) -> Provider {
        match self {
            Self::Chat => Provider::OPENAI,
            Self::Messages => Provider::ANTHROPIC,
        }
    }

    fn read(self, body: &[u8]) -> Option<Asked> {
        let body: Value = serde_json::from_slice(body).ok()?;
        match self {
            Self::Chat => Asked::read(&body),
            Self::Messages => messages::read(&body),
        }
    }

    fn error(self, status: StatusCode, message: &str) -> Answer {
        let error = json!({ "message": message, "type": "invalid_request_error" });
        let body = match self {
            Self::Chat => json!({ "error": error }),
            Self::Messages => json!({ "type": "error", "error": error }),
        };
        json_answer(status, &body)
    }
}

fn chat_id(number: usize) -> String {
    format!("chatcmpl-{number}")
}

/// Some of the models it has.
fn models() -> Value {
    let model =
        |id: &str| json!({ "id": id, "object": "model", "created": CREATED, "owned_by": "me" });
    json!({ "object": "list", "data": [model("gpt-4o"), model("gpt-4o-mini")] })
}

/// What matters of a request.
struct Asked {
    api: Api,
    model: String,
    user: Option<String>,
    stream: bool,
    include_usage: bool,
    usage: Usage,
    /// Whether a stated maximum cuts the answer off.
    is_cut: bool,
    /// The pause between two events.
    pause: Duration,
}

impl Asked {
    fn read(body: &Value) -> Option<Self> {
        let texts = body["messages"].as_array()?.iter();
        let bytes: usize =
            texts.filter_map(|message| message["content"].as_str()).map(str::len).sum();
        let most =
            ["max_completion_tokens", "max_tokens"].iter().find_map(|key| body[key].as_u64());
        Some(Self {
            user: body["user"].as_str().map(str::to_owned),
            include_usage: body["stream_options"]["include_usage"] == true,
            ..Self::of(Api::Chat, body, bytes, most)?
        })
    }

    /// What requests of all kinds say in the same way.
    fn of(api: Api, body: &Value, bytes: usize, most: Option<u64>) -> Option<Self> {
        let metadata = |key: &str| body["metadata"][key].as_str()?.parse::<u64>().ok();
        let input = metadata("prompt_tokens").unwrap_or(bytes as u64 / 4);
        let wanted = metadata("completion_tokens").unwrap_or(COMPLETION_TOKENS);
        let output = wanted.min(most.unwrap_or(u64::MAX));
        Some(Self {
            api,
            model: body["model"].as_str()?.to_owned(),
            user: None,
            stream: body["stream"] == true,
            include_usage: false,
            usage: Usage::tokens(input, output),
            is_cut: output < wanted,
            pause: Duration::from_millis(metadata("pause_ms").unwrap_or(0)),
        })
    }

    fn finish_reason(&self) -> &'static str {
        if self.is_cut { "length" } else { "stop" }
    }

    fn usage(&self) -> Value {
        json!({
            "prompt_tokens": self.usage.input_tokens,
            "completion_tokens": self.usage.output_tokens,
            "total_tokens": self.usage.total_tokens(),
        })
    }

    /// An answer in one piece.
    fn whole(&self, id: &str) -> Value {
        json!({
            "id": id, "object": "chat.completion", "created": CREATED, "model": self.model,
            "choices": [{
                "index": 0,
                "message": { "role": "assistant", "content": words(0, self.usage.output_tokens) },
                "finish_reason": self.finish_reason(),
            }],
            "usage": self.usage(),
        })
    }

    /// An answer in pieces.
    fn chunks(&self, id: &str) -> Vec<Value> {
        let chunk = |choices: Value| {
            let mut chunk = json!({
                "id": id, "object": "chat.completion.chunk", "created": CREATED,
                "model": self.model, "choices": choices,
            });
            if self.include_usage {
                chunk["usage"] = Value::Null;
            }
            chunk
        };
        let delta = |delta: Value, finish_reason: Option<&str>| {
            chunk(json!([{ "index": 0, "delta": delta, "finish_reason": finish_reason }]))
        };
        let mut chunks = vec![delta(json!({ "role": "assistant", "content": "" }), None)];
        chunks.extend(self.pieces().map(|text| delta(json!({ "content": text }), None)));
        chunks.push(delta(json!({}), Some(self.finish_reason())));
        if self.include_usage {
            let mut last = chunk(json!([]));
            last["usage"] = self.usage();
            chunks.push(last);
        }
        chunks
    }

    /// An answer in pieces, as they are sent.
    fn events(&self, id: &str) -> Vec<String> {
        let chunks = self.chunks(id).into_iter().map(|chunk| chunk.to_string());
        chunks.chain(["[DONE]".to_owned()]).map(|data| format!("data: {data}\n\n")).collect()
    }

    /// The text of an answer in pieces.
    fn pieces(&self) -> impl Iterator<Item = String> {
        let tokens = self.usage.output_tokens;
        let piece = tokens.div_ceil(PIECES).max(1);
        (0..tokens)
            .step_by(piece as usize)
            .map(move |start| words(start, piece.min(tokens - start)))
    }
}

/// When every answer was made: the clock does not matter here.
const CREATED: u64 = 1_700_000_000;
/// A stream has at most so many pieces of text.
const PIECES: u64 = 8;
const TEXT: &str = "It is cheaper to ask a budget before a call than a bill after it .";

/// So many words of a text without end, each about a token.
fn words(start: u64, count: u64) -> String {
    TEXT.split(' ')
        .cycle()
        .skip(start as usize)
        .take(count as usize)
        .fold(String::new(), |text, word| text + word + " ")
}

fn stream(all: Vec<String>, pause: Duration) -> Answer {
    let (mut events, body) = Channel::new(1);
    tokio::spawn(async move {
        for (number, event) in all.into_iter().enumerate() {
            if number > 0 && !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            // The reader may have gone; it is billed all the same.
            if events.send_data(event.into()).await.is_err() {
                return;
            }
        }
    });
    answer(StatusCode::OK, "text/event-stream", Either::Right(body))
}

fn json_answer(status: StatusCode, body: &Value) -> Answer {
    answer(status, "application/json", Either::Left(Full::from(body.to_string())))
}

fn answer(
    status: StatusCode,
    kind: &'static str,
    body: Either<Full<Bytes>, Channel<Bytes>>,
) -> Answer {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(kind));
    response
}
