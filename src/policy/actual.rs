//! What a call did cost.

use super::{
    Inner, UnknownPrice,
    answered::Answered,
    pricing::{Quote, searches},
};
use crate::{
    call::{Call, Provider},
    clock::Timestamp,
    price::{Bill, Entry, EntryId, Price, Region, Tier},
    provider::Told,
    usage::Usage,
    usd::Usd,
};

/// By what a call was priced when it was admitted, so that it settles by the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct Priced {
    /// When, because prices change at announced times.
    pub(super) at: Timestamp,
    /// What it is billed by if it and its answer are plain.
    bill: Bill,
    /// The version of the price book.
    pub(super) version: usize,
    /// The book's row; `None` for an unknown model.
    pub(super) entry: Option<EntryId>,
    terms: Terms,
}

/// What else was asked for that moves the price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Terms {
    /// How many answers were asked for, as far as one can count.
    choices: u32,
    /// The tier that was asked for.
    tier: Tier,
    /// The region that was asked for.
    region: Region,
    /// Searches that were reserved for, of which not every response tells.
    searches: u32,
}

impl Terms {
    /// Those of plain calls.
    const PLAIN: Self =
        Self { choices: 1, tier: Tier::Default, region: Region::Global, searches: 0 };

    #[inline(always)] // as `Priced::new`
    fn of(call: &Call) -> Self {
        Self {
            choices: u32::try_from(call.choices().max(1)).unwrap_or(u32::MAX),
            tier: call.service_tier().map_or(Tier::Default, Tier::named),
            region: call.region().map_or(Region::Global, Region::named),
            searches: u32::try_from(searches(call)).unwrap_or(u32::MAX),
        }
    }
}

impl Priced {
    #[inline(always)] // it is to be written where it stays
    pub(super) fn new(call: &Call, version: usize, quote: &Quote) -> Self {
        Self {
            at: call.at(),
            bill: quote.bill,
            version,
            entry: quote.entry,
            terms: if call.is_plain() { Terms::PLAIN } else { Terms::of(call) },
        }
    }

    /// The cost of a plain call with a plain answer; `None` if either is not.
    #[inline(always)] // as `Held::end`
    pub(super) fn plain_cost(&self, answered: Answered, told: &Told<'_>) -> Option<Usd> {
        let is_plain = answered == Answered::AsAsked
            && told.service_tier.is_none_or(|name| Tier::named(name) == Tier::Default)
            && told.region.is_none_or(|name| Region::named(name) == Region::Global)
            && !told.contradictory;
        if is_plain { self.bill.cost(told.usage?) } else { None }
    }

    /// The tier of a response that may not say: a discount has to be said, a
    /// surcharge was asked for.
    #[inline]
    fn tier(&self, told: Option<&str>) -> Tier {
        match (told, self.terms.tier) {
            (Some(name), _) => Tier::named(name),
            (None, Tier::Batch | Tier::Flex | Tier::Scale) => Tier::Default,
            (None, asked) => asked,
        }
    }
}

impl Inner {
    /// Which model this answer is from.
    #[inline(always)] // that nothing is told is often known where it is asked
    pub(super) fn answered(
        &self,
        priced: &Priced,
        provider: &Provider,
        told: &Told<'_>,
    ) -> Answered {
        // Without usage there is nothing to look a price up for.
        let (Some(model), Some(_)) = (told.model, told.usage) else { return Answered::AsAsked };
        Answered::named(self.prices.get(priced.version), priced.entry, provider, model)
    }

    /// The actual cost, at the row of the model, tier and region that answered, as of the time
    /// of the decision; a model the book does not know costs the dearer of the reserved
    /// row and the fallback.
    /// `None` if the usage cannot be true.
    pub(super) fn actual_cost(
        &self,
        priced: &Priced,
        answered: Answered,
        told: &Told<'_>,
    ) -> Option<Usd> {
        let usage = told.usage?;
        let book = self.prices.get(priced.version);
        let id = match answered {
            Answered::Other(id) => Some(id),
            Answered::AsAsked | Answered::Unknown => priced.entry,
        };
        let entry = id.map(|id| book.entry(id));
        if told.contradictory
            || !usage.is_consistent()
            || is_absurd(usage, priced.terms.choices.into(), entry)
        {
            return None;
        }
        let unseen = if told.tells_searches { 0 } else { priced.terms.searches.into() };
        let searches = usage.web_searches.max(unseen);
        let tier = priced.tier(told.service_tier);
        let region = told.region.map_or(priced.terms.region, Region::named);
        let cost = |price: &Price| price.cost_with(usage, searches, tier, region);
        let assumed = match &self.settings.unknown_price {
            UnknownPrice::Assume(price) => Some(cost(price)),
            UnknownPrice::Deny | UnknownPrice::Allow => None,
        };
        let listed = entry.map(|entry| cost(entry.price_at(priced.at)));
        match answered {
            // Something else answered than was asked for, and it has no price.
            Answered::Unknown => listed.max(assumed),
            Answered::AsAsked | Answered::Other(_) => listed.or(assumed),
        }
        .or(Some(Usd::ZERO))
    }
}

#[inline]
fn is_absurd(usage: &Usage, choices: u64, entry: Option<&Entry>) -> bool {
    let (input, output) = Entry::most_believed(entry);
    usage.input_tokens > input || usage.output_tokens > output.saturating_mul(choices)
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        call::Operation,
        policy::{
            Policy,
            plain::tests::{books, calls, counts, policy, settings},
        },
    };

    /// What a response may tell.
    fn usages() -> impl Strategy<Value = Usage> {
        let few = any::<(u8, u8)>();
        let few = few.prop_map(|(cached, reasoning)| [cached, 0, 0, 0, 0, reasoning, 0]);
        let parts = prop_oneof![4 => Just([0; 7]), 2 => few, 1 => any::<[u8; 7]>()];
        let part = prop_oneof![Just(1), Just(1_000), Just(u64::MAX / 255)];
        let searches = prop_oneof![8 => Just(0), 1 => 1..5_u64];
        (counts(), counts(), parts, part, searches).prop_map(
            |(input, output, parts, size, web_searches)| {
                let [cached, write, write_1h, audio, cached_audio, reasoning, spoken] =
                    parts.map(|part| if part < 128 { 0 } else { u64::from(part) * size });
                Usage {
                    input_tokens: input,
                    cached_input_tokens: cached,
                    cache_write_tokens: write,
                    cache_write_1h_tokens: write_1h,
                    input_audio_tokens: audio,
                    cached_audio_tokens: cached_audio,
                    output_tokens: output,
                    reasoning_tokens: reasoning,
                    output_audio_tokens: spoken,
                    web_searches,
                }
            },
        )
    }

    fn seldom(some: &'static [&'static str]) -> impl Strategy<Value = Option<&'static str>> {
        prop_oneof![3 => Just(None), 1 => prop::sample::select(some).prop_map(Some)]
    }

    pub(in crate::policy) fn told() -> impl Strategy<Value = (Option<Usage>, Told<'static>)> {
        let usage = prop_oneof![9 => usages().prop_map(Some), 1 => Just(None)];
        let model = seldom(&[
            "gpt-4o",
            "gpt-4o-2024-08-06",
            "gpt-4o-mini-2024-07-18",
            "GPT-4o",
            "own",
            "unheard-of",
            "",
        ]);
        let tier = seldom(&["default", "flex", "priority", "warp"]);
        let region = seldom(&["us", "global"]);
        let flags = (prop::bool::weighted(0.1), any::<bool>());
        (usage, model, tier, region, flags).prop_map(
            |(usage, model, service_tier, region, flags)| {
                let (contradictory, tells_searches) = flags;
                let told = Told {
                    model,
                    service_tier,
                    region,
                    contradictory,
                    tells_searches,
                    ..Told::default()
                };
                (usage, told)
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn a_plain_answer_costs_what_it_costs_at_length(
            calls in prop::collection::vec((calls(), told()), 100),
            settings in settings(),
            book in books(),
        ) {
            let policy = policy(settings);
            policy.set_prices(book);
            let (version, book) = policy.0.prices.current();
            for (facts, (usage, told)) in calls {
                let mut call = facts.call();
                let Ok(quote) = policy.quote(&mut call, book) else { continue };
                let priced = Priced::new(&call, version, &quote);
                prop_assert_eq!(priced.terms, Terms::of(&call));
                let told = Told { usage: usage.as_ref(), ..told };
                let answered = policy.0.answered(&priced, call.provider(), &told);
                let long = policy.0.actual_cost(&priced, answered, &told);
                let cost = priced.plain_cost(answered, &told).or(long);
                prop_assert_eq!(cost, long, "{:?} {:?}", priced, told);
            }
        }
    }

    fn plainly_priced() -> (Policy, Call, Priced) {
        let policy = Policy::builder().build().unwrap();
        let (version, book) = policy.0.prices.current();
        let mut call = Call::new(Provider::OPENAI, Operation::Chat, "gpt-4o-mini");
        let quote = policy.quote(&mut call, book).unwrap();
        let priced = Priced::new(&call, version, &quote);
        (policy, call, priced)
    }

    #[test]
    fn most_answers_take_the_short_way() {
        let (policy, call, priced) = plainly_priced();
        let usage = Usage::tokens(700, 120);
        for model in [None, Some("gpt-4o-mini"), Some("gpt-4o-mini-2024-07-18")] {
            for (service_tier, region) in [(None, None), (Some("default"), Some("global"))] {
                let usage = Some(&usage);
                let told = Told { usage, model, service_tier, region, ..Told::default() };
                let answered = policy.0.answered(&priced, call.provider(), &told);
                let cost = priced.plain_cost(answered, &told);
                assert_eq!(cost, Some("$0.000177".parse().unwrap()), "{told:?}");
            }
        }
    }

    #[test]
    fn an_answer_on_other_terms_takes_the_long_way() {
        let (policy, call, priced) = plainly_priced();
        let usage = Usage::tokens(700, 120);
        let plain = Told { usage: Some(&usage), ..Told::default() };
        for told in [
            Told { model: Some("gpt-4o"), ..plain },
            Told { model: Some("unheard-of"), ..plain },
            Told { service_tier: Some("priority"), ..plain },
            Told { service_tier: Some("flex"), ..plain },
            Told { region: Some("us"), ..plain },
            Told { contradictory: true, ..plain },
            Told { usage: None, ..plain },
        ] {
            let answered = policy.0.answered(&priced, call.provider(), &told);
            assert_eq!(priced.plain_cost(answered, &told), None, "{told:?}");
        }
    }
}
