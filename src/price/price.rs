//! The price of one model, in all its variants.
//!
//! A model has one sheet of rates for every service tier and context tier it
//! tells apart. Which of them a call is billed on is decided in `cost.rs`.

use smallvec::SmallVec;

use super::{rates::Rates, tier::Tier};
use crate::usd::Usd;

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
    pub(super) sheets: SmallVec<[Sheet; 1]>,
    /// What regional inference costs, in percent of the sheet.
    pub(super) regional_percent: u16,
    /// Up to so many input tokens, the first sheet is what the list price is.
    pub(super) list_up_to: u64,
}

/// The rates of one tier for requests with more than `above` input tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sheet {
    pub(super) tier: Tier,
    pub(super) above: u64,
    pub(super) rates: Rates,
    /// Whether the list price is at least as dear in everything, so that this sheet
    /// never is the most a call can cost.
    pub(super) is_cheaper: bool,
}

pub(super) const PICOS_PER_NANO: u64 = 1_000;
/// Percent of itself.
pub(super) const SAME: u16 = 100;

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
        let first = price.sheets.into_iter().next();
        self.with_sheets(first.map(|sheet| Sheet { tier: Tier::Default, above: tokens, ..sheet }))
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
        Self { sheets: SmallVec::new(), regional_percent: SAME, list_up_to: 0 }
    }

    pub(super) fn from_rates(rates: Rates) -> Self {
        let first = Sheet { tier: Tier::Default, above: 0, rates, is_cheaper: false };
        let sheets = SmallVec::from_iter([first]);
        Self { sheets, regional_percent: SAME, list_up_to: u64::MAX }
    }

    pub(super) fn with_rates(self, tier: Tier, above: u64, rates: Rates) -> Self {
        self.with_sheets([Sheet { tier, above, rates, is_cheaper: false }])
    }

    fn with_sheets(mut self, sheets: impl IntoIterator<Item = Sheet>) -> Self {
        for sheet in sheets {
            self.sheets.retain(|old| (old.tier, old.above) != (sheet.tier, sheet.above));
            self.sheets.push(sheet);
        }
        self.sheets.sort_by_key(|sheet| (sheet.tier, sheet.above));
        self.compared()
    }

    fn with(mut self, change: impl FnOnce(&mut Rates)) -> Self {
        if let Some(sheet) = self.sheets.first_mut() {
            change(&mut sheet.rates);
        }
        self.compared()
    }

    /// Finds out which sheets are cheaper than the list price, once for all calls.
    pub(super) fn compared(mut self) -> Self {
        if let Some((list, others)) = self.sheets.split_first_mut() {
            for other in &mut *others {
                other.is_cheaper = other.rates.cost_no_more_than(&list.rates);
            }
            let cliffs = others.iter().filter(|sheet| sheet.tier == Tier::Default);
            self.list_up_to = cliffs.map(|sheet| sheet.above).min().unwrap_or(u64::MAX);
        }
        self
    }

    /// The rates that every request may end on.
    pub(super) fn list(&self) -> Option<&Rates> {
        self.sheets.first().map(|sheet| &sheet.rates)
    }

    /// The dearest input and output of a text that names no tier, in pico-dollars; `None` if
    /// that depends on its size.
    pub(super) fn dearest_text(&self) -> Option<(u64, u64)> {
        let (list, others) = self.sheets.split_first()?;
        let mut unasked = others.iter().filter(|sheet| sheet.tier.is_discount());
        unasked.all(|sheet| sheet.is_cheaper).then(|| list.rates.dearest_text())
    }
}

/// A nano-dollar per million tokens is a thousandth of a pico-dollar per token.
fn pico_per_token(per_mtok: Usd) -> u64 {
    per_mtok.as_nanos().div_ceil(1_000)
}
