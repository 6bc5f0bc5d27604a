//! Whatever a call turns out to use, it costs no more than was reserved for it.
#![allow(clippy::unwrap_used)] // in helpers too

use driftlock::{Asked, Price, PriceBook, Region, Tier, Usage};
use proptest::prelude::*;

/// Context tiers begin below this.
const LARGEST: u64 = 1_200_000;

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 192,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_usage_within_the_bounds_costs_more_than_the_ceiling(
        (bounds, usage, media) in bounded_usage(),
        (asked_tier, tier) in tiers(),
        (asked_region, region) in regions(),
    ) {
        let web_searches = bounds.web_searches;
        let asked = Asked { tier: asked_tier, region: asked_region, media, web_searches };
        prop_assert!(usage.is_consistent());
        for price in every_price() {
            let most = price.ceiling(bounds.input_tokens, bounds.output_tokens, &asked);
            let cost = price.cost(&usage, tier, region);
            prop_assert!(cost <= most, "{cost} > {most}: {price:?}");
        }
    }

    #[test]
    fn a_larger_call_has_no_smaller_ceiling(
        input in 0..LARGEST, output in 0..LARGEST, more in 0..LARGEST, media: bool,
    ) {
        let asked = Asked { media, ..Asked::default() };
        for price in every_price() {
            let most = price.ceiling(input, output, &asked);
            prop_assert!(most <= price.ceiling(input + more, output, &asked));
            prop_assert!(most <= price.ceiling(input, output + more, &asked));
        }
    }
}

/// The bundled book's prices, today's and announced ones.
fn every_price() -> impl Iterator<Item = &'static Price> {
    static BOOK: std::sync::OnceLock<PriceBook> = std::sync::OnceLock::new();
    let in_a_year = "2027-11-01T00:00:00Z".parse().unwrap();
    let entries = BOOK.get_or_init(PriceBook::bundled).entries();
    entries.flat_map(move |entry| [entry.price(), entry.price_at(in_a_year)])
}

/// Counts that bound a call, what it used of them, and whether it had media.
fn bounded_usage() -> impl Strategy<Value = (Usage, Usage, bool)> {
    let counts = (0..LARGEST, 0..LARGEST, 0..20u64);
    let shares = prop::array::uniform10(0..=100u64);
    (counts, shares, any::<bool>()).prop_map(|((input, output, searches), shares, media)| {
        let bounds = Usage { web_searches: searches, ..Usage::tokens(input, output) };
        (bounds, split(&bounds, shares, media), media)
    })
}

/// A consistent usage within `bounds`: each part takes a share of what is left.
fn split(bounds: &Usage, percents: [u64; 10], media: bool) -> Usage {
    let mut percents = percents.into_iter();
    let mut share = |of: u64| of * percents.next().unwrap() / 100;
    let audible = u64::from(media);
    // At most a quarter below the bounds: only usages near them could exceed.
    let input_tokens = bounds.input_tokens - share(bounds.input_tokens / 4);
    let output_tokens = bounds.output_tokens - share(bounds.output_tokens / 4);
    let cached = share(input_tokens);
    let write = share(input_tokens - cached);
    let input_audio_tokens = share(input_tokens) * audible;
    let reasoning_tokens = share(output_tokens);
    Usage {
        input_tokens,
        cached_input_tokens: cached,
        cache_write_tokens: write,
        cache_write_1h_tokens: share(input_tokens - cached - write),
        input_audio_tokens,
        cached_audio_tokens: share(input_audio_tokens.min(cached)),
        output_tokens,
        reasoning_tokens,
        output_audio_tokens: share(output_tokens - reasoning_tokens) * audible,
        web_searches: share(bounds.web_searches),
    }
}

/// A tier asked for, and one that a provider may answer with.
fn tiers() -> impl Strategy<Value = (Option<&'static str>, Tier)> {
    let always = vec![Tier::Default, Tier::Flex, Tier::Batch, Tier::Scale];
    let dearer = vec![
        (None, None),
        (Some("default"), None),
        (Some("flex"), None),
        (Some("batch"), None),
        (Some("auto"), Some(Tier::Priority)),
        (Some("priority"), Some(Tier::Priority)),
        (Some("fast"), Some(Tier::Fast)),
        (Some("warp"), Some(Tier::Unknown)),
        (Some("warp"), Some(Tier::Fast)),
    ];
    let (dearer, always) = (prop::sample::select(dearer), prop::sample::select(always));
    (dearer, always, any::<bool>()).prop_map(|((asked, dearer), usual, raise)| {
        (asked, dearer.filter(|_| raise).unwrap_or(usual))
    })
}

fn regions() -> impl Strategy<Value = (Option<&'static str>, Region)> {
    prop::sample::select(vec![
        (None, Region::Global),
        (Some("global"), Region::Global),
        (Some("us"), Region::Regional),
        (Some("us"), Region::Global),
        (Some("elsewhere"), Region::Regional),
    ])
}
