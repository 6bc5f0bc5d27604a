//! What a call did cost.

use super::{Inner, UnknownPrice, pricing::searches};
use crate::{
    call::{Call, Provider},
    clock::Timestamp,
    price::{Entry, EntryId, Price, Region, Tier},
    provider::Told,
    usage::Usage,
    usd::Usd,
};

/// By what a call was priced when it was admitted, so that it settles by the same.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Priced {
    /// When, because prices change at announced times.
    pub(super) at: Timestamp,
    /// The version of the price book.
    version: u32,
    /// The book's row; `None` for an unknown model.
    entry: Option<EntryId>,
    /// How many answers were asked for, as far as one can count.
    choices: u32,
    /// The tier that was asked for.
    tier: Tier,
    /// The region that was asked for.
    region: Region,
    /// Searches that were reserved for, of which not every response tells.
    searches: u32,
}

impl Priced {
    #[inline(always)] // it is to be written where it stays
    pub(super) fn new(call: &Call, version: usize, entry: Option<EntryId>) -> Self {
        Self {
            at: call.at(),
            // There is no memory for four thousand million books.
            version: u32::try_from(version).unwrap_or(u32::MAX),
            entry,
            choices: u32::try_from(call.choices()).unwrap_or(u32::MAX),
            tier: call.service_tier().map_or(Tier::Default, Tier::named),
            region: call.region().map_or(Region::Global, Region::named),
            searches: u32::try_from(searches(call)).unwrap_or(u32::MAX),
        }
    }

    /// The tier of a response that may not say: a discount has to be said, a
    /// surcharge was asked for.
    #[inline]
    fn tier(&self, told: Option<&str>) -> Tier {
        match (told, self.tier) {
            (Some(name), _) => Tier::named(name),
            (None, Tier::Batch | Tier::Flex | Tier::Scale) => Tier::Default,
            (None, asked) => asked,
        }
    }
}

impl Inner {
    /// The actual cost, at the row of the model, tier and region that answered, as of the time
    /// of the decision; a model the book does not know costs the dearer of the reserved
    /// row and the fallback.
    /// `None` if the usage cannot be true.
    pub(super) fn actual_cost(
        &self,
        priced: &Priced,
        provider: &Provider,
        told: &Told<'_>,
    ) -> Option<Usd> {
        let usage = told.usage?;
        let book = self.prices.get(priced.version as usize);
        let answered = told.model.map(|model| book.find(provider, model));
        let reserved = priced.entry.map(|id| book.entry(id));
        let entry = match answered {
            Some(Some(id)) => Some(book.entry(id)),
            Some(None) | None => reserved,
        };
        if told.contradictory
            || !usage.is_consistent()
            || is_absurd(usage, priced.choices.into(), entry)
        {
            return None;
        }
        let unseen = if told.tells_searches { 0 } else { priced.searches.into() };
        let searches = usage.web_searches.max(unseen);
        let tier = priced.tier(told.service_tier);
        let region = told.region.map_or(priced.region, Region::named);
        let cost = |price: &Price| price.cost_with(usage, searches, tier, region);
        let assumed = match &self.settings.unknown_price {
            UnknownPrice::Assume(price) => Some(cost(price)),
            UnknownPrice::Deny | UnknownPrice::Allow => None,
        };
        let listed = entry.map(|entry| cost(entry.price_at(priced.at)));
        match answered {
            // Something else answered than was asked for, and it has no price.
            Some(None) => listed.max(assumed),
            Some(Some(_)) | None => listed.or(assumed),
        }
        .or(Some(Usd::ZERO))
    }
}

/// How far beyond a model's limits a usage may be before it is not believed.
const ABSURD: u64 = 10;
/// The limit where the book knows none: larger than any context window there is.
const LARGEST_WINDOW: u64 = 20_000_000;

#[inline]
fn is_absurd(usage: &Usage, choices: u64, entry: Option<&Entry>) -> bool {
    let context = entry.and_then(Entry::context_window).unwrap_or(LARGEST_WINDOW);
    let output = entry.and_then(Entry::max_output_tokens).unwrap_or(context).max(context);
    let output = output.saturating_mul(choices.max(1));
    usage.input_tokens > context.saturating_mul(ABSURD)
        || usage.output_tokens > output.saturating_mul(ABSURD)
}
