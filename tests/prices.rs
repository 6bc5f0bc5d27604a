//! The bundled book against published prices.
#![allow(clippy::unwrap_used)] // in helpers too

use driftlock::{Price, PriceBook, Provider, Region, Tier, Timestamp, Usage, Usd};

fn price(provider: &Provider, model: &str) -> Price {
    let book = PriceBook::bundled();
    let id = book.find(provider, model).unwrap_or_else(|| panic!("{model} is in the book"));
    book.entry(id).price().clone()
}

fn usd(amount: &str) -> Usd {
    amount.parse().unwrap()
}

/// Dollars for a usage at the list price.
fn cost(provider: &Provider, model: &str, usage: Usage) -> Usd {
    price(provider, model).cost(&usage, Tier::Default, Region::Global)
}

#[test]
fn the_book_has_the_main_models_and_a_date() {
    let book = PriceBook::bundled();
    assert!(book.len() > 1_500, "{} models", book.len());
    assert_eq!(book.as_of(), "2026-10-20");
    let is_stale = |time: &str| book.is_stale(time.parse().unwrap());
    assert!(!is_stale("2026-11-22T00:00:00Z"));
    assert!(is_stale("2027-02-01T00:00:00Z"));
    assert!(PriceBook::empty().is_empty() && !PriceBook::empty().is_stale(Timestamp::MAX));
}

#[test]
fn published_prices_are_in_the_book() {
    for (model, input, cached, output) in [
        ("gpt-4o", "2.5", "1.25", "10"),
        ("gpt-4o-mini", "0.15", "0.075", "0.6"),
        ("gpt-4.1", "2", "0.5", "8"),
        ("gpt-4.1-mini", "0.4", "0.1", "1.6"),
        ("gpt-4.1-nano", "0.1", "0.025", "0.4"),
        ("gpt-5", "1.25", "0.125", "10"),
        ("gpt-5-mini", "0.25", "0.025", "2"),
        ("gpt-5-nano", "0.05", "0.005", "0.4"),
        ("o1", "15", "7.5", "60"),
        ("o3", "2", "0.5", "8"),
        ("o4-mini", "1.1", "0.275", "4.4"),
    ] {
        let of_a_million = |usage| cost(&Provider::OPENAI, model, usage).saturating_mul(10);
        let fresh = Usage::tokens(100_000, 0);
        assert_eq!(of_a_million(fresh), usd(input), "{model}");
        let reused = Usage { cached_input_tokens: 100_000, ..fresh };
        assert_eq!(of_a_million(reused), usd(cached), "{model}");
        let thought = Usage { reasoning_tokens: 50_000, ..Usage::tokens(0, 100_000) };
        assert_eq!(of_a_million(thought), usd(output), "{model}: reasoning is output");
    }
}

#[test]
fn a_claude_cache_costs_by_how_long_it_lives() {
    let claude = Provider::ANTHROPIC;
    let all = Usage::tokens(100_000, 0);
    for (usage, dollars) in [
        (all, "0.3"),
        (Usage { cached_input_tokens: 100_000, ..all }, "0.03"),
        (Usage { cache_write_tokens: 100_000, ..all }, "0.375"),
        (Usage { cache_write_1h_tokens: 100_000, ..all }, "0.6"),
    ] {
        assert_eq!(cost(&claude, "claude-sonnet-4-5-20250929", usage), usd(dollars), "{usage:?}");
    }
    let in_us = price(&claude, "claude-opus-4-6").cost(&all, Tier::Default, Region::Regional);
    assert_eq!(in_us, usd("0.55"), "US-only inference costs a tenth more");
}

#[test]
fn gemini_charges_the_whole_request_above_200_000_tokens() {
    let at = |tokens| cost(&Provider::GOOGLE, "gemini-2.5-pro", Usage::tokens(tokens, 1_000));
    assert_eq!(at(200_000), usd("0.26"));
    assert_eq!(at(200_001), usd("0.5150025"));
}

#[test]
fn a_service_tier_has_its_own_rates() {
    let price = price(&Provider::OPENAI, "gpt-5.4");
    let at = |tier, tokens| price.cost(&Usage::tokens(tokens, 0), tier, Region::Global);
    assert_eq!(at(Tier::Default, 100_000), usd("0.25"));
    assert_eq!(at(Tier::Flex, 100_000), usd("0.125"));
    assert_eq!(at(Tier::Priority, 100_000), usd("0.5"));
    assert_eq!(at(Tier::Flex, 300_000), usd("0.75"));
}

#[test]
fn an_announced_change_takes_effect_by_itself() {
    let book = PriceBook::bundled();
    let id = book.find(&Provider::GOOGLE, "gemini-4-argon").unwrap();
    let at = |time: &str| book.entry(id).price_at(time.parse().unwrap()).input_per_mtok();
    assert_eq!(at("2026-11-30T23:59:59Z"), usd("2"));
    assert_eq!(at("2026-12-01T00:00:00Z"), usd("4"));
}

#[test]
fn a_name_is_the_model_it_says_and_nothing_else() {
    let book = PriceBook::bundled();
    let (openai, claude, azure) = (Provider::OPENAI, Provider::ANTHROPIC, Provider::AZURE);
    let (google, gateway) = (Provider::GOOGLE, Provider::named("my-gateway"));
    for (provider, name, model) in [
        (&openai, "gpt-4o-2024-08-06", Some("gpt-4o")),
        (&openai, "GPT-4o", Some("gpt-4o")),
        (&openai, "gpt-4o-mini-2024-07-18", Some("gpt-4o-mini")),
        (&openai, "gpt-5-nano-2025-08-07", Some("gpt-5-nano")),
        (&openai, "gpt-6-sol-2026-09-09", Some("gpt-6-sol")),
        (&openai, "gpt-4oxyz", None),
        (&openai, "gpt-5-nano-turbo", None),
        (&openai, "claude-sonnet-4-5", None),
        (&openai, "whisper-1", None),
        (&openai, "", None),
        (&claude, "claude-3-5-sonnet-20241022", Some("claude-3-5-sonnet")),
        (&claude, "claude-sonnet-4-20250514", Some("claude-sonnet-4-0")),
        (&claude, "claude-opus-4-6-fast", None),
        (&claude, "claude-2.1", Some("claude-2")),
        (&azure, "gpt-4o", Some("gpt-4o")),
        (&azure, "o4-mini-deep-research", Some("o4-mini-deep-research")),
        (&google, "gemini-2.5-pro-preview-06-05", Some("gemini-2.5-pro")),
        (&google, "gemini-2.0-flash-001", Some("gemini-2.0-flash")),
        (&google, "gemini-3.8-flash-001", Some("gemini-3.8-flash")),
        (&google, "gemini-3.8-flash-cyber", None),
        (&google, "gemini-2.5-pro-tts", Some("gemini-2.5-pro-tts")),
        (&google, "claude-sonnet-4-5@20250929", Some("claude-sonnet-4-5")),
        (&google, "claude-opus-4-6-fast", None),
        (&gateway, "gpt-4o-mini", Some("gpt-4o-mini")),
        (&gateway, "claude-haiku-4-5-20251001", Some("claude-haiku-4-5")),
        (&gateway, "openai/gpt-4o-mini", Some("openai/gpt-4o-mini")),
    ] {
        assert_eq!(book.canonical(provider, name), model, "{provider} {name}");
    }
}

#[test]
fn every_entry_is_found_under_its_own_name() {
    let book = PriceBook::bundled();
    for entry in book.entries() {
        let found = book.find(entry.provider(), entry.model()).map(|id| book.entry(id));
        assert_eq!(found, Some(entry));
        assert!(!entry.price().is_free(), "{}: nothing in the lists is free", entry.model());
    }
}
