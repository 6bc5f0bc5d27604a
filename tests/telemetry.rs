//! What driftlock tells `tracing`, and what it never tells.
#![allow(clippy::unwrap_used)] // in helpers too

mod stand_in;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, LazyLock, Mutex},
};

use driftlock::{
    Labels, MaxCostPerRequest, Mode, MonthlyBudget, PerUserBudget, RestrictModel,
    TagBasedModelDowngrade, Usd, labels, rule::model,
};
use stand_in::*;
use tracing::{
    Event, Id, Subscriber, field,
    span::{Attributes, Record},
};
use tracing_subscriber::{
    layer::{Context, Layer, SubscriberExt},
    registry::LookupSpan,
};

type Fields = BTreeMap<String, String>;

/// Keeps every event, and every span with all that was recorded on it.
#[derive(Clone, Default)]
struct Listener(Arc<Mutex<Told>>);

#[derive(Default)]
struct Told {
    /// Level, message, and the fields of the event.
    events: Vec<(tracing::Level, String, Fields)>,
    /// Id, name, and the fields of the span. Ids are used again.
    spans: Vec<(Id, &'static str, Fields)>,
}

struct Write<'a>(&'a mut Fields);

impl field::Visit for Write<'_> {
    fn record_debug(&mut self, field: &field::Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &field::Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Listener {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, _: Context<'_, S>) {
        let mut fields = Fields::new();
        attributes.record(&mut Write(&mut fields));
        let mut told = self.0.lock().unwrap();
        told.spans.push((id.clone(), attributes.metadata().name(), fields));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        let mut told = self.0.lock().unwrap();
        let span = told.spans.iter_mut().rfind(|(known, ..)| known == id).unwrap();
        values.record(&mut Write(&mut span.2));
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::new();
        event.record(&mut Write(&mut fields));
        let message = fields.remove("message").unwrap_or_default();
        self.0.lock().unwrap().events.push((*event.metadata().level(), message, fields));
    }
}

impl Listener {
    /// Runs `work` with this as the subscriber.
    async fn listen<F: Future>(&self, work: F) -> F::Output {
        // Else tracing remembers for all threads that nobody wants an event, if the first
        // at it is the thread of a test that does not listen.
        static SOMEBODY: LazyLock<tracing::Dispatch> =
            LazyLock::new(|| tracing::Dispatch::new(tracing_subscriber::registry()));
        LazyLock::force(&SOMEBODY);
        let _listening =
            tracing::subscriber::set_default(tracing_subscriber::registry().with(self.clone()));
        work.await
    }

    /// The fields of the one event with this message.
    fn event(&self, message: &str) -> Fields {
        let told = self.0.lock().unwrap();
        let found: Vec<_> = told.events.iter().filter(|(_, said, _)| said == message).collect();
        assert_eq!(found.len(), 1, "{message}: {:?}", told.events);
        found[0].2.clone()
    }

    fn span(&self) -> Fields {
        let told = self.0.lock().unwrap();
        assert_eq!(told.spans.len(), 1, "{:?}", told.spans);
        let (_, name, fields) = &told.spans[0];
        assert_eq!(*name, "driftlock.call");
        fields.clone()
    }

    fn everything(&self) -> String {
        let told = self.0.lock().unwrap();
        format!("{:?} {:?}", told.events, told.spans)
    }
}

#[track_caller]
fn holds(fields: &Fields, expected: &[(&str, &str)]) {
    for (key, value) in expected {
        assert_eq!(fields.get(*key).map(String::as_str), Some(*value), "{key}: {fields:?}");
    }
}

#[tokio::test]
async fn an_admitted_call_is_a_span_with_the_attributes_of_opentelemetry() {
    let told = Listener::default();
    let rules = policy().rule(TagBasedModelDowngrade::new(model("gpt-4o"), "gpt-4o-mini"));
    let provider = StandIn::saying(
        r#"{"model":"gpt-4o-mini-2024-07-18","usage":{"prompt_tokens":1000,"completion_tokens":500}}"#,
    );
    let client = client(&rules.build().unwrap(), &provider);
    told.listen(send(&client, chat("gpt-4o"))).await.unwrap();
    holds(
        &told.span(),
        &[
            ("gen_ai.provider.name", "openai"),
            ("gen_ai.operation.name", "chat"),
            ("gen_ai.request.model", "gpt-4o-mini"),
            ("gen_ai.response.model", "gpt-4o-mini-2024-07-18"),
            ("gen_ai.usage.input_tokens", "1000"),
            ("gen_ai.usage.output_tokens", "500"),
            ("driftlock.cost_nanos", "450000"),
        ],
    );
    let admitted = told.event("admitted");
    holds(&admitted, &[("driftlock.requested_model", "gpt-4o"), ("driftlock.bound", "assumed")]);
    let reserved = &admitted["driftlock.reserved_nanos"];
    holds(
        &told.event("settled"),
        &[
            ("gen_ai.provider.name", "openai"),
            ("driftlock.cost_nanos", "450000"),
            ("driftlock.reserved_nanos", reserved),
            ("driftlock.how", "actual"),
        ],
    );
}

#[tokio::test]
async fn a_denied_call_is_an_event_with_rule_model_and_reason() {
    let told = Listener::default();
    let policy = policy().rule(MonthlyBudget::new(Usd::cents(1)).named("team cap"));
    let client = client(&policy.build().unwrap(), &StandIn::new());
    told.listen(send(&client, chat(FLAT))).await.unwrap_err();
    let denied = told.event("denied");
    holds(
        &denied,
        &[
            ("gen_ai.provider.name", "openai"),
            ("gen_ai.request.model", FLAT),
            ("driftlock.rule", "team cap"),
        ],
    );
    assert!(denied["denial"].contains("$0.00 of $0.01 spent this month"), "{denied:?}");
    assert!(told.0.lock().unwrap().spans.is_empty());
}

#[tokio::test]
async fn observing_tells_what_it_would_have_done() {
    let told = Listener::default();
    let rules = policy()
        .rule(TagBasedModelDowngrade::new(model("gpt-4o"), "gpt-4o-mini"))
        .rule(RestrictModel::new(["gpt-4o-mini"]))
        .mode(Mode::Observe);
    let client = client(&rules.build().unwrap(), &StandIn::new());
    told.listen(send(&client, chat("gpt-4o"))).await.unwrap();
    holds(&told.event("would deny"), &[("driftlock.rule", "restrict_model")]);
    holds(&told.event("would rewrite"), &[("driftlock.would_use", "gpt-4o-mini")]);
    holds(&told.span(), &[("gen_ai.request.model", "gpt-4o")]);
}

#[tokio::test]
async fn a_label_that_calls_lack_is_told_once_for_each_rule_that_counts_by_it() {
    const LACKS: &str =
        "a call without the label this rule counts by; all such calls share the value `(none)`";
    let told = Listener::default();
    let rules = policy()
        .rule(MonthlyBudget::new(Usd::dollars(1)).per_label("taem").named("teams"))
        .rule(PerUserBudget::new().default_limit(Usd::dollars(1)));
    let client = client(&rules.build().unwrap(), &StandIn::new());
    for _ in 0..2 {
        let call = send(&client, chat("gpt-4o"));
        let call = labels::scope(Labels::new().with("team", "a secret"), call);
        told.listen(call).await.unwrap();
    }
    let events = told.0.lock().unwrap().events.clone();
    let lacks: Vec<_> = events.iter().filter(|(_, said, _)| said == LACKS).collect();
    let [(_, _, team), (_, _, user)] = &lacks[..] else { panic!("{events:?}") };
    holds(team, &[("driftlock.rule", "teams"), ("label", "taem"), ("has", "[\"team\"]")]);
    holds(user, &[("driftlock.rule", "per_user_budget"), ("label", "user")]);
    assert!(!told.everything().contains("a secret"));
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn why_a_provider_could_not_be_asked_is_told_where_a_response_does_not_say_it() {
    use driftlock::axum::Responder;

    #[derive(Debug)]
    struct Around(std::io::Error);

    impl fmt::Display for Around {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("could not connect to https://host/?key=a-secret")
        }
    }

    impl std::error::Error for Around {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }

    let told = Listener::default();
    let error = driftlock::Error::inner(Around(std::io::Error::other("connection refused")));
    let response = told.listen(async { Responder::new().respond(&error) }).await;
    assert_eq!(response.status(), 502);
    holds(&told.event("the provider could not be asked"), &[("cause", "connection refused")]);
    assert!(!told.everything().contains("a-secret"));
}

#[tokio::test]
async fn a_call_that_cannot_be_read_is_an_event_however_it_fails() {
    let mut packed = chat(FLAT);
    packed.headers_mut().insert("content-encoding", "br".parse().unwrap());
    for (call, why) in [
        (post("{"), "not JSON"),
        (post(vec![b' '; 2_000]), "larger than 1000 bytes"),
        (packed, "content-encoding `br`"),
        (post_to("https://api.openai.com/v1/batches", "{}"), "batches"),
    ] {
        let told = Listener::default();
        let policy = policy().body_cap(1_000).build().unwrap();
        let client = client(&policy, &StandIn::new());
        told.listen(send(&client, call)).await.unwrap_err();
        let error = &told.event("refused")["error"];
        assert!(error.contains(why), "{error}");
        assert_eq!(policy.stats().denied, 1, "{why}");
    }
}

#[tokio::test]
async fn no_prompt_and_no_answer_is_ever_told() {
    const SECRET: &str = "xyzzy-plugh";
    let told = Listener::default();
    let bodies = [
        format!(r#"{{"model":"flat","messages":[{{"role":"user","content":"{SECRET}"}}]}}"#),
        format!(r#"{{"model":"flat","messages":[{{"content":"{SECRET}"}}],"n":"{SECRET}"}}"#),
        format!(
            r#"{{"model":"gpt-4o","messages":[{{"content":"{SECRET}"}}],"tools":[{{"{SECRET}":1}}]}}"#
        ),
        format!(r#"{{"model":"gpt-9","messages":[{{"content":"{SECRET}"}}]}}"#),
        format!(
            r#"{{"model":"flat","messages":[],"max_tokens":1,"user":"{SECRET}","max_tokens":2}}"#
        ),
        format!(r#"{{"model":"flat","messages":["{SECRET}""#),
        SECRET.to_owned(),
    ];
    let answer = format!(
        r#"{{"choices":[{{"message":{{"content":"{SECRET}"}}}}],"usage":{{"prompt_tokens":"{SECRET}"}}}}"#
    );
    for mode in [Mode::Enforce, Mode::Observe] {
        let rules = policy()
            .rule(MonthlyBudget::new(Usd::cents(7)).per_user())
            .rule(MaxCostPerRequest::new(Usd::cents(50)))
            .rule(RestrictModel::new(["gpt-4o"]))
            .mode(mode);
        let client = client(&rules.build().unwrap(), &StandIn::saying(answer.clone()));
        for body in bodies.iter().chain(&bodies) {
            let mut call = post(body.clone());
            call.headers_mut().insert("authorization", format!("Bearer {SECRET}").parse().unwrap());
            call.extensions_mut().insert(Labels::new().with("user", "u-1"));
            let _ = told.listen(send(&client, call)).await;
        }
    }
    let everything = told.everything();
    for part in [
        "admitted",
        "settled",
        "denied",
        "refused",
        "would deny",
        "sent unmetered",
        "usage contradicts",
    ] {
        assert!(everything.contains(part), "{part}: {everything}");
    }
    assert!(!everything.contains(SECRET), "{everything}");
}

/// Panics whenever it is told that something ends.
struct Panics;

impl<S: Subscriber> Layer<S> for Panics {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::new();
        event.record(&mut Write(&mut fields));
        if fields["message"] == "settled" {
            panic!("a subscriber panicked");
        }
    }

    fn on_close(&self, _: Id, _: Context<'_, S>) {
        panic!("a subscriber panicked");
    }
}

struct PanickingWaker;

impl std::task::Wake for PanickingWaker {
    fn wake(self: Arc<Self>) {
        panic!("a waker panicked");
    }
}

#[tokio::test]
async fn who_panics_at_the_news_of_a_settlement_does_no_harm_not_even_while_unwinding() {
    let settled = Arc::new(Mutex::new(0));
    let count = settled.clone();
    let policy = policy().on_settled(move |_, _| *count.lock().unwrap() += 1).build().unwrap();
    let _listening = tracing::subscriber::set_default(tracing_subscriber::registry().with(Panics));
    for is_unwinding in [false, true] {
        let mut call =
            driftlock::Call::new(driftlock::Provider::OPENAI, driftlock::Operation::Chat, "gpt-4o");
        let mut permit = policy.admit(&mut call).await.unwrap();
        permit.sent();
        let receipt = permit.receipt().unwrap().clone();
        let waker = Arc::new(PanickingWaker).into();
        let mut waiting = Box::pin(receipt.settled());
        assert!(waiting.as_mut().poll(&mut std::task::Context::from_waker(&waker)).is_pending());
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _permit = permit;
            if is_unwinding {
                panic!("something else panicked");
            }
        }));
        assert_eq!(outcome.is_err(), is_unwinding);
        assert!(receipt.try_settled().is_some());
    }
    assert_eq!(*settled.lock().unwrap(), 2);
}
