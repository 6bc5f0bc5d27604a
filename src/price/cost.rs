//! What a call cost, and the most it can cost.
//!
//! [`Price::cost`] finds the one sheet a finished call was billed on;
//! [`Price::ceiling`] takes the dearest sheet a call can reach, before it is made.
//! A tier or region that is not known counts as the dearest in both.

use super::{
    price::{PICOS_PER_NANO, Price, SAME, Sheet},
    rates::Rates,
    tier::{Asked, Region, Tier},
};
use crate::{usage::Usage, usd::Usd};

impl Price {
    /// What a call with this usage cost, rounded up to a nano-dollar; at most
    /// [`Usd::MAX`].
    ///
    /// A tier without rates of its own costs the list price, except the fast and
    /// unknown ones: those cost what the dearest tier costs.
    #[inline]
    pub fn cost(&self, usage: &Usage, tier: Tier, region: Region) -> Usd {
        self.cost_with(usage, usage.web_searches, tier, region)
    }

    /// The same with another number of web searches.
    #[inline]
    pub(crate) fn cost_with(
        &self,
        usage: &Usage,
        web_searches: u64,
        tier: Tier,
        region: Region,
    ) -> Usd {
        let bill =
            |rates: &Rates| self.in_usd(rates.tokens(usage), rates.pieces(web_searches), region);
        match self.sheets.first() {
            Some(list) if tier == Tier::Default && usage.input_tokens <= self.list_up_to => {
                bill(&list.rates)
            }
            _ => self.cost_on_any_sheet(usage.input_tokens, tier, bill),
        }
    }

    #[inline(never)]
    fn cost_on_any_sheet(
        &self,
        input_tokens: u64,
        tier: Tier,
        bill: impl Fn(&Rates) -> Usd,
    ) -> Usd {
        match self.sheet(self.billed_as(tier), input_tokens) {
            Some(rates) => bill(rates),
            None => {
                let tiers = self.tiers().filter_map(|tier| self.sheet(tier, input_tokens));
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
        // Every request may end on the list price, the first sheet.
        let reachable = self.sheets.iter().filter(|sheet| {
            !sheet.is_cheaper
                && (anything || asked.permits(sheet.tier))
                && sheet.holds_for(input_tokens)
        });
        let most = reachable.map(|Sheet { rates, .. }| {
            let tokens = rates.tokens_at_most(input_tokens, output_tokens, asked.media);
            self.hundredths(tokens, rates.pieces(asked.web_searches), region)
        });
        // The largest first and then the division, once.
        let most = most.max().map_or(Usd::MAX, rounded_up);
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
            list_up_to: self.list_up_to,
        }
        .compared()
    }

    /// The tier whose sheets a tier is billed on; `None` for the dearest of all.
    fn billed_as(&self, tier: Tier) -> Option<Tier> {
        if tier == Tier::Default || self.tiers().any(|priced| priced == tier) {
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
    #[inline]
    fn in_usd(&self, tokens: u128, pieces: u128, region: Region) -> Usd {
        rounded_up(self.hundredths(tokens, pieces, region))
    }

    /// Hundredths of a pico-dollar.
    #[inline]
    fn hundredths(&self, tokens: u128, pieces: u128, region: Region) -> u128 {
        let percent = match region {
            Region::Global => SAME,
            Region::Regional => self.regional_percent,
        };
        // Up to $18,000,000, that is always, the factors are of 64 bits, and
        // nothing can overflow.
        if let (Ok(tokens), Ok(pieces)) = (u64::try_from(tokens), u64::try_from(pieces)) {
            return u128::from(tokens) * u128::from(percent)
                + u128::from(pieces) * u128::from(SAME);
        }
        tokens
            .saturating_mul(u128::from(percent))
            .saturating_add(pieces.saturating_mul(u128::from(SAME)))
    }
}

/// Hundredths of a pico-dollar in nano-dollars.
#[inline]
fn rounded_up(hundredths: u128) -> Usd {
    const DIVISOR: u64 = SAME as u64 * PICOS_PER_NANO;
    // Up to $184,000, that is always, 64 bits do; 128 take a division by software.
    Usd::nanos(match u64::try_from(hundredths) {
        Ok(hundredths) => hundredths.div_ceil(DIVISOR),
        Err(_) => u64::try_from(hundredths.div_ceil(DIVISOR.into())).unwrap_or(u64::MAX),
    })
}

impl Sheet {
    fn holds_for(&self, input_tokens: u64) -> bool {
        self.above == 0 || input_tokens > self.above
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(price: &Price, usage: &Usage) -> Usd {
        price.cost(usage, Tier::Default, Region::Global)
    }

    #[test]
    fn the_short_way_comes_to_the_same_on_every_price_of_the_book() {
        let book = crate::price::PriceBook::bundled();
        let sizes = [0, 1, 999, 127_999, 128_000, 128_001, 200_000, 200_001, 272_001, 1 << 40];
        for entry in book.entries() {
            let price = entry.price();
            for (input, output) in sizes.into_iter().flat_map(|a| sizes.map(|b| (a, b))) {
                let usage = Usage {
                    cached_input_tokens: output.min(input),
                    ..Usage::tokens(input, output)
                };
                for usage in [usage, Usage::tokens(input, output)] {
                    let bill = |rates: &Rates| {
                        let tokens = rates.tokens_by_kind(&usage);
                        price.in_usd(tokens, rates.pieces(0), Region::Global)
                    };
                    let long = price.cost_on_any_sheet(input, Tier::Default, bill);
                    assert_eq!(cost(price, &usage), long, "{entry:?}");
                }
            }
        }
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
