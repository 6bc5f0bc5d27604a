//! Every end of a call has a rule, and leaves nothing reserved.
#![allow(clippy::unwrap_used)] // in helpers too

mod scripted;

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use driftlock::{
    Call, Denial, Driftlock, Error, MemoryStore, MeteredBody, Mode, MonthlyBudget, OnAbandoned,
    OnAmbiguous, OnOutage, Operation, Permit, Policy, PolicyBuilder, Price, PriceBook, Provider,
    Receipt, Rule, Scope, Settled, SettledHow, Tier, UnknownPrice, Usage, Usd, VelocityLimit,
    Verdict, store::Store,
};
use http::{Request, Response, StatusCode};
use http_body::Body;
use scripted::{
    AsyncStore, Client, DONE, Ledger, MODEL, Refused, Reply, ScriptedBody, Step, USAGE_ONLY, book,
    chat, client, content, drive, estimate, json, layered, month, noon, policy, poll_body,
    poll_once, read, usage_cost,
};
use tower::{Layer, Service, ServiceExt};

const STREAM: &str = r#","stream":true"#;
/// Output maximum of the calls in here.
const MAX: u64 = 10;

fn reserved() -> Usd {
    estimate(MAX)
}

/// A policy under test, and what it did.
struct Bench {
    policy: Policy,
    ledger: Ledger,
    store: Arc<MemoryStore>,
    clock: driftlock::ManualClock,
}

type Answered = Result<Response<MeteredBody<ScriptedBody>>, Error>;

impl Bench {
    /// One call an hour, so that a second one tells whether the first counts.
    fn new(with: impl FnOnce(PolicyBuilder) -> PolicyBuilder) -> Self {
        let (builder, ledger, store, clock) = policy();
        let hour = Duration::from_secs(3600);
        let policy = with(builder.rule(VelocityLimit::new(1, hour))).build().unwrap();
        Self { policy, ledger, store, clock }
    }

    fn plain() -> Self {
        Self::new(|builder| builder)
    }

    fn call(&self, request: Request<ScriptedBody>, reply: Reply) -> Answered {
        drive(layered(&self.policy, &client(reply)).oneshot(request))
    }

    /// A call that answers, read to its end.
    fn read(&self, request: Request<ScriptedBody>, reply: Reply) -> Receipt {
        let mut response = self.call(request, reply).unwrap();
        assert_eq!(self.spent().reserved, reserved());
        let receipt = receipt(&response);
        assert_eq!(receipt.try_settled(), None);
        let _ = read(response.body_mut());
        drop(response);
        receipt
    }

    fn spent(&self) -> driftlock::Spend {
        drive(self.policy.spend(&Scope::Workspace, month())).unwrap()
    }

    /// The one call has cost this, nothing is held, and it counts for the velocity
    /// limit unless nothing was sent.
    #[track_caller]
    fn assert_settled(&self, cost: Usd, how: SettledHow) -> Settled {
        let settled = self.ledger.only();
        assert_eq!((settled.cost, settled.how), (cost, how));
        assert_eq!(settled.reserved, reserved());
        let spent = self.spent();
        assert_eq!((spent.settled, spent.reserved), (cost, Usd::ZERO));
        assert_eq!(self.store.open_reservations(), 0);
        assert_eq!(self.counts_a_call(), how != SettledHow::NotSent, "the velocity slot");
        settled
    }

    #[track_caller]
    fn assert_untouched(&self) {
        assert_eq!(self.ledger.all(), []);
        let spent = self.spent();
        assert_eq!((spent.settled, spent.reserved), (Usd::ZERO, Usd::ZERO));
        assert_eq!(self.store.open_reservations(), 0);
        assert!(!self.counts_a_call());
    }

    fn counts_a_call(&self) -> bool {
        match drive(self.policy.admit(&mut plain_call())) {
            Ok(permit) => {
                permit.release();
                false
            }
            Err(_) => true,
        }
    }

    fn permit(&self) -> Permit {
        drive(self.policy.admit(&mut plain_call())).unwrap()
    }
}

fn plain_call() -> Call {
    Call::new(Provider::OPENAI, Operation::Chat, MODEL).with_max_output_tokens(MAX)
}

fn receipt(response: &Response<MeteredBody<ScriptedBody>>) -> Receipt {
    response.extensions().get::<Receipt>().unwrap().clone()
}

fn settled(receipt: &Receipt) -> Settled {
    drive(receipt.settled())
}

fn stream(usage: &str) -> Reply {
    Reply::sse([
        Step::data(content("one")),
        Step::Wait,
        Step::data(content("two")),
        Step::data(usage.to_owned() + DONE),
    ])
}

// -- final usage seen ----------------------------------------------------------------

#[test]
fn final_usage_is_charged_and_the_rest_given_back() {
    let bench = Bench::plain();
    let receipt = bench.read(chat(MAX, ""), Reply::json(200, json(40, 5)));
    let settled = bench.assert_settled(usage_cost(40, 5), SettledHow::Actual);
    assert_eq!(settled.usage, Some(Usage::tokens(40, 5)));
    assert_eq!(receipt.try_settled(), Some(settled));
    assert_eq!(drive(receipt.settled()), settled);
}

#[test]
fn an_overrun_is_recorded_past_the_limit() {
    let bench = Bench::new(|builder| builder.rule(MonthlyBudget::new(reserved())));
    bench.read(chat(MAX, ""), Reply::json(200, json(100, 500)));
    bench.assert_settled(usage_cost(100, 500), SettledHow::Actual);
    assert!(bench.spent().settled > reserved());
}

#[test]
fn a_streams_usage_settles_it_at_done() {
    let bench = Bench::plain();
    let mut response = bench.call(chat(MAX, STREAM), stream(USAGE_ONLY)).unwrap();
    let mut text = Vec::new();
    while bench.ledger.all().is_empty() {
        if let std::task::Poll::Ready(Some(frame)) = poll_body(response.body_mut()) {
            text.extend_from_slice(&frame.unwrap().into_data().unwrap());
        }
    }
    // At the marker, before the end of the body, as clients that drop it there need.
    assert!(text.ends_with(DONE.as_bytes()) && !text.windows(5).any(|w| w == b"usage\":{"));
    drop(response);
    bench.assert_settled(usage_cost(40, 5), SettledHow::Actual);
}

#[test]
fn a_stream_that_just_ends_settles_to_the_usage_it_told() {
    let bench = Bench::plain();
    let reply = Reply::sse([Step::data(content("one")), Step::data(USAGE_ONLY)]);
    bench.read(chat(MAX, STREAM), reply);
    bench.assert_settled(usage_cost(40, 5), SettledHow::Actual);
}

#[test]
fn nothing_after_the_end_marker_counts() {
    let bench = Bench::plain();
    let later = USAGE_ONLY.replace("40", "99999");
    let body = [Step::data(USAGE_ONLY), Step::data(format!("{DONE}{later}")), Step::data(later)];
    bench.read(chat(MAX, STREAM), Reply::sse(body));
    bench.assert_settled(usage_cost(40, 5), SettledHow::Actual);
}

#[test]
fn trailers_and_an_end_that_is_only_admitted_are_ends() {
    for reply in [
        Reply::json(200, json(40, 5)).admitting_end(),
        Reply::Answer {
            status: 200,
            headers: vec![],
            body: vec![Step::data(json(40, 5)), Step::Trailers, Step::Hang],
            admits_end: false,
        },
    ] {
        let bench = Bench::plain();
        let mut response = bench.call(chat(MAX, ""), reply).unwrap();
        while bench.ledger.all().is_empty() {
            let _ = poll_body(response.body_mut());
        }
        bench.assert_settled(usage_cost(40, 5), SettledHow::Actual);
    }
}

// -- no usage ------------------------------------------------------------------------

#[test]
fn a_served_call_without_usage_costs_the_estimate() {
    for reply in [
        Reply::json(200, "{}"),
        Reply::json(200, ""),
        Reply::json(204, "").admitting_end(),
        Reply::json(200, "not json {\"usage\""),
        Reply::json(200, r#"{"usage":{"prompt_tokens":-1,"completion_tokens":5}}"#),
        Reply::json(200, json(u64::MAX, 5)),
        Reply::json(200, json(1 << 39, 5)), // beyond ten times any context window
        stream(""),
        stream("data: {\"usage\":{\"prompt_tokens\":0,\"completion_tokens\":0}}\n\n"),
    ] {
        let bench = Bench::plain();
        bench.read(chat(MAX, STREAM), reply);
        bench.assert_settled(reserved(), SettledHow::Estimated);
        assert_eq!(bench.policy.stats().estimated, 1);
    }
}

#[test]
fn an_empty_body_that_nobody_polls_settles_at_once() {
    let bench = Bench::plain();
    let reply = Reply::Answer { status: 200, headers: vec![], body: vec![], admits_end: true };
    let response = bench.call(chat(MAX, ""), reply).unwrap();
    bench.assert_settled(reserved(), SettledHow::Estimated);
    drop(response);
}

#[test]
fn a_compressed_answer_costs_the_estimate() {
    for (encoding, how, cost) in [
        ("gzip", SettledHow::Estimated, reserved()),
        ("identity", SettledHow::Actual, usage_cost(40, 5)),
    ] {
        let bench = Bench::plain();
        let reply = Reply::json(200, json(40, 5)).with_header("content-encoding", encoding);
        bench.read(chat(MAX, ""), reply);
        bench.assert_settled(cost, how);
    }
    let bench = Bench::plain();
    bench.read(chat(MAX, ""), Reply::json(429, "{}").with_header("content-encoding", "br"));
    bench.assert_settled(Usd::ZERO, SettledHow::Refused);
}

// -- broken and abandoned ------------------------------------------------------------

/// A stream that was read so far and then dropped.
fn abandon(bench: &Bench, reply: Reply, polls: usize) -> Receipt {
    let mut response = bench
        .call(chat(MAX, r#","stream":true,"stream_options":{"include_usage":true}"#), reply)
        .unwrap();
    let receipt = receipt(&response);
    for _ in 0..polls {
        let _ = poll_body(response.body_mut());
    }
    drop(response);
    receipt
}

#[test]
fn an_abandoned_stream_costs_the_estimate_or_what_was_seen_if_that_is_more() {
    let small = [Step::data(content("a")), Step::data(USAGE_ONLY), Step::data(content("b"))];
    let large = [Step::data(content("a")), Step::data(USAGE_ONLY.replace("40", "9000"))];
    for polls in 0..3 {
        let bench = Bench::plain();
        let receipt = abandon(&bench, Reply::sse(small.clone()), polls);
        let settled = bench.assert_settled(reserved(), SettledHow::Abandoned);
        assert_eq!(receipt.try_settled(), Some(settled));
    }
    let bench = Bench::plain();
    abandon(&bench, Reply::sse(large), 2);
    bench.assert_settled(usage_cost(9000, 5), SettledHow::Abandoned);
}

#[test]
fn what_was_seen_may_be_all_that_counts() {
    let seen = |builder: PolicyBuilder| builder.on_abandoned(OnAbandoned::Seen);
    let body = [Step::data(content("a")), Step::data(USAGE_ONLY), Step::data(content("b"))];
    for (polls, cost) in
        [(0, Usd::ZERO), (1, Usd::ZERO), (2, usage_cost(40, 5)), (3, usage_cost(40, 5))]
    {
        let bench = Bench::new(seen);
        abandon(&bench, Reply::sse(body.clone()), polls);
        bench.assert_settled(cost, SettledHow::Abandoned);
    }
}

#[test]
fn a_document_dropped_before_its_end_counts_the_usage_that_had_come() {
    let whole = json(9000, 5);
    // Nobody polls again after the last byte, so no one has seen the end.
    let bench = Bench::plain();
    abandon(&bench, Reply::json(200, whole.clone()), 1);
    bench.assert_settled(usage_cost(9000, 5), SettledHow::Actual);
    let bench = Bench::plain();
    abandon(&bench, Reply::json(200, whole.slice(..whole.len() - 1)), 1);
    bench.assert_settled(usage_cost(9000, 5), SettledHow::Abandoned);
}

#[test]
fn dropped_after_done_is_not_abandoned() {
    let bench = Bench::plain();
    let reply = Reply::sse([Step::data(USAGE_ONLY.to_owned() + DONE), Step::Hang]);
    abandon(&bench, reply, 1);
    bench.assert_settled(usage_cost(40, 5), SettledHow::Actual);
}

#[test]
fn a_body_that_breaks_costs_as_an_abandoned_one() {
    for (usage, cost) in [
        ("", reserved()),
        (USAGE_ONLY, reserved()),
        (&*USAGE_ONLY.replace("40", "9000"), usage_cost(9000, 5)),
    ] {
        let bench = Bench::plain();
        let body = [Step::data(content("a") + usage), Step::Wait, Step::Fail];
        bench.read(chat(MAX, STREAM), Reply::sse(body));
        bench.assert_settled(cost, SettledHow::Abandoned);
    }
}

#[test]
fn a_body_that_panics_settles_when_it_is_dropped() {
    let bench = Bench::plain();
    let reply = Reply::sse([Step::data(content("a")), Step::Panic]);
    let mut response = bench.call(chat(MAX, STREAM), reply).unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| read(response.body_mut())));
    assert!(panicked.is_err());
    assert_eq!(bench.ledger.all(), []);
    drop(response);
    bench.assert_settled(reserved(), SettledHow::Abandoned);
}

// -- statuses ------------------------------------------------------------------------

#[test]
fn a_refused_call_costs_nothing_unless_its_body_tells_usage() {
    for status in [302, 400, 401, 404, 409, 413, 422, 429, 451, 503, 529] {
        let bench = Bench::plain();
        bench.read(chat(MAX, ""), Reply::json(status, r#"{"error":{"message":"no"}}"#));
        bench.assert_settled(Usd::ZERO, SettledHow::Refused);

        let bench = Bench::plain();
        abandon(&bench, Reply::json(status, "{}"), 0);
        bench.assert_settled(Usd::ZERO, SettledHow::Refused);

        let bench = Bench::plain();
        bench.read(chat(MAX, ""), Reply::json(status, json(40, 5)));
        bench.assert_settled(usage_cost(40, 5), SettledHow::Actual);
    }
}

#[test]
fn an_ambiguous_status_costs_what_the_policy_says() {
    for status in [408, 499, 500, 501, 502, 504, 520, 522, 524, 530] {
        for (on_ambiguous, cost) in
            [(OnAmbiguous::Estimate, reserved()), (OnAmbiguous::Nothing, Usd::ZERO)]
        {
            for polls in [0, 9] {
                let bench = Bench::new(|builder| builder.on_ambiguous(on_ambiguous));
                abandon(&bench, Reply::json(status, r#"{"error":{}}"#), polls);
                bench.assert_settled(cost, SettledHow::Ambiguous);
            }
            let bench = Bench::new(|builder| builder.on_ambiguous(on_ambiguous));
            bench.read(chat(MAX, ""), Reply::json(status, json(40, 5)));
            bench.assert_settled(usage_cost(40, 5), SettledHow::Actual);
        }
    }
}

// -- inner errors --------------------------------------------------------------------

#[test]
fn an_inner_error_costs_what_the_policy_says() {
    for (on_ambiguous, cost) in
        [(OnAmbiguous::Estimate, reserved()), (OnAmbiguous::Nothing, Usd::ZERO)]
    {
        let bench = Bench::new(|builder| builder.on_ambiguous(on_ambiguous));
        let error = bench.call(chat(MAX, ""), Reply::Fail(std::io::ErrorKind::TimedOut));
        let inner = error.unwrap_err().downcast_inner::<std::io::Error>().unwrap();
        assert_eq!(inner.kind(), std::io::ErrorKind::TimedOut);
        bench.assert_settled(cost, SettledHow::Ambiguous);
    }
}

#[test]
fn what_proves_that_nothing_was_sent_gives_the_slot_back_too() {
    let bench = Bench::plain();
    let refused = Reply::Fail(std::io::ErrorKind::ConnectionRefused);
    bench.call(chat(MAX, ""), refused.clone()).unwrap_err();
    bench.assert_settled(Usd::ZERO, SettledHow::NotSent);

    let bench = Bench::new(|b| b.nothing_sent(|error| error.is::<Refused>()));
    bench.call(chat(MAX, ""), Reply::Refuse).unwrap_err();
    bench.assert_settled(Usd::ZERO, SettledHow::NotSent);

    let bench = Bench::new(PolicyBuilder::hidden_retries);
    bench.call(chat(MAX, ""), refused).unwrap_err();
    bench.assert_settled(reserved(), SettledHow::Ambiguous);
}

#[test]
fn a_classifier_that_panics_proves_nothing() {
    let bench = Bench::new(|b| b.nothing_sent(|_| panic!("a classifier panicked")));
    let error = bench.call(chat(MAX, ""), Reply::Refuse).unwrap_err();
    assert!(error.inner_ref::<Refused>().is_some());
    bench.assert_settled(reserved(), SettledHow::Ambiguous);
}

#[test]
fn denied_readiness_reserves_nothing() {
    let bench = Bench::plain();
    let never = tower::service_fn(|_: Request<ScriptedBody>| async {
        Ok::<_, driftlock::BoxError>(Response::new(ScriptedBody::default()))
    });
    let never = tower::load_shed::LoadShed::new(tower::limit::ConcurrencyLimit::new(never, 0));
    let layer = driftlock::DriftlockLayer::new(bench.policy.clone());
    let error = drive(tower::Layer::layer(&layer, never).oneshot(chat(MAX, "")));
    assert!(matches!(error, Err(Error::Inner(_))));
    // Load shedding is ready and refuses in the call: without a classifier that is
    // ambiguous. The feature that names Tower brings one.
    match cfg!(feature = "retry") {
        true => bench.assert_settled(Usd::ZERO, SettledHow::NotSent),
        false => bench.assert_settled(reserved(), SettledHow::Ambiguous),
    };

    struct Broken;
    impl Service<Request<ScriptedBody>> for Broken {
        type Response = Response<ScriptedBody>;
        type Error = driftlock::BoxError;
        type Future = std::future::Ready<Result<Response<ScriptedBody>, driftlock::BoxError>>;
        fn poll_ready(
            &mut self,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), Self::Error>> {
            std::task::Poll::Ready(Err(Refused.into()))
        }
        fn call(&mut self, _: Request<ScriptedBody>) -> Self::Future {
            unreachable!("it is not ready")
        }
    }
    impl Clone for Broken {
        fn clone(&self) -> Self {
            Self
        }
    }
    let bench = Bench::plain();
    let layer = driftlock::DriftlockLayer::new(bench.policy.clone());
    let error = drive(tower::Layer::layer(&layer, Broken).oneshot(chat(MAX, ""))).err().unwrap();
    assert!(error.inner_ref::<Refused>().is_some());
    bench.assert_untouched();
}

#[test]
fn a_client_that_panics_leaves_nothing_reserved() {
    for (reply, polls) in
        [(Reply::PanicInCall, 0), (Reply::PanicInPoll, 0), (Reply::PanicInPoll, 3)]
    {
        let bench = Bench::plain();
        let inner = Client::default();
        inner.reply("", reply, polls);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            drive(layered(&bench.policy, &inner).oneshot(chat(MAX, "")))
        }));
        assert!(outcome.is_err());
        // Something may have been sent.
        bench.assert_settled(reserved(), SettledHow::Abandoned);
        // The mark of a nested layer is gone: the next call is governed.
        let denied = bench.call(chat(MAX, ""), Reply::json(200, "{}")).unwrap_err();
        assert_eq!(denied.denial().map(Denial::rule), Some("velocity_limit"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_timeout_is_ambiguous_below_and_abandonment_above() {
    let second = Duration::from_secs(1);
    let bench = Bench::plain();
    let above = tower::timeout::Timeout::new(layered(&bench.policy, &client(Reply::Hang)), second);
    above.oneshot(chat(MAX, "").map(woken)).await.map(drop).unwrap_err();
    bench.assert_settled(reserved(), SettledHow::Abandoned);

    let bench = Bench::plain();
    let below = tower::timeout::Timeout::new(client(Reply::Hang), second);
    let layer = driftlock::DriftlockLayer::new(bench.policy.clone());
    let error = layer.layer(below).oneshot(chat(MAX, "").map(woken)).await.map(drop).unwrap_err();
    assert!(error.inner_ref::<tower::timeout::error::Elapsed>().is_some());
    bench.assert_settled(reserved(), SettledHow::Ambiguous);
}

/// The same body without its wait, after which a script wakes nobody.
fn woken(mut body: ScriptedBody) -> ScriptedBody {
    ScriptedBody::from(Bytes::from(read(&mut body).unwrap().concat()))
}

// -- dropped futures -----------------------------------------------------------------

type Calling = Pin<Box<dyn Future<Output = Answered>>>;

fn start(service: &Driftlock<Client>, request: Request<ScriptedBody>) -> Calling {
    Box::pin(service.clone().call(request))
}

/// A rule that takes two polls.
struct Slow;

impl Rule for Slow {
    async fn evaluate(&self, _: &Call) -> Verdict {
        let mut polls = 2;
        std::future::poll_fn(|_| {
            polls -= 1;
            if polls == 0 { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
        Verdict::Allow
    }
}

#[test]
fn a_future_may_be_dropped_at_any_poll() {
    let (mut untouched, mut abandoned, mut done) = (0, 0, 0);
    for polls in 0.. {
        let bench = Bench::new(|builder| builder.rule(Slow));
        let inner = client(Reply::json(200, json(40, 5)));
        let mut calling = start(&layered(&bench.policy, &inner), chat(MAX, ""));
        let answered = (0..polls).any(|_| poll_once(calling.as_mut()).is_ready());
        drop(calling);
        match (inner.sent().len(), answered) {
            (0, false) => {
                untouched += 1;
                bench.assert_untouched();
            }
            (1, false) => {
                abandoned += 1;
                bench.assert_settled(reserved(), SettledHow::Abandoned);
            }
            (1, true) => {
                done += 1;
                // The response was dropped unread.
                bench.assert_settled(reserved(), SettledHow::Abandoned);
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    // Not polled, the body waits, the rule waits; the client waits; the answer.
    assert_eq!((untouched, abandoned, done), (3, 1, 1));
}

#[test]
fn a_future_may_be_dropped_while_a_store_is_asked() {
    let mut seen = [0; 2];
    for polls in 0..9 {
        let (builder, ledger, memory, _) = policy();
        let store = AsyncStore::new(memory.clone(), 4);
        let policy = builder.store(store.clone()).build().unwrap();
        let inner = client(Reply::Hang);
        let mut calling = start(&layered(&policy, &inner), chat(MAX, ""));
        for _ in 0..polls {
            assert!(poll_once(calling.as_mut()).is_pending());
        }
        let was_sent = inner.sent().len() == 1;
        drop(calling);
        drive(store.flush()).unwrap();
        let spent = drive(policy.spend(&Scope::Workspace, month())).unwrap();
        let cost = if was_sent { reserved() } else { Usd::ZERO };
        assert_eq!((spent.settled, spent.reserved), (cost, Usd::ZERO));
        assert_eq!(memory.open_reservations(), 0);
        assert_eq!(ledger.all().len(), usize::from(was_sent));
        seen[usize::from(was_sent)] += 1;
    }
    assert_eq!(seen, [6, 3]);
}

#[test]
fn a_store_that_is_away_denies_or_is_done_without() {
    let up_to = OnOutage::AllowUpTo;
    let cases = [
        (OnOutage::Deny, 0, false),
        (OnOutage::Deny, 3, false),
        (OnOutage::Allow, 3, true),
        (up_to(reserved()), 3, true),
        (up_to(reserved().saturating_sub(Usd::nanos(1))), 3, false),
    ];
    for (on_outage, polls, sends) in cases {
        let (builder, ledger, memory, _) = policy();
        let store = AsyncStore::new(memory.clone(), polls);
        let policy = builder.store(store.clone()).on_outage(on_outage).build().unwrap();
        store.is_away.store(true, Ordering::Relaxed);
        let inner = client(Reply::json(200, json(40, 5)));
        let answered = drive(layered(&policy, &inner).oneshot(chat(MAX, "")));
        match sends {
            false => {
                assert!(matches!(answered, Err(Error::Store(_))));
                assert_eq!((inner.sent().len(), ledger.all().len()), (0, 0));
            }
            true => {
                read(answered.unwrap().body_mut()).unwrap();
                assert_eq!(inner.sent().len(), 1);
                let settled = ledger.only();
                assert_eq!((settled.cost, settled.how), (usage_cost(40, 5), SettledHow::Actual));
            }
        }
        assert!(drive(policy.spend(&Scope::Workspace, month())).is_err());
        store.is_away.store(false, Ordering::Relaxed);
        drive(store.flush()).unwrap();
        let spent = drive(policy.spend(&Scope::Workspace, month())).unwrap();
        assert_eq!((spent.settled, spent.reserved), (Usd::ZERO, Usd::ZERO));
        assert_eq!(memory.open_reservations(), 0);
    }
}

// -- lost permits and deadlines ------------------------------------------------------

const DEADLINE: Duration = Duration::from_secs(15 * 60);
const TICK: Duration = Duration::from_nanos(1);

#[test]
fn a_lost_permit_counts_at_the_estimate_from_its_deadline_on() {
    let bench = Bench::plain();
    let mut permit = bench.permit();
    permit.sent();
    std::mem::forget(permit);
    bench.clock.advance(DEADLINE - TICK);
    assert_eq!((bench.spent().reserved, bench.store.open_reservations()), (reserved(), 1));
    bench.clock.advance(TICK);
    let spent = bench.spent();
    assert_eq!((spent.settled, spent.reserved), (reserved(), Usd::ZERO));
    assert_eq!(bench.store.open_reservations(), 0);
    assert!(bench.counts_a_call());
}

#[test]
fn a_late_settle_corrects_an_expired_reservation() {
    for (usage, cost) in [((40, 5), usage_cost(40, 5)), ((9000, 5), usage_cost(9000, 5))] {
        let bench = Bench::plain();
        let mut permit = bench.permit();
        permit.sent();
        bench.clock.advance(DEADLINE);
        assert_eq!(bench.spent().settled, reserved());
        permit.settle(&Usage::tokens(usage.0, usage.1));
        bench.assert_settled(cost, SettledHow::Actual);
    }
    let bench = Bench::plain();
    let permit = bench.permit();
    bench.clock.advance(DEADLINE);
    assert_eq!(bench.spent().settled, reserved());
    permit.release();
    bench.assert_settled(Usd::ZERO, SettledHow::NotSent);
}

#[test]
fn a_stream_that_flows_past_its_deadline_is_not_lost() {
    let bench = Bench::plain();
    let words = (0..40).map(|n| Step::data(content(&n.to_string())));
    let reply = Reply::sse(words.chain([Step::data(USAGE_ONLY.to_owned() + DONE)]));
    let mut response = bench.call(chat(MAX, STREAM), reply).unwrap();
    for _ in 0..40 {
        bench.clock.advance(DEADLINE / 3);
        assert!(poll_body(response.body_mut()).is_ready());
        assert_eq!((bench.spent().reserved, bench.store.open_reservations()), (reserved(), 1));
    }
    read(response.body_mut()).unwrap();
    bench.clock.advance(DEADLINE);
    bench.assert_settled_after_hours(usage_cost(40, 5));
}

impl Bench {
    /// As [`assert_settled`](Self::assert_settled), when the velocity window has passed.
    fn assert_settled_after_hours(&self, cost: Usd) {
        assert_eq!((self.ledger.only().cost, self.ledger.only().how), (cost, SettledHow::Actual));
        let spent = self.spent();
        assert_eq!((spent.settled, spent.reserved), (cost, Usd::ZERO));
        assert_eq!(self.store.open_reservations(), 0);
    }
}

#[test]
fn a_stream_that_paused_past_its_deadline_settles_to_the_truth_all_the_same() {
    let bench = Bench::plain();
    let reply = stream(USAGE_ONLY);
    let mut response = bench.call(chat(MAX, STREAM), reply).unwrap();
    assert!(poll_body(response.body_mut()).is_ready());
    bench.clock.advance(DEADLINE * 2);
    assert_eq!((bench.spent().settled, bench.spent().reserved), (reserved(), Usd::ZERO));
    read(response.body_mut()).unwrap();
    bench.assert_settled(usage_cost(40, 5), SettledHow::Actual);
}

// -- clocks --------------------------------------------------------------------------

#[test]
fn a_clock_that_steps_back_between_reserving_and_settling_loses_nothing() {
    for usage in [(40, 5), (9000, 5)] {
        let bench = Bench::plain();
        let mut permit = bench.permit();
        permit.sent();
        bench.clock.set("2026-10-01T00:00:00Z".parse().unwrap());
        permit.settle(&Usage::tokens(usage.0, usage.1));
        bench.assert_settled(usage_cost(usage.0, usage.1), SettledHow::Actual);
    }
}

#[test]
fn a_call_reserved_after_the_clock_stepped_back_is_held_for_a_whole_deadline() {
    let bench = Bench::plain();
    bench.spent(); // the store has seen noon
    bench.clock.set("2026-11-22T11:00:00Z".parse().unwrap());
    let permit = bench.permit();
    let spent = bench.spent();
    assert_eq!((spent.settled, spent.reserved), (Usd::ZERO, reserved()));
    assert_eq!(bench.store.open_reservations(), 1);
    permit.release();
    bench.assert_settled(Usd::ZERO, SettledHow::NotSent);
}

#[test]
fn a_call_settles_into_the_month_it_began_in() {
    for usage in [(40, 5), (9000, 5)] {
        let bench = Bench::plain();
        bench.clock.set("2026-11-30T23:59:59Z".parse().unwrap());
        let mut permit = bench.permit();
        permit.sent();
        bench.clock.advance(Duration::from_secs(2));
        assert_eq!((bench.spent().settled, bench.spent().reserved), (Usd::ZERO, Usd::ZERO));
        permit.settle(&Usage::tokens(usage.0, usage.1));
        assert_eq!((bench.spent().settled, bench.spent().reserved), (Usd::ZERO, Usd::ZERO));
        assert_eq!(bench.store.open_reservations(), 0);
        assert_eq!(bench.ledger.only().cost, usage_cost(usage.0, usage.1));
    }
}

// -- prices --------------------------------------------------------------------------

fn dearer() -> PriceBook {
    book()
        .overlay()
        .model(MODEL, Price::per_mtok(Usd::dollars(7), Usd::dollars(70)))
        .build()
        .unwrap()
}

#[test]
fn prices_are_those_of_the_reservation() {
    let bench = Bench::plain();
    let mut response = bench.call(chat(MAX, ""), Reply::json(200, json(40, 5))).unwrap();
    bench.policy.set_prices(dearer());
    read(response.body_mut()).unwrap();
    bench.assert_settled(usage_cost(40, 5), SettledHow::Actual);
    bench.clock.advance(Duration::from_secs(7200));
    let permit = bench.permit();
    assert_eq!(permit.reserved(), reserved().saturating_mul(7));
    permit.release();
}

#[test]
fn a_name_leads_where_it_did_at_the_reservation() {
    let bench = Bench::plain();
    let mut response = bench.call(chat(MAX, ""), Reply::json(200, json(40, 5))).unwrap();
    bench.policy.set_prices(book().overlay().alias(MODEL, "dear").build().unwrap());
    read(response.body_mut()).unwrap();
    bench.assert_settled(usage_cost(40, 5), SettledHow::Actual);
}

#[test]
fn an_announced_price_holds_at_both_ends() {
    let (builder, ledger, _, clock) = policy();
    let policy = builder.build().unwrap();
    let google = Provider::GOOGLE;
    let model = "gemini-4-argon"; // dearer from December on
    let id = policy.prices().find(&google, model).unwrap();
    let usage = Usage::tokens(90, 10);
    for at in ["2026-11-30T23:59:00Z", "2026-12-01T00:01:00Z"] {
        clock.set(at.parse().unwrap());
        let mut call = Call::new(google.clone(), Operation::Chat, model).with_max_output_tokens(8);
        let mut permit = drive(policy.admit(&mut call)).unwrap();
        permit.sent();
        permit.settle(&usage);
        let price = policy.prices();
        let price = price.entry(id).price_at(at.parse().unwrap());
        let cost = price.cost(&usage, Tier::Default, driftlock::Region::default());
        assert_eq!(ledger.all().last().unwrap().cost, cost, "{at}");
    }
    assert_ne!(ledger.all()[0].cost, ledger.all()[1].cost);
}

#[test]
fn what_answers_is_what_is_charged() {
    let answer = |model: &str| {
        Bytes::from(String::from_utf8(json(40, 5).to_vec()).unwrap().replace(MODEL, model))
    };
    let assume = UnknownPrice::Assume(Box::new(Price::per_mtok(Usd::dollars(3), Usd::dollars(30))));
    for (model, unknown, cost) in [
        ("dear", UnknownPrice::Deny, usage_cost(400, 50)),
        ("free", UnknownPrice::Deny, Usd::ZERO),
        ("never-heard-of", UnknownPrice::Deny, usage_cost(40, 5)),
        ("never-heard-of", UnknownPrice::Allow, usage_cost(40, 5)),
        ("never-heard-of", assume.clone(), usage_cost(120, 15)),
        (MODEL, assume.clone(), usage_cost(40, 5)),
        ("free", assume, Usd::ZERO),
    ] {
        let bench = Bench::new(|builder| builder.unknown_price(unknown.clone()));
        bench.read(chat(MAX, ""), Reply::json(200, answer(model)));
        bench.assert_settled(cost, SettledHow::Actual);
    }
}

#[test]
fn the_tier_that_served_is_what_is_charged() {
    let rate = |input, output| Price::per_mtok(Usd::dollars(input), Usd::dollars(output));
    let tiered =
        rate(2, 20).service_tier(Tier::Flex, rate(1, 10)).service_tier(Tier::Priority, rate(4, 40));
    for (tier, cost) in [
        ("default", usage_cost(80, 10)),
        ("flex", usage_cost(40, 5)),
        ("priority", usage_cost(160, 20)),
    ] {
        let bench = Bench::plain();
        bench.policy.set_prices(book().overlay().model(MODEL, tiered.clone()).build().unwrap());
        let body = String::from_utf8(json(40, 5).to_vec()).unwrap();
        let body = body.replacen('{', &format!(r#"{{"service_tier":"{tier}","#), 1);
        let mut response =
            bench.call(chat(MAX, r#","service_tier":"auto""#), Reply::json(200, body)).unwrap();
        read(response.body_mut()).unwrap();
        assert_eq!(bench.ledger.only().cost, cost, "{tier}");
        assert!(bench.ledger.only().reserved >= cost);
        assert_eq!(bench.spent().settled, cost);
    }
}

// -- permits without a layer ---------------------------------------------------------

#[test]
fn a_permit_settles_as_its_table_says() {
    type End = fn(Permit);
    let ends: [(End, Usd, SettledHow); 10] = [
        (drop, Usd::ZERO, SettledHow::NotSent),
        (Permit::release, Usd::ZERO, SettledHow::NotSent),
        (|permit| permit.failed(&"no".into()), Usd::ZERO, SettledHow::NotSent),
        (Permit::settle_estimate, reserved(), SettledHow::Estimated),
        (|permit| permit.settle(&Usage::tokens(40, 5)), usage_cost(40, 5), SettledHow::Actual),
        (
            |permit| permit.settle(&Usage { cached_input_tokens: 41, ..Usage::tokens(40, 5) }),
            reserved(),
            SettledHow::Estimated,
        ),
        (|mut permit| permit.sent(), reserved(), SettledHow::Abandoned),
        (
            |mut permit| {
                permit.sent();
                permit.failed(&"no".into());
            },
            reserved(),
            SettledHow::Ambiguous,
        ),
        (
            |mut permit| {
                permit.sent();
                permit.answered(StatusCode::TOO_MANY_REQUESTS.as_u16());
            },
            Usd::ZERO,
            SettledHow::Refused,
        ),
        (
            |mut permit| {
                permit.sent();
                permit.release();
            },
            Usd::ZERO,
            SettledHow::NotSent,
        ),
    ];
    for (end, cost, how) in ends {
        let bench = Bench::plain();
        let permit = bench.permit();
        let receipt = permit.receipt().unwrap().clone();
        let mut waiting = pin!(receipt.settled());
        assert!(poll_once(waiting.as_mut()).is_pending());
        end(permit);
        let settled = bench.assert_settled(cost, how);
        assert_eq!(drive(waiting), settled);
    }
}

#[test]
fn a_permit_may_be_dropped_by_another_thread_that_panics() {
    let bench = Bench::plain();
    let mut permit = bench.permit();
    permit.sent();
    let outcome = std::thread::spawn(move || {
        let _permit = permit;
        panic!("a thread panicked");
    })
    .join();
    assert!(outcome.is_err());
    bench.assert_settled(reserved(), SettledHow::Abandoned);
}

// -- callbacks -----------------------------------------------------------------------

#[test]
fn a_callback_that_panics_does_no_harm_not_even_while_unwinding() {
    let calls = Arc::new(AtomicUsize::new(0));
    let (builder, _, store, _) = policy();
    let count = calls.clone();
    let policy = builder
        .on_settled(move |_, _| {
            count.fetch_add(1, Ordering::Relaxed);
            panic!("a callback panicked");
        })
        .build()
        .unwrap();
    let mut response =
        drive(layered(&policy, &client(Reply::json(200, json(40, 5)))).oneshot(chat(MAX, "")))
            .unwrap();
    let receipt = receipt(&response);
    read(response.body_mut()).unwrap();
    assert_eq!(settled(&receipt).cost, usage_cost(40, 5));
    let mut permit = drive(policy.admit(&mut plain_call())).unwrap();
    permit.sent();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let _permit = permit;
        panic!("something else panicked");
    }));
    assert!(outcome.is_err());
    assert_eq!((calls.load(Ordering::Relaxed), store.open_reservations()), (2, 0));
}

#[test]
fn observing_settles_the_same() {
    let bench =
        Bench::new(|builder| builder.rule(MonthlyBudget::new(Usd::ZERO)).mode(Mode::Observe));
    let receipt = bench.read(chat(MAX, ""), Reply::json(200, json(40, 5)));
    assert_eq!(receipt.would_deny().map(Denial::rule), Some("monthly_budget"));
    assert_eq!(bench.ledger.only().cost, usage_cost(40, 5));
    assert_eq!((bench.spent().settled, bench.spent().reserved), (usage_cost(40, 5), Usd::ZERO));
    assert_eq!(bench.store.open_reservations(), 0);
}

#[test]
fn a_body_says_that_it_has_ended_only_when_its_call_has_settled() {
    let bench = Bench::plain();
    let mut response = bench.call(chat(MAX, STREAM), stream(USAGE_ONLY)).unwrap();
    while !response.body().is_end_stream() {
        match poll_body(response.body_mut()) {
            std::task::Poll::Ready(None) => break,
            _ => assert!(bench.ledger.all().is_empty() || bench.ledger.all().len() == 1),
        }
    }
    assert_eq!(bench.ledger.all().len(), 1);
    assert_eq!(noon(), driftlock::Clock::now(&bench.clock));
}

#[test]
fn a_late_settle_does_not_touch_what_others_hold() {
    let (builder, _, store, clock) = policy();
    let policy = builder.build().unwrap();
    let admit = || {
        let mut permit = drive(policy.admit(&mut plain_call())).unwrap();
        permit.sent();
        permit
    };
    let spent = || {
        let spend = drive(policy.spend(&Scope::Workspace, month())).unwrap();
        (spend.settled, spend.reserved)
    };
    let early = admit();
    clock.advance(DEADLINE - TICK);
    let late = admit();
    clock.advance(TICK);
    assert_eq!(spent(), (reserved(), reserved()));
    early.settle(&Usage::tokens(40, 5));
    assert_eq!(spent(), (usage_cost(40, 5), reserved()));
    assert_eq!(store.open_reservations(), 1);
    late.settle(&Usage::tokens(40, 5));
    assert_eq!(spent(), (usage_cost(80, 10), Usd::ZERO));
}

#[test]
fn what_a_response_does_not_tell_is_charged_as_it_was_reserved() {
    let price = Price::per_mtok(Usd::dollars(1), Usd::dollars(1))
        .per_web_search(Usd::cents(1))
        .service_tier(Tier::Priority, Price::per_mtok(Usd::dollars(2), Usd::dollars(2)))
        .service_tier(Tier::Flex, Price::per_mtok(Usd::cents(50), Usd::cents(50)));
    let book = PriceBook::empty().overlay().model("own", price).build().unwrap();
    let policy = Policy::builder().prices(book).receipts(true).build().unwrap();
    let charged = |call: Call| {
        let mut call = call.with_max_output_tokens(1_000_000);
        let mut permit = drive(policy.admit(&mut call)).unwrap();
        let receipt = permit.receipt().unwrap().clone();
        permit.sent();
        permit.settle(&Usage::tokens(0, 1_000_000));
        receipt.try_settled().unwrap()
    };
    let call = || Call::new(Provider::OPENAI, Operation::Chat, "own");
    assert_eq!(charged(call()).cost, Usd::dollars(1));
    // Searches that usage does not count, a surcharge that the response does not name.
    assert_eq!(charged(call().with_open_ended("server tools")).cost, Usd::cents(101));
    assert_eq!(charged(call().with_service_tier("priority")).cost, Usd::dollars(2));
    // A discount has to be named.
    assert_eq!(charged(call().with_service_tier("flex")).cost, Usd::dollars(1));
}

#[test]
fn many_choices_may_have_much_output() {
    let policy = Policy::builder().receipts(true).build().unwrap();
    let settled = |choices: u64| {
        let mut call = Call::new(Provider::OPENAI, Operation::Chat, "gpt-4o")
            .with_choices(choices)
            .with_max_output_tokens(100);
        let permit = drive(policy.admit(&mut call)).unwrap();
        let receipt = permit.receipt().unwrap().clone();
        permit.settle(&Usage::tokens(10, 1_500_000));
        receipt.try_settled().unwrap().how
    };
    assert_eq!((settled(1), settled(128)), (SettledHow::Estimated, SettledHow::Actual));
}

#[test]
fn the_ends_a_person_may_want_to_look_at_are_counted() {
    let admit = |policy: &Policy| {
        let mut call = Call::new(Provider::OPENAI, Operation::Chat, "gpt-4o");
        drive(policy.admit(&mut call)).unwrap()
    };
    let policy = Policy::builder().build().unwrap();
    let mut dropped = admit(&policy);
    dropped.sent();
    drop(dropped);
    let mut failed = admit(&policy);
    failed.sent();
    failed.failed(&"reset".into());
    admit(&policy).settle_estimate();
    admit(&policy).settle(&Usage::tokens(1, 1));
    admit(&policy).release();
    let stats = policy.stats();
    assert_eq!((stats.abandoned, stats.ambiguous, stats.estimated), (1, 1, 1));
    assert_eq!((stats.admitted_assumed, stats.would_deny), (5, 0));

    let nothing = MonthlyBudget::new(Usd::ZERO);
    let policy = Policy::builder().rule(nothing).mode(Mode::Observe).build().unwrap();
    drop(admit(&policy));
    assert_eq!(policy.stats().would_deny, 1);
}
