//! Replays a recorded trace of LLM calls through driftlock and shows what it did.
//!
//! ```text
//! cargo run --example replay -- PATH [--speed N] [--limit N]
//! ```
//!
//! The trace is one of the Azure LLM inference traces (`TIMESTAMP,ContextTokens,
//! GeneratedTokens`). Its calls go over HTTP, from hyper's client through a policy of
//! all eight rules to a provider on this machine. All limits and windows mean the
//! **trace's** time: the policy has a clock that is moved along the trace, both to each
//! call and to the end of each answer. A call is admitted at its time in the trace, and
//! holds what it reserved until the time at which its answer had ended, whatever the
//! speed of the replay; so the same trace gives the same table every time.
//!
//! At the end the provider's bills, not driftlock's counters, are held against every
//! limit. The exit code is 1 if one of them was overspent. A limit holds as far as calls
//! cost no more than was reserved for them, so the table shows how many cost more: of
//! English text and code at three bytes a token and above, with the default estimator,
//! none.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    process::ExitCode,
    str::FromStr,
    time::Duration,
};

use bytes::Bytes;
use driftlock::{BoxError, Driftlock, DriftlockLayer, ManualClock, Policy, Receipt, Timestamp};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use indicatif::{ProgressBar, ProgressStyle};
use loopback::Loopback;
use tokio::time::Instant;
use tower::{Service, ServiceBuilder, ServiceExt};
use workload::Chat;

#[path = "replay/limits.rs"]
mod limits;
#[path = "support/loopback.rs"]
mod loopback;
#[path = "replay/report.rs"]
mod report;
#[path = "replay/trace.rs"]
mod trace;
#[path = "replay/workload.rs"]
mod workload;

const USAGE: &str = "\
usage: cargo run --example replay -- PATH [--speed N] [--limit N]

  PATH       a trace with the columns TIMESTAMP,ContextTokens,GeneratedTokens
  --speed N  replay at most N times as fast as it happened [default: 600]
  --limit N  replay only the first N calls";

// One thread: calls overlap in the trace's time, not in the machine's.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(why) => {
            eprintln!("replay: {why}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let rows = match trace::read(&args.path, args.limit.map_or(usize::MAX, NonZeroUsize::get)) {
        Ok(rows) => rows,
        Err(why) => {
            eprintln!("replay: {why}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let chats = (0..).zip(rows).map(|(number, row)| Chat::new(number, row)).collect();
    match run(chats, args.speed).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("replay: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(chats: Vec<Chat>, speed: NonZeroU32) -> Result<(), BoxError> {
    let start = chats.first().map_or(Timestamp::EPOCH, |chat| chat.row.at);
    let provider = Loopback::start(Duration::ZERO).await?;
    let clock = ManualClock::at(start);
    let policy = limits::policy(clock.clone())?;
    let pace = Pace { began: Instant::now(), start, speed: speed.get() };
    let replay = Replay::new(&provider, &policy, clock, pace);
    let log = replay.run(chats).await?;
    report::print(&log, &provider.bills(), &policy, pace.began.elapsed()).await
}

/// What became of the calls.
#[derive(Debug, Default)]
struct Log {
    /// In the order in which they were admitted.
    admitted: Vec<Admitted>,
    /// By rule.
    denied: BTreeMap<String, u64>,
    most_in_flight: usize,
}

#[derive(Debug)]
struct Admitted {
    chat: Chat,
    receipt: Receipt,
}

/// Calls in flight, with the next one to end on top.
type InFlight = BTreeMap<Reverse<(Timestamp, usize)>, Response>;
type Http = Client<HttpConnector, Full<Bytes>>;
type Response = http::Response<driftlock::MeteredBody<Incoming>>;

struct Replay {
    client: Driftlock<Http>,
    url: String,
    clock: ManualClock,
    pace: Pace,
    in_flight: InFlight,
    log: Log,
}

impl Replay {
    fn new(provider: &Loopback, policy: &Policy, clock: ManualClock, pace: Pace) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let http: Http = Client::builder(TokioExecutor::new()).build(connector);
        let client = ServiceBuilder::new().layer(DriftlockLayer::new(policy.clone())).service(http);
        let (in_flight, log) = (InFlight::new(), Log::default());
        Self { client, url: provider.url(), clock, pace, in_flight, log }
    }

    async fn run(mut self, chats: Vec<Chat>) -> Result<Log, BoxError> {
        let bar = ProgressBar::new(chats.len() as u64).with_style(ProgressStyle::with_template(
            "{bar:40} {pos}/{len} calls, {per_sec}, {eta} left",
        )?);
        for chat in bar.wrap_iter(chats.into_iter()) {
            self.end_until(chat.row.at).await?;
            self.pace.wait_until(chat.row.at).await;
            self.clock.set(chat.row.at);
            self.begin(chat).await?;
        }
        self.end_until(Timestamp::MAX).await?;
        Ok(self.log)
    }

    /// Sends a call at its time. Its answer comes at once and is left unread.
    async fn begin(&mut self, chat: Chat) -> Result<(), BoxError> {
        let request = chat.request(&self.url)?;
        let response = match self.client.ready().await?.call(request).await {
            Ok(response) => response,
            Err(error) => {
                let Some(denial) = error.denial() else { return Err(error.into()) };
                *self.log.denied.entry(denial.rule().to_owned()).or_default() += 1;
                return Ok(());
            }
        };
        let receipt = response.extensions().get::<Receipt>().cloned().ok_or("no receipt")?;
        let ends = chat.row.at.saturating_add(chat.duration());
        let number = self.log.admitted.len();
        self.in_flight.insert(Reverse((ends, number)), response);
        self.log.admitted.push(Admitted { chat, receipt });
        self.log.most_in_flight = self.log.most_in_flight.max(self.in_flight.len());
        Ok(())
    }

    /// Reads the answers that have ended by then, each at its time: that settles them.
    async fn end_until(&mut self, time: Timestamp) -> Result<(), BoxError> {
        while let Some(next) = self.in_flight.last_entry() {
            let Reverse((ends, _)) = *next.key();
            if ends > time {
                break;
            }
            self.clock.set(ends);
            next.remove().into_body().collect().await?;
        }
        Ok(())
    }
}

/// Keeps the trace's time from running ahead of the speed asked for.
#[derive(Clone, Copy)]
struct Pace {
    began: Instant,
    start: Timestamp,
    speed: u32,
}

impl Pace {
    async fn wait_until(&self, time: Timestamp) {
        let due = self.began + time.since(self.start) / self.speed;
        // A timer has a grain of a millisecond: sleeping for less only costs time.
        if due > Instant::now() + Duration::from_millis(1) {
            tokio::time::sleep_until(due).await;
        }
    }
}

/// The command line.
struct Args {
    path: PathBuf,
    speed: NonZeroU32,
    limit: Option<NonZeroUsize>,
}

const SPEED: NonZeroU32 = NonZeroU32::MIN.saturating_add(599);

impl Args {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut path, mut speed, mut limit) = (None, SPEED, None);
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--speed" => speed = number(&arg, args.next())?,
                "--limit" => limit = Some(number(&arg, args.next())?),
                _ if arg.starts_with('-') => return Err(format!("there is no option `{arg}`")),
                _ if path.is_some() => return Err(format!("one PATH is enough: `{arg}`")),
                _ => path = Some(PathBuf::from(arg)),
            }
        }
        Ok(Self { path: path.ok_or("PATH is missing")?, speed, limit })
    }
}

fn number<N: FromStr>(option: &str, value: Option<String>) -> Result<N, String> {
    let value = value.ok_or_else(|| format!("`{option}` needs a number"))?;
    value.parse().map_err(|_| format!("`{option}` takes a whole number from 1 on, not `{value}`"))
}
