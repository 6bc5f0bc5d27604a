//! Which model answered.
//!
//! An answer names its model, mostly by the dated name of the one that was asked for. Where
//! the book lists that name, the row that was found at the decision is the one to settle by,
//! and nothing has to be looked up once more.

use super::{Inner, actual::Priced};
use crate::{
    call::Provider,
    price::{EntryId, PriceBook},
    provider::Told,
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

impl Inner {
    /// Which model this answer is from.
    #[inline(always)] // that nothing is told is often known where it is asked
    pub(super) fn answered(
        &self,
        priced: &Priced,
        provider: &Provider,
        told: &Told<'_>,
    ) -> Answered {
        // Without usage there is nothing to look a price up for.
        let (Some(model), Some(_)) = (told.model, told.usage) else { return Answered::AsAsked };
        Answered::named(self.prices.get(priced.version), priced.entry, provider, model)
    }
}

impl Answered {
    #[inline(never)]
    fn named(book: &PriceBook, asked: Option<EntryId>, provider: &Provider, model: &str) -> Self {
        match asked {
            Some(id) if book.lists(id, provider, model) => Self::AsAsked,
            _ => Self::found(book, asked, provider, model),
        }
    }

    #[inline(never)]
    fn found(book: &PriceBook, asked: Option<EntryId>, provider: &Provider, model: &str) -> Self {
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
    use crate::{
        call::{Call, Operation},
        policy::Policy,
        price::{Price, PriceBook},
        usage::Usage,
        usd::Usd,
    };

    #[test]
    fn the_model_that_answers_is_the_one_the_book_has_under_its_name() {
        let price = Price::per_mtok(Usd::dollars(1), Usd::dollars(2));
        let bundled = PriceBook::bundled();
        let own = bundled.overlay().model("gpt-4o-2024-08-06", price.clone());
        let alias = bundled.overlay().model("own", price).alias("gpt-4o-2024-08-06", "own");
        let usage = Usage::tokens(1, 1);
        for book in [bundled, own.build().unwrap(), alias.build().unwrap()] {
            let policy = Policy::builder().prices(book.clone()).build().unwrap();
            for asked in ["gpt-4o", "GPT-4o", "gpt-4o-2024-08-06", "gpt-4o-mini"] {
                let mut call = Call::new(Provider::OPENAI, Operation::Chat, asked);
                let quote = policy.quote(&mut call, &book).unwrap();
                let priced = Priced::new(&call, 0, &quote);
                for model in ["gpt-4o", "gpt-4o-2024-08-06", "gpt-4o-mini", "unheard-of", ""] {
                    let told = Told { usage: Some(&usage), model: Some(model), ..Told::default() };
                    let answered = policy.0.answered(&priced, call.provider(), &told);
                    let found = Answered::found(&book, priced.entry, call.provider(), model);
                    assert_eq!(answered, found, "{asked} {model}");
                }
            }
        }
    }
}
