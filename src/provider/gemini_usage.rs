//! Usage as Gemini's content generation tells it.
//!
//! Every chunk of a stream has running totals, from which fields may be missing that
//! an earlier one had: the largest of each counts. Thinking is counted beside the
//! candidates, and what tools put into the prompt beside the prompt; cached tokens are
//! inside it. The total settles what has no name: what it holds above all others has
//! been counted nowhere, and costs what output costs.
//!
//! Searches are not counted but listed, as the queries that an answer is grounded on.
//! Models up to 2.5 are billed once for all of them, later ones for each.

mod wire;

use smol_str::{SmolStr, StrExt};

use self::wire::{Code, Grounding, Wire};
use super::{
    list::List,
    observe::{self, Dialect, EventKind, Memory, Observed},
};
use crate::{
    extract::{Finds, Found, Key},
    usage::Usage,
};

/// Of content generation.
pub(super) static DIALECT: Dialect =
    Dialect { keys: &KEYS, starts_as: List::Unknown, end_marker: b"", read };

const USAGE: usize = 0;
const MODEL: usize = 1;
const FINISH_REASON: usize = 2;
const BLOCK_REASON: usize = 3;
const GROUNDING: usize = 4;

static KEYS: [Key; 4] = [
    Key::take("usageMetadata", USAGE, 64 * 1024),
    Key::take("modelVersion", MODEL, 1024),
    Key::each(
        "candidates",
        &[
            Key::take("finishReason", FINISH_REASON, 256),
            Key::take("groundingMetadata", GROUNDING, 256 * 1024),
        ],
    ),
    Key::enter("promptFeedback", &[Key::take("blockReason", BLOCK_REASON, 256)]),
];

// Numbers of what is remembered.
const PROMPT: usize = 0;
const TOOL_PROMPT: usize = 1;
const CACHED: usize = 2;
const CANDIDATES: usize = 3;
const THOUGHTS: usize = 4;
const TOTAL: usize = 5;
const AUDIO_IN: usize = 6;
const AUDIO_CACHED: usize = 7;
const AUDIO_OUT: usize = 8;
const SEARCHES: usize = 9;

/// More tokens than any call can have.
const ABSURD: u64 = 1 << 40;

fn read(found: &Finds<'_>, observed: &mut Observed, memory: &mut Memory) -> EventKind {
    observed.tell_model(found.found(MODEL));
    // Two candidates that have finished are found as a key given twice.
    memory.has_stopped |= [FINISH_REASON, BLOCK_REASON]
        .into_iter()
        .any(|reason| !matches!(found.found(reason), Found::Absent | Found::Value(b"null")));
    let is_grounded = searches(found.found(GROUNDING), memory);
    tell(found.found(USAGE), is_grounded, observed, memory);
    if observed.usage.is_some() {
        observed.tell_partial(memory.is_part && !memory.has_stopped);
        match memory.is_floor {
            true => observed.miss_searches(),
            false => observed.tell_searches(),
        }
    }
    EventKind::Other
}

/// Counts the searches that an answer is grounded on, and says whether it is.
fn searches(grounding: Found<'_>, memory: &mut Memory) -> bool {
    let queries = match grounding {
        Found::Absent | Found::Value(b"null") => return false,
        Found::Unusable => None,
        Found::Value(raw) => observe::json::<Grounding>(raw),
    };
    match queries.and_then(|grounding| grounding.web_search_queries) {
        Some(queries) => {
            let count = queries.iter().filter(|query| !query.is_empty).count() as u64;
            memory.counts[SEARCHES] = memory.counts[SEARCHES].max(Some(count));
        }
        // grounded on something else than a search, or on too much to be read
        None => memory.is_floor = true,
    }
    true
}

fn tell(usage: Found<'_>, is_grounded: bool, observed: &mut Observed, memory: &mut Memory) {
    let wire = match usage {
        Found::Absent | Found::Value(b"null") => None,
        Found::Unusable => return observed.tell_usage(None),
        Found::Value(raw) => match observe::json::<Wire>(raw) {
            None => return observed.tell_usage(None),
            wire => wire,
        },
    };
    let tells = wire.is_some();
    if let Some(wire) = wire {
        wire.raise(&mut memory.counts);
        let tier = wire.tier();
        observed.tell_tier(&tier);
    }
    // A prompt is never empty: some first chunks only tell the kind of traffic.
    let tokens = memory.counts.get(..SEARCHES).unwrap_or_default();
    let has_tokens = tokens.iter().flatten().any(|count| *count > 0);
    if has_tokens && (tells || (is_grounded && !observed.contradictory)) {
        observed.tell_usage(usage_of(&memory.counts, observed.model.as_deref()));
    }
}

impl Wire {
    /// Raises each count to what is told of it.
    fn raise(&self, counts: &mut Counts) {
        let audio_in = match (self.prompt_tokens_details, self.tool_use_prompt_tokens_details) {
            (Some(spoken), Some(by_tools)) => Some(spoken.saturating_add(by_tools)),
            (one, other) => one.or(other),
        };
        for (index, told) in [
            (PROMPT, self.prompt_token_count),
            (TOOL_PROMPT, self.tool_use_prompt_token_count),
            (CACHED, self.cached_content_token_count),
            (CANDIDATES, self.candidates_token_count),
            (THOUGHTS, self.thoughts_token_count),
            (TOTAL, self.total_token_count),
            (AUDIO_IN, audio_in),
            (AUDIO_CACHED, self.cache_tokens_details),
            (AUDIO_OUT, self.candidates_tokens_details),
        ] {
            if let Some(count) = counts.get_mut(index) {
                *count = told.max(*count);
            }
        }
    }

    /// The tier by the name others have for it, empty if nothing is told.
    fn tier(&self) -> SmolStr {
        if let Some(tier) = &self.service_tier {
            return tier.to_lowercase_smolstr();
        }
        match &self.traffic_type {
            None => SmolStr::default(),
            Some(code) if code.is("ON_DEMAND", 1) => "default".into(),
            Some(code) if code.is("PROVISIONED_THROUGHPUT", 2) => "scale".into(),
            Some(code) if code.is("TRAFFIC_TYPE_UNSPECIFIED", 0) => SmolStr::default(),
            Some(Code::Name(name)) => {
                name.strip_prefix("ON_DEMAND_").unwrap_or(name).to_lowercase_smolstr()
            }
            Some(Code::Number(_)) => "unknown".into(),
        }
    }
}

type Counts = [Option<u64>; 10];

/// In the words of [`Usage`]; `None` if the numbers contradict each other.
fn usage_of(counts: &Counts, model: Option<&str>) -> Option<Usage> {
    if counts.iter().flatten().any(|count| *count > ABSURD) {
        return None;
    }
    let count = |index: usize| counts.get(index).copied().flatten().unwrap_or_default();
    let input = count(PROMPT) + count(TOOL_PROMPT);
    let told = count(CANDIDATES) + count(THOUGHTS);
    let output = told.max(count(TOTAL).saturating_sub(input));
    let (cached, input_audio) = (count(CACHED), count(AUDIO_IN).min(input));
    let usage = Usage {
        input_tokens: input,
        cached_input_tokens: cached,
        input_audio_tokens: input_audio,
        cached_audio_tokens: count(AUDIO_CACHED).min(cached).min(input_audio),
        output_tokens: output,
        reasoning_tokens: count(THOUGHTS),
        output_audio_tokens: count(AUDIO_OUT).min(count(CANDIDATES)),
        web_searches: match model {
            Some(model) if is_billed_per_prompt(model) => count(SEARCHES).min(1),
            _ => count(SEARCHES),
        },
        ..Usage::default()
    };
    usage.is_consistent().then_some(usage)
}

fn is_billed_per_prompt(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    name.starts_with("gemini-1") || name.starts_with("gemini-2")
}

#[cfg(test)]
mod tests;
