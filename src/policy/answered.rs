//! Which model answered.
//!
//! An answer names its model, mostly by the dated name of the one that was asked for. Then
//! what was worked out at the decision holds for the settlement, too.

use crate::{
    call::Provider,
    price::{EntryId, PriceBook},
};

/// The model that answered, by its row of the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// The one that was asked for, or the answer does not say.
    AsAsked,
    /// Another one.
    Other(EntryId),
    /// One that the book does not know.
    Unknown,
}

impl Answered {
    /// The one of this name.
    #[inline(never)]
    pub(super) fn named(
        book: &PriceBook,
        asked: Option<EntryId>,
        provider: &Provider,
        model: &str,
    ) -> Self {
        match book.find(provider, model) {
            None => Self::Unknown,
            Some(id) if Some(id) == asked => Self::AsAsked,
            Some(id) => Self::Other(id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Price, Usd};

    #[test]
    fn an_answer_is_looked_for_where_it_was_asked_for() {
        let here = Provider::named("here");
        let price = |dollars| Price::per_mtok(Usd::dollars(dollars), Usd::dollars(dollars));
        let book = PriceBook::bundled().overlay().model_of(here.clone(), "gpt-4o", price(7));
        let book = book.model_of(here.clone(), "gpt-4o-mini", price(3)).build().unwrap();
        let [asked, other] = ["gpt-4o", "gpt-4o-mini"].map(|model| book.find(&here, model));
        let named = |model| Answered::named(&book, asked, &here, model);
        assert_eq!(named("gpt-4o"), Answered::AsAsked);
        assert_eq!(named("GPT-4o"), Answered::AsAsked);
        assert_eq!(Some(named("gpt-4o-mini")), other.map(Answered::Other));
        assert_eq!(named("unheard-of"), Answered::Unknown);
    }
}
