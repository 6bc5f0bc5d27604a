//! Attempts to break the promise that every call settles once, that nothing stays
//! reserved and that no limit is passed.
#![allow(clippy::unwrap_used)] // in helpers too

mod scripted;

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use driftlock::{
    Call, Claim, DenialKind, DriftlockLayer, InputEstimate, Labels, MemoryStore, Mode,
    MonthlyBudget, Operation, PerUserBudget, Permit, Policy, Provider, Scope, SettledHow, Usage,
    Usd, VelocityLimit, Verdict,
    carrier::{Auto, Carrier, Changes},
    rule_fn,
};
use scripted::{
    Client, DONE, MODEL, Reply, ScriptedBody, Step, USAGE_ONLY, chat, client, content, drive,
    estimate, json, layered, month, policy, poll_body, poll_once, read, usage_cost,
};
use tower::{Layer, Service, ServiceExt};

const MAX: u64 = 10;

fn call(model: &str) -> Call {
    Call::new(Provider::OPENAI, Operation::Chat, model).with_max_output_tokens(MAX)
}

fn admit(policy: &Policy) -> Result<Permit, driftlock::Error> {
    drive(policy.admit(&mut call(MODEL)))
}

fn spent(policy: &Policy) -> (Usd, Usd) {
    let spend = drive(policy.spend(&Scope::Workspace, month())).unwrap();
    (spend.settled, spend.reserved)
}

// -- the layer -----------------------------------------------------------------------

#[test]
fn a_future_polled_after_it_was_ready_does_nothing_more() {
    let (builder, ledger, store, _) = policy();
    let policy = builder.build().unwrap();
    for (reply, settles) in [(Reply::json(200, json(40, 5)), false), (Reply::Refuse, true)] {
        let inner = client(reply);
        let before = ledger.all().len();
        let mut calling = Box::pin(layered(&policy, &inner).call(chat(MAX, "")));
        let answered = loop {
            if let Poll::Ready(answered) = poll_once(calling.as_mut()) {
                break answered;
            }
        };
        for _ in 0..3 {
            assert!(poll_once(calling.as_mut()).is_pending());
        }
        drop(calling);
        assert_eq!(ledger.all().len() - before, usize::from(settles));
        drop(answered);
        assert_eq!((inner.sent().len(), ledger.all().len() - before), (1, 1));
        assert_eq!(store.open_reservations(), 0);
    }
}

#[test]
fn a_body_polled_after_its_end_has_ended() {
    let (builder, ledger, ..) = policy();
    let policy = builder.build().unwrap();
    for broken in [false, true] {
        let mut body = vec![Step::data(content("one")), Step::data(USAGE_ONLY)];
        body.push(if broken { Step::Fail } else { Step::data(DONE) });
        let service = layered(&policy, &client(Reply::sse(body)));
        let mut response = drive(service.oneshot(chat(MAX, r#","stream":true"#))).unwrap();
        assert_eq!(read(response.body_mut()).is_err(), broken);
        let settled = ledger.all().len();
        for _ in 0..3 {
            assert!(matches!(poll_body(response.body_mut()), Poll::Ready(None)));
        }
        drop(response);
        assert_eq!(ledger.all().len(), settled);
    }
    assert_eq!(ledger.all().len(), 2);
}

#[test]
fn readiness_asked_twice_and_clones_made_in_flight_charge_each_call_once() {
    let (builder, ledger, store, _) = policy();
    let policy = builder.build().unwrap();
    let inner = client(Reply::json(200, json(40, 5)));
    let mut service = layered(&policy, &inner);
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..2 {
        assert!(service.poll_ready(&mut cx).is_ready());
    }
    let mut first = Box::pin(service.call(chat(MAX, "")));
    assert!(poll_once(first.as_mut()).is_pending());
    let mut clone = service.clone();
    let second = Box::pin(clone.call(chat(MAX, "")));
    drop(clone);
    drop(service);
    for calling in [first, second] {
        read(drive(calling).unwrap().body_mut()).unwrap();
    }
    assert_eq!((inner.sent().len(), ledger.all().len(), store.open_reservations()), (2, 2, 0));
    assert_eq!(spent(&policy), (usage_cost(80, 10), Usd::ZERO));
}

#[test]
fn of_two_layers_of_one_workspace_one_charges() {
    let (builder, ledger, store, _) = policy();
    let policy = builder.build().unwrap();
    let inner = client(Reply::json(200, json(40, 5)));
    let twice = DriftlockLayer::new(policy.clone()).layer(layered(&policy, &inner));
    let mut response = drive(twice.oneshot(chat(MAX, ""))).unwrap();
    read(response.body_mut()).unwrap();
    drop(response);
    assert_eq!((ledger.all().len(), store.open_reservations()), (1, 0));
    assert_eq!(spent(&policy), (usage_cost(40, 5), Usd::ZERO));
}

#[test]
fn a_response_outlives_service_and_policy() {
    let (builder, ledger, store, _) = policy();
    let policy = builder.build().unwrap();
    let service = layered(&policy, &client(Reply::json(200, json(40, 5))));
    let mut response = drive(service.oneshot(chat(MAX, ""))).unwrap();
    drop(policy);
    read(response.body_mut()).unwrap();
    drop(response);
    assert_eq!((ledger.only().cost, store.open_reservations()), (usage_cost(40, 5), 0));
}

// -- what answers say ----------------------------------------------------------------

fn charge_of(reply: Reply, more: &str) -> (Usd, SettledHow) {
    let (builder, ledger, store, _) = policy();
    let policy = builder.build().unwrap();
    let service = layered(&policy, &client(reply));
    let mut response = drive(service.oneshot(chat(MAX, more))).unwrap();
    let _ = read(response.body_mut());
    drop(response);
    assert_eq!(store.open_reservations(), 0);
    assert_eq!(spent(&policy), (ledger.only().cost, Usd::ZERO));
    (ledger.only().cost, ledger.only().how)
}

#[test]
fn an_error_frame_after_the_usage_does_not_unsay_it() {
    let error = "data: {\"error\":{\"message\":\"overloaded\"}}\n\n";
    let body = [Step::data(USAGE_ONLY), Step::data(error)];
    let charge = charge_of(Reply::sse(body), r#","stream":true"#);
    assert_eq!(charge, (usage_cost(40, 5), SettledHow::Actual));
}

#[test]
fn a_running_total_is_what_was_billed_only_if_the_stream_says_that_it_has_ended() {
    let event = |output: u64| {
        format!(
            "data: {{\"model\":\"plain\",\"choices\":[{{\"delta\":{{\"content\":\"x\"}}}}],\
             \"usage\":{{\"prompt_tokens\":40,\"completion_tokens\":{output}}}}}\n\n"
        )
    };
    let (few, many) = (event(1), event(1_000));
    for (body, cost, how) in [
        // Cut off, however quietly.
        (few.clone(), estimate(MAX), SettledHow::Abandoned),
        (format!("{few}{many}"), usage_cost(40, 1_000), SettledHow::Abandoned),
        (format!("{few}{DONE}"), usage_cost(40, 1), SettledHow::Actual),
        (format!("{few}{many}{DONE}"), usage_cost(40, 1_000), SettledHow::Actual),
        (format!("{few}{USAGE_ONLY}"), usage_cost(40, 5), SettledHow::Actual),
    ] {
        let charge = charge_of(Reply::sse([Step::data(body.clone())]), r#","stream":true"#);
        assert_eq!(charge, (cost, how), "{body}");
    }
}

#[test]
fn usage_that_is_not_where_it_belongs_does_not_count() {
    let fake = r#"{"usage":{"prompt_tokens":1,"completion_tokens":1}}"#;
    for body in [
        format!(r#"{{"choices":[{fake}]}}"#),
        format!(r#"{{"x":{fake}}}"#),
        format!(r#"[{fake}]"#),
        format!(r#"{{"content":{fake:?}}}"#),
    ] {
        let charge = charge_of(Reply::json(200, body.clone()), "");
        assert_eq!(charge, (estimate(MAX), SettledHow::Estimated), "{body}");
        let event = format!("data: {body}\n\n{DONE}");
        let charge = charge_of(Reply::sse([Step::data(event)]), r#","stream":true"#);
        assert_eq!(charge, (estimate(MAX), SettledHow::Estimated), "{body}");
    }
}

#[test]
fn a_gigantic_event_is_read_all_the_same() {
    let padding = "x".repeat(300_000);
    let usage = r#""usage":{"prompt_tokens":40,"completion_tokens":5}"#;
    for event in [
        format!("data: {{\"padding\":\"{padding}\",\"choices\":[],{usage}}}\n\n"),
        format!("data: {{\"choices\":[],{usage},\"padding\":\"{padding}\"}}\n\n"),
        format!(": {padding}\n\ndata: {{\"choices\":[],{usage}}}\n\n"),
    ] {
        let steps = (event + DONE).into_bytes();
        let steps = steps.chunks(7_001).map(|piece| Step::data(piece.to_vec())).collect::<Vec<_>>();
        let charge = charge_of(Reply::sse(steps), r#","stream":true"#);
        assert_eq!(charge, (usage_cost(40, 5), SettledHow::Actual));
    }
}

#[test]
fn choices_are_reserved_and_charged_together() {
    let (builder, ledger, ..) = policy();
    let policy = builder.build().unwrap();
    let service = layered(&policy, &client(Reply::json(200, json(40, 30))));
    let mut response = drive(service.oneshot(chat(MAX, r#","n":3"#))).unwrap();
    read(response.body_mut()).unwrap();
    let settled = ledger.only();
    assert_eq!(settled.reserved, usage_cost(100, 3 * (MAX + 2)));
    assert_eq!(settled.cost, usage_cost(40, 30));
}

// -- rules ---------------------------------------------------------------------------

#[test]
fn a_budget_between_two_rewrites_is_checked_against_the_final_model() {
    let to = |model: &'static str| rule_fn(format!("to {model}"), move |_| Verdict::rewrite(model));
    let (builder, ..) = policy();
    // There and back again: the budget sees the cheap model, the call is the dear one.
    let policy = builder
        .rule(to(MODEL))
        .rule(MonthlyBudget::new(estimate(MAX)))
        .rule(to("dear"))
        .build()
        .unwrap();
    let denied = drive(policy.admit(&mut call("dear"))).unwrap_err();
    assert_eq!(denied.denial().unwrap().rule(), "monthly_budget");
    assert_eq!(spent(&policy), (Usd::ZERO, Usd::ZERO));
}

#[test]
fn observing_charges_the_model_that_was_sent() {
    let (builder, ledger, ..) = policy();
    let policy = builder
        .rule(rule_fn("save", |_| Verdict::rewrite("free")))
        .rule(rule_fn("dear", |_| Verdict::rewrite("dear")))
        .mode(Mode::Observe)
        .build()
        .unwrap();
    let inner = client(Reply::json(200, json(40, 5)));
    let mut response = drive(layered(&policy, &inner).oneshot(chat(MAX, ""))).unwrap();
    assert_eq!(spent(&policy), (Usd::ZERO, estimate(MAX)));
    read(response.body_mut()).unwrap();
    assert!(std::str::from_utf8(&inner.sent()[0].1).unwrap().contains(r#""model":"plain""#));
    assert_eq!(ledger.only().cost, usage_cost(40, 5));
    assert_eq!(spent(&policy), (usage_cost(40, 5), Usd::ZERO));
}

#[test]
fn a_claim_on_the_counter_of_another_rule_charges_it_once() {
    let user = |_: &Call| Scope::user("ann");
    let (builder, _, store, _) = policy();
    let policy = builder
        .rule(PerUserBudget::new().default_limit(Usd::dollars(1)))
        .rule(rule_fn("mine", move |call| {
            Claim::cost(user(call), month(), estimate(MAX).saturating_mul(2))
        }))
        .rule(rule_fn("mine too", move |call| {
            let claim = Claim::cost(user(call), month(), Usd::dollars(1));
            vec![claim.clone(), claim]
        }))
        .build()
        .unwrap();
    let mut for_ann = call(MODEL).with_labels(Labels::new().with("user", "ann"));
    let permits = [(); 2].map(|()| drive(policy.admit(&mut for_ann)).unwrap());
    let ann = drive(policy.spend(&Scope::user("ann"), month())).unwrap();
    assert_eq!(ann.reserved, estimate(MAX).saturating_mul(2));
    let denied = drive(policy.admit(&mut for_ann)).unwrap_err();
    assert_eq!(denied.denial().unwrap().rule(), "mine");
    permits.into_iter().for_each(Permit::settle_estimate);
    let ann = drive(policy.spend(&Scope::user("ann"), month())).unwrap();
    assert_eq!((ann.settled, ann.reserved), (estimate(MAX).saturating_mul(2), Usd::ZERO));
    assert_eq!(store.open_reservations(), 0);
}

#[test]
fn a_claim_for_a_value_that_is_too_long_denies() {
    for (bytes, is_admitted) in [(256, true), (257, false)] {
        let (builder, _, store, _) = policy();
        let scope = Scope::label("team", "x".repeat(bytes));
        let policy = builder
            .rule(rule_fn("long", move |_| Claim::cost(scope.clone(), month(), Usd::dollars(1))))
            .build()
            .unwrap();
        match admit(&policy) {
            Ok(permit) => {
                assert!(is_admitted);
                permit.release();
            }
            Err(error) => {
                assert!(!is_admitted);
                assert_eq!(error.denial().unwrap().kind(), DenialKind::RuleFailed);
            }
        }
        assert_eq!((spent(&policy), store.open_reservations()), ((Usd::ZERO, Usd::ZERO), 0));
    }
}

#[test]
fn user_id_is_the_user_in_claims_too() {
    let (builder, ..) = policy();
    let policy = builder
        .track_label("user_id")
        .rule(rule_fn("mine", |call| {
            Claim::cost(Scope::of(call.labels(), "user_id"), month(), estimate(MAX))
        }))
        .build()
        .unwrap();
    drive(policy.add_spend(&Scope::user("ann"), month(), Usd::nanos(1), "opening")).unwrap();
    let mut for_ann = call(MODEL).with_labels(Labels::new().with("user_id", "ann"));
    let denied = drive(policy.admit(&mut for_ann)).unwrap_err();
    assert_eq!(denied.denial().unwrap().rule(), "mine");
}

#[test]
fn limits_taken_from_the_call_may_be_anything() {
    for (limit, is_admitted) in [
        (None, true),
        (Some(Usd::ZERO), false),
        (Some(Usd::MAX), true),
        (Some(estimate(MAX)), true),
    ] {
        let (builder, ..) = policy();
        let policy = builder
            .rule(PerUserBudget::new().limit_from(move |_| limit))
            .rule(VelocityLimit::new(0, Duration::from_secs(1)).limit_from(|_| Some(u64::MAX)))
            .build()
            .unwrap();
        assert_eq!(admit(&policy).is_ok(), is_admitted, "{limit:?}");
        assert_eq!(spent(&policy), (Usd::ZERO, Usd::ZERO));
    }
}

#[test]
fn a_free_model_passes_a_budget_that_is_overdrawn() {
    let (builder, _, store, _) = policy();
    let policy = builder.rule(MonthlyBudget::new(Usd::cents(1))).build().unwrap();
    drive(policy.add_spend(&Scope::Workspace, month(), Usd::dollars(9), "opening")).unwrap();
    assert!(admit(&policy).is_err());
    let mut permit = drive(policy.admit(&mut call("free"))).unwrap();
    permit.sent();
    permit.settle(&Usage::tokens(1_000, 1_000));
    assert_eq!((spent(&policy), store.open_reservations()), ((Usd::dollars(9), Usd::ZERO), 0));
}

#[test]
fn an_amount_beyond_all_numbers_leaves_no_trace_when_it_is_given_back() {
    let (builder, _, store, _) = policy();
    let policy = builder.build().unwrap();
    let mut endless =
        Call::new(Provider::OPENAI, Operation::Chat, "dear").with_max_output_tokens(u64::MAX);
    let admitted = [(); 3].map(|()| drive(policy.admit(&mut endless)));
    for permit in admitted.into_iter().flatten() {
        permit.release();
    }
    assert_eq!((spent(&policy), store.open_reservations()), ((Usd::ZERO, Usd::ZERO), 0));

    let (builder, ..) = scripted::policy();
    let policy = builder.rule(MonthlyBudget::new(Usd::MAX)).build().unwrap();
    // What has reached the largest amount is above every limit.
    assert!(drive(policy.admit(&mut endless)).is_err());
    assert!(admit(&policy).is_ok());
}

// -- code of others ------------------------------------------------------------------

#[test]
fn user_code_that_panics_while_deciding_denies_and_holds_nothing() {
    let fixed = |_: &Call| InputEstimate { expected: 100, ceiling: None };
    let panics: [fn(driftlock::PolicyBuilder) -> driftlock::PolicyBuilder; 4] = [
        |builder| builder.estimator(|_: &Call| -> InputEstimate { panic!("an estimator") }),
        |builder| builder.rule(rule_fn("r", |_| -> Verdict { panic!("a rule") })),
        |builder| builder.rule(PerUserBudget::new().limit_from(|_| panic!("a limit"))),
        |builder| {
            builder
                .estimator(|call: &Call| match call.model() {
                    "dear" => panic!("an estimator"),
                    _ => InputEstimate { expected: 100, ceiling: None },
                })
                .rule(rule_fn("r", |_| Verdict::rewrite("dear")))
        },
    ];
    for with in panics {
        for mode in [Mode::Enforce, Mode::Observe] {
            let (builder, ledger, store, _) = policy();
            let builder = builder.rule(MonthlyBudget::new(Usd::dollars(1))).mode(mode);
            let policy = with(builder.estimator(fixed)).build().unwrap();
            let inner = client(Reply::json(200, json(40, 5)));
            match drive(layered(&policy, &inner).oneshot(chat(MAX, ""))) {
                Ok(mut response) => {
                    assert_eq!(mode, Mode::Observe);
                    read(response.body_mut()).unwrap();
                    assert_eq!(ledger.only().cost, usage_cost(40, 5));
                }
                Err(error) => {
                    assert_eq!(mode, Mode::Enforce);
                    assert_eq!(error.denial().unwrap().kind(), DenialKind::RuleFailed);
                    assert_eq!((inner.sent().len(), ledger.all().len()), (0, 0));
                }
            }
            assert_eq!(store.open_reservations(), 0);
        }
    }
}

#[test]
fn a_callback_may_use_the_policy_it_belongs_to() {
    let (builder, _, store, _) = policy();
    let shared: Arc<std::sync::OnceLock<Policy>> = Arc::default();
    let (inside, calls) = (shared.clone(), Arc::new(AtomicUsize::new(0)));
    let count = calls.clone();
    let policy = builder
        .on_settled(move |_, _| {
            if count.fetch_add(1, Ordering::Relaxed) < 3 {
                let policy = inside.get().unwrap();
                let mut permit = admit(policy).unwrap();
                permit.sent();
                assert!(spent(policy).1 > Usd::ZERO);
                drop(permit); // calls back again
            }
        })
        .build()
        .unwrap();
    shared.set(policy.clone()).unwrap();
    let mut permit = admit(&policy).unwrap();
    permit.sent();
    drop(permit);
    assert_eq!((calls.load(Ordering::Relaxed), store.open_reservations()), (4, 0));
    assert_eq!(spent(&policy), (estimate(MAX).saturating_mul(4), Usd::ZERO));
}

/// A subscriber that runs `then` on every span and event, but not within itself.
struct Meddler<F> {
    then: F,
    is_inside: AtomicBool,
}

impl<F: Fn() + Send + Sync + 'static> Meddler<F> {
    fn meddle(&self) {
        if !self.is_inside.swap(true, Ordering::Relaxed) {
            (self.then)();
            self.is_inside.store(false, Ordering::Relaxed);
        }
    }
}

impl<F: Fn() + Send + Sync + 'static> tracing::Subscriber for Meddler<F> {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        self.meddle();
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {
        self.meddle();
    }
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {
        self.meddle();
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
    fn try_close(&self, _: tracing::span::Id) -> bool {
        self.meddle();
        true
    }
}

/// Somebody listens to everything from here on. Else another test's thread, to which
/// nobody listens, may be the first at an event, and tracing remembers for all threads
/// that nobody wants it.
fn listen_everywhere() {
    static SOMEBODY: LazyLock<tracing::Dispatch> = LazyLock::new(|| {
        tracing::Dispatch::new(Meddler { then: || (), is_inside: AtomicBool::new(false) })
    });
    LazyLock::force(&SOMEBODY);
}

#[test]
fn a_subscriber_may_use_the_policy_that_is_being_traced() {
    listen_everywhere();
    let (builder, ledger, store, _) = policy();
    let policy = builder.rule(MonthlyBudget::new(Usd::dollars(1))).build().unwrap();
    let used = policy.clone();
    let meddler = Meddler {
        then: move || {
            drop(admit(&used));
            spent(&used);
        },
        is_inside: AtomicBool::new(false),
    };
    tracing::subscriber::with_default(meddler, || {
        let inner = client(Reply::json(200, json(40, 5)));
        let mut response = drive(layered(&policy, &inner).oneshot(chat(MAX, ""))).unwrap();
        read(response.body_mut()).unwrap();
    });
    assert_eq!((spent(&policy), store.open_reservations()), ((usage_cost(40, 5), Usd::ZERO), 0));
    assert!(ledger.all().len() > 1, "it has meddled");
}

#[test]
fn a_subscriber_that_panics_at_any_event_leaves_nothing_reserved() {
    listen_everywhere();
    for at in 0..12 {
        let (builder, _, store, _) = policy();
        let policy = builder.build().unwrap();
        let seen = AtomicUsize::new(0);
        let meddler = Meddler {
            then: move || assert!(seen.fetch_add(1, Ordering::Relaxed) != at, "a subscriber"),
            is_inside: AtomicBool::new(false),
        };
        let mut ended = Ok(());
        let outcome = tracing::subscriber::with_default(meddler, || {
            catch_unwind(AssertUnwindSafe(|| {
                let mut permit = admit(&policy)?;
                permit.sent();
                let usage = Usage { cached_input_tokens: 41, ..Usage::tokens(40, 5) };
                ended = catch_unwind(AssertUnwindSafe(|| permit.settle(&usage)));
                Ok::<(), driftlock::Error>(())
            }))
        });
        assert!(ended.is_ok(), "{at}: it may end while another panic is on its way");
        assert_eq!(
            (spent(&policy).1, store.open_reservations()),
            (Usd::ZERO, 0),
            "{at} {outcome:?}"
        );
    }
}

// -- memory --------------------------------------------------------------------------

#[test]
fn permits_cross_threads() {
    fn assert_send_sync<T: Send + Sync + 'static>() {}
    assert_send_sync::<Permit>();
    assert_send_sync::<driftlock::Receipt>();
    assert_send_sync::<driftlock::MeteredBody<ScriptedBody>>();
    fn assert_send<T: Send>(_: &T) {}
    let (builder, ..) = policy();
    let policy = builder.build().unwrap();
    let service = layered(&policy, &Client::default());
    assert_send(&service.clone().call(chat(MAX, "")));
    assert_send(&policy.admit(&mut call(MODEL)));
}

#[test]
fn a_call_given_back_is_taken_off_every_limit_that_counted_it() {
    for the_long_way in [false, true] {
        let (mut builder, _, _, clock) = policy();
        for seconds in [10, 20, 30, 40, 50] {
            builder = builder.rule(VelocityLimit::new(1, Duration::from_secs(seconds)));
        }
        if the_long_way {
            builder = builder.rule(rule_fn("silent", |_: &Call| Verdict::Allow));
        }
        let policy = builder.build().unwrap();
        for _ in 0..5 {
            clock.advance(Duration::from_secs(1));
            drop(admit(&policy).unwrap());
        }
        let mut permit = admit(&policy).unwrap();
        permit.sent();
        drop(permit);
        for (seconds, has_room) in [(10, false), (39, false), (1, true)] {
            clock.advance(Duration::from_secs(seconds));
            assert_eq!(admit(&policy).is_ok(), has_room, "{seconds} seconds later");
        }
    }
}

#[test]
fn newcomers_beyond_the_cap_settle_where_they_were_booked() {
    let (builder, ..) = policy();
    let store = Arc::new(MemoryStore::builder().max_scopes(2).build());
    let policy = builder
        .memory_store(store.clone())
        .rule(PerUserBudget::new().default_limit(estimate(MAX).saturating_mul(2)))
        .build()
        .unwrap();
    let admit = |user: &str| {
        drive(policy.admit(&mut call(MODEL).with_labels(Labels::new().with("user", user))))
    };
    let permits: Vec<_> =
        ["a", "b", "c", "d"].into_iter().map(|user| admit(user).unwrap()).collect();
    // The two newcomers share one budget.
    assert!(admit("e").is_err() && admit("c").is_err() && admit("a").is_ok());
    permits.into_iter().for_each(Permit::settle_estimate);
    assert!(admit("e").is_err());
    assert_eq!(
        (spent(&policy), store.open_reservations()),
        ((estimate(MAX).saturating_mul(4), Usd::ZERO), 0)
    );
}

#[test]
fn a_hundred_threads_never_pass_a_limit() {
    let (builder, ledger, store, _) = policy();
    let policy = builder.rule(MonthlyBudget::new(estimate(MAX).saturating_mul(7))).build().unwrap();
    let admitted = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for number in 0..32 {
            let (policy, admitted) = (&policy, &admitted);
            scope.spawn(move || {
                for _ in 0..20 {
                    let Ok(mut permit) = admit(policy) else { continue };
                    permit.sent();
                    admitted.fetch_add(1, Ordering::Relaxed);
                    let (settled, reserved) = spent(policy);
                    assert!(settled.saturating_add(reserved) <= estimate(MAX).saturating_mul(7));
                    match number % 3 {
                        0 => permit.settle(&Usage::tokens(4, 1)),
                        1 => permit.release(),
                        _ => permit.failed(
                            &std::io::Error::from(std::io::ErrorKind::ConnectionRefused).into(),
                        ),
                    }
                }
            });
        }
    });
    assert_eq!((ledger.all().len(), store.open_reservations()), (admitted.into_inner(), 0));
    let total: Usd = ledger.all().iter().map(|settled| settled.cost).sum();
    assert_eq!(spent(&policy), (total, Usd::ZERO));
}

#[test]
fn a_future_that_is_never_polled_touches_nothing() {
    let (builder, ledger, store, _) = policy();
    let policy = builder.build().unwrap();
    let inner = client(Reply::PanicInCall);
    let calling: std::pin::Pin<Box<dyn Future<Output = _>>> =
        Box::pin(layered(&policy, &inner).call(chat(MAX, "")));
    drop(calling);
    assert_eq!((inner.sent().len(), ledger.all().len(), store.open_reservations()), (0, 0, 0));
    assert_eq!(policy.stats(), driftlock::Stats::default());
}

// -- carriers, bodies, timers --------------------------------------------------------

/// Carries as [`Auto`] does, but fails at one place.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Faulty {
    ChangeFails,
    ChangePanics,
    MeterPanics,
    MeterForgets,
}

type Request = http::Request<ScriptedBody>;
type Response = http::Response<ScriptedBody>;

impl Carrier<Request, Response> for Faulty {
    type Response = http::Response<driftlock::MeteredBody<ScriptedBody>>;
    type Read = <Auto as Carrier<Request, Response>>::Read;

    fn read(&self, request: Request, policy: &Policy) -> Self::Read {
        <Auto as Carrier<Request, Response>>::read(&Auto, request, policy)
    }

    fn change(&self, request: &mut Request, changes: Changes<'_>) -> Result<(), driftlock::Error> {
        match self {
            Self::ChangeFails => Err(driftlock::Error::inner("a carrier failed")),
            Self::ChangePanics => panic!("a carrier panicked"),
            _ => <Auto as Carrier<Request, Response>>::change(&Auto, request, changes),
        }
    }

    fn meter(&self, response: Response, permit: Permit) -> Self::Response {
        match self {
            Self::MeterPanics => panic!("a carrier panicked"),
            Self::MeterForgets => {
                drop(permit);
                <Auto as Carrier<Request, Response>>::pass(&Auto, response)
            }
            _ => unreachable!("nothing was sent"),
        }
    }

    fn pass(&self, response: Response) -> Self::Response {
        <Auto as Carrier<Request, Response>>::pass(&Auto, response)
    }
}

#[test]
fn a_carrier_that_fails_leaves_nothing_reserved() {
    for (carrier, cost, how) in [
        (Faulty::ChangeFails, Usd::ZERO, SettledHow::NotSent),
        (Faulty::ChangePanics, Usd::ZERO, SettledHow::NotSent),
        (Faulty::MeterPanics, estimate(MAX), SettledHow::Abandoned),
        (Faulty::MeterForgets, estimate(MAX), SettledHow::Abandoned),
    ] {
        let (builder, ledger, store, _) = policy();
        let policy = builder.build().unwrap();
        let layer = DriftlockLayer::new(policy.clone()).with_carrier(carrier);
        let service = layer.layer(client(Reply::json(200, json(40, 5))));
        let outcome = catch_unwind(AssertUnwindSafe(|| drive(service.oneshot(chat(MAX, "")))));
        assert_eq!(outcome.is_ok_and(|answered| answered.is_ok()), carrier == Faulty::MeterForgets);
        assert_eq!((ledger.only().cost, ledger.only().how), (cost, how), "{carrier:?}");
        assert_eq!((spent(&policy), store.open_reservations()), ((cost, Usd::ZERO), 0));
    }
}

#[test]
fn a_request_body_that_fails_or_panics_reserves_nothing() {
    for step in [Step::Fail, Step::Panic, Step::Hang] {
        let (builder, ledger, store, _) = policy();
        let policy = builder.build().unwrap();
        let inner = client(Reply::json(200, json(40, 5)));
        let request = chat(MAX, "").map(|_| ScriptedBody::new([Step::data("{"), step]));
        let mut calling = Box::pin(layered(&policy, &inner).oneshot(request));
        let outcome = catch_unwind(AssertUnwindSafe(|| poll_once(calling.as_mut())));
        assert!(!matches!(outcome, Ok(Poll::Ready(Ok(_)))));
        drop(calling);
        assert_eq!((inner.sent().len(), ledger.all().len(), store.open_reservations()), (0, 0, 0));
        assert_eq!(spent(&policy), (Usd::ZERO, Usd::ZERO));
    }
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_never_answers_denies_in_time_and_holds_nothing() {
    struct Never;
    impl driftlock::Rule for Never {
        async fn evaluate(&self, _: &Call) -> Verdict {
            std::future::pending().await
        }
    }
    let (builder, ledger, store, _) = policy();
    let policy = builder.rule(MonthlyBudget::new(Usd::dollars(1))).rule(Never).build().unwrap();
    let denied = policy.admit(&mut call(MODEL)).await.unwrap_err();
    assert_eq!(denied.denial().unwrap().kind(), DenialKind::RuleFailed);
    assert_eq!((ledger.all().len(), store.open_reservations()), (0, 0));
    assert_eq!(spent(&policy), (Usd::ZERO, Usd::ZERO));
}

#[test]
fn a_policy_that_is_off_touches_nothing() {
    let (builder, ledger, store, _) = policy();
    let policy = builder.rule(MonthlyBudget::new(Usd::ZERO)).mode(Mode::Off).build().unwrap();
    let inner = client(Reply::json(200, json(40, 5)));
    let mut response = drive(layered(&policy, &inner).oneshot(chat(MAX, ""))).unwrap();
    assert_eq!(read(response.body_mut()).unwrap().concat(), json(40, 5));
    assert_eq!((inner.sent().len(), ledger.all().len(), store.open_reservations()), (1, 0, 0));
    assert_eq!(spent(&policy), (Usd::ZERO, Usd::ZERO));
}
