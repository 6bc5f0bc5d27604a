//! What a plain call comes to.
//!
//! Most calls are: one answer in text to texts, on nobody's special terms. What such a call
//! can cost, and what it did cost, depends on its model and on few counts. All else is worked
//! out once, when a book is made, and lies in few bytes: rates and counts of 32 bits, whose
//! products 64 bits hold, so that nothing can overflow. A model whose price is not that
//! simple has none of it, and a call that is not that small does not go by it. Those go by
//! [`Price`](crate::Price), to which tests hold what is here.

use super::{entry::Entry, price::PICOS_PER_NANO};
use crate::{clock::Timestamp, estimate::Measure, usage::Usage, usd::Usd};

/// An entry of the book, as far as plain calls go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plain {
    /// From then on another price was announced.
    pub(crate) until: Timestamp,
    /// What a call is billed by.
    pub(crate) bill: Bill,
    /// The dearest that text can be.
    most: TextRates,
    pub(crate) measure: Measure,
    is_free: bool,
}

/// What a plain call is billed by, if its usage is text, can be believed and was not written
/// to a cache. The default is for calls that are not plain, and bills none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bill {
    rates: TextRates,
    /// The same for what came from a cache, and for hidden reasoning.
    parts: TextRates,
    /// The list price holds for fewer tokens than these, and nothing contradicts them.
    input_below: u32,
    output_below: u32,
}

/// Pico-dollars per token, each below 2^31: up to $2,147 for a million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct TextRates {
    input: u32,
    output: u32,
}

impl Plain {
    /// `None` if the price of the entry depends on more.
    pub(super) fn of(entry: &Entry) -> Option<Self> {
        let price = &entry.price;
        let list = price.list().filter(|rates| rates.request == 0)?;
        let (most_input, most_output) = price.dearest_text()?;
        let (input, output) = Entry::most_believed(Some(entry));
        let changes = entry.later.iter().map(|(from, _)| *from);
        Some(Self {
            until: changes.min().unwrap_or(Timestamp::MAX),
            bill: Bill {
                rates: TextRates::new(list.input, list.output)?,
                parts: TextRates::new(list.cached(), list.reasoning())?,
                input_below: just_above(input.min(price.list_up_to)),
                output_below: just_above(output),
            },
            most: TextRates::new(most_input, most_output)?,
            measure: entry.tokenizer.measure(),
            is_free: price.is_free(),
        })
    }

    /// The most that so many tokens can cost. `None` if they are too many to tell here.
    #[inline]
    pub(crate) fn ceiling(&self, input_tokens: u64, output_tokens: u64) -> Option<Usd> {
        if (input_tokens | output_tokens) > u32::MAX.into() {
            return None;
        }
        let most = rounded_up(self.most.picos(input_tokens, output_tokens));
        Some(if most.is_zero() && !self.is_free { Usd::nanos(1) } else { most })
    }
}

impl Bill {
    /// What a call with this usage cost. `None` if that depends on more, or if so much
    /// may not be true.
    #[inline]
    pub(crate) fn cost(&self, usage: &Usage) -> Option<Usd> {
        let (input, output) = (usage.input_tokens, usage.output_tokens);
        let is_told = input < self.input_below.into() && output < self.output_below.into();
        match is_told {
            false => None,
            true if usage.is_plain() => Some(rounded_up(self.rates.picos(input, output))),
            true => self.cost_in_parts(usage),
        }
    }

    #[inline(never)]
    fn cost_in_parts(&self, usage: &Usage) -> Option<Usd> {
        let (cached, hidden) = (usage.cached_input_tokens, usage.reasoning_tokens);
        let (input, output) = (usage.input_tokens, usage.output_tokens);
        let (rest, open) = (input.checked_sub(cached)?, output.checked_sub(hidden)?);
        let picos = self.rates.picos(rest, open) + self.parts.picos(cached, hidden);
        (!usage.has_other_parts()).then(|| rounded_up(picos))
    }
}

impl TextRates {
    fn new(input: u64, output: u64) -> Option<Self> {
        const MOST: u64 = u32::MAX as u64 / 2;
        let one = |rate: u64| u32::try_from(rate).ok().filter(|_| rate <= MOST);
        Some(Self { input: one(input)?, output: one(output)? })
    }

    /// Counts are below 2^32, those of the parts included: with rates below 2^31 what the input
    /// comes to is below 2^63 - 2^32, and so is the output, and 64 bits hold the sum.
    #[inline]
    fn picos(self, input: u64, output: u64) -> u64 {
        input * u64::from(self.input) + output * u64::from(self.output)
    }
}

/// In whole nano-dollars.
#[inline]
fn rounded_up(picos: u64) -> Usd {
    const UP: u64 = PICOS_PER_NANO - 1;
    Usd::nanos((picos + UP) / PICOS_PER_NANO)
}

impl Usage {
    /// Whether there are other parts to it than those that a [`Bill`] tells apart.
    #[inline]
    fn has_other_parts(&self) -> bool {
        let written = self.cache_write_tokens | self.cache_write_1h_tokens;
        let audio = self.input_audio_tokens | self.cached_audio_tokens | self.output_audio_tokens;
        written | audio | self.web_searches != 0
    }
}

/// The first count that is more than this, or one that is fewer.
fn just_above(most: u64) -> u32 {
    u32::try_from(most.saturating_add(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::price::{Asked, Price, PriceBook, Region, Tier};

    /// The largest rate that is plain.
    const DEAREST: u64 = (1 << 31) - 1;

    fn own(book: &PriceBook, model: &str, price: Price) -> Option<Plain> {
        let book = book.overlay().model(model, price).build().unwrap();
        let id = book.find(&crate::Provider::OPENAI, model).unwrap();
        book.entry(id).plain
    }

    fn picos(input: u64, output: u64) -> Price {
        Price::per_mtok(Usd::nanos(input * 1_000), Usd::nanos(output * 1_000))
    }

    fn assert_same(plain: &Plain, price: &Price, input: u64, output: u64) {
        let asked = Asked::default();
        let fits = input.max(output) <= u32::MAX.into();
        let ceiling = fits.then(|| price.ceiling(input, output, &asked));
        assert_eq!(plain.ceiling(input, output), ceiling, "{price:?}: {input}, {output}");
        for (cached, hidden) in [(0, 0), (input / 3, output), (input, output / 7)] {
            let (cached_input_tokens, reasoning_tokens) = (cached, hidden);
            let parts = Usage { cached_input_tokens, reasoning_tokens, ..Usage::default() };
            let usage = Usage { input_tokens: input, output_tokens: output, ..parts };
            if let Some(cost) = plain.bill.cost(&usage) {
                let long = price.cost(&usage, Tier::Default, Region::Global);
                assert_eq!(cost, long, "{price:?}: {usage:?}");
            }
        }
    }

    #[test]
    fn a_plain_price_is_the_price_for_every_model_of_the_book() {
        let sizes = [0, 1, 999, 128_000, 128_001, 200_000, 200_001, 272_000, 272_001, 1 << 24];
        let large = [u64::from(u32::MAX) - 1, u32::MAX.into(), 1 << 32, u64::MAX];
        let sizes: Vec<_> = sizes.into_iter().chain(large).collect();
        let discounted = PriceBook::bundled().overlay().discount_percent(33).build().unwrap();
        for book in [PriceBook::bundled(), discounted] {
            for entry in book.entries() {
                let Some(plain) = entry.plain() else { continue };
                for (input, output) in sizes.iter().flat_map(|a| sizes.iter().map(|b| (*a, *b))) {
                    assert_same(plain, entry.price(), input, output);
                }
            }
        }
    }

    #[test]
    fn a_bill_ends_where_the_list_price_does_or_belief() {
        for entry in PriceBook::bundled().entries() {
            let Some(Plain { bill, .. }) = entry.plain() else { continue };
            let (input, output) = Entry::most_believed(Some(entry));
            let input = input.min(entry.price().list_up_to);
            let is_told = |input, output| bill.cost(&Usage::tokens(input, output)).is_some();
            assert!(is_told(input, output), "{entry:?}");
            assert!(!is_told(input + 1, output) && !is_told(input, output + 1), "{entry:?}");
        }
        assert_eq!(Bill::default().cost(&Usage::default()), None);
    }

    #[test]
    fn a_bill_is_for_no_more_than_text_from_a_cache_and_reasoning() {
        let plain = own(&PriceBook::empty(), "text", picos(2_000, 3_000)).unwrap();
        let is_billed = |usage: Usage| plain.bill.cost(&usage).is_some();
        let usage = Usage::tokens(10, 10);
        assert!(is_billed(Usage { cached_input_tokens: 10, reasoning_tokens: 10, ..usage }));
        for other in [
            Usage { cached_input_tokens: 11, ..usage },
            Usage { reasoning_tokens: 11, ..usage },
            Usage { cache_write_tokens: 1, ..usage },
            Usage { cache_write_1h_tokens: 1, ..usage },
            Usage { input_audio_tokens: 1, ..usage },
            Usage { cached_audio_tokens: 1, ..usage },
            Usage { output_audio_tokens: 1, ..usage },
            Usage { web_searches: 1, ..usage },
        ] {
            assert!(!is_billed(other), "{other:?}");
        }
    }

    #[test]
    fn a_bill_ends_where_a_larger_request_is_cheaper() {
        let price = picos(2_000, 2_000).context_tier(1_000, picos(1_000, 1_000));
        let plain = own(&PriceBook::empty(), "cheaper", price.clone()).unwrap();
        for input in [999, 1_000, 1_001] {
            assert_same(&plain, &price, input, 10);
        }
        assert!(plain.bill.cost(&Usage::tokens(1_000, 10)).is_some());
        assert!(plain.bill.cost(&Usage::tokens(1_001, 10)).is_none());
    }

    #[test]
    fn the_dearest_plain_rates_fill_64_bits_and_no_more() {
        let book = PriceBook::empty();
        let price = picos(DEAREST, DEAREST);
        let plain = own(&book, "dear", price.clone()).unwrap();
        for count in [0, 1, u64::from(u32::MAX) - 1, u32::MAX.into(), 1 << 32] {
            assert_same(&plain, &price, count, count);
        }
        assert_eq!(own(&book, "dearer", picos(DEAREST + 1, 1)), None);
        assert_eq!(own(&book, "dearer", picos(1, DEAREST + 1)), None);
        let thinks = picos(1, 1).reasoning(Usd::nanos((DEAREST + 1) * 1_000));
        assert_eq!(own(&book, "dearer", thinks), None);
    }

    #[test]
    fn what_depends_on_more_is_not_plain() {
        let book = PriceBook::bundled();
        let dearer = || picos(2, 2);
        assert!(own(&book, "m", picos(1, 1).service_tier(Tier::Flex, picos(1, 0))).is_some());
        assert!(own(&book, "m", picos(1, 1).service_tier(Tier::Priority, dearer())).is_some());
        assert_eq!(own(&book, "m", picos(1, 1).service_tier(Tier::Flex, dearer())), None);
        assert_eq!(own(&book, "m", picos(1, 1).context_tier(1_000, dearer())), None);
        assert_eq!(own(&book, "m", picos(1, 1).per_request(Usd::nanos(1))), None);
    }
}
