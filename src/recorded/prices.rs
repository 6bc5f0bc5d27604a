//! What a recorded call settles at is what an independent calculator makes of it.

use std::sync::{Arc, Mutex};

use super::{
    exchange::{Exchange, exchanges},
    frames::{mode, pass, told},
    kind::{KINDS, Kind, Tally},
};
use crate::{
    call::{Call, Operation, Provider},
    policy::Policy,
    settled::{Settled, SettledHow},
    usd::Usd,
};

/// A policy, and the last call it settled.
struct Till {
    policy: Policy,
    settled: Arc<Mutex<Option<Settled>>>,
}

impl Till {
    fn new() -> Self {
        let settled = Arc::new(Mutex::new(None));
        let last = settled.clone();
        let policy = Policy::builder()
            .on_settled(move |settled, _| *last.lock().unwrap() = Some(*settled))
            .build()
            .unwrap();
        Self { policy, settled }
    }

    /// What a call costs whose answer this is; `None` for a model without a price.
    async fn cost(&self, kind: &Kind, exchange: &Exchange) -> Option<Usd> {
        let provider = Provider::named(exchange.provider.as_deref().unwrap());
        let model = exchange.model.as_deref().unwrap();
        let mut call = Call::new(provider, Operation::Chat, model);
        let Ok(mut permit) = self.policy.admit(&mut call).await else {
            eprintln!("    skipped: {} {model} has no price", call.provider());
            return None;
        };
        permit.expect(kind.format, false);
        permit.sent();
        permit.answered(200);
        pass(&exchange.response, &[], mode(exchange, kind.format, false), permit).await;
        let settled = self.settled.lock().unwrap().take().unwrap();
        assert_eq!(settled.how, SettledHow::Actual, "{}", exchange.id);
        Some(settled.cost)
    }
}

#[tokio::test]
async fn recorded_calls_settle_at_what_an_independent_calculator_says() {
    for kind in KINDS {
        check(kind).await;
    }
}

async fn check(kind: &'static Kind) {
    let (till, exchanges) = (Till::new(), exchanges(kind.name));
    let (mut agreed, mut not_calculated, mut without_price) = (0, 0, 0);
    let mut otherwise = Tally::default();
    for exchange in &exchanges {
        let Some(calculated) = exchange.oracle["total_price"].as_str() else {
            not_calculated += 1;
            continue;
        };
        let Some(cost) = till.cost(kind, exchange).await else {
            without_price += 1;
            continue;
        };
        if cost == rounded_up(calculated) {
            agreed += 1;
            continue;
        }
        let (_, log) = told(&exchange.response, &[], mode(exchange, kind.format, false)).await;
        let what = || format!("{cost} and not ${calculated} for {:?}", log.observed);
        otherwise.count(kind.priced_otherwise, exchange, &log.observed, what);
    }
    if exchanges.is_empty() {
        return;
    }
    eprintln!(
        "{}: {agreed} cost what the calculator says, {not_calculated} it did not calculate, \
         {without_price} have no price; it says otherwise for",
        kind.name
    );
    otherwise.check(kind.priced_otherwise);
    assert_eq!(agreed, kind.priced, "{}", kind.name);
}

/// A decimal of any length, to the nano-dollar above.
fn rounded_up(decimal: &str) -> Usd {
    let (whole, decimals) = decimal.split_once('.').unwrap_or((decimal, "0"));
    let (kept, rest) = decimals.split_at(decimals.len().min(9));
    let rest_counts = rest.bytes().any(|digit| digit != b'0');
    let kept: Usd = format!("{whole}.{kept}").parse().unwrap();
    kept.saturating_add(Usd::nanos(rest_counts.into()))
}
