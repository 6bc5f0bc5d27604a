//! What Gemini writes, as it writes it.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, SeqAccess, Visitor},
};
use smol_str::SmolStr;

/// `usageMetadata` on the wire; unknown fields are ignored, negative or fractional
/// counts and fields given twice are errors.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Wire {
    pub(super) prompt_token_count: Option<u64>,
    pub(super) tool_use_prompt_token_count: Option<u64>,
    pub(super) cached_content_token_count: Option<u64>,
    pub(super) candidates_token_count: Option<u64>,
    pub(super) thoughts_token_count: Option<u64>,
    pub(super) total_token_count: Option<u64>,
    #[serde(default, deserialize_with = "audio")]
    pub(super) prompt_tokens_details: Option<u64>,
    #[serde(default, deserialize_with = "audio")]
    pub(super) tool_use_prompt_tokens_details: Option<u64>,
    #[serde(default, deserialize_with = "audio")]
    pub(super) cache_tokens_details: Option<u64>,
    #[serde(default, deserialize_with = "audio")]
    pub(super) candidates_tokens_details: Option<u64>,
    pub(super) service_tier: Option<SmolStr>,
    pub(super) traffic_type: Option<Code>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    modality: Option<Code>,
    token_count: Option<u64>,
}

/// A name, or its number.
pub(super) enum Code {
    Name(SmolStr),
    Number(u64),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Grounding {
    pub(super) web_search_queries: Option<Vec<Query>>,
}

/// A query, of which only is known whether it is empty.
#[derive(Deserialize)]
#[serde(from = "SmolStr")]
pub(super) struct Query {
    pub(super) is_empty: bool,
}

impl From<SmolStr> for Query {
    fn from(query: SmolStr) -> Self {
        Self { is_empty: query.is_empty() }
    }
}

impl Code {
    pub(super) fn is(&self, name: &str, number: u64) -> bool {
        match self {
            Self::Name(own) => own == name,
            Self::Number(own) => *own == number,
        }
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct NameOrNumber;
        impl Visitor<'_> for NameOrNumber {
            type Value = Code;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name or its number")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Code, E> {
                Ok(Code::Name(name.into()))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Code, E> {
                Ok(Code::Number(number))
            }
        }
        from.deserialize_any(NameOrNumber)
    }
}

/// The tokens of sound among the details of a count, added up as they pass: every chunk
/// has details, and none of them needs to be kept.
fn audio<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    struct Details;
    impl<'de> Visitor<'de> for Details {
        type Value = Option<u64>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array of counts by modality")
        }

        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut details: A) -> Result<Self::Value, A::Error> {
            let mut sum = 0u64;
            while let Some(detail) = details.next_element::<Detail>()? {
                if detail.modality.is_some_and(|code| code.is("AUDIO", 4)) {
                    sum = sum.saturating_add(detail.token_count.unwrap_or_default());
                }
            }
            Ok(Some(sum))
        }
    }
    from.deserialize_any(Details)
}
