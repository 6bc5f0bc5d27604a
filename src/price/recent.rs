//! Which entries were found of late.
//!
//! Most calls are to a few models by the names of their entries. Those are told from
//! their last letters, and then compared with the entry itself, which takes a quarter of
//! what it takes to look a name up.

use std::sync::atomic::{AtomicU32, Ordering};

const PLACES: usize = 64;
const NOTHING: u32 = u32::MAX;

/// The last entry found, for each of a few kinds of names.
#[derive(Debug)]
pub(super) struct Recent([AtomicU32; PLACES]);

impl Recent {
    /// The entry that may be the one of this model.
    #[inline]
    pub(super) fn get(&self, model: &str) -> u32 {
        self.0[place_of(model)].load(Ordering::Relaxed)
    }

    /// Notes what was found by the name of its entry.
    pub(super) fn set(&self, model: &str, id: u32) {
        self.0[place_of(model)].store(id, Ordering::Relaxed);
    }
}

impl Default for Recent {
    fn default() -> Self {
        Self([const { AtomicU32::new(NOTHING) }; PLACES])
    }
}

/// Another edition may find other entries.
impl Clone for Recent {
    fn clone(&self) -> Self {
        Self::default()
    }
}

#[inline]
fn place_of(model: &str) -> usize {
    let name = model.as_bytes();
    let last = match (name.last_chunk(), name.last_chunk()) {
        (Some(letters), _) => u64::from_le_bytes(*letters),
        (None, Some(letters)) => u32::from_le_bytes(*letters).into(),
        (None, None) => 0,
    };
    last.wrapping_mul(0x9E37_79B9_7F4A_7C15) as usize >> (usize::BITS - PLACES.ilog2())
}

#[cfg(test)]
mod tests {
    use crate::{Price, PriceBook, Provider, Usd};

    #[test]
    fn what_was_found_of_late_is_found_again_and_not_in_another_edition() {
        let book = PriceBook::bundled();
        let found = |book: &PriceBook, provider: &Provider, model: &str| {
            let first = book.find(provider, model);
            assert_eq!(book.find(provider, model), first, "{model}");
            first.map(|id| (book.entry(id).provider().clone(), book.entry(id).model().to_owned()))
        };
        let own = |provider: Provider, model: &str| Some((provider, model.to_owned()));
        assert_eq!(found(&book, &Provider::OPENAI, "gpt-4o"), own(Provider::OPENAI, "gpt-4o"));
        // The same last letters, another name of the same, another provider.
        for model in ["xgpt-4o", "xo", "", "gpt-4oxyz"] {
            assert_eq!(found(&book, &Provider::OPENAI, model), None, "{model}");
        }
        let dated = found(&book, &Provider::OPENAI, "gpt-4o-2024-08-06");
        assert_eq!(dated, own(Provider::OPENAI, "gpt-4o"));
        assert_eq!(found(&book, &Provider::ANTHROPIC, "gpt-4o"), None);

        let price = Price::per_mtok(Usd::dollars(7), Usd::dollars(7));
        let dearer = book.overlay().model("gpt-4o", price).build().unwrap();
        let id = dearer.find(&Provider::OPENAI, "gpt-4o").unwrap();
        assert_eq!(dearer.entry(id).price().input_per_mtok(), Usd::dollars(7));
        let alias = dearer.overlay().alias("gpt-4o", "gpt-4o-mini").build().unwrap();
        assert_eq!(alias.canonical(&Provider::OPENAI, "gpt-4o"), Some("gpt-4o-mini"));
        assert_eq!(alias.canonical(&Provider::OPENAI, "gpt-4o"), Some("gpt-4o-mini"));
    }
}
