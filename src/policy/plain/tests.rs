use proptest::prelude::*;
use smol_str::SmolStr;

use super::super::{Settings, UnknownPrice};
use super::*;
use crate::{
    call::{Input, Needs, Operation, Provider},
    clock::{ManualClock, Timestamp},
    denial::Deny,
    estimate::{InputEstimate, OpenEnded},
    policy::Mode,
    price::{Bill, Price, PriceBook, Tier},
    usd::Usd,
};

/// What a call is made of, so that it can be made twice.
#[derive(Clone, Debug)]
pub(in crate::policy) struct CallFacts {
    provider: Provider,
    operation: Operation,
    model: String,
    at: Timestamp,
    setters: Vec<Set>,
}

#[derive(Clone, Debug)]
enum Set {
    Input(Input),
    MaxOutput(u64),
    Choices(u64),
    Streaming,
    Needs(Needs),
    OpenEnded(&'static str),
    Fallbacks(Vec<SmolStr>),
    Tier(&'static str),
    Region(&'static str),
    Searches(u64),
}

impl CallFacts {
    pub(in crate::policy) fn call(&self) -> Call {
        let call = Call::new(self.provider.clone(), self.operation, self.model.as_str());
        let mut call = self.setters.iter().cloned().fold(call, |call, setter| match setter {
            Set::Input(input) => call.with_input(input),
            Set::MaxOutput(tokens) => call.with_max_output_tokens(tokens),
            Set::Choices(choices) => call.with_choices(choices),
            Set::Streaming => call.with_streaming(true),
            Set::Needs(needs) => call.with_needs(needs),
            Set::OpenEnded(why) => call.with_open_ended(why),
            Set::Fallbacks(models) => call.with_fallback_models(models),
            Set::Tier(tier) => call.with_service_tier(tier),
            Set::Region(region) => call.with_region(region),
            Set::Searches(searches) => call.with_web_searches(searches),
        });
        call.decide_at(self.at);
        call
    }
}

/// Counts of every size, many around those where something changes: a context tier, what is
/// believed, 2^24 and 2^32.
pub(in crate::policy) fn counts() -> impl Strategy<Value = u64> {
    let edges = vec![
        0,
        1,
        999,
        1_000,
        128_000,
        163_840,
        200_000,
        272_000,
        1_280_000,
        10_485_760,
        16 << 20,
        200_000_000,
        1 << 31,
        1 << 32,
        u64::MAX / 19,
        u64::MAX,
    ];
    let edge = (prop::sample::select(edges), -3_i64..=3)
        .prop_map(|(edge, off): (u64, i64)| edge.saturating_add_signed(off));
    let any_size = (any::<u64>(), 0..64_u32).prop_map(|(number, bits)| number >> bits);
    prop_oneof![2 => 0..20_000_u64, 2 => edge, 1 => any_size]
}

fn setter() -> impl Strategy<Value = Set> {
    let input = (counts(), counts(), counts(), prop_oneof![4 => Just(0), 1 => counts()]);
    let input = input.prop_map(|(text_bytes, schema_bytes, messages, media)| {
        Set::Input(Input { text_bytes, schema_bytes, messages, media })
    });
    let small = (0..20_000_u64, 0..2_000_u64, 0..20_u64).prop_map(|(text, schema, messages)| {
        Set::Input(Input { text_bytes: text, schema_bytes: schema, messages, media: 0 })
    });
    let needs = any::<(bool, bool, bool)>();
    let needs = needs.prop_map(|(tools, media, schema)| Set::Needs(Needs { tools, media, schema }));
    let why = prop::sample::select(vec!["server tools", "stored items"]);
    let fallbacks = vec![vec![], vec!["gpt-4".into()], vec!["o1-pro".into(), "unheard-of".into()]];
    let tiers = prop::sample::select(vec!["auto", "default", "flex", "priority", "warp"]);
    let special = prop_oneof![
        prop_oneof![Just(0), Just(1), Just(2), counts()].prop_map(Set::Choices),
        needs,
        why.prop_map(Set::OpenEnded),
        prop::sample::select(fallbacks).prop_map(Set::Fallbacks),
        tiers.prop_map(Set::Tier),
        prop::sample::select(vec!["us", "global"]).prop_map(Set::Region),
        prop_oneof![Just(0), Just(1), counts()].prop_map(Set::Searches),
    ];
    let max_output = counts().prop_map(Set::MaxOutput);
    prop_oneof![2 => small, 1 => input, 2 => max_output, 1 => Just(Set::Streaming), 2 => special]
}

fn models() -> impl Strategy<Value = (Provider, String)> {
    let book = PriceBook::bundled();
    let listed: Vec<_> =
        book.entries().map(|entry| (entry.provider().clone(), entry.model().to_owned())).collect();
    let few = [
        "gpt-4o",
        "gpt-4o-2024-08-06",
        "own",
        "dear",
        "spoken",
        "stepped",
        "cheaper",
        "bound",
        "tiered",
        "free",
        "each",
        "least",
        "unheard-of",
        "text-embedding-3-small",
    ];
    let few =
        prop::sample::select(few.to_vec()).prop_map(|name| (Provider::OPENAI, name.to_owned()));
    let changing = Just((Provider::GOOGLE, "gemini-4-argon".to_owned()));
    prop_oneof![3 => few, 1 => changing, 3 => prop::sample::select(listed)]
}

pub(in crate::policy) fn calls() -> impl Strategy<Value = CallFacts> {
    let operation = prop_oneof![
        4 => Just(Operation::Chat),
        1 => Just(Operation::GenerateContent),
        1 => Just(Operation::TextCompletion),
        1 => Just(Operation::Embeddings),
    ];
    let times = ["2026-11-30T23:59:59Z", "2026-12-01T00:00:00Z", "2030-01-01T00:00:00Z"];
    let times = prop::sample::select(times.map(|at| at.parse().unwrap()).to_vec());
    (models(), operation, times, prop::collection::vec(setter(), 0..5)).prop_map(
        |((provider, model), operation, at, setters)| CallFacts {
            provider,
            operation,
            model,
            at,
            setters,
        },
    )
}

fn price(input: u64, output: u64) -> Price {
    Price::per_mtok(Usd::nanos(input), Usd::nanos(output))
}

/// The bundled one, and some with prices of every kind over it.
pub(in crate::policy) fn books() -> impl Strategy<Value = PriceBook> {
    let a_dollar = 1_000_000_000_u64;
    let rate = prop_oneof![
        Just(0),
        0..5_000_u64,
        0..100 * a_dollar,
        // Where rates no longer fit, and the dearest that a book takes.
        (-2_000_i64..2_000).prop_map(|off| ((1_u64 << 31) * 1_000).saturating_add_signed(off)),
        Just(1_000_000 * a_dollar),
    ];
    let overlay = (rate.clone(), rate.clone(), rate, 0..=100_u8).prop_map(|(a, b, c, percent)| {
        let each = Usd::nanos(c / 1_000);
        PriceBook::bundled()
            .overlay()
            .model("own", price(a, b).cached(Usd::nanos(c)).per_web_search(each))
            .model("bound", price(a, b).regional_surcharge_percent(10))
            .model("dear", price(a, b).cache_write_1h(Usd::nanos(c)).reasoning(Usd::nanos(c)))
            .model("spoken", price(a, b).audio(Usd::nanos(c), Usd::nanos(c)))
            .model("stepped", price(a, b).context_tier(1_000, price(b, c)))
            .model("cheaper", price(a, b).context_tier(1_000, price(a / 2, b / 2)))
            .model("tiered", price(a, b).service_tier(Tier::Flex, price(c, a)))
            .model("each", price(a, b).per_request(each))
            .model("free", Price::free().per_web_search(each))
            .model("least", price(0, 0).audio(Usd::nanos(c), Usd::ZERO))
            .discount_percent(percent)
            .build()
            .unwrap()
    });
    prop_oneof![1 => Just(PriceBook::bundled()), 3 => overlay]
}

/// What moves an estimate.
pub(in crate::policy) fn settings() -> impl Strategy<Value = Settings> {
    let output = prop_oneof![
        2 => Just(OutputBound::default()),
        1 => counts().prop_map(OutputBound::Assume),
        1 => counts().prop_map(OutputBound::Inject),
        1 => Just(OutputBound::ModelLimit),
        1 => Just(OutputBound::Deny),
    ];
    let input = prop::sample::select(vec![InputBound::Expected, InputBound::Ceiling]);
    let open_ended = vec![OpenEnded::default(), OpenEnded::ContextLimit, OpenEnded::Deny];
    let assumed = UnknownPrice::Assume(price(5_000_000_000, 9_000_000_000).into());
    let unknown = prop::sample::select(vec![assumed, UnknownPrice::Allow, UnknownPrice::Deny]);
    let mode = prop::sample::select(vec![Mode::Enforce, Mode::Observe]);
    (output, input, prop::sample::select(open_ended), unknown, mode).prop_map(
        |(output_bound, input_bound, open_ended, unknown_price, mode)| Settings {
            output_bound,
            input_bound,
            open_ended,
            unknown_price,
            mode,
            ..Settings::default()
        },
    )
}

pub(in crate::policy) fn policy(settings: Settings) -> Policy {
    let Settings { output_bound, input_bound, open_ended, unknown_price, mode, receipts, .. } =
        settings;
    Policy::builder()
        .clock(ManualClock::at("2026-11-01T00:00:00Z".parse().unwrap()))
        .output_bound(output_bound)
        .input_bound(input_bound)
        .open_ended(open_ended)
        .unknown_price(unknown_price)
        .mode(mode)
        .receipts(receipts)
        .build()
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_plain_call_is_quoted_as_at_length(
        calls in prop::collection::vec(calls(), 100), settings in settings(), book in books(),
    ) {
        let policy = policy(settings);
        let told = |quote: Result<Quote, Deny>| {
            format!("{:?}", quote.map(|quote| Quote { bill: Bill::default(), ..quote }))
        };
        for facts in calls {
            let (mut short, mut long) = (facts.call(), facts.call());
            let quote = policy.quote(&mut short, &book);
            let found = book.find_entry(long.provider(), long.model());
            let at_length = policy.quote_at_length(&mut long, &book, found);
            prop_assert_eq!(told(quote), told(at_length), "{:?}", facts);
            prop_assert_eq!(short.estimate(), long.estimate(), "{:?}", facts);
            prop_assert_eq!(short.max_output_tokens(), long.max_output_tokens(), "{:?}", facts);
        }
    }
}

#[test]
fn most_calls_take_the_short_way() {
    let policy = policy(Settings::default());
    let book = PriceBook::bundled();
    let mut call = Call::new(Provider::OPENAI, Operation::Chat, "gpt-4o-mini")
        .with_input(Input { text_bytes: 3_000, messages: 2, ..Input::default() })
        .with_choices(1)
        .with_web_searches(0)
        .with_needs(Needs { tools: true, schema: true, media: false });
    for stated in [None, Some(500)] {
        call = stated.into_iter().fold(call, Call::with_max_output_tokens);
        let (id, entry) = book.find_entry(call.provider(), call.model()).unwrap();
        assert!(policy.quote_plain(&mut call, id, entry).is_some());
    }
    let plain = book.entries().filter(|entry| entry.plain().is_some()).count();
    assert!(plain > book.len() * 9 / 10, "{plain} of {}", book.len());
    // Whoever counts otherwise is asked.
    let own = |_: &Call| InputEstimate { expected: 7, ceiling: None };
    let policy = Policy::builder().estimator(own).build().unwrap();
    policy.quote(&mut call, &book).unwrap();
    assert_eq!(call.estimate().unwrap().input_tokens, 7);
}
