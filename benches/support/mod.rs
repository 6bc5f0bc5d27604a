//! What the benchmarks share: timing in turns, counting allocations, and a table.
//!
//! A time taken on a shared machine says little; the same work takes twice as long
//! a minute later. So contestants run in short rounds, one after the other and over
//! again, and what is reported is the median over the rounds of their **ratio**
//! (or difference) within a round. In each round everyone plays twice, A B B A: once after
//! another, who took the caches, and once after itself, where it is the first or the last.
#![allow(clippy::expect_used, dead_code, unreachable_pub, unused_imports)] // each benchmark uses a part of it

mod chat;
mod policy;

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

pub use allocation_counter::measure as allocations;
pub use chat::chat;
pub use policy::policy;

/// How thorough a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// For figures.
    Full,
    /// For seeing that it works, in a few seconds: `--quick`, or `cargo test`.
    Quick,
}

impl Effort {
    /// What the command line asks for. `cargo bench` passes `--bench`, which
    /// `cargo test` does not.
    pub fn from_args() -> Self {
        let has = |flag: &str| std::env::args().skip(1).any(|argument| argument == flag);
        if has("--bench") && !has("--quick") && !has("--test") { Self::Full } else { Self::Quick }
    }

    /// One of two sizes; unoptimised builds get a tenth of the smaller one.
    pub fn pick(self, full: usize, quick: usize) -> usize {
        match self {
            Self::Full => full,
            Self::Quick if cfg!(debug_assertions) => quick.div_ceil(10),
            Self::Quick => quick,
        }
    }
}

/// Takes the time of `work`.
#[allow(clippy::disallowed_methods)] // the crate reads time through `Clock`, a stopwatch does not
pub fn time<T>(work: impl FnOnce() -> T) -> Duration {
    let began = Instant::now();
    black_box(work());
    began.elapsed()
}

/// One contestant: plays a round and says how many nanoseconds an operation took.
pub type Contestant<'a> = (&'a str, &'a mut dyn FnMut() -> f64);

/// What the rounds of a race took, in nanoseconds per operation.
pub struct Race {
    names: Vec<String>,
    laps: Vec<Vec<f64>>,
}

/// Lets contestants play `rounds` rounds in turn, there and back: A B C C B A.
pub fn race(rounds: usize, contestants: &mut [Contestant<'_>]) -> Race {
    let names = contestants.iter().map(|(name, _)| (*name).to_owned()).collect();
    let mut laps = vec![Vec::with_capacity(rounds); contestants.len()];
    for (_, play) in contestants.iter_mut() {
        play(); // warms up
    }
    for _ in 0..rounds {
        let there: Vec<_> = contestants.iter_mut().map(|(_, play)| play()).collect();
        let back: Vec<_> = contestants.iter_mut().rev().map(|(_, play)| play()).collect();
        for (index, (there, back)) in there.iter().zip(back.iter().rev()).enumerate() {
            laps[index].push((there + back) / 2.0);
        }
    }
    Race { names, laps }
}

impl Race {
    /// The median time of one contestant.
    pub fn nanos(&self, index: usize) -> f64 {
        median(self.laps[index].iter().copied())
    }

    /// How many times as long as the baseline it takes.
    pub fn ratio(&self, index: usize, baseline: usize) -> f64 {
        median(self.pairs(index, baseline).map(|(own, base)| own / base))
    }

    /// How many nanoseconds more than the baseline it takes.
    pub fn added(&self, index: usize, baseline: usize) -> f64 {
        median(self.pairs(index, baseline).map(|(own, base)| own - base))
    }

    fn pairs(&self, index: usize, baseline: usize) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.laps[index].iter().copied().zip(self.laps[baseline].iter().copied())
    }

    /// Prints the time of every contestant.
    pub fn print_times(&self) {
        for (index, name) in self.names.iter().enumerate() {
            println!("    {name:<44} {:>9.1} ns", self.nanos(index));
        }
    }
}

/// The value in the middle.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Prints the heading of a group of figures.
pub fn heading(text: &str) {
    println!("\n{text}");
}

/// Prints a figure that should be at most `target`.
pub fn at_most(what: &str, figure: f64, unit: &str, target: f64) {
    line(what, figure, unit, '≤', target, figure <= target);
}

/// Prints a figure that should be at least `target`.
pub fn at_least(what: &str, figure: f64, unit: &str, target: f64) {
    line(what, figure, unit, '≥', target, figure >= target);
}

/// Prints a figure without a target.
pub fn note(what: &str, figure: f64, unit: &str) {
    println!("  {what:<46} {figure:>9.2} {unit}");
}

fn line(what: &str, figure: f64, unit: &str, sign: char, target: f64, holds: bool) {
    let verdict = if holds { "ok" } else { "MISSED" };
    println!("  {what:<46} {figure:>9.2} {unit:<5} target {sign} {target:<9} {verdict}");
}

/// A fixed sequence of numbers that looks random.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new() -> Self {
        Self(0x9E37_79B9_7F4A_7C15)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}
