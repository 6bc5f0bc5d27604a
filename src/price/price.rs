//! The price of one model, in all its variants.
//!
//! A model has one sheet of rates for every service tier and context tier it
//! tells apart. [`Price::cost`] finds the sheet a finished call was billed on;
//! [`Price::ceiling`] takes the dearest one a call can reach, before it is made.

use smallvec::SmallVec;

use super::{
    rates::Rates,
    tier::{Asked, Region, Tier},
};
use crate::{usage::Usage, usd::Usd};

/// What a model charges.
///
/// Rates are given in dollars per million tokens and kept as whole pico-dollars
/// per token, rounded up. A rate that is not stated follows the one it is a part
/// of: cached and cache-write input cost what input costs, reasoning what output
/// costs, audio what text costs.
///
/// # Example
/// ```
/// use driftlock::{Price, Region, Tier, Usage, Usd};
///
/// let price = Price::per_mtok(Usd::dollars(3), Usd::dollars(15)).cached(Usd::cents(30));
/// let usage = Usage { cached_input_tokens: 800, ..Usage::tokens(1_000, 100) };
/// let cost = price.cost(&usage, Tier::Default, Region::Global);
/// assert_eq!(cost, "$0.00234".parse()?);
/// # Ok::<(), driftlock::ParseUsdError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// Sorted by tier, then by `above`; every tier that is there starts at 0.
    sheets: SmallVec<[Sheet; 1]>,
    /// What regional inference costs, in percent of the sheet.
    regional_percent: u16,
}

/// The rates of one tier for requests with more than `above` input tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sheet {
    tier: Tier,
    above: u64,
    rates: Rates,
}

const PICOS_PER_NANO: u64 = 1_000;
const SAME: u16 = 100;

/// Building one.
impl Price {
    /// Dollars per million input and output tokens.
    pub fn per_mtok(input: Usd, output: Usd) -> Self {
        Self::from_rates(Rates::new(pico_per_token(input), pico_per_token(output)))
    }

    /// Explicitly nothing, as for a model on one's own machine. Such a call
    /// charges no budget.
    pub fn free() -> Self {
        Self::per_mtok(Usd::ZERO, Usd::ZERO)
    }

    /// Per million input tokens read from a cache. Defaults to the input rate.
    #[must_use]
    pub fn cached(self, per_mtok: Usd) -> Self {
        self.with(|rates| rates.cached = Some(pico_per_token(per_mtok)))
    }

    /// Per million input tokens written to a cache. Defaults to the input rate.
    #[must_use]
    pub fn cache_write(self, per_mtok: Usd) -> Self {
        self.with(|rates| rates.cache_write = Some(pico_per_token(per_mtok)))
    }

    /// Per million input tokens written to a cache that lives one hour. Defaults
    /// to the rate of [`Price::cache_write`].
    #[must_use]
    pub fn cache_write_1h(self, per_mtok: Usd) -> Self {
        self.with(|rates| rates.cache_write_1h = Some(pico_per_token(per_mtok)))
    }

    /// Per million tokens of hidden reasoning. Defaults to the output rate.
    #[must_use]
    pub fn reasoning(self, per_mtok: Usd) -> Self {
        self.with(|rates| rates.reasoning = Some(pico_per_token(per_mtok)))
    }

    /// Per million audio tokens, in and out. Defaults to the text rates.
    #[must_use]
    pub fn audio(self, input: Usd, output: Usd) -> Self {
        self.with(|rates| {
            rates.audio_input = Some(pico_per_token(input));
            rates.audio_output = Some(pico_per_token(output));
        })
    }

    /// Per million audio tokens read from a cache. Defaults to the audio input
    /// rate, or without one to the cached rate.
    #[must_use]
    pub fn cached_audio(self, per_mtok: Usd) -> Self {
        self.with(|rates| rates.audio_cached = Some(pico_per_token(per_mtok)))
    }

    /// Per request, whatever its size. Defaults to nothing.
    #[must_use]
    pub fn per_request(self, each: Usd) -> Self {
        self.with(|rates| rates.request = each.as_nanos().saturating_mul(PICOS_PER_NANO))
    }

    /// Per web search the provider runs. Defaults to nothing.
    #[must_use]
    pub fn per_web_search(self, each: Usd) -> Self {
        self.with(|rates| rates.search = each.as_nanos().saturating_mul(PICOS_PER_NANO))
    }

    /// Other rates for requests with **more than** `tokens` input tokens. It is a
    /// cliff: they hold for the whole request. The first rates of `price` are
    /// taken, not its own tiers. Defaults to no tiers.
    #[must_use]
    pub fn context_tier(self, tokens: u64, price: Self) -> Self {
        let rates = price.first();
        self.with_sheets([Sheet { tier: Tier::Default, above: tokens, rates }])
    }

    /// Other rates for a service tier, with the context tiers of `price`. Defaults
    /// to the list price, and for a tier that may be dearer to the dearest one.
    #[must_use]
    pub fn service_tier(mut self, tier: Tier, price: Self) -> Self {
        self.sheets.retain(|sheet| sheet.tier != tier);
        let stated = price.sheets.into_iter().filter(|sheet| sheet.tier == Tier::Default);
        self.with_sheets(stated.map(|sheet| Sheet { tier, ..sheet }))
    }

    /// What inference bound to one region costs more, in percent. Defaults to 0.
    #[must_use]
    pub fn regional_surcharge_percent(mut self, percent: u16) -> Self {
        self.regional_percent = SAME.saturating_add(percent);
        self
    }

    /// More than any budget, for what should not be: no sheets to be billed on.
    pub(super) fn unaffordable() -> Self {
        Self { sheets: SmallVec::new(), regional_percent: SAME }
    }

    pub(super) fn from_rates(rates: Rates) -> Self {
        let first = Sheet { tier: Tier::Default, above: 0, rates };
        Self { sheets: SmallVec::from_iter([first]), regional_percent: SAME }
    }

    pub(super) fn with_rates(self, tier: Tier, above: u64, rates: Rates) -> Self {
        self.with_sheets([Sheet { tier, above, rates }])
    }

    fn with_sheets(mut self, sheets: impl IntoIterator<Item = Sheet>) -> Self {
        for sheet in sheets {
            self.sheets.retain(|old| (old.tier, old.above) != (sheet.tier, sheet.above));
            self.sheets.push(sheet);
        }
        self.sheets.sort_by_key(|sheet| (sheet.tier, sheet.above));
        self
    }

    fn with(mut self, change: impl FnOnce(&mut Rates)) -> Self {
        if let Some(sheet) = self.sheets.first_mut() {
            change(&mut sheet.rates);
        }
        self
    }
}

/// Asking it.
impl Price {
    /// What a call with this usage cost, rounded up to a nano-dollar; at most
    /// [`Usd::MAX`].
    ///
    /// A tier without rates of its own costs the list price, except the fast and
    /// unknown ones: those cost what the dearest tier costs.
    pub fn cost(&self, usage: &Usage, tier: Tier, region: Region) -> Usd {
        let bill = |rates: &Rates| {
            self.in_usd(rates.tokens(usage), rates.pieces(usage.web_searches), region)
        };
        match self.sheet(self.billed_as(tier), usage.input_tokens) {
            Some(rates) => bill(rates),
            None => {
                let tiers = self.tiers().filter_map(|tier| self.sheet(tier, usage.input_tokens));
                tiers.map(bill).max().unwrap_or(Usd::MAX)
            }
        }
    }

    /// The most that a call within these token counts can cost.
    ///
    /// Every token at the dearest rate the request can trigger: cache writes,
    /// reasoning, audio if it carries media, every context tier it can reach, and
    /// the tiers and region it permits. Discounts are not counted on. A model that
    /// is not free costs at least one nano-dollar.
    pub fn ceiling(&self, input_tokens: u64, output_tokens: u64, asked: &Asked<'_>) -> Usd {
        let anything = asked.tier.is_some_and(|name| self.billed_as(Tier::named(name)).is_none())
            && asked.tier != Some("auto");
        let region = asked.region();
        let reachable = self.sheets.iter().filter(|sheet| {
            (anything || asked.permits(sheet.tier)) && sheet.holds_for(input_tokens)
        });
        let most = reachable.map(|Sheet { rates, .. }| {
            let tokens = rates.tokens_at_most(input_tokens, output_tokens, asked.media);
            self.in_usd(tokens, rates.pieces(asked.web_searches), region)
        });
        let most = most.max().unwrap_or(Usd::MAX);
        if most.is_zero() && !self.is_free() { Usd::nanos(1) } else { most }
    }

    /// Whether it is nothing in every variant.
    pub fn is_free(&self) -> bool {
        !self.sheets.is_empty() && self.dearest() == (0, 0)
    }

    /// The list price of a million input tokens.
    pub fn input_per_mtok(&self) -> Usd {
        Usd::nanos(self.first().input.saturating_mul(PICOS_PER_NANO))
    }

    /// The list price of a million output tokens.
    pub fn output_per_mtok(&self) -> Usd {
        Usd::nanos(self.first().output.saturating_mul(PICOS_PER_NANO))
    }

    /// The dearest token and the dearest piece on any sheet, in pico-dollars.
    pub(super) fn dearest(&self) -> (u64, u64) {
        self.sheets
            .iter()
            .map(|sheet| sheet.rates.dearest())
            .fold((0, 0), |most, rates| (most.0.max(rates.0), most.1.max(rates.1)))
    }

    pub(super) fn scaled(&self, percent: u8) -> Self {
        let scale = |sheet: &Sheet| Sheet { rates: sheet.rates.scaled(percent), ..*sheet };
        Self {
            sheets: self.sheets.iter().map(scale).collect(),
            regional_percent: self.regional_percent,
        }
    }

    /// The tier whose sheets a tier is billed on; `None` for the dearest of all.
    fn billed_as(&self, tier: Tier) -> Option<Tier> {
        if self.tiers().any(|priced| priced == tier) {
            return Some(tier);
        }
        (!matches!(tier, Tier::Fast | Tier::Unknown)).then_some(Tier::Default)
    }

    fn tiers(&self) -> impl Iterator<Item = Tier> {
        self.sheets.iter().filter(|sheet| sheet.above == 0).map(|sheet| sheet.tier)
    }

    /// The rates of a tier for a request of this size.
    fn sheet(&self, tier: impl Into<Option<Tier>>, input_tokens: u64) -> Option<&Rates> {
        let tier = tier.into()?;
        let fits = |sheet: &&Sheet| sheet.tier == tier && sheet.holds_for(input_tokens);
        self.sheets.iter().rev().find(fits).map(|sheet| &sheet.rates)
    }

    fn first(&self) -> Rates {
        self.sheets.first().map_or(Rates::new(u64::MAX, u64::MAX), |sheet| sheet.rates)
    }

    /// One division for both the surcharge and the step to nano-dollars, so that
    /// rounding happens once. Only tokens carry the surcharge.
    fn in_usd(&self, tokens: u128, pieces: u128, region: Region) -> Usd {
        let percent = match region {
            Region::Global => SAME,
            Region::Regional => self.regional_percent,
        };
        let hundredths = tokens
            .saturating_mul(u128::from(percent))
            .saturating_add(pieces.saturating_mul(u128::from(SAME)));
        let nanos = hundredths.div_ceil(u128::from(SAME) * u128::from(PICOS_PER_NANO));
        Usd::nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl Sheet {
    fn holds_for(&self, input_tokens: u64) -> bool {
        self.above == 0 || input_tokens > self.above
    }
}

/// A nano-dollar per million tokens is a thousandth of a pico-dollar per token.
fn pico_per_token(per_mtok: Usd) -> u64 {
    per_mtok.as_nanos().div_ceil(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(price: &Price, usage: &Usage) -> Usd {
        price.cost(usage, Tier::Default, Region::Global)
    }

    #[test]
    fn a_fraction_of_a_nano_dollar_rounds_up() {
        let price = Price::per_mtok(Usd::nanos(1), Usd::ZERO);
        assert_eq!(cost(&price, &Usage::tokens(1, 0)), Usd::nanos(1));
        let price = Price::per_mtok(Usd::cents(15), Usd::cents(60));
        assert_eq!(cost(&price, &Usage::tokens(75, 10)), "$0.00001725".parse().unwrap());
        assert_eq!(cost(&price, &Usage::tokens(0, 0)), Usd::ZERO);
    }

    #[test]
    fn an_absurd_count_is_more_than_any_limit() {
        let price = Price::per_mtok(Usd::dollars(10), Usd::dollars(10)).per_web_search(Usd::MAX);
        let usage = Usage { web_searches: u64::MAX, ..Usage::tokens(u64::MAX, u64::MAX) };
        assert_eq!(cost(&price, &usage), Usd::MAX);
        assert_eq!(price.ceiling(u64::MAX, u64::MAX, &Asked::default()), Usd::MAX);
    }

    #[test]
    fn a_context_tier_is_a_cliff_on_the_whole_request() {
        let price = Price::per_mtok(Usd::dollars(1), Usd::dollars(2))
            .context_tier(1_000, Price::per_mtok(Usd::dollars(2), Usd::dollars(4)));
        assert_eq!(cost(&price, &Usage::tokens(1_000, 100)), Usd::nanos(1_200_000));
        assert_eq!(cost(&price, &Usage::tokens(1_001, 100)), Usd::nanos(2_402_000));
        assert_eq!(price.ceiling(1_000, 100, &Asked::default()), Usd::nanos(1_200_000));
        assert_eq!(price.ceiling(1_001, 100, &Asked::default()), Usd::nanos(2_402_000));
    }

    #[test]
    fn a_tier_without_rates_costs_the_list_price_unless_it_may_be_dearer() {
        let price = Price::per_mtok(Usd::dollars(2), Usd::ZERO)
            .service_tier(Tier::Flex, Price::per_mtok(Usd::dollars(1), Usd::ZERO))
            .service_tier(Tier::Priority, Price::per_mtok(Usd::dollars(5), Usd::ZERO));
        let at = |tier| price.cost(&Usage::tokens(1_000, 0), tier, Region::Global).as_nanos();
        assert_eq!(at(Tier::Flex), 1_000_000);
        assert_eq!(at(Tier::Batch), 2_000_000);
        assert_eq!(at(Tier::Fast), 5_000_000);
        assert_eq!(at(Tier::Unknown), 5_000_000);
        let most = |tier| price.ceiling(1_000, 0, &Asked { tier, ..Asked::default() }).as_nanos();
        assert_eq!(most(None), 2_000_000);
        assert_eq!(most(Some("flex")), 2_000_000, "discounts are not counted on");
        assert_eq!(most(Some("auto")), 5_000_000);
        assert_eq!(most(Some("fast")), 5_000_000, "it may be as dear as the dearest");
    }

    #[test]
    fn only_tokens_carry_the_regional_surcharge() {
        let price = Price::per_mtok(Usd::dollars(1), Usd::ZERO)
            .per_request(Usd::cents(1))
            .regional_surcharge_percent(10);
        let cost = price.cost(&Usage::tokens(1_000_000, 0), Tier::Default, Region::Regional);
        assert_eq!(cost, Usd::cents(111));
    }

    #[test]
    fn only_an_explicit_zero_is_free() {
        assert!(Price::free().is_free());
        assert!(!Price::free().per_request(Usd::nanos(1)).is_free());
        assert_eq!(Price::free().ceiling(10, 10, &Asked::default()), Usd::ZERO);
        let price = Price::per_mtok(Usd::cents(1), Usd::ZERO);
        assert_eq!(price.ceiling(0, 0, &Asked::default()), Usd::nanos(1));
    }
}
