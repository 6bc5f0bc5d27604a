//! What a call may cost, and what it did cost, by the policy's prices and settings.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicUsize, Ordering},
};

use super::{InputBound, Mode, Policy, Settings, UnknownPrice};
use crate::{
    call::{Bound, Call, Estimate, Provider},
    denial::{DenialKind, Deny},
    estimate::{
        BytesEstimator, Estimator, InputEstimate, OpenEnded, Output, OutputBound, output_tokens,
    },
    price::{Asked, Bill, Entry, EntryId, Price, PriceBook},
    usd::Usd,
};

/// Every price book this policy has used. Appending instead of swapping means that
/// a call takes no reference count: its version stays where it is.
pub(crate) struct Prices {
    /// Most often the only one.
    first: PriceBook,
    later: boxcar::Vec<PriceBook>,
    current: AtomicUsize,
}

impl Prices {
    pub(crate) fn new(book: PriceBook) -> Self {
        Self { first: book, later: boxcar::Vec::new(), current: AtomicUsize::new(0) }
    }

    pub(crate) fn set(&self, book: PriceBook) {
        let version = 1 + self.later.push(book);
        self.current.fetch_max(version, Ordering::AcqRel);
    }

    #[inline]
    pub(crate) fn current(&self) -> (usize, &PriceBook) {
        let version = self.current.load(Ordering::Acquire);
        (version, self.get(version))
    }

    #[inline]
    pub(crate) fn get(&self, version: usize) -> &PriceBook {
        match version.checked_sub(1) {
            None => &self.first,
            Some(later) => &self.later[later],
        }
    }
}

/// What counts a call's input before it is made.
pub(crate) enum InputEstimator {
    /// The built-in one, called directly.
    Bytes(BytesEstimator),
    /// The user's, which may look into a call's body, and may panic.
    Own(Box<dyn Estimator>),
}

impl InputEstimator {
    #[inline]
    fn count(&self, call: &Call, entry: Option<&Entry>) -> Result<InputEstimate, Deny> {
        match self {
            Self::Bytes(estimator) => Ok(match entry {
                Some(entry) => estimator.count(call, entry.tokenizer()),
                None => estimator.input_tokens(call),
            }),
            Self::Own(estimator) => catch_unwind(AssertUnwindSafe(|| estimator.input_tokens(call)))
                .map_err(|_| Deny::of_kind(DenialKind::RuleFailed, "the estimator panicked")),
        }
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
    /// What it is billed by if it and its answer are plain.
    pub(crate) bill: Bill,
}

/// The provider may search on its own; how often is not known before.
#[inline]
pub(super) fn searches(call: &Call) -> u64 {
    call.web_searches().unwrap_or_else(|| u64::from(call.may_search()))
}

impl Policy {
    /// Looks the model up and puts the estimate on the call.
    #[inline]
    pub(super) fn quote(&self, call: &mut Call, book: &PriceBook) -> Result<Quote, Deny> {
        let found = book.find_entry(call.provider(), call.model());
        if let Some((id, entry)) = found
            && let Some(quote) = self.quote_plain(call, id, entry)
        {
            return Ok(quote);
        }
        self.quote_at_length(call, book, found)
    }

    #[inline(never)]
    pub(super) fn quote_at_length(
        &self,
        call: &mut Call,
        book: &PriceBook,
        found: Option<(EntryId, &Entry)>,
    ) -> Result<Quote, Deny> {
        let settings = &self.0.settings;
        let (id, entry) = found.unzip();
        let price = match (entry, &settings.unknown_price) {
            (Some(entry), _) => entry.price_at(call.at()),
            (None, UnknownPrice::Assume(price)) => price,
            (None, UnknownPrice::Deny | UnknownPrice::Allow) => {
                call.set_estimate(None);
                return Ok(Quote::default());
            }
        };
        let (input_tokens, input_bound) = self.input(call, entry)?;
        let (output_tokens, output_bound) = output(settings, call, entry)?;
        let asked = asked(call);
        let mut cost = price.ceiling(input_tokens, output_tokens, &asked); // zero only if the price is
        if !call.fallback_models().is_empty() {
            let tokens = (input_tokens, output_tokens);
            cost = cost.max(self.dearest_fallback(call, book, tokens, &asked)?);
        }
        let bound = match (input_bound, output_bound) {
            (Bound::Hard, Bound::Hard) => Bound::Hard,
            _ => Bound::Assumed,
        };
        call.set_estimate(Some(Estimate { input_tokens, output_tokens, cost, bound }));
        Ok(Quote { entry: id, cost, known: true, bill: Bill::default() })
    }

    #[inline(never)]
    fn dearest_fallback(
        &self,
        call: &Call,
        book: &PriceBook,
        (input, output): (u64, u64),
        asked: &Asked<'_>,
    ) -> Result<Usd, Deny> {
        call.fallback_models().iter().try_fold(Usd::ZERO, |cost, model| {
            let ceiling = |price: &Price| price.ceiling(input, output, asked);
            let listed = book.find(call.provider(), model).map(|id| book.entry(id));
            match (listed, &self.0.settings.unknown_price) {
                (Some(entry), _) => Ok(cost.max(ceiling(entry.price_at(call.at())))),
                (None, UnknownPrice::Assume(price)) => Ok(cost.max(ceiling(price))),
                (None, UnknownPrice::Allow) => Ok(cost),
                (None, UnknownPrice::Deny) => Err(unknown_price(model, call.provider())),
            }
        })
    }

    #[inline]
    fn input(&self, call: &Call, entry: Option<&Entry>) -> Result<(u64, Bound), Deny> {
        let settings = &self.0.settings;
        let input = self.0.estimator.count(call, entry)?;
        let (tokens, bound) = match (settings.input_bound, input.ceiling) {
            (InputBound::Ceiling, Some(ceiling)) => (ceiling.max(input.expected), Bound::Hard),
            (InputBound::Ceiling, None) if settings.open_ended == OpenEnded::Deny => {
                let why = "the size of its input cannot be bounded (media)";
                return Err(Deny::of_kind(DenialKind::Unbounded, why));
            }
            _ => (input.expected, Bound::Assumed),
        };
        match call.open_ended() {
            None => Ok((tokens, bound)),
            Some(why) => self.open_ended(why, tokens, entry),
        }
    }

    #[inline(never)]
    fn open_ended(
        &self,
        why: &str,
        tokens: u64,
        entry: Option<&Entry>,
    ) -> Result<(u64, Bound), Deny> {
        match self.0.settings.open_ended {
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
#[inline]
pub(crate) fn asked(call: &Call) -> Asked<'_> {
    Asked {
        tier: call.service_tier(),
        region: call.region(),
        media: call.needs().media || call.input().media > 0,
        web_searches: searches(call),
    }
}

#[inline]
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
