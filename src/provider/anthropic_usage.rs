//! Usage as Anthropic's messages tell it.
//!
//! A document tells it once. A stream tells it twice: `message_start` has the input
//! and what is known of the output, `message_delta` what became of it, field by field
//! on top. Cached and cache-write tokens are counted beside `input_tokens`, not inside.
//!
//! `iterations` lists the runs of the model that an answer took. Those of type
//! `message` are the counts at the top; all others, as the compaction of a long
//! conversation, are billed on top of them. One by another model, as an advisor, has
//! another price: then what is told is a floor, and not all.

use serde::Deserialize;
use smol_str::SmolStr;

use super::{
    list::List,
    observe::{self, Dialect, EventKind, Memory, Observed},
};
use crate::{
    extract::{Finds, Found, Key},
    usage::Usage,
};

/// Of messages.
pub(super) static DIALECT: Dialect =
    Dialect { keys: &KEYS, starts_as: List::Single, end_marker: b"", read };

const TYPE: usize = 0;
const USAGE: usize = 1;
const MODEL: usize = 2;
const STARTED_USAGE: usize = 3;
const STARTED_MODEL: usize = 4;
const STOP_REASON: usize = 5;

static KEYS: [Key; 5] = [
    Key::take("type", TYPE, 64),
    Key::take("usage", USAGE, 64 * 1024),
    Key::take("model", MODEL, 1024),
    Key::enter(
        "message",
        &[Key::take("usage", STARTED_USAGE, 64 * 1024), Key::take("model", STARTED_MODEL, 1024)],
    ),
    Key::enter("delta", &[Key::take("stop_reason", STOP_REASON, 256)]),
];

// Numbers of what is remembered.
const INPUT: usize = 0;
const CACHE_READ: usize = 1;
const CACHE_WRITE: usize = 2;
const CACHE_WRITE_5M: usize = 3;
const CACHE_WRITE_1H: usize = 4;
const OUTPUT: usize = 5;
const THINKING: usize = 6;
const SEARCHES: usize = 7;

/// More tokens than any call can have.
const ABSURD: u64 = 1 << 40;

fn read(found: &Finds<'_>, observed: &mut Observed, memory: &mut Memory) -> EventKind {
    if found.found(TYPE) == Found::Value(br#""message_stop""#) {
        return EventKind::Terminal;
    }
    observed.tell_model(found.found(MODEL));
    observed.tell_model(found.found(STARTED_MODEL));
    memory.has_stopped |= matches!(found.found(STOP_REASON), Found::Value([b'"', ..]));
    tell(found.found(STARTED_USAGE), observed, memory);
    memory.has_totals |= tell(found.found(USAGE), observed, memory);
    if observed.usage.is_some() {
        let is_running = memory.is_part && !(memory.has_stopped && memory.has_totals);
        observed.tell_partial(is_running || memory.is_floor);
    }
    EventKind::Other
}

/// Takes a usage, and says whether there was one.
fn tell(usage: Found<'_>, observed: &mut Observed, memory: &mut Memory) -> bool {
    let wire = match usage {
        Found::Absent | Found::Value(b"null") => return false,
        Found::Unusable => None,
        Found::Value(raw) => observe::json::<Wire>(raw),
    };
    let Some(wire) = wire else {
        observed.tell_usage(None);
        return true;
    };
    // gateways send zeros until they know
    if wire.is_zero() {
        return false;
    }
    wire.overlay(&mut memory.counts);
    let beside = match wire.iterations {
        None => Some(memory.beside),
        Some(_) => wire.beside(),
    };
    if wire.iterations.is_some() {
        memory.beside = beside.unwrap_or_default();
        memory.is_floor = wire.has_foreign(observed.model.as_deref());
    }
    let usage = usage_of(&memory.counts).zip(beside);
    observed.tell_usage(usage.and_then(|(own, beside)| sum(own, beside)));
    observed.tell_searches();
    observed.tell_tier(wire.tier(observed.service_tier.as_deref()));
    observed.tell_region(wire.inference_geo.as_deref().unwrap_or_default());
    true
}

/// `usage` on the wire, and each of its `iterations`; unknown fields are ignored,
/// negative or fractional counts and fields given twice are errors.
#[derive(Deserialize)]
struct Wire {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_creation: Option<CacheCreation>,
    output_tokens_details: Option<OutputDetails>,
    server_tool_use: Option<ServerTools>,
    iterations: Option<Vec<Wire>>,
    service_tier: Option<SmolStr>,
    speed: Option<SmolStr>,
    inference_geo: Option<SmolStr>,
    /// Of an iteration.
    #[serde(rename = "type")]
    kind: Option<SmolStr>,
    /// Of an iteration that another model did.
    model: Option<SmolStr>,
}

#[derive(Deserialize)]
struct CacheCreation {
    ephemeral_5m_input_tokens: Option<u64>,
    ephemeral_1h_input_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct OutputDetails {
    thinking_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct ServerTools {
    web_search_requests: Option<u64>,
}

impl Wire {
    fn is_zero(&self) -> bool {
        let counts = [
            self.input_tokens,
            self.output_tokens,
            self.cache_read_input_tokens,
            self.cache_creation_input_tokens,
        ];
        counts.iter().any(Option::is_some)
            && counts.iter().flatten().all(|count| *count == 0)
            && self.beyond().next().is_none()
    }

    /// Puts what is told on top of what was told before.
    fn overlay(&self, counts: &mut Counts) {
        let cache = self.cache_creation.as_ref();
        for (index, told) in [
            (INPUT, self.input_tokens),
            (OUTPUT, self.output_tokens),
            (CACHE_READ, self.cache_read_input_tokens),
            (CACHE_WRITE, self.cache_creation_input_tokens),
            (CACHE_WRITE_5M, cache.and_then(|cache| cache.ephemeral_5m_input_tokens)),
            (CACHE_WRITE_1H, cache.and_then(|cache| cache.ephemeral_1h_input_tokens)),
            (THINKING, self.output_tokens_details.as_ref().and_then(|d| d.thinking_tokens)),
            (SEARCHES, self.server_tool_use.as_ref().and_then(|used| used.web_search_requests)),
        ] {
            if let Some(count) = counts.get_mut(index) {
                *count = told.or(*count);
            }
        }
    }

    /// The iterations that are billed on top.
    fn beyond(&self) -> impl Iterator<Item = &Self> {
        let all = self.iterations.iter().flatten();
        all.filter(|iteration| iteration.kind.as_deref() != Some("message"))
    }

    /// What they took together; `None` if the numbers contradict each other.
    fn beside(&self) -> Option<Usage> {
        self.beyond().try_fold(Usage::default(), |usage, iteration| {
            let mut counts = Counts::default();
            counts[INPUT] = Some(0);
            counts[OUTPUT] = Some(0);
            iteration.overlay(&mut counts);
            sum(usage, usage_of(&counts)?)
        })
    }

    fn has_foreign(&self, model: Option<&str>) -> bool {
        self.beyond()
            .any(|iteration| iteration.model.is_some() && iteration.model.as_deref() != model)
    }

    /// The tier, empty if nothing is told; that of fast answers is told by their speed.
    fn tier<'a>(&'a self, before: Option<&str>) -> &'a str {
        match self.speed.as_deref() {
            Some("fast") => "fast",
            None if before == Some("fast") => "",
            _ => self.service_tier.as_deref().unwrap_or_default(),
        }
    }
}

type Counts = [Option<u64>; 10];

/// In the words of [`Usage`]; `None` if counts are missing or absurd.
fn usage_of(counts: &Counts) -> Option<Usage> {
    if counts.iter().flatten().any(|count| *count > ABSURD) {
        return None;
    }
    let count = |index: usize| counts.get(index).copied().flatten().unwrap_or_default();
    let (plain, output) = (counts[INPUT]?, counts[OUTPUT]?);
    let (read, written) = (count(CACHE_READ), count(CACHE_WRITE));
    let (mut short, mut long) = (count(CACHE_WRITE_5M), count(CACHE_WRITE_1H));
    // What has been written since it was told for how long lives as long as the rest,
    // at the dearer of the two.
    let unsaid = written.saturating_sub(short + long);
    *(if long > 0 { &mut long } else { &mut short }) += unsaid;
    Some(Usage {
        input_tokens: plain + read + short + long,
        cached_input_tokens: read,
        cache_write_tokens: short,
        cache_write_1h_tokens: long,
        output_tokens: output,
        reasoning_tokens: count(THINKING).min(output),
        web_searches: count(SEARCHES),
        ..Usage::default()
    })
}

/// Two usages as one; `None` if it is absurd.
fn sum(one: Usage, other: Usage) -> Option<Usage> {
    let usage = Usage {
        input_tokens: one.input_tokens.checked_add(other.input_tokens)?,
        cached_input_tokens: one.cached_input_tokens.checked_add(other.cached_input_tokens)?,
        cache_write_tokens: one.cache_write_tokens.checked_add(other.cache_write_tokens)?,
        cache_write_1h_tokens: one
            .cache_write_1h_tokens
            .checked_add(other.cache_write_1h_tokens)?,
        output_tokens: one.output_tokens.checked_add(other.output_tokens)?,
        reasoning_tokens: one.reasoning_tokens.checked_add(other.reasoning_tokens)?,
        web_searches: one.web_searches.checked_add(other.web_searches)?,
        ..Usage::default()
    };
    usage.is_consistent().then_some(usage)
}

#[cfg(test)]
mod tests;
