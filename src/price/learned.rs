//! Names that were looked for at length, and where they led.
//!
//! Most names of models have a date, and many are recognised by a rule: to try the rules
//! takes longer than the rest of a decision, and every answer names its model once more. But
//! there are few names, and they come again. So one that was found is kept as it was
//! written, for as long as its edition; where there is no place left for it, it is looked for
//! as before. Callers who make up names that a rule recognises can take the places, and so
//! make others take that longer way, but nothing else: what is kept is what would be found.
//! What is read by many calls and never changed needs no lock.

use std::sync::OnceLock;

use smol_str::SmolStr;

use crate::{call::Provider, same::same};

/// Several times as many as a program uses.
const PLACES: usize = 128;
/// Longer names, in bytes, are not kept: callers may make them up.
const LONGEST: usize = 128;

/// Where names led, each in one of two places.
#[derive(Debug)]
pub(super) struct Learned([OnceLock<Box<Name>>; PLACES]);

#[derive(Debug)]
struct Name {
    model: SmolStr,
    provider: Provider,
    entry: u32,
}

impl Learned {
    /// The entry that was found under this name.
    #[inline]
    pub(super) fn get(&self, provider: &Provider, model: &str) -> Option<u32> {
        places_of(model).into_iter().find_map(|place| {
            let name = self.0[place].get()?;
            (same(&name.model, model) && name.provider == *provider).then_some(name.entry)
        })
    }

    /// Keeps what was found, if there is a place for it.
    pub(super) fn add(&self, provider: &Provider, model: &str, entry: u32) {
        if model.len() > LONGEST {
            return;
        }
        let mut places = places_of(model).map(|place| &self.0[place]).into_iter();
        if let Some(free) = places.find(|place| place.get().is_none()) {
            // Another thread may have been quicker; then it is looked for again.
            let _ =
                free.set(Name { model: model.into(), provider: provider.clone(), entry }.into());
        }
    }
}

impl Default for Learned {
    fn default() -> Self {
        Self([const { OnceLock::new() }; PLACES])
    }
}

/// Another edition may find other entries.
impl Clone for Learned {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// By the last sixteen letters: what is dated the same is not named the same before that.
#[inline]
fn places_of(model: &str) -> [usize; 2] {
    const BITS: u32 = PLACES.ilog2();
    let name = model.as_bytes();
    let (last, before) = match name.split_last_chunk() {
        Some((rest, last)) => (u64::from_le_bytes(*last), rest),
        None => (name.iter().fold(0, |last, letter| last << 8 | u64::from(*letter)), name),
    };
    let before = before.last_chunk().map_or(0, |before| u64::from_le_bytes(*before));
    let mixed = (last ^ before.rotate_left(23)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let place = (mixed >> (u64::BITS - BITS)) as usize;
    [place, place ^ 1]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::price::{Price, PriceBook};
    use crate::usd::Usd;

    #[test]
    fn what_is_found_at_length_is_found_again_and_not_in_another_edition() {
        let bundled = PriceBook::bundled();
        let price = Price::per_mtok(Usd::dollars(7), Usd::dollars(7));
        let own = bundled.overlay().model("claude-haiku-4-5-20251001", price.clone());
        let alias = own.clone().alias("GPT-4o-2024-08-06", "claude-haiku-4-5-20251001");
        let names = [
            "claude-haiku-4-5-20251001",
            "claude-haiku-4-5-20251002",
            "CLAUDE-haiku-4-5-20251001",
            "gpt-4o-2024-08-06",
            "gpt-4o",
            "unheard-of",
            "o1",
            "",
        ];
        let providers = [Provider::ANTHROPIC, Provider::OPENAI, Provider::named("elsewhere")];
        for book in [bundled.overlay(), own, alias] {
            let [book, fresh] = [(); 2].map(|()| book.clone().build().unwrap());
            for _ in 0..3 {
                for (name, provider) in names.iter().flat_map(|n| providers.iter().map(|p| (*n, p)))
                {
                    let again = fresh.overlay().build().unwrap();
                    let found = again.find(provider, name);
                    assert_eq!(book.find(provider, name), found, "{provider} {name}");
                }
            }
        }
    }

    #[test]
    fn a_name_keeps_its_place_and_a_long_one_gets_none() {
        let learned = Learned::default();
        for entry in 0..10_000 {
            let name = format!("model-{entry}");
            learned.add(&Provider::OPENAI, &name, entry);
            assert_eq!(learned.get(&Provider::ANTHROPIC, &name), None);
        }
        let kept = (0..10_000).filter(|entry| {
            let found = learned.get(&Provider::OPENAI, &format!("model-{entry}"));
            assert!(found.is_none_or(|found| found == *entry));
            found.is_some()
        });
        assert_eq!(kept.count(), PLACES);
        let learned = Learned::default();
        let long = "x".repeat(LONGEST + 1);
        learned.add(&Provider::OPENAI, &long, 7);
        learned.add(&Provider::OPENAI, &long[1..], 8);
        assert_eq!(learned.get(&Provider::OPENAI, &long), None);
        assert_eq!(learned.get(&Provider::OPENAI, &long[1..]), Some(8));
    }

    #[test]
    fn dated_names_have_places_of_their_own() {
        let models = ["haiku", "sonnet", "opus"].map(|name| {
            (0..9).map(move |n| format!("claude-{name}-{n}-5-20250929")).collect::<Vec<_>>()
        });
        let learned = Learned::default();
        let names: Vec<_> = models.into_iter().flatten().collect();
        names.iter().for_each(|name| learned.add(&Provider::ANTHROPIC, name, 1));
        let kept = names.iter().filter(|name| learned.get(&Provider::ANTHROPIC, name).is_some());
        assert!(kept.count() >= names.len() - 2);
    }
}
