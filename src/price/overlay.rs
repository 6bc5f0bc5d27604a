//! A new edition of a book: what you pay, over what the lists say.
//!
//! A model released today needs a price today, and a contract has its own. An
//! overlay states the difference only, so building one is cheap enough to do
//! while the program runs.

use smol_str::SmolStr;

use super::{
    book::{Own, PriceBook},
    entry::{Abilities, Entry},
    error::PriceError,
    name::Name,
    price::Price,
};
use crate::{call::Provider, estimate::Family};

/// Builds a [`PriceBook`] on top of another, which stays as it is.
///
/// What is stated here wins over the book below. Names are compared without
/// regard to upper and lower case; stated twice, the later one counts.
///
/// # Example
/// ```
/// use driftlock::{Price, PriceBook, Provider, Usd};
///
/// let book = PriceBook::bundled()
///     .overlay()
///     .model("llama-at-home", Price::free())
///     .model_of(Provider::OPENAI, "gpt-next", Price::per_mtok(Usd::dollars(2), Usd::dollars(8)))
///     .alias("our-chat-deployment", "gpt-4o")
///     .discount_percent(10)
///     .build()?;
/// let azure = Provider::AZURE;
/// assert_eq!(book.canonical(&azure, "our-chat-deployment"), Some("gpt-4o"));
/// # Ok::<(), driftlock::PriceError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "an overlay does nothing until it is built"]
pub struct Overlay {
    base: PriceBook,
    models: Vec<(Option<Provider>, SmolStr, Price)>,
    aliases: Vec<(SmolStr, SmolStr)>,
    discount_percent: u8,
}

/// $1 a token; a thousand times the dearest model there has been.
const MOST_PER_TOKEN: u64 = 1_000_000_000_000;
/// $1,000 a request or search.
const MOST_PER_PIECE: u64 = 1_000_000_000_000_000;

impl Overlay {
    pub(super) fn new(base: PriceBook) -> Self {
        Self { base, models: Vec::new(), aliases: Vec::new(), discount_percent: 0 }
    }

    /// The price of a model, at whichever provider. Limits of the book below are
    /// kept.
    pub fn model(mut self, model: impl Into<SmolStr>, price: Price) -> Self {
        self.models.push((None, model.into(), price));
        self
    }

    /// The price of a model at one provider; wins over [`Overlay::model`].
    pub fn model_of(mut self, at: Provider, model: impl Into<SmolStr>, price: Price) -> Self {
        self.models.push((Some(at), model.into(), price));
        self
    }

    /// Another name for a model, as of a deployment. It wins over a model of that
    /// name, in the book or stated here, and may lead to another alias.
    pub fn alias(mut self, name: impl Into<SmolStr>, model: impl Into<SmolStr>) -> Self {
        self.aliases.push((name.into(), model.into()));
        self
    }

    /// Takes 0 to 100 percent off every price of the book below, at reserving and
    /// at settling. Prices stated here are taken as they are. Defaults to 0.
    pub fn discount_percent(mut self, percent: u8) -> Self {
        self.discount_percent = percent;
        self
    }

    /// The new edition.
    ///
    /// # Errors
    /// If a name is empty, a rate is absurd, the discount is above 100 percent, or
    /// an alias leads nowhere or in a circle.
    pub fn build(self) -> Result<PriceBook, PriceError> {
        let mut edition = self.base.edition().clone();
        if self.discount_percent > 100 {
            return Err(PriceError::Discount { percent: self.discount_percent });
        }
        if self.discount_percent > 0 {
            let scale = |entry: &Entry| entry.scaled(100 - self.discount_percent);
            edition.entries = edition.entries.iter().map(scale).collect();
            edition.own.entries = edition.own.entries.iter().map(scale).collect();
        }
        for (provider, model, price) in self.models {
            let model = checked_name(&model)?;
            check_price(&model, &price)?;
            let entry = own_entry(&self.base, provider.as_ref(), &model, price);
            add(&mut edition.own, edition.entries.len(), provider, entry);
        }
        let mut stated = Vec::with_capacity(self.aliases.len());
        for (name, target) in &self.aliases {
            let (name, target) = (checked_name(name)?, checked_name(target)?);
            edition.own.forget(&name);
            edition.own.mentioned.insert(name.clone());
            edition.own.aliases.insert(name.clone(), target);
            stated.push(name);
        }
        for alias in stated {
            let target = follow(&edition.own, &alias)?;
            if !edition.own.has(target) && !edition.shelf.knows(target) {
                return Err(PriceError::UnknownTarget { target: target.clone(), alias });
            }
        }
        Ok(PriceBook::new(edition))
    }
}

impl Own {
    /// What was stated about a name earlier, so that the later statement counts.
    fn forget(&mut self, model: &str) {
        self.models.remove(model);
        self.models_of.retain(|name, _| name.model != model);
        self.aliases.remove(model);
    }

    fn has(&self, model: &str) -> bool {
        self.models.contains_key(model) || self.models_of.keys().any(|name| name.model == model)
    }
}

/// A price of one's own says nothing about limits, so those are the book's.
fn own_entry(base: &PriceBook, at: Option<&Provider>, model: &SmolStr, price: Price) -> Entry {
    let any = Provider::named("any");
    let provider = at.unwrap_or(&any);
    let known = base.find(provider, model).map(|id| base.entry(id));
    Entry {
        provider: provider.clone(),
        model: model.clone(),
        plain: None,
        price,
        later: Vec::new(),
        max_output_tokens: known.and_then(Entry::max_output_tokens),
        context_window: known.and_then(Entry::context_window),
        abilities: known.map_or(Abilities::UNKNOWN, Entry::abilities),
        tokenizer: known.map_or_else(|| Family::of(provider, model), Entry::tokenizer),
    }
    .prepared()
}

fn add(own: &mut Own, offset: usize, provider: Option<Provider>, entry: Entry) {
    let known = match &provider {
        Some(at) => own.models_of.get(&named(at, &entry.model)),
        None => own.models.get(&entry.model),
    };
    let known = known.and_then(|id| usize::try_from(*id).ok()?.checked_sub(offset));
    if let Some(slot) = known.and_then(|at| own.entries.get_mut(at)) {
        *slot = entry;
        return;
    }
    let id = u32::try_from(offset + own.entries.len()).unwrap_or(u32::MAX);
    let model = entry.model.clone();
    if provider.is_none() {
        own.aliases.remove(&model);
    }
    own.mentioned.insert(model.clone());
    own.entries.push(entry);
    match provider {
        Some(at) => own.models_of.insert(named(&at, &model), id),
        None => own.models.insert(model, id),
    };
}

fn named(provider: &Provider, model: &SmolStr) -> Name {
    Name { provider: provider.name().to_ascii_lowercase().into(), model: model.clone() }
}

/// Where an alias leads in the end.
fn follow<'a>(own: &'a Own, alias: &'a SmolStr) -> Result<&'a SmolStr, PriceError> {
    let mut model = alias;
    for _ in 0..=own.aliases.len() {
        match own.aliases.get(model) {
            Some(target) => model = target,
            None => return Ok(model),
        }
    }
    Err(PriceError::Circle { alias: alias.clone() })
}

fn checked_name(name: &str) -> Result<SmolStr, PriceError> {
    if name.trim().is_empty() {
        return Err(PriceError::EmptyName);
    }
    Ok(name.to_ascii_lowercase().into())
}

fn check_price(model: &SmolStr, price: &Price) -> Result<(), PriceError> {
    let (token, piece) = price.dearest();
    if token > MOST_PER_TOKEN || piece > MOST_PER_PIECE {
        return Err(PriceError::TooDear { model: model.clone() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{price::Asked, usd::Usd};

    fn dollars(input: u64, output: u64) -> Price {
        Price::per_mtok(Usd::dollars(input), Usd::dollars(output))
    }

    fn input_price(book: &PriceBook, provider: &Provider, model: &str) -> Option<Usd> {
        book.find(provider, model).map(|id| book.entry(id).price().input_per_mtok())
    }

    #[test]
    fn what_is_stated_wins_over_the_book_and_keeps_its_limits() {
        let below = PriceBook::bundled();
        let book = below.overlay().model("GPT-4o", dollars(1, 1)).build().unwrap();
        let id = book.find(&Provider::OPENAI, "gpt-4o").unwrap();
        assert_eq!(book.entry(id).price(), &dollars(1, 1));
        assert_eq!(book.entry(id).max_output_tokens(), Some(16_384));
        assert_eq!(input_price(&below, &Provider::OPENAI, "gpt-4o"), Some("2.5".parse().unwrap()));
        assert_eq!(book.len(), below.len() + 1);
    }

    #[test]
    fn a_price_for_one_provider_wins_over_one_for_all() {
        let overlay = PriceBook::empty().overlay().model("m", dollars(1, 1));
        let book = overlay.model_of(Provider::AZURE, "m", dollars(2, 2)).build().unwrap();
        assert_eq!(input_price(&book, &Provider::AZURE, "m"), Some(Usd::dollars(2)));
        assert_eq!(input_price(&book, &Provider::named("x"), "m"), Some(Usd::dollars(1)));
        let book = book.overlay().model("m", dollars(3, 3)).build().unwrap();
        assert_eq!(input_price(&book, &Provider::named("x"), "m"), Some(Usd::dollars(3)));
        assert_eq!(input_price(&book, &Provider::AZURE, "m"), Some(Usd::dollars(2)));
        assert_eq!(book.len(), 2);
    }

    #[test]
    fn an_alias_leads_on_and_wins_over_a_model_of_that_name() {
        let overlay = PriceBook::bundled().overlay().alias("Ours", "theirs");
        let book = overlay.alias("theirs", "gpt-4o-mini").alias("gpt-4o", "gpt-4.1").build();
        let book = book.unwrap();
        assert_eq!(book.canonical(&Provider::AZURE, "OURS"), Some("gpt-4o-mini"));
        assert_eq!(book.canonical(&Provider::OPENAI, "gpt-4o"), Some("gpt-4.1"));
    }

    #[test]
    fn a_later_edition_can_turn_an_alias_into_a_model_and_back() {
        let aliased = PriceBook::bundled().overlay().alias("m", "gpt-4o").build().unwrap();
        let model = aliased.overlay().model("m", dollars(7, 7)).build().unwrap();
        assert_eq!(model.canonical(&Provider::OPENAI, "m"), Some("m"));
        let back = model.overlay().alias("m", "gpt-4o").build().unwrap();
        assert_eq!(back.canonical(&Provider::OPENAI, "m"), Some("gpt-4o"));
        let one = aliased.overlay().model_of(Provider::AZURE, "m", dollars(8, 8)).build().unwrap();
        assert_eq!(one.canonical(&Provider::AZURE, "m"), Some("m"));
        assert_eq!(one.canonical(&Provider::OPENAI, "m"), Some("gpt-4o"));
    }

    #[test]
    fn an_alias_into_nothing_or_into_itself_is_an_error() {
        let overlay = || PriceBook::bundled().overlay();
        let error = overlay().alias("a", "no-such-model").build().unwrap_err();
        assert!(matches!(error, PriceError::UnknownTarget { .. }), "{error}");
        let error = overlay().alias("gpt-4o", "b").alias("b", "gpt-4o").build().unwrap_err();
        assert!(matches!(error, PriceError::Circle { .. }), "{error}");
        let error = overlay().alias(" ", "gpt-4o").build().unwrap_err();
        assert_eq!(error, PriceError::EmptyName);
    }

    #[test]
    fn a_price_per_token_given_as_if_per_million_is_an_error() {
        let absurd = dollars(1, 10_000_000);
        let error = PriceBook::empty().overlay().model("m", absurd).build().unwrap_err();
        assert_eq!(error, PriceError::TooDear { model: "m".into() });
        let tier = dollars(1, 1).context_tier(10, dollars(1, 10_000_000));
        assert!(PriceBook::empty().overlay().model("m", tier).build().is_err());
    }

    #[test]
    fn a_discount_holds_for_the_book_below_and_not_for_what_is_stated() {
        let own = PriceBook::bundled().overlay().model("m", dollars(10, 10));
        let book = own.discount_percent(20).build().unwrap();
        assert_eq!(input_price(&book, &Provider::OPENAI, "gpt-4o"), Some(Usd::dollars(2)));
        assert_eq!(input_price(&book, &Provider::OPENAI, "m"), Some(Usd::dollars(10)));
        let again = book.overlay().discount_percent(50).build().unwrap();
        assert_eq!(input_price(&again, &Provider::OPENAI, "gpt-4o"), Some(Usd::dollars(1)));
        assert_eq!(input_price(&again, &Provider::OPENAI, "m"), Some(Usd::dollars(5)));
        let error = again.overlay().discount_percent(101).build().unwrap_err();
        assert_eq!(error, PriceError::Discount { percent: 101 });
    }

    #[test]
    fn an_id_of_another_book_is_unaffordable_rather_than_free() {
        let book = PriceBook::bundled();
        let id = book.find(&Provider::OPENAI, "gpt-4o").unwrap();
        let none = PriceBook::empty();
        let price = none.entry(id).price();
        assert_eq!(price.ceiling(1, 1, &Asked::default()), Usd::MAX);
        assert!(!price.is_free());
    }
}
