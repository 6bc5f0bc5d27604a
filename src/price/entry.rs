//! One line of the book.

use smol_str::SmolStr;

use super::{plain::Plain, price::Price};
use crate::{call::Provider, clock::Timestamp, estimate::Family, same::same};

/// Which entry of a book; only meaningful together with the book it came from.
///
/// For an example see [`PriceBook`](crate::PriceBook).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EntryId(pub(super) u32);

/// A model that a [`PriceBook`](crate::PriceBook) knows: its price and its limits.
///
/// For an example see [`PriceBook`](crate::PriceBook).
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(C)] // what every call reads lies together
pub struct Entry {
    pub(super) provider: Provider,
    pub(super) model: SmolStr,
    /// Derived from the rest, for the calls that most are.
    pub(super) plain: Option<Plain>,
    pub(super) price: Price,
    /// Announced changes, in order of time.
    pub(super) later: Vec<(Timestamp, Price)>,
    pub(super) max_output_tokens: Option<u64>,
    pub(super) context_window: Option<u64>,
    pub(super) abilities: Abilities,
    pub(super) tokenizer: Family,
}

/// What a model can do, as far as the book knows; what it does not know counts as
/// able, because a provider turns down what its model cannot do, at no cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Abilities {
    pub(crate) chat: bool,
    pub(crate) embeddings: bool,
    pub(crate) tools: bool,
    pub(crate) media: bool,
    pub(crate) schema: bool,
}

impl Abilities {
    pub(super) const UNKNOWN: Self =
        Self { chat: true, embeddings: true, tools: true, media: true, schema: true };
}

/// How far beyond a model's limits a usage may be before it is not believed.
const ABSURD: u64 = 10;
/// The limit where the book knows none: larger than any context window there is.
const LARGEST_WINDOW: u64 = 20_000_000;

impl Entry {
    /// Whose list the price is from; for a model of one's own, the provider it was
    /// given for, or `any`.
    pub fn provider(&self) -> &Provider {
        &self.provider
    }

    /// The canonical id of the model: `gpt-4o` for `gpt-4o-2024-08-06`.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The price as of the book's date.
    pub fn price(&self) -> &Price {
        &self.price
    }

    /// The price at a time: the book's, or the last announced change before it.
    #[inline]
    pub fn price_at(&self, at: Timestamp) -> &Price {
        let begun = self.later.iter().rev().find(|(from, _)| *from <= at);
        begun.map_or(&self.price, |(_, price)| price)
    }

    /// The most tokens one answer can have, where known.
    pub fn max_output_tokens(&self) -> Option<u64> {
        self.max_output_tokens
    }

    /// The most tokens a request and its answer can have together, where known.
    pub fn context_window(&self) -> Option<u64> {
        self.context_window
    }

    /// Whether this is its own name, and not an alias or a dated one.
    #[inline(always)] // every call asks
    pub(super) fn is_named(&self, provider: &Provider, model: &str) -> bool {
        same(&self.model, model) && self.provider == *provider
    }

    pub(crate) fn abilities(&self) -> Abilities {
        self.abilities
    }

    /// Which tokenizer it has.
    #[inline]
    pub(crate) fn tokenizer(&self) -> Family {
        self.tokenizer
    }

    /// What plain calls come to, if that can be told without the rest.
    #[inline]
    pub(crate) fn plain(&self) -> Option<&Plain> {
        self.plain.as_ref()
    }

    /// The most tokens of input, and of one answer, that are believed.
    pub(crate) fn most_believed(entry: Option<&Self>) -> (u64, u64) {
        let context = entry.and_then(Self::context_window).unwrap_or(LARGEST_WINDOW);
        let output = entry.and_then(Self::max_output_tokens).unwrap_or(context).max(context);
        (context.saturating_mul(ABSURD), output.saturating_mul(ABSURD))
    }

    /// With what follows from the rest.
    pub(super) fn prepared(mut self) -> Self {
        self.plain = Plain::of(&self);
        self
    }

    pub(super) fn scaled(&self, percent: u8) -> Self {
        let later = self.later.iter().map(|(from, price)| (*from, price.scaled(percent)));
        Self { price: self.price.scaled(percent), later: later.collect(), ..self.clone() }
            .prepared()
    }
}
