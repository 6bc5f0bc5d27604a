//! Request types that driftlock has never heard of, carried by their own.
#![allow(clippy::unwrap_used)] // in helpers too

mod stand_in;

use std::{
    future::{Ready, ready},
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use driftlock::{
    BoxError, Call, DriftlockLayer, Error, Input, Labels, Mode, OnAbandoned, Operation,
    OutputBound, PerUserBudget, Permit, Policy, PolicyBuilder, Provider, Receipt, RestrictModel,
    Scope, SettledHow, TagBasedModelDowngrade, Usage, Usd, VelocityLimit, Verdict, Window, Zone,
    carrier::{Carrier, Changes, Intake},
    labels, rule_fn,
};
use stand_in::{spent, usd};
use tower::{Layer, Service, ServiceExt, service_fn};

#[derive(Clone, Debug, PartialEq)]
struct Question {
    model: String,
    text: String,
    most: Option<u64>,
    user: Option<&'static str>,
}

/// An answer of tokens that come one after another.
#[derive(Clone, Debug)]
struct Tokens {
    input: u64,
    left: u64,
}

/// As the caller gets it: it settles when it has been taken to its end.
#[derive(Debug)]
struct Metered {
    tokens: Tokens,
    taken: u64,
    permit: Option<Permit>,
}

impl Iterator for Metered {
    type Item = &'static str;

    fn next(&mut self) -> Option<&'static str> {
        let usage = Usage::tokens(self.tokens.input, self.taken);
        let Some(left) = self.tokens.left.checked_sub(1) else {
            if let Some(permit) = self.permit.take() {
                permit.settle(&usage);
            }
            return None;
        };
        (self.tokens.left, self.taken) = (left, self.taken + 1);
        if let Some(permit) = &mut self.permit {
            permit.see(&Usage::tokens(self.tokens.input, self.taken));
        }
        Some("word")
    }
}

#[derive(Clone)]
struct Questions;

impl Carrier<Question, Tokens> for Questions {
    type Response = Metered;
    type Read = Ready<Result<Intake<Question>, Error>>;

    fn read(&self, request: Question, _: &Policy) -> Self::Read {
        if request.text == "ping" {
            return ready(Ok(Intake::Free(request)));
        }
        let mut call = Call::new(Provider::OPENAI, Operation::Chat, request.model.as_str())
            .with_input(Input {
                text_bytes: request.text.len() as u64,
                messages: 1,
                ..Input::default()
            })
            .with_body(Bytes::from(format!(r#"{{"text":"{}"}}"#, request.text)));
        if let Some(most) = request.most {
            call = call.with_max_output_tokens(most);
        }
        if let Some(user) = request.user {
            call = call.with_labels(Labels::new().with("user", user));
        }
        ready(Ok(Intake::facts(call, request)))
    }

    fn change(&self, request: &mut Question, changes: Changes<'_>) -> Result<(), Error> {
        if let Some(model) = changes.model {
            request.model = model.to_owned();
        }
        if let Some(most) = changes.max_output_tokens {
            request.most = Some(request.most.map_or(most, |stated| stated.min(most)));
        }
        assert!(!changes.include_usage && changes.uri.is_none());
        Ok(())
    }

    fn meter(&self, tokens: Tokens, permit: Permit) -> Metered {
        Metered { tokens, taken: 0, permit: Some(permit) }
    }

    fn pass(&self, tokens: Tokens) -> Metered {
        Metered { tokens, taken: 0, permit: None }
    }
}

fn question(model: &str) -> Question {
    Question { model: model.into(), text: "Hello".into(), most: Some(200), user: None }
}

fn policy() -> PolicyBuilder {
    stand_in::policy().receipts(true)
}

/// Asks, and says what was sent.
async fn ask(policy: &Policy, request: Question) -> Result<(Metered, Question), Error> {
    let sent = Arc::new(Mutex::new(None));
    let tell = Arc::clone(&sent);
    let service = service_fn(move |request: Question| {
        *tell.lock().unwrap() = Some(request);
        ready(Ok::<_, BoxError>(Tokens { input: 1_000, left: 100 }))
    });
    let layer = DriftlockLayer::new(policy.clone()).with_carrier(Questions);
    let answer = layer.layer(service).oneshot(request).await?;
    let sent = sent.lock().unwrap().take().unwrap();
    Ok((answer, sent))
}

fn receipt(answer: &Metered) -> Receipt {
    answer.permit.as_ref().unwrap().receipt().unwrap().clone()
}

#[tokio::test]
async fn usage_is_read_from_the_answer_and_settled() {
    let policy = policy().build().unwrap();
    let (answer, sent) = ask(&policy, question("gpt-4o")).await.unwrap();
    assert_eq!(sent, question("gpt-4o"));
    let receipt = receipt(&answer);
    assert!(receipt.try_settled().is_none());
    assert_eq!(answer.count(), 100);
    let settled = receipt.settled().await;
    assert_eq!((settled.how, settled.cost), (SettledHow::Actual, usd("0.0035")));
    assert_eq!(spent(&policy).await, usd("0.0035"));
}

#[tokio::test]
async fn an_answer_that_is_given_up_costs_the_estimate_or_what_was_seen() {
    for (on_abandoned, left) in [(OnAbandoned::Estimate, 50), (OnAbandoned::Seen, 50)] {
        let policy = policy().on_abandoned(on_abandoned).build().unwrap();
        let (mut answer, _) = ask(&policy, question("gpt-4o")).await.unwrap();
        let receipt = receipt(&answer);
        assert_eq!(answer.by_ref().take(left).count(), left);
        drop(answer);
        // $2.50 a million in and $10 out.
        let seen = usd("0.003");
        let cost = match on_abandoned {
            OnAbandoned::Seen => seen,
            OnAbandoned::Estimate => seen.max(receipt.reserved()),
        };
        let settled = receipt.settled().await;
        assert_eq!((settled.how, settled.cost), (SettledHow::Abandoned, cost));
        assert_eq!(spent(&policy).await, cost);
    }
}

#[tokio::test]
async fn an_answer_that_goes_on_is_not_lost_when_the_deadline_passes() {
    let clock = stand_in::noon();
    let deadline = Duration::from_secs(60);
    let policy = policy().clock(clock.clone()).deadline(deadline).build().unwrap();
    let (mut answer, _) = ask(&policy, question("gpt-4o")).await.unwrap();
    for _ in 0..100 {
        clock.advance(deadline / 2 + Duration::from_secs(1));
        answer.next().unwrap();
        let spend = policy.spend(&Scope::Workspace, Window::month(Zone::UTC)).await.unwrap();
        assert_eq!(spend.settled, Usd::ZERO);
    }
    assert!(answer.next().is_none());
    assert_eq!(spent(&policy).await, usd("0.0035"));
}

#[tokio::test]
async fn what_rules_change_is_sent() {
    let cheaper = || TagBasedModelDowngrade::new(|_: &Call| true, "gpt-4o-mini");
    let downgrading = policy().rule(cheaper()).build().unwrap();
    let (_, sent) = ask(&downgrading, question("gpt-4o")).await.unwrap();
    assert_eq!(sent, Question { model: "gpt-4o-mini".into(), ..question("gpt-4o") });

    let injecting = policy().output_bound(OutputBound::Inject(77)).build().unwrap();
    let open = Question { most: None, ..question("gpt-4o") };
    let (_, sent) = ask(&injecting, open.clone()).await.unwrap();
    assert_eq!(sent, Question { most: Some(77), ..open });

    let observing = policy().rule(cheaper()).mode(Mode::Observe).build().unwrap();
    let (answer, sent) = ask(&observing, question("gpt-4o")).await.unwrap();
    assert_eq!(sent, question("gpt-4o"));
    assert_eq!(receipt(&answer).would_use(), Some("gpt-4o-mini"));
}

#[tokio::test]
async fn rules_see_the_facts_the_body_and_the_labels() {
    let look = rule_fn("look", |call| {
        assert_eq!(call.parameter("text"), Some(&"Hello".into()));
        assert_eq!((call.model(), call.max_output_tokens()), ("flat", Some(200)));
        Verdict::Allow
    });
    let budget = PerUserBudget::new().default_limit(Usd::cents(7)).require_user();
    let policy = policy().rule(look).rule(budget).build().unwrap();
    let as_user = |user| Question { user, ..question("flat") };
    let in_scope = |user, call| labels::scope(Labels::new().with("user", user), call);
    // The request's own label wins over that of the task.
    let (answer, _) = in_scope("u-1", ask(&policy, as_user(Some("u-2")))).await.unwrap();
    answer.for_each(drop);
    let denied = ask(&policy, as_user(Some("u-2"))).await.unwrap_err();
    assert!(denied.to_string().contains("by user u-2"), "{denied}");
    let (answer, _) = in_scope("u-1", ask(&policy, as_user(None))).await.unwrap();
    answer.for_each(drop);
    let denied = ask(&policy, as_user(None)).await.unwrap_err();
    assert_eq!(denied.denial().unwrap().kind(), driftlock::DenialKind::MissingUser);
    assert_eq!(spent(&policy).await, usd("0.13"));
}

#[tokio::test]
async fn what_is_denied_is_not_sent_and_what_is_free_is_not_counted() {
    let restricted = policy().rule(RestrictModel::new(["flat"])).build().unwrap();
    assert!(ask(&restricted, question("flat")).await.unwrap_err().denial().is_some());
    let policy = policy().rule(VelocityLimit::new(1, Duration::from_secs(60))).build().unwrap();
    let ping = Question { text: "ping".into(), ..question("flat") };
    for _ in 0..3 {
        let (answer, _) = ask(&policy, ping.clone()).await.unwrap();
        assert!(answer.permit.is_none());
    }
    ask(&policy, question("flat")).await.unwrap();
    assert_eq!(
        ask(&policy, question("flat")).await.unwrap_err().denial().unwrap().rule(),
        "velocity_limit"
    );
}

#[tokio::test]
async fn an_awaited_rule_decides_such_a_call_as_well() {
    struct Slow;
    impl driftlock::Rule for Slow {
        async fn evaluate(&self, _: &Call) -> Verdict {
            tokio::task::yield_now().await;
            Verdict::rewrite("gpt-4o-mini")
        }
    }
    let policy = policy().rule(Slow).build().unwrap();
    let (answer, sent) = ask(&policy, question("gpt-4o")).await.unwrap();
    assert_eq!(sent.model, "gpt-4o-mini");
    answer.for_each(drop);
    assert_eq!(spent(&policy).await, usd("0.00021"));
}

#[test]
fn a_service_of_ones_own_types_is_a_service() {
    fn is_service<S>(_: &S)
    where
        S: Service<Question, Response = Metered, Error = Error, Future: Send + 'static>
            + Clone
            + Send
            + Sync,
    {
    }
    let service = service_fn(|_: Question| ready(Ok::<_, BoxError>(Tokens { input: 1, left: 0 })));
    let layer = DriftlockLayer::new(policy().build().unwrap()).with_carrier(Questions);
    is_service(&layer.layer(service));
}
