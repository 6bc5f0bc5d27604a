//! The book as printed: entries, names and rules, read once from `prices.json`.

use std::{collections::BTreeMap, sync::Arc};

use hashbrown::HashMap;
use serde::{Deserialize, Deserializer, de::Error as _};
use smol_str::SmolStr;

use super::{
    entry::{Abilities, Entry},
    name::{Name, NameRef},
    price::Price,
    rates::Rates,
    rule::{Pairs, Rule, RuleText},
    tier::Tier,
};
use crate::{call::Provider, clock::Timestamp, estimate::Family};

/// What all editions of a book share.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    pub(super) as_of: SmolStr,
    pub(super) as_of_time: Timestamp,
    pub(super) entries: Arc<[Entry]>,
    /// A name is listed without an entry if its price cannot be told per token;
    /// then no rule and no other provider is asked.
    names: HashMap<Name, Option<u32>>,
    racks: HashMap<SmolStr, Rack>,
    search_order: Vec<SmolStr>,
}

/// One provider's rules, in the order of the price list: the first that holds wins.
#[derive(Debug, Default)]
struct Rack {
    rules: Vec<Rule>,
    fallback: Vec<SmolStr>,
}

impl Shelf {
    pub(super) fn parse(json: &str) -> Result<Self, serde_json::Error> {
        let file: BookFile = serde_json::from_str(json)?;
        let mut shelf = Self {
            as_of_time: midnight(&file.as_of).map_err(serde_json::Error::custom)?,
            as_of: file.as_of,
            search_order: file.search_order,
            ..Self::default()
        };
        let mut entries = Vec::new();
        for provider in file.providers {
            shelf.put(provider, &mut entries);
        }
        shelf.entries = entries.into();
        Ok(shelf)
    }

    fn put(&mut self, file: ProviderFile, entries: &mut Vec<Entry>) {
        let named = |model: SmolStr| Name { provider: file.id.clone(), model };
        let mut rack = Rack { rules: Vec::new(), fallback: file.fallback };
        for model in file.models {
            // A book of four billion models does not fit into memory.
            let id = u32::try_from(entries.len()).unwrap_or(u32::MAX);
            let provider = Provider::named(file.id.clone());
            let tokenizer = tokenizer(&provider, &model);
            self.names.insert(named(model.id.clone()), Some(id));
            self.names.extend(model.names.into_iter().map(|name| (named(name), Some(id))));
            rack.rules.extend(model.rules.into_iter().map(|text| Rule::new(text, id)));
            entries.push(entry(provider, model.id, tokenizer, model.facts));
        }
        for model in file.unpriced {
            self.names.entry(named(model)).or_insert(None);
        }
        self.racks.insert(file.id, rack);
    }

    /// The entry listed under exactly this name.
    #[inline]
    pub(super) fn listed(&self, provider: &str, model: &str) -> Option<u32> {
        self.names.get(&NameRef { provider, model }).copied().flatten()
    }

    /// The entry for a lower-case name: listed, by rule, or another provider's
    /// where this one resells it or is not known.
    pub(super) fn find(&self, provider: &str, model: &str) -> Option<u32> {
        let pairs = Pairs::of(model);
        let Some(rack) = self.racks.get(provider) else {
            let listed = self.search_order.iter().find_map(|other| self.listed(other, model));
            return listed.or_else(|| {
                self.search_order.iter().find_map(|other| self.by_rule(other, model, pairs))
            });
        };
        if let Some(found) = self.names.get(&NameRef { provider, model }) {
            return *found;
        }
        self.by_rule(provider, model, pairs).or_else(|| {
            rack.fallback.iter().find_map(|other| {
                self.listed(other, model).or_else(|| self.by_rule(other, model, pairs))
            })
        })
    }

    fn by_rule(&self, provider: &str, model: &str, pairs: Pairs) -> Option<u32> {
        if self.names.get(&NameRef { provider, model }).is_some_and(Option::is_none) {
            return None;
        }
        let rules = &self.racks.get(provider)?.rules;
        rules.iter().find(|rule| rule.holds(model, pairs)).map(|rule| rule.entry)
    }

    /// Whether any provider has this model.
    pub(super) fn knows(&self, model: &str) -> bool {
        self.racks.keys().any(|provider| self.find(provider, model).is_some())
    }
}

/// The one that any of a model's names speaks of.
fn tokenizer(provider: &Provider, model: &ModelFile) -> Family {
    let names = std::iter::once(&model.id).chain(&model.names);
    let mut families = names.map(|name| Family::of(provider, name));
    families.find(|family| *family != Family::Other).unwrap_or(Family::Other)
}

fn entry(provider: Provider, model: SmolStr, tokenizer: Family, facts: Facts) -> Entry {
    let surcharge = facts.regional.unwrap_or(100).saturating_sub(100);
    let dress = |Sheets(price)| Price::regional_surcharge_percent(price, surcharge);
    Entry {
        provider,
        model,
        plain: None,
        price: dress(facts.price),
        later: facts.later.into_iter().map(|(Day(from), price)| (from, dress(price))).collect(),
        max_output_tokens: facts.most_out,
        context_window: facts.window,
        abilities: Abilities {
            chat: facts.kind.is_none(),
            embeddings: facts.kind.as_deref() == Some("embedding"),
            tools: !facts.lacks.iter().any(|one| one == "tools"),
            media: !facts.lacks.iter().any(|one| one == "media"),
            schema: !facts.lacks.iter().any(|one| one == "schema"),
        },
        tokenizer,
    }
    .prepared()
}

fn midnight(day: &str) -> Result<Timestamp, crate::clock::ParseTimeError> {
    format!("{day}T00:00:00Z").parse()
}

#[derive(Deserialize)]
struct BookFile {
    as_of: SmolStr,
    search_order: Vec<SmolStr>,
    providers: Vec<ProviderFile>,
}

#[derive(Deserialize)]
struct ProviderFile {
    id: SmolStr,
    models: Vec<ModelFile>,
    #[serde(default)]
    unpriced: Vec<SmolStr>,
    #[serde(default)]
    fallback: Vec<SmolStr>,
}

#[derive(Deserialize)]
struct ModelFile {
    id: SmolStr,
    #[serde(default)]
    names: Vec<SmolStr>,
    #[serde(default)]
    rules: Vec<RuleText>,
    #[serde(flatten)]
    facts: Facts,
}

#[derive(Deserialize)]
struct Facts {
    price: Sheets,
    #[serde(default)]
    later: Vec<(Day, Sheets)>,
    /// In percent of the list price.
    regional: Option<u16>,
    window: Option<u64>,
    most_out: Option<u64>,
    /// What the model does instead of talking.
    kind: Option<SmolStr>,
    /// What it cannot take.
    #[serde(default)]
    lacks: Vec<SmolStr>,
}

struct Day(Timestamp);

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let day = SmolStr::deserialize(deserializer)?;
        midnight(&day).map(Self).map_err(D::Error::custom)
    }
}

struct Sheets(Price);

#[derive(Deserialize)]
struct SheetFile {
    #[serde(default)]
    above: u64,
    #[serde(flatten)]
    rates: Rates,
}

impl<'de> Deserialize<'de> for Sheets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let tiers = BTreeMap::<SmolStr, Vec<SheetFile>>::deserialize(deserializer)?;
        let first = tiers.get("default").and_then(|sheets| sheets.first());
        let first = first.filter(|sheet| sheet.above == 0);
        let mut price =
            Price::from_rates(first.ok_or_else(|| D::Error::missing_field("default"))?.rates);
        for (name, sheets) in &tiers {
            for sheet in sheets {
                price = price.with_rates(Tier::named(name), sheet.above, sheet.rates);
            }
        }
        Ok(Self(price))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_of_a_model_speaks_of_another_tokenizer() {
        let shelf = Shelf::parse(include_str!("prices.json")).unwrap();
        for (name, id) in shelf.names.iter().filter_map(|(name, id)| Some((name, (*id)?))) {
            let entry = &shelf.entries[id as usize];
            let by_name = Family::of(&Provider::named(name.provider.clone()), &name.model);
            let says_nothing = by_name == Family::Other;
            assert!(says_nothing || entry.tokenizer == by_name, "{name:?} is {}", entry.model);
        }
    }

    #[test]
    fn a_broken_file_is_an_error() {
        for bad in ["", "{}", r#"{"as_of":"soon","search_order":[],"providers":[]}"#] {
            assert!(Shelf::parse(bad).is_err(), "{bad}");
        }
        let no_list_price = r#"{"as_of":"2026-01-01","search_order":[],"providers":[{"id":"p","models":[
            {"id":"m","price":{"flex":[{"in":1,"out":1}]}}]}]}"#;
        assert!(Shelf::parse(no_list_price).is_err());
    }

    #[test]
    fn a_model_that_cannot_be_priced_ends_the_search() {
        let file = r#"{"as_of":"2026-01-01","search_order":[],"providers":[
            {"id":"a","fallback":["b"],"unpriced":["m-tts"],"models":[
                {"id":"m","rules":[["starts","m"]],"price":{"default":[{"in":1,"out":1}]}}]},
            {"id":"b","models":[{"id":"m-tts","price":{"default":[{"in":1,"out":1}]}}]}]}"#;
        let shelf = Shelf::parse(file).unwrap();
        assert_eq!(shelf.find("a", "m-tts"), None);
        assert_eq!(shelf.find("a", "m-x"), Some(0));
    }
}
