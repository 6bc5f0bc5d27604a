//! What a call may cost, and what it did cost, by the policy's prices and settings.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicUsize, Ordering},
};

use super::{InputBound, Mode, Policy, Settings, UnknownPrice, decide::Progress};
use crate::{
    call::{Bound, Call, Estimate, Provider},
    denial::{Denial, DenialKind, Deny},
    estimate::{OpenEnded, Output, OutputBound, output_tokens},
    price::{Asked, Entry, EntryId, Price, PriceBook},
    usd::Usd,
};

/// Every price book this policy has used. Appending instead of swapping means that
/// a call takes no reference count: its version stays where it is.
pub(crate) struct Prices {
    versions: boxcar::Vec<PriceBook>,
    current: AtomicUsize,
}

impl Prices {
    pub(crate) fn new(book: PriceBook) -> Self {
        let versions = boxcar::Vec::new();
        versions.push(book);
        Self { versions, current: AtomicUsize::new(0) }
    }

    pub(crate) fn set(&self, book: PriceBook) {
        let version = self.versions.push(book);
        self.current.fetch_max(version, Ordering::AcqRel);
    }

    pub(crate) fn current(&self) -> (usize, &PriceBook) {
        let version = self.current.load(Ordering::Acquire);
        (version, self.get(version))
    }

    pub(crate) fn get(&self, version: usize) -> &PriceBook {
        &self.versions[version]
    }
}

/// The price of a call at its current model.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Quote {
    /// The book's row; `None` for an unknown model.
    pub(crate) entry: Option<EntryId>,
    pub(crate) cost: Usd,
    /// Whether there is a price, from the book or assumed.
    pub(crate) known: bool,
}

/// The provider may search on its own; how often is not known before.
pub(super) fn searches(call: &Call) -> u64 {
    call.web_searches().unwrap_or_else(|| u64::from(call.open_ended().is_some()))
}

impl Policy {
    /// Prices a call for the first time. A panic of the user's estimator denies.
    pub(super) fn first_price(
        &self,
        call: &mut Call,
        progress: &mut Progress,
    ) -> Result<(), Denial> {
        progress.version = self.0.prices.current().0;
        let (version, quote) = (progress.version, &mut progress.quote);
        let quoted = catch_unwind(AssertUnwindSafe(|| self.quote(call, version, quote)));
        let panicked = || Deny::of_kind(DenialKind::RuleFailed, "the estimator panicked");
        match quoted.unwrap_or_else(|_| Err(panicked())) {
            Ok(()) => Ok(()),
            Err(deny) => self.deny(None, deny, call, progress),
        }
    }

    /// Looks the model up and puts the estimate on the call.
    pub(super) fn quote(
        &self,
        call: &mut Call,
        version: usize,
        quote: &mut Quote,
    ) -> Result<(), Deny> {
        let settings = &self.0.settings;
        let book = self.0.prices.get(version);
        let found = book.find(call.provider(), call.model());
        let entry = found.map(|id| book.entry(id));
        let price = match (entry, &settings.unknown_price) {
            (Some(entry), _) => entry.price_at(call.at()),
            (None, UnknownPrice::Assume(price)) => price,
            (None, UnknownPrice::Deny | UnknownPrice::Allow) => {
                call.set_estimate(None);
                *quote = Quote::default();
                return Ok(());
            }
        };
        let (input, input_bound) = self.input(call, entry)?;
        let (output, output_bound) = output(settings, call, entry)?;
        let asked = asked(call);
        let mut cost = price.ceiling(input, output, &asked); // zero only if the price is
        for model in call.fallback_models() {
            let ceiling = |price: &Price| price.ceiling(input, output, &asked);
            let listed = book.find(call.provider(), model).map(|id| book.entry(id));
            cost = match (listed, &settings.unknown_price) {
                (Some(entry), _) => cost.max(ceiling(entry.price_at(call.at()))),
                (None, UnknownPrice::Assume(price)) => cost.max(ceiling(price)),
                (None, UnknownPrice::Allow) => cost,
                (None, UnknownPrice::Deny) => return Err(unknown_price(model, call.provider())),
            };
        }
        let bound = match (input_bound, output_bound) {
            (Bound::Hard, Bound::Hard) => Bound::Hard,
            _ => Bound::Assumed,
        };
        call.set_estimate(Some(Estimate {
            input_tokens: input,
            output_tokens: output,
            cost,
            bound,
        }));
        *quote = Quote { entry: found, cost, known: true };
        Ok(())
    }

    fn input(&self, call: &Call, entry: Option<&Entry>) -> Result<(u64, Bound), Deny> {
        let settings = &self.0.settings;
        // It may be the user's code.
        let input = catch_unwind(AssertUnwindSafe(|| self.0.estimator.input_tokens(call)));
        let panicked = |_| Deny::of_kind(DenialKind::RuleFailed, "the estimator panicked");
        let input = input.map_err(panicked)?;
        let (tokens, bound) = match (settings.input_bound, input.ceiling) {
            (InputBound::Ceiling, Some(ceiling)) => (ceiling.max(input.expected), Bound::Hard),
            (InputBound::Ceiling, None) if settings.open_ended == OpenEnded::Deny => {
                let why = "the size of its input cannot be bounded (media)";
                return Err(Deny::of_kind(DenialKind::Unbounded, why));
            }
            _ => (input.expected, Bound::Assumed),
        };
        let Some(why) = call.open_ended() else { return Ok((tokens, bound)) };
        match settings.open_ended {
            OpenEnded::Assume(more) => Ok((tokens.saturating_add(more), Bound::Assumed)),
            OpenEnded::ContextLimit => match entry.and_then(Entry::context_window) {
                Some(window) => Ok((tokens.max(window), Bound::Assumed)),
                None => Err(Deny::of_kind(
                    DenialKind::Unbounded,
                    format!(
                        "its input is open-ended ({why}) and the model's context limit is not known"
                    ),
                )),
            },
            OpenEnded::Deny => Err(Deny::of_kind(
                DenialKind::Unbounded,
                format!("the size of its input cannot be bounded ({why})"),
            )),
        }
    }
}

/// Says which model has no price, and the three ways out.
pub(super) fn unknown_price(model: &str, provider: &Provider) -> Deny {
    let reason = format!(
        "the model `{model}` of {provider} has no known price; give it one \
         (`PriceBook::overlay().model(…)`), name a model it is priced like (`.alias(…)`), or let the \
         policy take one for all (`.unknown_price(UnknownPrice::Assume(…))`)",
    );
    Deny::of_kind(DenialKind::UnknownPrice, reason)
}

/// What of a call moves its price.
pub(crate) fn asked(call: &Call) -> Asked<'_> {
    Asked {
        tier: call.service_tier(),
        region: call.region(),
        media: call.needs().media || call.input().media > 0,
        web_searches: searches(call),
    }
}

fn output(
    settings: &Settings,
    call: &mut Call,
    entry: Option<&Entry>,
) -> Result<(u64, Bound), Deny> {
    let limit = entry.and_then(Entry::max_output_tokens);
    // Observing changes nothing, so there a maximum is assumed instead of injected.
    let bound = match settings.output_bound {
        OutputBound::Inject(tokens) if settings.mode == Mode::Observe => {
            OutputBound::Assume(tokens)
        }
        bound => bound,
    };
    match output_tokens(bound, call, limit) {
        Output::Tokens { tokens, hard: true } => Ok((tokens, Bound::Hard)),
        Output::Tokens { tokens, hard: false } => Ok((tokens, Bound::Assumed)),
        Output::Inject { per_choice, tokens } => {
            call.set_max_output_tokens(per_choice);
            Ok((tokens, Bound::Hard))
        }
        Output::Deny(why) => Err(Deny::of_kind(DenialKind::Unbounded, why)),
    }
}
