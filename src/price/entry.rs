//! One line of the book.

use smol_str::SmolStr;

use super::price::Price;
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
pub struct Entry {
    pub(super) provider: Provider,
    pub(super) model: SmolStr,
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
    #[inline]
    pub(super) fn is_named(&self, provider: &Provider, model: &str) -> bool {
        same(&self.model, model) && same(self.provider.name(), provider.name())
    }

    pub(crate) fn abilities(&self) -> Abilities {
        self.abilities
    }

    /// Which tokenizer it has.
    #[inline]
    pub(crate) fn tokenizer(&self) -> Family {
        self.tokenizer
    }

    pub(super) fn scaled(&self, percent: u8) -> Self {
        let later = self.later.iter().map(|(from, price)| (*from, price.scaled(percent)));
        Self { price: self.price.scaled(percent), later: later.collect(), ..self.clone() }
    }
}
