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

/// A decimal as Python writes it (`0.0025`, `8E-7`), to the nano-dollar above.
fn rounded_up(decimal: &str) -> Usd {
    let (number, exponent) = decimal.split_once('E').unwrap_or((decimal, "0"));
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    let digits: u128 = format!("{whole}{decimals}").parse().unwrap();
    let nanos = 9 + exponent.parse::<i32>().unwrap() - decimals.len() as i32;
    let scale = 10u128.pow(nanos.unsigned_abs());
    let nanos = if nanos < 0 { digits.div_ceil(scale) } else { digits * scale };
    Usd::nanos(nanos.try_into().unwrap())
}

#[test]
fn decimals_are_rounded_up() {
    for (decimal, nanos) in
        [("0.0025", 2_500_000), ("8E-7", 800), ("1.5E-9", 2), ("3", 3_000_000_000), ("0E-10", 0)]
    {
        assert_eq!(rounded_up(decimal), Usd::nanos(nanos), "{decimal}");
    }
}
