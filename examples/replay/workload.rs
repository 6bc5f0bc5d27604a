//! Makes a chat call of each row of a trace: who makes it, of which model, in what words.
//!
//! The trace knows only times and token counts. Everything else follows from the row's
//! number, so that every run of the same trace makes the same calls.

use std::{sync::OnceLock, time::Duration};

use bytes::Bytes;
use driftlock::Labels;
use http_body_util::Full;
use serde_json::json;

use crate::{loopback, trace::Row};

/// One call.
#[derive(Clone, Debug)]
pub(crate) struct Chat {
    pub(crate) row: Row,
    pub(crate) user: String,
    pub(crate) team: &'static str,
    pub(crate) max_tokens: Option<u64>,
    plan: &'static str,
    model: &'static str,
    stream: bool,
    is_code: bool,
    number: u64,
}

/// Models and how many calls in a hundred ask for them.
const MODELS: [(&str, u64); 5] =
    [("gpt-4o-mini", 50), ("gpt-4o", 25), ("gpt-4.1", 13), ("gpt-4.1-mini", 10), ("gpt-4", 2)];
/// The team of each user in five.
const TEAMS: [&str; 5] = ["support", "support", "support", "search", "research"];
const USERS: u64 = 40;
/// Answers longer than this state a maximum, as a careful caller would.
const LONG: u64 = 4_000;

impl Chat {
    pub(crate) fn new(number: usize, row: Row) -> Self {
        let number = number as u64;
        let mut dice = Dice(number);
        // The smaller of two throws: some users make many more calls than others.
        let user = dice.below(USERS).min(dice.below(USERS));
        let states_maximum = dice.below(3) > 0 || row.generated > LONG;
        Self {
            row,
            user: format!("u-{user:02}"),
            team: TEAMS[(user % 5) as usize],
            plan: if user % 4 == 3 { "free" } else { "paid" },
            model: dice.model(),
            stream: dice.below(2) == 0,
            max_tokens: states_maximum.then(|| row.generated.next_power_of_two().max(64)),
            is_code: dice.below(5) == 0,
            number,
        }
    }

    /// How long the answer took: half a second to begin with, then 50 tokens a second.
    /// The trace does not tell, but a call holds what it reserved for so long.
    pub(crate) fn duration(&self) -> Duration {
        Duration::from_millis(500 + 20 * self.row.generated)
    }

    pub(crate) fn request(&self, url: &str) -> Result<http::Request<Full<Bytes>>, http::Error> {
        let mut body = json!({
            "model": self.model,
            "messages": [
                { "role": "system", "content": SYSTEM },
                { "role": "user", "content": self.prompt() },
            ],
            "stream": self.stream,
            "user": self.user,
            "metadata": {
                "prompt_tokens": self.row.context.to_string(),
                "completion_tokens": self.row.generated.to_string(),
            },
        });
        if let Some(most) = self.max_tokens {
            body["max_tokens"] = most.into();
        }
        let labels = Labels::new()
            .with("user", self.user.as_str())
            .with("team", self.team)
            .with("plan", self.plan);
        http::Request::post(format!("{url}{}", loopback::CHAT))
            .header("content-type", "application/json")
            .extension(labels)
            .body(Full::from(body.to_string()))
    }

    /// A text of as many tokens as the trace says, less those of the rest of the call.
    fn prompt(&self) -> String {
        let tokens = if self.is_code { code() } else { prose() };
        let count = self.row.context.saturating_sub(FRAMING).max(1) as usize;
        let start = self.number as usize % tokens.len();
        tokens.iter().cycle().skip(start).take(count).copied().collect()
    }
}

const SYSTEM: &str = "Answer briefly.";
/// The system prompt and what stands around two messages.
const FRAMING: u64 = 14;

/// Of English, a token has nearly five bytes.
fn prose() -> &'static [&'static str] {
    static TOKENS: OnceLock<Vec<&str>> = OnceLock::new();
    TOKENS.get_or_init(|| {
        tokens(
            " The| customer| wrote| that| the| delivery| was| late|,| and| that| nobody| from| our\
             | office| had| called| back|.| Please| read| the| whole| conversation| below|,| find\
             | out| what| went| wrong|,| and| suggest| an| answer| that| is| both| short| and\
             | friendly|.| If| some| information| is| missing|,| say| which| question| should| be\
             | asked| first|.| Do| not| promise| a| date| or| a| price| to| anyone|.|\n\n",
        )
    })
}

/// Code is denser: a token has three bytes and a half.
fn code() -> &'static [&'static str] {
    static TOKENS: OnceLock<Vec<&str>> = OnceLock::new();
    TOKENS.get_or_init(|| {
        tokens(
            "for| i|,| row| in| enumerate|(rows|):\n|   | if| not| row|:| continue|\n|   | id|,\
             | price| =| int|(row|[|0|]),| float|(row|[|3|])\n|   | if| price| >| limit|:\n\
             |       | late|.append|(id|)\n|   | total| +=| price| *| row|[|4|]\n|return| total|\n\n",
        )
    })
}

/// Written out with a bar between tokens, about as tokenizers of OpenAI's cut them.
fn tokens(text: &'static str) -> Vec<&'static str> {
    text.split('|').collect()
}

/// Numbers that look random and are the same every time (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn model(&mut self) -> &'static str {
        let mut throw = self.below(100);
        for (model, share) in MODELS {
            match throw.checked_sub(share) {
                None => return model,
                Some(rest) => throw = rest,
            }
        }
        MODELS[0].0
    }
}
