//! The price book.
//!
//! Every call looks its model up, so the common case, a name the book lists for
//! that provider, is a single hash look-up that copies nothing. Everything a name
//! can need beyond that is on the cold path behind it.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use hashbrown::{HashMap, HashSet};
use smol_str::SmolStr;

use super::{
    entry::{Abilities, Entry, EntryId},
    learned::Learned,
    name::{Name, NameRef, lowered},
    overlay::Overlay,
    price::Price,
    recent::Recent,
    shelf::Shelf,
};
use crate::{call::Provider, clock::Timestamp, estimate::Family};

/// What models cost, by provider and name.
///
/// [`PriceBook::bundled`] knows the main hosts. What it does not know, or what
/// costs you something else, is laid over it with [`PriceBook::overlay`]; cloning
/// is cheap, and editions share what they have in common.
///
/// A name is looked up in this order: models of one's own and aliases, names the
/// book lists, the book's rules for dated names, the providers whose models this
/// one resells. A provider that the book does not know, a gateway under a name of
/// its own, is taken for whichever main provider has the model.
///
/// # Example
/// ```
/// use driftlock::{PriceBook, Provider, Usd};
///
/// let book = PriceBook::bundled();
/// let id = book.find(&Provider::OPENAI, "gpt-4o-2024-08-06").expect("a listed model");
/// assert_eq!(book.entry(id).model(), "gpt-4o");
/// assert_eq!(book.entry(id).price().input_per_mtok(), "2.50".parse()?);
/// assert!(book.find(&Provider::OPENAI, "gpt-4oxyz").is_none());
/// # Ok::<(), driftlock::ParseUsdError>(())
/// ```
#[derive(Clone, Debug)]
pub struct PriceBook(Arc<Edition>);

#[derive(Clone, Debug, Default)]
pub(super) struct Edition {
    pub(super) shelf: Arc<Shelf>,
    /// The shelf's entries, with the discounts of this edition.
    pub(super) entries: Arc<[Entry]>,
    pub(super) own: Own,
    pub(super) recent: Recent,
    pub(super) learned: Learned,
}

/// What an overlay adds; all names lower-case.
#[derive(Clone, Debug, Default)]
pub(super) struct Own {
    pub(super) entries: Vec<Entry>,
    /// By name alone, and by provider and name.
    pub(super) models: HashMap<SmolStr, u32>,
    pub(super) models_of: HashMap<Name, u32>,
    /// Never a circle.
    pub(super) aliases: HashMap<SmolStr, SmolStr>,
    /// All names above, so that a look-up of any other one pays for one question.
    pub(super) mentioned: HashSet<SmolStr>,
}

/// After this, prices are likely to have changed.
const STALE: Duration = Duration::from_secs(90 * 24 * 60 * 60);

impl PriceBook {
    /// The book that comes with this version of driftlock; parsed at first use.
    pub fn bundled() -> Self {
        static BUNDLED: OnceLock<PriceBook> = OnceLock::new();
        // That it parses is a test. Were it not to, every model would be unknown
        // and denied, which is better than a panic in somebody's service.
        BUNDLED
            .get_or_init(|| {
                let shelf = Shelf::parse(include_str!("prices.json")).unwrap_or_default();
                let entries = Arc::clone(&shelf.entries);
                Self::new(Edition { shelf: Arc::new(shelf), entries, ..Edition::default() })
            })
            .clone()
    }

    /// A book without models, to be filled by an [`Overlay`].
    pub fn empty() -> Self {
        Self::new(Edition::default())
    }

    pub(super) fn new(edition: Edition) -> Self {
        Self(Arc::new(edition))
    }

    /// The day the book's prices were collected, as `2026-10-20`; empty for
    /// [`PriceBook::empty`].
    pub fn as_of(&self) -> &str {
        &self.0.shelf.as_of
    }

    /// Whether the book is older than 90 days. One without a date never is.
    pub fn is_stale(&self, now: Timestamp) -> bool {
        !self.as_of().is_empty() && now.since(self.0.shelf.as_of_time) > STALE
    }

    /// The entry for a model, by whatever name; upper and lower case are the same.
    #[inline]
    pub fn find(&self, provider: &Provider, model: &str) -> Option<EntryId> {
        self.find_entry(provider, model).map(|(id, _)| id)
    }

    /// The same with the entry.
    #[inline]
    pub(crate) fn find_entry(&self, provider: &Provider, model: &str) -> Option<(EntryId, &Entry)> {
        let edition = &*self.0;
        let id = edition.recent.get(model);
        match edition.entry(id) {
            Some(entry) if entry.is_named(provider, model) => Some((EntryId(id), entry)),
            _ => edition.look_up(provider, model).map(|id| (id, self.entry(id))),
        }
    }

    /// An entry that [`PriceBook::find`] of this book gave.
    ///
    /// With an id of another book this is another entry, or, where there is none,
    /// one so dear that every budget denies it.
    #[inline]
    pub fn entry(&self, id: EntryId) -> &Entry {
        self.0.entry(id.0).unwrap_or_else(|| unaffordable())
    }

    /// The canonical id of a model: what restrictions compare with.
    pub fn canonical(&self, provider: &Provider, model: &str) -> Option<&str> {
        self.find(provider, model).map(|id| self.entry(id).model())
    }

    /// Starts a new edition of this book.
    pub fn overlay(&self) -> Overlay {
        Overlay::new(self.clone())
    }

    /// How many models it has.
    pub fn len(&self) -> usize {
        self.0.entries.len() + self.0.own.models.len() + self.0.own.models_of.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every entry: the book's, then one's own.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        let own = self.0.own.models.values().chain(self.0.own.models_of.values());
        self.0.entries.iter().chain(own.filter_map(|id| self.0.entry(*id)))
    }

    pub(super) fn edition(&self) -> &Edition {
        &self.0
    }
}

/// The bundled one.
impl Default for PriceBook {
    fn default() -> Self {
        Self::bundled()
    }
}

impl Edition {
    #[inline(never)]
    fn look_up(&self, provider: &Provider, model: &str) -> Option<EntryId> {
        if let Some(found) = self.learned.get(provider, model) {
            return Some(EntryId(found));
        }
        let listed = self.shelf.listed(provider.name(), model);
        let found = match listed.filter(|_| !self.own.mentions(model)) {
            // A listed name is in lower case, so it needs no copy to be compared.
            Some(id) => EntryId(id),
            None => self.find(provider.name(), model)?,
        };
        if self.entry(found.0).is_some_and(|entry| entry.is_named(provider, model)) {
            self.recent.set(model, found.0);
        } else {
            self.learned.add(provider, model, found.0);
        }
        Some(found)
    }

    /// Not inlined: the hot path of [`PriceBook::find`] should stay small.
    #[inline(never)]
    fn find(&self, provider: &str, model: &str) -> Option<EntryId> {
        lowered(provider, |provider| {
            lowered(model, |model| {
                let stated = self.own.models_of.get(&NameRef { provider, model }).copied();
                let model = self.own.unaliased(model);
                let found = stated.or_else(|| self.own.find(provider, model));
                found.or_else(|| self.shelf.find(provider, model)).map(EntryId)
            })
        })
    }

    #[inline]
    pub(super) fn entry(&self, id: u32) -> Option<&Entry> {
        let id = usize::try_from(id).ok()?;
        self.entries.get(id).or_else(|| self.own.entries.get(id.checked_sub(self.entries.len())?))
    }
}

impl Own {
    #[inline]
    fn mentions(&self, model: &str) -> bool {
        !self.mentioned.is_empty() && self.mentioned.contains(model)
    }

    pub(super) fn find(&self, provider: &str, model: &str) -> Option<u32> {
        let exact = self.models_of.get(&NameRef { provider, model });
        exact.or_else(|| self.models.get(model)).copied()
    }

    fn unaliased<'a>(&'a self, mut model: &'a str) -> &'a str {
        while let Some(target) = self.aliases.get(model) {
            model = target;
        }
        model
    }
}

/// Stands in for an entry that is not there.
fn unaffordable() -> &'static Entry {
    static UNAFFORDABLE: OnceLock<Entry> = OnceLock::new();
    UNAFFORDABLE.get_or_init(|| Entry {
        provider: Provider::named("unknown"),
        model: "unknown".into(),
        plain: None,
        price: Price::unaffordable(),
        later: Vec::new(),
        max_output_tokens: None,
        context_window: None,
        abilities: Abilities::UNKNOWN,
        tokenizer: Family::Other,
    })
}
