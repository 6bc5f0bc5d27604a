//! Many calls at once, polled in any order, dropped at any point: whatever happens,
//! each settles once, to what its script says, and nothing stays reserved.
//!
//! What a call must cost is worked out here from the bytes its client gave, apart
//! from the crate's own reading of them.
#![allow(clippy::unwrap_used)] // in helpers too

#[cfg(feature = "sqlite")]
#[path = "store_model/in_a_file.rs"]
mod in_a_file;
mod scripted;

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::Poll,
    time::Duration,
};

use driftlock::{
    Call, CostVelocity, Driftlock, Error, ManualClock, MaxCostPerRequest, MeteredBody, Mode,
    MonthlyBudget, OnAbandoned, OnAmbiguous, OnOutage, PerUserBudget, Policy, Rule, Scope, Settled,
    Usd, VelocityLimit, Verdict, store::Store,
};
use http::{Request, Response};
use proptest::prelude::*;
use scripted::{
    AsyncStore, Client, DONE, Ledger, Refused, Reply, ScriptedBody, Step, chat, content, drive,
    estimate, layered, month, policy, poll_body, poll_once, usage_cost, wait,
};
use tower::Service;

// -- scripts -------------------------------------------------------------------------

/// Everything about one call that is not left to the schedule.
#[derive(Clone, Debug)]
struct Script {
    user: usize,
    tens_of_tokens: u64,
    asks_usage: bool,
    polls: usize,
    answer: Answer,
    /// At which of its polls it is given up, and whether it is dropped or leaked.
    given_up: Option<(usize, bool)>,
}

#[derive(Clone, Debug)]
enum Answer {
    Body { status: u16, sse: bool, text: String, cuts: Vec<usize>, breaks: bool, admits_end: bool },
    Fail(std::io::ErrorKind),
    Refuse,
    Hang,
}

fn usage() -> impl Strategy<Value = Option<(u64, u64)>> {
    prop_oneof![
        1 => Just(None),
        4 => (1..300u64, 0..300u64).prop_map(Some), // some above, most below the estimate
    ]
}

fn answer() -> impl Strategy<Value = Answer> {
    let status = prop_oneof![
        12 => Just(200u16),
        4 => prop::sample::select(vec![400, 404, 408, 429, 499, 500, 502, 503, 504, 529]),
    ];
    let cuts = prop::collection::vec(0..700usize, 0..6);
    let model = prop_oneof![4 => Just("plain"), 1 => Just("dear"), 1 => Just("unheard-of")];
    let body = (status, any::<[bool; 4]>(), usage(), model, cuts).prop_map(
        |(status, [sse, done, breaks, admits_end], usage, model, cuts)| {
            let sse = sse && status == 200;
            let text = if sse { events(usage, model, done) } else { document(usage, model) };
            Answer::Body { status, sse, text, cuts, breaks, admits_end }
        },
    );
    let kinds = [std::io::ErrorKind::TimedOut, std::io::ErrorKind::ConnectionRefused];
    prop_oneof![
        12 => body,
        2 => prop::sample::select(kinds.to_vec()).prop_map(Answer::Fail),
        1 => Just(Answer::Refuse),
        1 => Just(Answer::Hang),
    ]
}

fn usage_json((input, output): (u64, u64)) -> String {
    format!(r#"{{"prompt_tokens":{input},"completion_tokens":{output}}}"#)
}

fn document(usage: Option<(u64, u64)>, model: &str) -> String {
    let usage = usage.map_or(String::new(), |usage| format!(r#","usage":{}"#, usage_json(usage)));
    format!(r#"{{"model":"{model}","choices":[{{"message":{{"content":"Hi \u00e4"}}}}]{usage}}}"#)
}

fn usage_event(usage: (u64, u64), model: &str) -> String {
    format!("data: {{\"model\":\"{model}\",\"choices\":[],\"usage\":{}}}\n\n", usage_json(usage))
}

fn events(usage: Option<(u64, u64)>, model: &str, done: bool) -> String {
    let usage = usage.map_or(String::new(), |usage| usage_event(usage, model));
    let done = if done { DONE } else { "" };
    format!("{}: keep alive\n\n{}{usage}{done}", content("one"), content("two"))
}

fn script() -> impl Strategy<Value = Script> {
    let given_up =
        prop_oneof![2 => Just(None), 1 => (0..14usize, prop::bool::weighted(0.25)).prop_map(Some)];
    (0..3usize, 1..30u64, any::<bool>(), 0..3usize, answer(), given_up).prop_map(
        |(user, tens_of_tokens, asks_usage, polls, answer, given_up)| Script {
            user,
            tens_of_tokens,
            asks_usage,
            polls,
            answer,
            given_up,
        },
    )
}

impl Script {
    /// The last digit is the call's number, so that its estimate is its own.
    fn max_tokens(&self, number: usize) -> u64 {
        self.tens_of_tokens * 10 + number as u64
    }

    fn request(&self, number: usize) -> Request<ScriptedBody> {
        let more = match (&self.answer, self.asks_usage) {
            (Answer::Body { sse: true, .. }, true) => {
                r#","stream":true,"stream_options":{"include_usage":true}"#
            }
            (Answer::Body { sse: true, .. }, false) => r#","stream":true"#,
            _ => "",
        };
        let mut request = chat(self.max_tokens(number), more);
        let user = USERS[self.user];
        request.extensions_mut().insert(driftlock::Labels::new().with("user", user));
        request.headers_mut().insert("x-call", number.into());
        request
    }

    fn reply(&self) -> Reply {
        match &self.answer {
            Answer::Body { status, sse, text, cuts, breaks, admits_end } => {
                let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % (text.len() + 1)).collect();
                cuts.extend([0, text.len()]);
                cuts.sort_unstable();
                let pieces = cuts.windows(2).map(|cut| text.as_bytes()[cut[0]..cut[1]].to_vec());
                let mut body: Vec<_> =
                    pieces.flat_map(|piece| [Step::data(piece), Step::Wait]).collect();
                match breaks {
                    true => body.push(Step::Fail),
                    false => drop(body.pop()),
                }
                let kind = if *sse { "text/event-stream" } else { "application/json" };
                let headers = vec![("content-type", kind)];
                Reply::Answer { status: *status, headers, body, admits_end: *admits_end && !breaks }
            }
            Answer::Fail(kind) => Reply::Fail(*kind),
            Answer::Refuse => Reply::Refuse,
            Answer::Hang => Reply::Hang,
        }
    }
}

const USERS: [&str; 3] = ["ann", "bob", "eve"];

// -- the oracle ----------------------------------------------------------------------

/// What section 6 of the design says a call costs that was sent, and whether its
/// permit was ever told.
struct Verdict6 {
    cost: Usd,
    is_told: bool,
    is_sent: bool,
}

impl Script {
    fn verdict(&self, number: usize, world: &World, call: &Progress) -> Verdict6 {
        let estimate = estimate(self.max_tokens(number));
        let told = |cost| Verdict6 { cost, is_told: true, is_sent: true };
        let lost = Verdict6 { cost: estimate, is_told: false, is_sent: true };
        let is_leaked = call.given_up == Some(true);
        let abandoned = match world.options.seen_is_all {
            true => Usd::ZERO,
            false => estimate,
        };
        let ambiguous = match world.options.ambiguous_is_free {
            true => Usd::ZERO,
            false => estimate,
        };
        let Answer::Body { status, sse, text, breaks, .. } = &self.answer else {
            return match (&self.answer, call.given_up) {
                (_, Some(true)) => lost,
                (_, Some(false)) => told(abandoned),
                (Answer::Fail(std::io::ErrorKind::ConnectionRefused) | Answer::Refuse, None) => {
                    Verdict6 { cost: Usd::ZERO, is_told: true, is_sent: false }
                }
                (_, None) => told(ambiguous),
            };
        };
        if !call.has_answer {
            return if is_leaked { lost } else { told(abandoned) };
        }
        let log = world.client.log(&number.to_string());
        let given = std::str::from_utf8(&log.bytes).unwrap_or("");
        let seen = seen(given);
        let is_whole = match sse {
            true => given.contains("data: [DONE]"),
            false => given == text,
        };
        let said_so = *sse && given.contains(DONE);
        if is_leaked && !said_so && !log.has_ended && !log.has_failed {
            return lost;
        }
        let is_complete = is_whole || log.has_ended;
        assert!(*breaks || !log.has_failed);
        told(match (status, seen, is_complete) {
            (_, Some(seen), true) => seen,
            (200, None, true) => estimate,
            (200, seen, false) => seen.unwrap_or(Usd::ZERO).max(abandoned),
            (408 | 499 | 500 | 502 | 504, None, _) => ambiguous,
            (408 | 499 | 500 | 502 | 504, Some(seen), false) => seen.max(abandoned),
            (_, None, _) => Usd::ZERO,
            (_, Some(seen), false) => seen,
        })
    }
}

/// The cost of the usage in these bytes, if it is there whole.
fn seen(given: &str) -> Option<Usd> {
    let (_, usage) = given.rsplit_once(r#""usage":{"prompt_tokens":"#)?;
    let (input, rest) = usage.split_once(r#","completion_tokens":"#)?;
    let (output, _) = rest.split_once('}')?;
    let cost = usage_cost(input.parse().ok()?, output.parse().ok()?);
    Some(if given.contains(r#""model":"dear""#) { cost.saturating_mul(10) } else { cost })
}

// -- the world -----------------------------------------------------------------------

#[derive(Clone, Copy, Debug)]
struct Options {
    observes: bool,
    ambiguous_is_free: bool,
    seen_is_all: bool,
    slow_rule: bool,
    /// Polls that the store takes; `None` for the store in memory itself.
    store_polls: Option<usize>,
    /// Whether that store is a file.
    is_file: bool,
    outage_allows: bool,
    budget: u64,
    user_budget: u64,
    velocity: u64,
}

fn options() -> impl Strategy<Value = Options> {
    let limits = (0..40_000_000u64, 0..20_000_000u64, 1..6u64);
    (any::<[bool; 4]>(), prop::bool::weighted(0.2), prop::option::of(0..4usize), limits).prop_map(
        |(flags, observes, store_polls, (budget, user_budget, velocity))| {
            let [ambiguous_is_free, seen_is_all, slow_rule, outage_allows] = flags;
            Options {
                observes,
                ambiguous_is_free,
                seen_is_all,
                slow_rule,
                store_polls,
                is_file: false,
                outage_allows,
                budget,
                user_budget,
                velocity,
            }
        },
    )
}

/// A rule that takes a poll.
struct Slow;

impl Rule for Slow {
    async fn evaluate(&self, _: &Call) -> Verdict {
        let mut was_polled = false;
        std::future::poll_fn(|_| match std::mem::replace(&mut was_polled, true) {
            false => Poll::Pending,
            true => Poll::Ready(()),
        })
        .await;
        Verdict::Allow
    }
}

/// A store in a file that goes away with it.
#[cfg(feature = "sqlite")]
fn file() -> Arc<dyn Store> {
    Arc::new(in_a_file::Temporary::new())
}

#[cfg(not(feature = "sqlite"))]
fn file() -> Arc<dyn Store> {
    panic!("not without the feature `sqlite`")
}

const WINDOW: Duration = Duration::from_secs(60);
const MOST_EACH: u64 = 2_900_000;

struct World {
    options: Options,
    policy: Policy,
    ledger: Ledger,
    store: Arc<dyn Store>,
    slow_store: Option<Arc<AsyncStore>>,
    clock: ManualClock,
    client: Client,
    service: Driftlock<Client>,
}

impl World {
    fn new(options: Options) -> Self {
        let (mut builder, ledger, memory, clock) = policy();
        if options.slow_rule {
            builder = builder.rule(Slow);
        }
        let store: Arc<dyn Store> = if options.is_file { file() } else { memory };
        let slow_store = options.store_polls.map(|polls| AsyncStore::new(store.clone(), polls));
        if let Some(store) = &slow_store {
            builder = builder.store(store.clone());
        }
        let policy = builder
            .rule(MaxCostPerRequest::new(Usd::nanos(MOST_EACH)))
            .rule(MonthlyBudget::new(Usd::nanos(options.budget)))
            .rule(PerUserBudget::new().default_limit(Usd::nanos(options.user_budget)))
            .rule(VelocityLimit::new(options.velocity, WINDOW).per_user())
            .rule(CostVelocity::new(Usd::nanos(options.budget / 2), WINDOW * 10))
            .mode(if options.observes { Mode::Observe } else { Mode::Enforce })
            .on_ambiguous(match options.ambiguous_is_free {
                true => OnAmbiguous::Nothing,
                false => OnAmbiguous::Estimate,
            })
            .on_abandoned(match options.seen_is_all {
                true => OnAbandoned::Seen,
                false => OnAbandoned::Estimate,
            })
            .on_outage(if options.outage_allows { OnOutage::Allow } else { OnOutage::Deny })
            .nothing_sent(|error| error.is::<Refused>())
            .build()
            .unwrap();
        let client = Client::default();
        let service = layered(&policy, &client);
        Self { options, policy, ledger, store, slow_store, clock, client, service }
    }

    /// Settled plus reserved of the workspace and of a user, without going through a
    /// store that may be away; also lets the store see the time.
    fn used(&self) -> [u64; 4] {
        let key = |label: Option<&str>| driftlock::store::CounterKey {
            workspace: "default".into(),
            label: label.map(Into::into),
            unit: driftlock::Unit::Cost,
            window: month(),
        };
        let now = driftlock::Clock::now(&self.clock);
        let read = |label, value| {
            let counter = self.store.counter(&key(label));
            wait(self.store.read(counter, value, now)).unwrap().used()
        };
        let [ann, bob, eve] = USERS.map(|user| read(Some("user"), user));
        [read(None, ""), ann, bob, eve]
    }

    fn open(&self) -> usize {
        self.store.in_flight(driftlock::Clock::now(&self.clock))
    }

    fn is_away(&self) -> bool {
        self.slow_store.as_ref().is_some_and(|store| store.is_away.load(Ordering::Relaxed))
    }
}

// -- calls under way -----------------------------------------------------------------

type Answered = Result<Response<MeteredBody<ScriptedBody>>, Error>;

enum Stage {
    Calling(Pin<Box<dyn Future<Output = Answered>>>),
    Reading(Box<Response<MeteredBody<ScriptedBody>>>),
    Over,
}

/// How far one call has come, as seen from outside.
struct Progress {
    stage: Stage,
    polls: usize,
    /// `Some(true)` for leaked.
    given_up: Option<bool>,
    is_sent: bool,
    is_booked: bool,
    booked_at: driftlock::Timestamp,
    has_answer: bool,
    out: Vec<u8>,
    /// Read to its end.
    is_read: bool,
}

impl Progress {
    fn new(world: &World, script: &Script, number: usize) -> Self {
        world.client.reply(number.to_string(), script.reply(), script.polls);
        let calling = Box::pin(world.service.clone().call(script.request(number)));
        Self {
            stage: Stage::Calling(calling),
            polls: 0,
            given_up: None,
            is_sent: false,
            is_booked: false,
            booked_at: driftlock::Timestamp::EPOCH,
            has_answer: false,
            out: Vec::new(),
            is_read: false,
        }
    }

    fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    fn give_up(&mut self, leak: bool) {
        let stage = std::mem::replace(&mut self.stage, Stage::Over);
        if matches!(stage, Stage::Over) {
            return;
        }
        self.given_up = Some(leak);
        match leak {
            true => std::mem::forget(stage),
            false => drop(stage),
        }
    }

    /// One poll; gives the error of a call that failed.
    fn poll(&mut self, script: &Script) -> Option<Error> {
        if let Some((_, leak)) = script.given_up.filter(|(at, _)| *at == self.polls) {
            self.give_up(leak);
            return None;
        }
        self.polls += 1;
        match &mut self.stage {
            Stage::Over => {}
            Stage::Calling(calling) => match poll_once(calling.as_mut()) {
                Poll::Pending => {}
                Poll::Ready(Ok(response)) => {
                    self.has_answer = true;
                    self.stage = Stage::Reading(Box::new(response));
                }
                Poll::Ready(Err(error)) => {
                    self.stage = Stage::Over;
                    return Some(error);
                }
            },
            Stage::Reading(response) => match poll_body(response.body_mut()) {
                Poll::Pending => {}
                Poll::Ready(Some(Ok(frame))) => {
                    self.out.extend_from_slice(&frame.into_data().unwrap_or_default());
                }
                Poll::Ready(Some(Err(_))) => self.stage = Stage::Over,
                Poll::Ready(None) => {
                    self.is_read = true;
                    self.stage = Stage::Over;
                }
            },
        }
        None
    }
}

/// Runs scripts by a schedule, checking on the way, and then to their ends.
fn run(options: Options, scripts: &[Script], schedule: &[(u8, u16)]) {
    let world = World::new(options);
    let mut calls: Vec<_> =
        scripts.iter().enumerate().map(|(n, script)| Progress::new(&world, script, n)).collect();
    let mut latest = driftlock::Timestamp::EPOCH;
    for &(what, which) in schedule {
        match what {
            0..=8 => world.clock.advance(Duration::from_secs(u64::from(which) % 40)),
            9 => world.clock.advance(Duration::from_secs(u64::from(which) % 1200)),
            10..=11 => {
                let back = Duration::from_secs(u64::from(which) % 3600);
                let now = driftlock::Clock::now(&world.clock);
                let nanos = now.as_nanos() - back.as_nanos() as u64;
                world.clock.set(driftlock::Timestamp::from_nanos(nanos));
            }
            12 => {
                if let Some(store) = &world.slow_store {
                    store.is_away.store(which % 3 == 0, Ordering::Relaxed);
                }
            }
            13..=14 => world.slow_store.iter().for_each(|store| store.apply()),
            _ => {
                let number = usize::from(which) % calls.len();
                step(&world, &scripts[number], number, &mut calls[number], &mut latest);
            }
        }
    }
    for (number, call) in calls.iter_mut().enumerate() {
        for _ in 0..60 {
            step(&world, &scripts[number], number, call, &mut latest);
        }
        // What still hangs is dropped: a timeout.
        call.give_up(false);
    }
    world.slow_store.iter().for_each(|store| store.apply());
    check_the_end(&world, scripts, &calls, latest);
}

/// Polls one call and checks what may be said at once.
fn step(
    world: &World,
    script: &Script,
    number: usize,
    call: &mut Progress,
    latest: &mut driftlock::Timestamp,
) {
    if call.is_over() {
        return;
    }
    let before = world.used();
    // The store has seen this time now; its time never runs backwards.
    *latest = (*latest).max(driftlock::Clock::now(&world.clock));
    let open = world.open();
    let (sent, settled) = (world.client.sent().len(), world.ledger.all().len());
    let error = call.poll(script);
    let is_sent_now = world.client.sent().len() > sent;
    call.is_sent |= is_sent_now;
    let is_booked_now = match world.slow_store {
        Some(_) => world.open() > open,
        None => is_sent_now,
    };
    if is_booked_now {
        assert!(!call.is_booked, "booked twice");
        call.is_booked = true;
        call.booked_at = *latest;
    }
    let after = world.used();
    let [workspace, .., user] = [after[0], after[1 + script.user]];
    if is_booked_now && !world.options.observes {
        // Invariant 1.
        assert!(workspace <= world.options.budget, "{workspace}");
        assert!(user <= world.options.user_budget, "{user}");
        assert!(estimate(script.max_tokens(number)).as_nanos() <= MOST_EACH);
    }
    match error {
        None => {}
        Some(Error::Denied(denial)) => {
            // Invariants 5, 15 and 19.
            assert_eq!(after, before, "{denial}");
            assert!(!call.is_sent && !world.options.observes, "{denial}");
            assert_eq!(world.ledger.all().len(), settled);
        }
        Some(Error::Store(_)) => {
            assert!(!call.is_sent && !world.options.observes && !world.options.outage_allows);
            assert!(world.slow_store.is_some());
            assert_eq!(after, before);
        }
        Some(Error::Inner(_)) => assert!(call.is_sent),
        Some(other) => panic!("{other}"),
    }
}

fn check_the_end(
    world: &World,
    scripts: &[Script],
    calls: &[Progress],
    latest: driftlock::Timestamp,
) {
    // Permits that were leaked pass their deadlines.
    let latest = latest.max(driftlock::Clock::now(&world.clock));
    world.clock.set(latest.saturating_add(Duration::from_secs(16 * 60)));
    assert!(!world.is_away() || world.slow_store.is_some());
    world.slow_store.iter().for_each(|store| store.is_away.store(false, Ordering::Relaxed));
    let mut told: HashMap<Usd, Vec<Settled>> = HashMap::new();
    for settled in world.ledger.all() {
        told.entry(settled.reserved).or_default().push(settled);
    }
    let (mut spent, mut overruns) = ([0; 3], 0);
    let mut admissions: [Vec<driftlock::Timestamp>; 3] = Default::default();
    for (number, (script, call)) in scripts.iter().zip(calls).enumerate() {
        let told = told.remove(&estimate(script.max_tokens(number))).unwrap_or_default();
        if !call.is_sent {
            assert!(told.is_empty(), "{number}: {told:?}");
            if call.is_booked && call.given_up == Some(true) {
                // Leaked while the store was asked: it has booked, and cannot know.
                spent[script.user] += estimate(script.max_tokens(number)).as_nanos();
                admissions[script.user].push(call.booked_at);
            }
            continue;
        }
        let verdict = script.verdict(number, world, call);
        // Invariant 4: once, to this.
        assert_eq!(told.len(), usize::from(verdict.is_told), "{number}: {script:?}");
        if let [told] = told[..] {
            assert_eq!(told.cost, verdict.cost, "{number}: {told:?} {script:?}");
        }
        if call.is_booked {
            spent[script.user] += verdict.cost.as_nanos();
            overruns += verdict.cost.saturating_sub(estimate(script.max_tokens(number))).as_nanos();
            if verdict.is_sent {
                admissions[script.user].push(call.booked_at);
            }
        } else {
            assert!(world.options.outage_allows || world.options.observes);
        }
        check_bytes(script, call);
    }
    assert!(told.is_empty(), "{told:?}");
    // Invariants 3, 7 and 8.
    let read = |scope| {
        let spend = drive(world.policy.spend(&scope, month())).unwrap();
        assert_eq!(spend.reserved, Usd::ZERO, "{scope}");
        spend.settled.as_nanos()
    };
    assert_eq!(USERS.map(|user| read(Scope::user(user))), spent);
    let workspace = read(Scope::Workspace);
    assert_eq!(workspace, spent.iter().sum::<u64>());
    assert_eq!(world.open(), 0);
    // Invariant 15.
    let stats = world.policy.stats();
    assert_eq!(stats.admitted_hard + stats.admitted_assumed, world.client.sent().len() as u64);
    if !world.options.observes {
        // Invariant 2.
        assert!(workspace <= world.options.budget + overruns);
        for admissions in &mut admissions {
            // Invariant 9.
            admissions.sort_unstable();
            for some in admissions.windows(world.options.velocity as usize + 1) {
                assert!(some[some.len() - 1].since(some[0]) >= WINDOW, "{some:?}");
            }
        }
    }
}

/// Invariant 14: bytes out are bytes in, less at most the usage nobody asked for.
fn check_bytes(script: &Script, call: &Progress) {
    let Answer::Body { sse, text, .. } = &script.answer else { return };
    if !call.is_read {
        return;
    }
    let out = std::str::from_utf8(&call.out).unwrap();
    match *sse && !script.asks_usage {
        false => assert_eq!(out, text),
        true => {
            let events = text.split_inclusive("\n\n");
            let shown: String =
                events.filter(|event| !event.contains(r#""choices":[],"#)).collect();
            assert_eq!(out, shown);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_happens_each_call_settles_once_and_nothing_stays_reserved(
        options in options(),
        scripts in prop::collection::vec(script(), 1..10),
        schedule in prop::collection::vec((0..60u8, any::<u16>()), 0..120),
    ) {
        run(options, &scripts, &schedule);
    }

    #[test]
    fn the_charge_does_not_depend_on_frames(
        mut script in script(),
        mut options in options(),
        other_cuts in prop::collection::vec(0..700usize, 0..40),
    ) {
        (options.budget, options.user_budget) = (1 << 40, 1 << 40);
        script.given_up = None;
        run(options, &[script.clone()], &[]);
        if let Answer::Body { cuts, .. } = &mut script.answer {
            *cuts = other_cuts;
        }
        run(options, &[script], &[]);
    }
}

/// Every answer, dropped or leaked at every poll, on both kinds of stores.
#[test]
fn a_call_may_be_given_up_at_every_poll() {
    let body = |status, sse, text: String, breaks, admits_end| {
        let cuts = (0..text.len()).step_by(37).collect();
        Answer::Body { status, sse, text, cuts, breaks, admits_end }
    };
    let usage = Some((290, 290));
    let answers = [
        body(200, false, document(usage, "plain"), false, false),
        body(200, false, document(usage, "dear"), false, true),
        body(200, false, document(None, "plain"), true, false),
        body(200, true, events(usage, "plain", true), false, false),
        body(200, true, events(usage, "plain", false), false, true),
        body(200, true, events(None, "plain", true), true, false),
        body(429, false, document(None, "plain"), false, false),
        body(500, false, document(usage, "plain"), false, false),
        Answer::Fail(std::io::ErrorKind::TimedOut),
        Answer::Fail(std::io::ErrorKind::ConnectionRefused),
        Answer::Refuse,
        Answer::Hang,
    ];
    for (answer, store_polls) in
        answers.iter().flat_map(|answer| [None, Some(3)].map(|polls| (answer, polls)))
    {
        for (at, leak) in (0..40).flat_map(|at| [(at, false), (at, true)]) {
            let options = Options {
                observes: false,
                ambiguous_is_free: at % 2 == 0,
                seen_is_all: at % 3 == 0,
                slow_rule: true,
                store_polls,
                is_file: false,
                outage_allows: false,
                budget: 1 << 40,
                user_budget: 1 << 40,
                velocity: 1,
            };
            let script = Script {
                user: 0,
                tens_of_tokens: 4,
                asks_usage: at % 2 == 1,
                polls: 2,
                answer: answer.clone(),
                given_up: Some((at, leak)),
            };
            run(options, &[script], &[]);
        }
    }
}

#[cfg(feature = "sqlite")]
proptest! {
    #![proptest_config(ProptestConfig {
        cases: 60,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_same_holds_for_a_store_in_a_file(
        mut options in options(),
        scripts in prop::collection::vec(script(), 1..10),
        schedule in prop::collection::vec((0..60u8, any::<u16>()), 0..120),
    ) {
        options.is_file = true;
        options.store_polls = options.store_polls.or(Some(0));
        run(options, &scripts, &schedule);
    }
}
