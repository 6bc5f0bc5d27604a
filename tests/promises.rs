//! What driftlock promises: never past a cap, however many calls come at once.
#![allow(clippy::unwrap_used, clippy::expect_used)] // in helpers too

mod stand_in;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use driftlock::{
    BoxError, Budget, Call, Clock, CostVelocity, DenialKind, Error, ForecastBudget, ManualClock,
    MaxCostPerRequest, MemoryStore, MonthlyBudget, Operation, PerUserBudget, PolicyBuilder, Price,
    PriceBook, Provider, RestrictModel, Retry, Scope, SettledHow, TagBasedModelDowngrade,
    Timestamp, Usd, VelocityLimit, Window, Zone,
};
use http::Response;
use http_body_util::Full;
use stand_in::*;
use tokio::task::JoinSet;
use tower::{Layer, Service, ServiceExt};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const NANO: Duration = Duration::from_nanos(1);
/// What a call to the model `flat` costs: $1 buys 15 of them.
const EACH: Usd = Usd::nanos(65_000_000);

/// Makes this many calls at once, each on a task of its own; how many get through.
async fn at_once(client: &Client, calls: u64) -> u64 {
    let mut tasks = JoinSet::new();
    for _ in 0..calls {
        let client = client.clone();
        tasks.spawn(async move { send(&client, chat(FLAT)).await });
    }
    let mut through = 0;
    while let Some(result) = tasks.join_next().await {
        match result.unwrap() {
            Ok(_) => through += 1,
            Err(Error::Denied(_)) => {}
            Err(other) => panic!("neither answered nor denied: {other}"),
        }
    }
    through
}

// ── caps hold under concurrency ──

#[tokio::test(start_paused = true)]
async fn of_a_thousand_calls_at_once_a_dollar_pays_for_fifteen() {
    let policy = policy().rule(MonthlyBudget::new(Usd::dollars(1))).build().unwrap();
    let provider = StandIn::slow(2 * SECOND);
    let calls = {
        let client = client(&policy, &provider);
        tokio::spawn(async move { at_once(&client, 1_000).await })
    };
    tokio::time::sleep(SECOND).await;
    let month = policy.spend(&Scope::Workspace, Window::month(Zone::UTC)).await.unwrap();
    assert_eq!((month.settled, month.reserved), (Usd::ZERO, EACH.saturating_mul(15)));

    assert_eq!(calls.await.unwrap(), 15);
    assert_eq!(provider.calls(), 15);
    assert_eq!(spent(&policy).await, usd("0.975"));
    assert_eq!(policy.stats().denied, 985);
}

#[test]
fn on_threads_a_dollar_pays_for_fifteen_every_time() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
    for _ in 0..200 {
        let policy = policy().rule(MonthlyBudget::new(Usd::dollars(1))).build().unwrap();
        let provider = StandIn::new();
        let mut tasks = JoinSet::new();
        for _ in 0..64 {
            let client = client(&policy, &provider);
            let five = async move {
                for _ in 0..5 {
                    let _ = send(&client, chat(FLAT)).await;
                }
            };
            tasks.spawn_on(five, runtime.handle());
        }
        runtime.block_on(tasks.join_all());
        assert_eq!(provider.calls(), 15);
        assert_eq!(runtime.block_on(spent(&policy)), usd("0.975"));
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_hundred_calls_at_once_ten_a_minute_pass_and_ten_a_minute_later() {
    let clock = noon();
    let limit = VelocityLimit::new(10, MINUTE);
    let policy = policy().rule(limit).clock(clock.clone()).build().unwrap();
    let provider = StandIn::slow(2 * SECOND);
    let client = client(&policy, &provider);

    assert_eq!(at_once(&client, 200).await, 10);
    clock.advance(MINUTE - NANO);
    assert_eq!(at_once(&client, 200).await, 0);
    clock.advance(NANO);
    assert_eq!(at_once(&client, 200).await, 10);
    assert_eq!(provider.calls(), 20);
}

#[tokio::test(start_paused = true)]
async fn as_many_calls_are_admitted_again_as_slots_free_up() {
    let clock = noon();
    let limit = VelocityLimit::new(10, MINUTE);
    let policy = policy().rule(limit).clock(clock.clone()).build().unwrap();
    let client = client(&policy, &StandIn::new());

    assert_eq!(at_once(&client, 4).await, 4);
    clock.advance(MINUTE / 2);
    assert_eq!(at_once(&client, 50).await, 6);
    clock.advance(MINUTE / 2);
    assert_eq!(at_once(&client, 50).await, 4);
    clock.advance(MINUTE / 2);
    assert_eq!(at_once(&client, 50).await, 6);
}

#[tokio::test]
async fn whatever_the_rhythm_no_minute_sees_eleven_calls_and_none_is_denied_without_need() {
    let steady = |gap: Duration| vec![gap; 400];
    let bursts = |size: usize, gap: Duration| {
        let burst = |index: usize| if index.is_multiple_of(size) { gap } else { Duration::ZERO };
        (0..400).map(burst).collect()
    };
    let mut seed = 17_u64;
    let mut random = |most: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Duration::from_nanos((seed >> 20) % most)
    };
    let ragged = (0..600).map(|_| random(12_000_000_000)).collect();
    let crowded = (0..600).map(|_| random(2 * 6_000_000_000 / 3)).collect();
    let rhythms: Vec<Vec<Duration>> = vec![
        steady(SECOND),
        steady(6 * SECOND),
        steady(6 * SECOND - NANO),
        steady(MINUTE),
        bursts(20, MINUTE),
        bursts(20, MINUTE - NANO),
        bursts(7, MINUTE / 2),
        bursts(3, 7 * SECOND),
        ragged,
        crowded,
    ];
    for (number, gaps) in rhythms.into_iter().enumerate() {
        let clock = noon();
        let limit = VelocityLimit::new(10, MINUTE);
        let policy = policy().rule(limit).clock(clock.clone()).build().unwrap();
        let client = client(&policy, &StandIn::new());
        // The last ten admissions.
        let mut last = VecDeque::<Timestamp>::new();
        let mut denied = 0;
        for gap in gaps {
            clock.advance(gap);
            let now = clock.now();
            let is_full = last.len() == 10 && now.since(last[0]) < MINUTE;
            match send(&client, chat(FLAT)).await {
                Ok(_) => {
                    assert!(!is_full, "rhythm {number}: the eleventh call in a minute");
                    last.push_back(now);
                    last.truncate(11);
                    if last.len() > 10 {
                        last.pop_front();
                    }
                }
                Err(error) => {
                    assert!(is_full, "rhythm {number}: there was room");
                    let free = last[0].saturating_add(MINUTE);
                    assert_eq!(error.denial().unwrap().retry(), Retry::At(free));
                    denied += 1;
                }
            }
        }
        assert_eq!(denied == 0, matches!(number, 1 | 3), "rhythm {number}: {denied} denied");
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_hundred_calls_at_once_a_dollar_an_hour_pays_for_fifteen() {
    let clock = noon();
    let limit = CostVelocity::new(Usd::dollars(1), HOUR);
    let policy = policy().rule(limit).clock(clock.clone()).build().unwrap();
    let provider = StandIn::slow(2 * SECOND);
    let client = client(&policy, &provider);

    assert_eq!(at_once(&client, 200).await, 15);
    clock.advance(HOUR - NANO);
    assert_eq!(at_once(&client, 200).await, 0);
    // Counted in sixtieths, of which the oldest is kept whole.
    clock.advance(HOUR / 60 + NANO);
    assert_eq!(at_once(&client, 200).await, 15);
    assert_eq!(provider.calls(), 30);
}

#[tokio::test]
async fn a_call_dropped_before_it_is_sent_costs_nothing_and_one_dropped_after_costs_the_estimate() {
    let store = Arc::new(MemoryStore::new());
    let policy = policy().memory_store(Arc::clone(&store)).build().unwrap();
    let provider = StandIn::slow(SECOND);
    let mut client = client(&policy, &provider);

    drop(client.ready().await.unwrap().call(chat(FLAT)));
    assert_eq!((spent(&policy).await, provider.calls()), (Usd::ZERO, 0));

    let mut sent = Box::pin(client.ready().await.unwrap().call(chat(FLAT)));
    assert!(poll_once(&mut sent).is_none());
    drop(sent);
    assert_eq!((spent(&policy).await, provider.calls()), (EACH, 1));
    assert_eq!(store.open_reservations(), 0);
}

/// Polls once.
fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::Pin::new(future).poll(&mut context) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

// ── what a call may cost ──

#[tokio::test]
async fn a_model_without_a_price_passes_no_cost_rule_and_the_denial_says_what_to_do() {
    let limit = Usd::nanos(1_000);
    let policy = policy()
        .rule(MonthlyBudget::new(limit))
        .rule(Budget::daily(limit))
        .rule(CostVelocity::new(limit, HOUR))
        .rule(ForecastBudget::new(limit))
        .rule(MaxCostPerRequest::new(limit))
        .build()
        .unwrap();
    let provider = StandIn::new();
    let client = client(&policy, &provider);
    for _ in 0..50 {
        let denial = denial(&client, chat("gpt-9-ultra")).await;
        assert_eq!(denial.kind(), DenialKind::UnknownPrice);
        let message = denial.to_string();
        for part in ["`gpt-9-ultra`", "openai", ".model(", ".alias(", "UnknownPrice::Assume"] {
            assert!(message.contains(part), "{part}: {message}");
        }
    }
    assert_eq!((provider.calls(), spent(&policy).await), (0, Usd::ZERO));
}

#[tokio::test]
async fn many_tokens_or_many_choices_make_a_call_too_dear() {
    let policy = policy().rule(MaxCostPerRequest::new(Usd::cents(2))).build().unwrap();
    let provider = StandIn::new();
    let client = client(&policy, &provider);
    for members in [r#","max_completion_tokens":100000"#, r#","max_tokens":100000"#, r#","n":100"#]
    {
        let denial = denial(&client, chat_with("gpt-4o-mini", members)).await;
        assert_eq!(denial.kind(), DenialKind::TooExpensive, "{members}");
        assert_eq!(denial.retry(), Retry::Never);
        assert!(denial.to_string().contains("above the limit of $0.02 for one call"), "{denial}");
    }
    assert_eq!(provider.calls(), 0);
    send(&client, chat_with("gpt-4o-mini", r#","max_tokens":100,"n":2"#)).await.unwrap();
}

#[tokio::test]
async fn a_dated_name_costs_what_its_model_costs() {
    for model in ["gpt-5-nano", "gpt-5-nano-2025-08-07"] {
        let policy = policy().build().unwrap();
        let provider = StandIn::saying(answer(1_000_000, 100_000));
        let client = client(&policy, &provider);
        send(&client, chat(model)).await.unwrap();
        assert_eq!(spent(&policy).await, usd("0.09"), "{model}"); // of gpt-5: $2.25
    }
}

#[tokio::test]
async fn a_price_announced_for_later_holds_from_then_on_at_settling_too() {
    for (day, cost) in [("2026-12-31", "4.50"), ("2027-01-01", "9.00")] {
        let clock = ManualClock::at(time(&format!("{day}T12:00:00Z")));
        let policy = policy().clock(clock).build().unwrap();
        let client = client(&policy, &StandIn::saying(answer(1_000_000, 1_000_000)));
        send(&client, google("gemini-3.6-flash")).await.unwrap();
        assert_eq!(spent(&policy).await, usd(cost), "{day}");
    }
}

fn google(model: &str) -> http::Request<Body> {
    let uri = "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions";
    post_to(uri, format!(r#"{{"model":"{model}","messages":[]}}"#))
}

// ── calendar ──

#[tokio::test]
async fn a_month_ends_at_midnight_of_its_zone_also_across_daylight_saving() {
    for (zone, end) in [
        ("UTC", "2026-12-01T00:00:00Z"),
        ("Europe/Berlin", "2026-10-31T23:00:00Z"),
        ("Europe/Berlin", "2026-03-31T22:00:00Z"),
        ("America/New_York", "2026-11-01T04:00:00Z"),
        ("America/New_York", "2026-12-01T05:00:00Z"),
    ] {
        let end = time(end);
        let clock = ManualClock::at(Timestamp::from_nanos(end.as_nanos() - 1));
        let budget = MonthlyBudget::new(Usd::cents(7)).time_zone(Zone::named(zone).unwrap());
        let policy = policy().rule(budget).clock(clock.clone()).build().unwrap();
        let client = client(&policy, &StandIn::new());
        send(&client, chat(FLAT)).await.unwrap();
        assert_eq!(denial(&client, chat(FLAT)).await.retry(), Retry::At(end), "{zone}");

        clock.advance(NANO);
        send(&client, chat(FLAT)).await.unwrap();
        denial(&client, chat(FLAT)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_over_midnight_is_charged_to_the_month_it_began_in() {
    let clock = ManualClock::at(time("2026-11-30T23:59:59Z"));
    let budget = MonthlyBudget::new(Usd::cents(7));
    let policy = policy().rule(budget).clock(clock.clone()).build().unwrap();
    let client = client(&policy, &StandIn::slow(2 * SECOND));
    let call = {
        let client = client.clone();
        tokio::spawn(async move { send(&client, chat(FLAT)).await })
    };
    tokio::time::sleep(SECOND).await;
    assert_eq!(denial(&client, chat(FLAT)).await.rule(), "monthly_budget");
    clock.advance(2 * SECOND);
    let month = || policy.spend(&Scope::Workspace, Window::month(Zone::UTC));
    assert_eq!(month().await.unwrap().reserved, Usd::ZERO);
    call.await.unwrap().unwrap();
    assert_eq!(month().await.unwrap().settled, Usd::ZERO);
    // All of December is there to be spent.
    send(&client, chat(FLAT)).await.unwrap();
    denial(&client, chat(FLAT)).await;
}

#[tokio::test(start_paused = true)]
async fn an_overrun_that_shows_after_midnight_belongs_to_the_old_month() {
    let clock = ManualClock::at(time("2026-11-30T23:59:59Z"));
    let policy = policy().clock(clock.clone()).build().unwrap();
    let provider = StandIn::with(SECOND, |_| Ok(Response::new(Full::from(answer(9, 100_000)))));
    let client = client(&policy, &provider);
    let call =
        tokio::spawn(async move { send(&client, chat_with("gpt-4o", r#","max_tokens":5"#)).await });
    tokio::time::sleep(SECOND / 2).await;
    assert_eq!(provider.calls(), 1);
    clock.advance(SECOND);
    call.await.unwrap().unwrap();
    assert_eq!(spent(&policy).await, Usd::ZERO);
}

// ── models ──

fn downgrade() -> TagBasedModelDowngrade {
    TagBasedModelDowngrade::new(driftlock::rule::model("gpt-4o"), "gpt-4o-mini")
}

#[tokio::test]
async fn a_downgraded_call_passes_the_restriction_of_its_old_model_and_only_its_model_changes() {
    let policy = policy().rule(downgrade()).rule(RestrictModel::new(["gpt-4o"])).build().unwrap();
    let provider = StandIn::saying(answer(1_000_000, 0));
    let client = client(&policy, &provider);
    let body = |model: &str| {
        format!(
            "{{ \"temperature\" : 0.10,\n\t\"mod\\u0065l\":  {model} ,\"messages\":[ \
             {{\"content\":\"use gpt-4o, \\u00e9 \\\"model\\\":\\\"gpt-4o\\\" é\",\"role\":\"user\"}}],\
             \"metadata\":{{\"model\":\"gpt-4o\"}},\"max_tokens\":16 }}\n"
        )
    };
    let asked = body("\"gpt\\u002d4\\u006f\"");
    send(&client, post(asked.clone())).await.unwrap();
    let (head, sent) = provider.received().remove(0);
    let expected = body("\"gpt-4o-mini\"");
    assert_eq!(sent, expected);
    assert_ne!(asked.len(), expected.len());
    assert_eq!(head.headers["content-length"], expected.len().to_string());
    assert_eq!(spent(&policy).await, usd("0.15"));

    // The other way round the restriction sees the old model.
    let policy = stand_in::policy().rule(RestrictModel::new(["gpt-4o"])).rule(downgrade());
    let client = stand_in::client(&policy.build().unwrap(), &provider);
    assert_eq!(denial(&client, chat("gpt-4o")).await.kind(), DenialKind::Restricted);
}

#[tokio::test]
async fn a_downgrade_onto_a_restricted_model_is_denied() {
    let policy =
        policy().rule(downgrade()).rule(RestrictModel::new(["gpt-4o-mini"])).build().unwrap();
    let provider = StandIn::new();
    let denial = denial(&client(&policy, &provider), chat("gpt-4o")).await;
    assert_eq!((denial.rule(), denial.kind()), ("restrict_model", DenialKind::Restricted));
    assert!(denial.to_string().contains("`gpt-4o-mini` may not be used"), "{denial}");
    assert_eq!(provider.calls(), 0);
}

#[tokio::test]
async fn a_cost_rule_sees_the_price_of_the_model_as_it_is_at_its_place() {
    // 1,002 output tokens: more than a cent with gpt-4o, less than a tenth of one with the mini.
    let call = || chat_with("gpt-4o", r#","max_tokens":1000"#);
    let limit = || MaxCostPerRequest::new(Usd::cents(1));
    let behind = policy().rule(downgrade()).rule(limit()).build().unwrap();
    send(&client(&behind, &StandIn::new()), call()).await.unwrap();

    let before = policy().rule(limit()).rule(downgrade()).build().unwrap();
    let denial = denial(&client(&before, &StandIn::new()), call()).await;
    assert_eq!(denial.kind(), DenialKind::TooExpensive);
}

#[tokio::test]
async fn a_limit_claimed_before_a_rewrite_must_hold_the_larger_amount() {
    let call = |model| chat_with(model, r#","max_tokens":1000"#);
    let budget = || MonthlyBudget::new(Usd::cents(1));
    let dearer = || TagBasedModelDowngrade::new(driftlock::rule::model("gpt-4o-mini"), "gpt-4o");

    let denied = policy().rule(budget()).rule(downgrade()).build().unwrap();
    let reason = denial(&client(&denied, &StandIn::new()), call("gpt-4o")).await;
    assert_eq!(reason.rule(), "monthly_budget");
    let denied = policy().rule(budget()).rule(dearer().always()).build().unwrap();
    let reason = denial(&client(&denied, &StandIn::new()), call("gpt-4o-mini")).await;
    assert_eq!(reason.rule(), "monthly_budget");

    // What is booked is the final amount, once.
    let ample = policy().rule(MonthlyBudget::new(Usd::dollars(1))).rule(downgrade());
    let policy = ample.receipts(true).build().unwrap();
    let client = client(&policy, &StandIn::new());
    let response = client.oneshot(call("gpt-4o")).await.unwrap();
    let month = policy.spend(&Scope::Workspace, Window::month(Zone::UTC)).await.unwrap();
    let receipt = response.extensions().get::<driftlock::Receipt>().unwrap();
    assert_eq!(month.reserved, receipt.reserved());
    assert!(month.reserved < Usd::cents(1) && month.reserved > Usd::ZERO);
}

#[tokio::test]
async fn a_restricted_model_is_stopped_by_every_name_and_its_sibling_is_not() {
    let policy = policy().rule(RestrictModel::new(["gpt-4o"])).build().unwrap();
    let provider = StandIn::new();
    let client = client(&policy, &provider);
    for model in ["gpt-4o", "GPT-4o", "gpt-4o-2024-08-06", "gpt-4o-2024-11-20"] {
        let denial = denial(&client, chat(model)).await;
        assert_eq!(denial.kind(), DenialKind::Restricted, "{model}");
        assert!(denial.to_string().contains(model), "{denial}");
    }
    let list = |models| chat_with("gpt-4.1", &format!(r#","models":{models}"#));
    for models in [r#"["gpt-4o"]"#, r#"["gpt-4.1-mini","gpt-4o-2024-08-06"]"#] {
        denial(&client, list(models)).await;
    }
    assert_eq!(provider.calls(), 0);
    for model in ["gpt-4o-mini", "gpt-4o-mini-2024-07-18", "gpt-4.1"] {
        send(&client, chat(model)).await.unwrap();
    }
    send(&client, list(r#"["gpt-4o-mini"]"#)).await.unwrap();

    let house = stand_in::policy().rule(RestrictModel::allow_only(["gpt-4o-mini"]));
    let client = stand_in::client(&house.build().unwrap(), &provider);
    send(&client, chat("gpt-4o-mini-2024-07-18")).await.unwrap();
    denial(&client, chat("gpt-4o")).await;
    denial(&client, chat_with("gpt-4o-mini", r#","models":["gpt-4o"]"#)).await;
}

#[tokio::test]
async fn a_downgrade_goes_to_the_deployment_of_the_cheap_model() {
    let policy = policy().rule(downgrade()).build().unwrap();
    let provider = StandIn::new();
    let deployment = |name: &str| {
        format!("https://x.openai.azure.com/openai/deployments/{name}/chat/completions?v=1")
    };
    let body = r#"{"messages":[]}"#;
    send(&client(&policy, &provider), post_to(&deployment("gpt-4o"), body)).await.unwrap();
    let (head, sent) = provider.received().remove(0);
    assert_eq!((head.uri.to_string(), sent), (deployment("gpt-4o-mini"), body.into()));
}

#[tokio::test]
async fn a_stream_is_asked_for_its_usage_and_its_caller_sees_what_he_asked_for() {
    let text = r#"data: {"choices":[{"delta":{"content":"Hello"}}]}"#;
    let usage = r#"data: {"choices":[],"usage":{"prompt_tokens":1000,"completion_tokens":100000}}"#;
    let provider = StandIn::with(Duration::ZERO, move |_| {
        let body = format!("{text}\n\n{usage}\n\ndata: [DONE]\n\n");
        let response = Response::builder()
            .header("content-type", "text/event-stream; charset=utf-8")
            .header("content-length", body.len());
        Ok(response.body(Full::from(body)).unwrap())
    });
    let policy = policy().build().unwrap();
    let streamed = chat_with("gpt-4o", r#","stream":true"#);
    let response = client(&policy, &provider).oneshot(streamed).await.unwrap();
    assert!(!response.headers().contains_key("content-length"));
    let seen = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
    assert_eq!(seen, format!("{text}\n\ndata: [DONE]\n\n"));
    assert_eq!(spent(&policy).await, usd("1.0025"));
    let (head, sent) = provider.received().remove(0);
    assert!(sent.ends_with(br#","stream":true,"stream_options":{"include_usage":true}}"#));
    assert_eq!(head.headers["content-length"], sent.len().to_string());
}

#[tokio::test]
async fn an_answer_that_hides_nothing_keeps_its_length() {
    let provider = StandIn::with(Duration::ZERO, |request| {
        let is_stream = request.windows(6).any(|part| part == b"stream");
        let kind = if is_stream { "text/event-stream" } else { "application/json" };
        let response = Response::builder().header("content-type", kind).header("content-length", 2);
        Ok(response.body(Full::from("{}")).unwrap())
    });
    let client = client(&policy().build().unwrap(), &provider);
    for members in ["", r#","stream":true,"stream_options":{"include_usage":true}"#] {
        let response = client.clone().oneshot(chat_with("gpt-4o", members)).await.unwrap();
        assert_eq!(response.headers()["content-length"], "2", "{members}");
    }
}

// ── denials ──

#[tokio::test]
async fn a_denied_call_never_starts_and_frees_its_place_at_once() {
    let (mock, mut handle) = tower_test::mock::pair::<http::Request<Body>, Response<Body>>();
    let policy = policy().rule(RestrictModel::new(["gpt-4o"])).build().unwrap();
    let one_place = tower::limit::ConcurrencyLimit::new(mock, 1);
    let client = driftlock::DriftlockLayer::new(policy.clone()).layer(one_place);
    handle.allow(10);

    let (mut first, mut second) = (client.clone(), client);
    let mut denied = Box::pin(first.ready().await.unwrap().call(chat("gpt-4o")));
    // The place is taken as long as the call is undecided.
    let mut waiting = Box::pin(second.ready());
    assert!(poll_once(&mut waiting).is_none());
    let Err(Error::Denied(_)) = denied.as_mut().await else { panic!("restricted") };
    // `denied` and `first` are still there.
    let ready = poll_once(&mut waiting).expect("the place is free").unwrap();
    let answered = tokio::spawn(ready.call(chat("gpt-4o-mini")));
    let (request, respond) = handle.next_request().await.unwrap();
    assert_eq!(request.uri(), OPENAI);
    respond.send_response(Response::new(Full::from(answer(9, 3))));
    answered.await.unwrap().unwrap();
    drop((denied, first));
    assert_eq!(policy.stats().denied, 1);
}

#[tokio::test]
async fn a_denial_says_what_was_spent_what_was_asked_and_when_to_come_back() {
    let rules = policy()
        .rule(MonthlyBudget::new(Usd::cents(20)).named("team cap"))
        .rule(VelocityLimit::new(3, MINUTE));
    let clock = noon();
    let policy = rules.clock(clock.clone()).build().unwrap();
    let client = client(&policy, &StandIn::new());
    for _ in 0..3 {
        send(&client, chat(FLAT)).await.unwrap();
    }
    let error = send(&client, chat(FLAT)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "denied by team cap: $0.195 of $0.20 spent this month, this call may cost $0.065; \
         resets 2026-12-01T00:00:00Z"
    );
    let public = error.denial().unwrap().public_message();
    assert!(!public.contains('$') && public.contains("2026-12-01"), "{public}");
    let free = policy.prices().overlay().model("free", Price::free()).build().unwrap();
    policy.set_prices(free);
    assert_eq!(
        send(&client, chat("free")).await.unwrap_err().to_string(),
        "denied by velocity_limit: 3 of 3 calls made in any 60s; try again at 2026-11-22T12:01:00Z"
    );
}

#[tokio::test]
async fn the_earliest_rule_is_named_also_if_a_later_one_says_no_first() {
    let rules = policy()
        .rule(RestrictModel::new(["gpt-4.1"]).named("first"))
        .rule(VelocityLimit::new(1, MINUTE).named("second"))
        .rule(RestrictModel::new(["gpt-4o"]).named("third"));
    let client = client(&rules.build().unwrap(), &StandIn::new());
    assert_eq!(denial(&client, chat("gpt-4o")).await.rule(), "third");
    send(&client, chat("gpt-4o-mini")).await.unwrap();
    assert_eq!(denial(&client, chat("gpt-4o")).await.rule(), "second");
    assert_eq!(denial(&client, chat("gpt-4.1")).await.rule(), "first");
}

#[tokio::test]
async fn a_retry_time_is_exact_to_the_nanosecond() {
    let user = || PerUserBudget::new().default_limit(Usd::cents(13));
    type Add = fn(PolicyBuilder) -> PolicyBuilder;
    let rules: [(&str, Add); 7] = [
        ("calls", |rules| rules.rule(VelocityLimit::new(2, MINUTE))),
        ("calls in buckets", |rules| {
            rules.rule(VelocityLimit::new(2, MINUTE)).rule(VelocityLimit::new(2_000, MINUTE))
        }),
        ("spend", |rules| rules.rule(CostVelocity::new(Usd::cents(13), HOUR))),
        ("forecast", |rules| rules.rule(ForecastBudget::new(Usd::cents(56)))),
        ("day", |rules| rules.rule(Budget::daily(Usd::cents(13)))),
        ("week", |rules| rules.rule(Budget::weekly(Usd::cents(13)))),
        ("two", |rules| {
            let month = MonthlyBudget::new(Usd::cents(13));
            rules.rule(VelocityLimit::new(2, MINUTE)).rule(month)
        }),
    ];
    let named = rules.into_iter().map(|(name, add)| (name, add(policy())));
    for (name, rules) in named.chain([("user", policy().rule(user()))]) {
        let clock = noon();
        let policy = rules.clock(clock.clone()).build().unwrap();
        let client = client(&policy, &StandIn::new());
        send(&client, chat(FLAT)).await.unwrap();
        clock.advance(7 * SECOND);
        send(&client, chat(FLAT)).await.unwrap();
        clock.advance(5 * SECOND);
        let denied = denial(&client, chat(FLAT)).await;
        let Retry::At(again) = denied.retry() else { panic!("{name}: {denied}") };
        assert_eq!(denied.retry_after(clock.now()), Some(again.since(clock.now())));

        clock.set(Timestamp::from_nanos(again.as_nanos() - 1));
        assert_eq!(denial(&client, chat(FLAT)).await.retry(), Retry::At(again), "{name}");
        clock.advance(NANO);
        send(&client, chat(FLAT)).await.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

// ── what was never sent ──

#[derive(Debug)]
struct BreakerIsOpen;

impl std::fmt::Display for BreakerIsOpen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the breaker is open")
    }
}

impl std::error::Error for BreakerIsOpen {}

/// A refused connection, as a client wraps it.
#[derive(Debug)]
struct Connect(std::io::Error);

impl std::fmt::Display for Connect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("client error (Connect)")
    }
}

impl std::error::Error for Connect {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

fn failing(error: fn() -> BoxError) -> StandIn {
    StandIn::with(Duration::ZERO, move |_| Err(error()))
}

fn breaker() -> BoxError {
    BreakerIsOpen.into()
}

fn refused() -> BoxError {
    Connect(std::io::ErrorKind::ConnectionRefused.into()).into()
}

#[tokio::test]
async fn a_thousand_rejections_of_a_breaker_or_refused_connections_cost_nothing() {
    for error in [breaker, refused] {
        let rules = policy()
            .rule(MonthlyBudget::new(Usd::dollars(1)))
            .rule(VelocityLimit::new(10, MINUTE))
            .nothing_sent(|error: &BoxError| error.is::<BreakerIsOpen>());
        let policy = rules.build().unwrap();
        let broken = client(&policy, &failing(error));
        for _ in 0..1_000 {
            let error = send(&broken, chat(FLAT)).await.unwrap_err();
            assert!(matches!(error, Error::Inner(_)), "{error}");
        }
        assert_eq!(spent(&policy).await, Usd::ZERO);
        assert_eq!(at_once(&client(&policy, &StandIn::new()), 200).await, 10);
    }
}

#[tokio::test]
async fn an_error_that_proves_nothing_costs_the_estimate() {
    let unknown = policy().build().unwrap();
    send(&client(&unknown, &failing(breaker)), chat(FLAT)).await.unwrap_err();
    assert_eq!(spent(&unknown).await, EACH);

    // Of a client that retries in secret, the last error does not speak for the first.
    let retrying = policy().hidden_retries().build().unwrap();
    send(&client(&retrying, &failing(refused)), chat(FLAT)).await.unwrap_err();
    assert_eq!(spent(&retrying).await, EACH);
}

#[tokio::test]
async fn a_client_that_is_not_ready_costs_nothing() {
    let (mut mock, mut handle) =
        tower_test::mock::spawn_layer::<http::Request<Body>, Response<Body>, _>(
            driftlock::DriftlockLayer::new(policy().build().unwrap()),
        );
    handle.send_error("away");
    let std::task::Poll::Ready(Err(Error::Inner(error))) = mock.poll_ready() else {
        panic!("the inner error")
    };
    assert_eq!(error.to_string(), "away");
    assert_eq!(spent(mock.get_ref().policy()).await, Usd::ZERO);
}

// ── every end settles ──

#[tokio::test]
async fn a_status_decides_what_an_answer_without_usage_costs() {
    for (status, cost, how) in [
        (200, EACH, SettledHow::Estimated),
        (400, Usd::ZERO, SettledHow::Refused),
        (429, Usd::ZERO, SettledHow::Refused),
        (503, Usd::ZERO, SettledHow::Refused),
        (408, EACH, SettledHow::Ambiguous),
        (500, EACH, SettledHow::Ambiguous),
    ] {
        let provider = StandIn::with(Duration::ZERO, move |_| {
            Ok(Response::builder().status(status).body(Full::from("{}")).unwrap())
        });
        let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
        let tell = Arc::clone(&seen);
        let policy = policy().on_settled(move |settled, _| tell.lock().unwrap().push(*settled));
        let policy = policy.build().unwrap();
        send(&client(&policy, &provider), chat(FLAT)).await.unwrap();
        assert_eq!(spent(&policy).await, cost, "{status}");
        let seen = seen.lock().unwrap();
        assert_eq!(seen.iter().map(|settled| settled.how).collect::<Vec<_>>(), [how], "{status}");
    }
}

// ── counters are keyed by meaning ──

#[tokio::test]
async fn two_rules_alike_share_a_counter_and_a_call_is_charged_once() {
    let rules = policy()
        .rule(MonthlyBudget::new(Usd::dollars(1)))
        .rule(MonthlyBudget::new(Usd::dollars(1)).named("again"))
        .rule(Budget::monthly(Usd::dollars(2)))
        .rule(VelocityLimit::new(15, MINUTE))
        .rule(VelocityLimit::new(15, MINUTE));
    let policy = rules.build().unwrap();
    let client = client(&policy, &StandIn::new());
    for call in 1..=15 {
        send(&client, chat(FLAT)).await.unwrap();
        assert_eq!(spent(&policy).await, EACH.saturating_mul(call));
    }
    assert_eq!(denial(&client, chat(FLAT)).await.rule(), "monthly_budget");
}

#[tokio::test]
async fn a_policy_without_rules_meters_everything_and_denies_nothing() {
    let policy = policy().build().unwrap();
    let client = client(&policy, &StandIn::new());
    assert_eq!(at_once(&client, 200).await, 200);
    assert_eq!(spent(&policy).await, usd("13.00"));
    assert_eq!(policy.stats().denied, 0);
}

#[tokio::test]
async fn rules_in_another_order_on_the_same_store_go_on_where_the_old_ones_were() {
    let store = Arc::new(MemoryStore::new());
    let clock = noon();
    let on_store = || policy().memory_store(Arc::clone(&store)).clock(clock.clone());
    let budget = || MonthlyBudget::new(Usd::dollars(1));
    let calls = || VelocityLimit::new(12, MINUTE);

    let first = on_store().rule(budget()).rule(calls()).build().unwrap();
    assert_eq!(at_once(&client(&first, &StandIn::new()), 10).await, 10);
    let second = on_store().rule(calls()).rule(budget().named("cap")).build().unwrap();
    assert_eq!(spent(&second).await, usd("0.65"));
    assert_eq!(at_once(&client(&second, &StandIn::new()), 10).await, 2);
    clock.advance(MINUTE);
    assert_eq!(at_once(&client(&second, &StandIn::new()), 10).await, 3);
    assert_eq!(spent(&first).await, usd("0.975"));
}

#[tokio::test]
async fn a_budget_added_later_knows_the_month_so_far() {
    let store = Arc::new(MemoryStore::new());
    let on_store = || policy().memory_store(Arc::clone(&store));
    let user = |user: &str| {
        let mut call = chat(FLAT);
        call.extensions_mut().insert(driftlock::Labels::new().with("user", user));
        call
    };
    let before = client(&on_store().build().unwrap(), &StandIn::new());
    for _ in 0..14 {
        send(&before, user("u-1")).await.unwrap();
    }
    let rules = on_store()
        .rule(MonthlyBudget::new(Usd::dollars(1)))
        .rule(PerUserBudget::new().default_limit(usd("0.92")));
    let after = client(&rules.build().unwrap(), &StandIn::new());
    assert_eq!(denial(&after, user("u-1")).await.rule(), "per_user_budget");
    send(&after, user("u-2")).await.unwrap();
    assert_eq!(denial(&after, user("u-2")).await.rule(), "monthly_budget");
}

#[tokio::test]
async fn workspaces_on_one_store_do_not_share_a_budget() {
    let store = Arc::new(MemoryStore::new());
    let of = |workspace: &str| {
        let rules = policy().memory_store(Arc::clone(&store)).workspace(workspace);
        rules.rule(MonthlyBudget::new(Usd::cents(7))).build().unwrap()
    };
    for workspace in ["search", "chat"] {
        assert_eq!(at_once(&client(&of(workspace), &StandIn::new()), 5).await, 1);
        assert_eq!(at_once(&client(&of(workspace), &StandIn::new()), 5).await, 0);
    }
}

#[tokio::test]
async fn new_prices_hold_for_the_next_call_and_not_for_those_in_flight() {
    let policy = policy().build().unwrap();
    let client = client(&policy, &StandIn::new());
    let response = client.clone().oneshot(chat(FLAT)).await.unwrap();
    let each = Price::free().per_request(Usd::dollars(1));
    policy.set_prices(PriceBook::bundled().overlay().model(FLAT, each).build().unwrap());
    http_body_util::BodyExt::collect(response.into_body()).await.unwrap();
    assert_eq!(spent(&policy).await, EACH);
    send(&client, chat(FLAT)).await.unwrap();
    assert_eq!(spent(&policy).await, usd("1.065"));
}

#[tokio::test]
async fn a_model_without_a_price_is_told_as_that_even_when_the_budget_is_overdrawn() {
    let policy = policy().rule(MonthlyBudget::new(Usd::dollars(1))).build().unwrap();
    let month = Window::month(Zone::UTC);
    policy.add_spend(&Scope::Workspace, month, Usd::dollars(2), "opening balance").await.unwrap();
    let client = client(&policy, &StandIn::new());
    let error = send(&client, chat("acme-chat-1")).await.unwrap_err();
    assert_eq!(error.denial().unwrap().kind(), DenialKind::UnknownPrice);
}

#[tokio::test]
async fn a_call_with_fallback_models_is_reserved_at_the_dearest_of_them() {
    let policy = policy().prices(PriceBook::bundled()).build().unwrap();
    let reserved = async |fallbacks: &[&'static str]| {
        let fallbacks = fallbacks.iter().map(|model| (*model).into()).collect();
        let mut call = Call::new(Provider::OPENAI, Operation::Chat, "gpt-4o-mini")
            .with_max_output_tokens(100)
            .with_fallback_models(fallbacks);
        policy.admit(&mut call).await.map(|permit| permit.reserved())
    };
    let (alone, cheaper) =
        (reserved(&[]).await.unwrap(), reserved(&["gpt-4.1-nano"]).await.unwrap());
    assert_eq!(alone, cheaper);
    assert!(reserved(&["gpt-4.1-nano", "gpt-4o"]).await.unwrap() > alone);
    let error = reserved(&["gpt-4o", "acme-chat-1"]).await.unwrap_err();
    assert!(error.to_string().contains("acme-chat-1"), "{error}");
}

#[tokio::test]
async fn a_downgrade_does_not_leave_dearer_fallbacks_behind() {
    let downgrade = TagBasedModelDowngrade::new(driftlock::rule::model("*"), "gpt-4o-mini");
    let policy = policy().prices(PriceBook::bundled()).rule(downgrade).build().unwrap();
    let mut call = Call::new(Provider::OPENAI, Operation::Chat, "gpt-4o")
        .with_fallback_models(vec!["gpt-4-turbo".into()]);
    let error = policy.admit(&mut call).await.unwrap_err();
    assert!(error.to_string().contains("fallback"), "{error}");
}
