//! What a store should answer, worked out the slow way.
//!
//! The model keeps nothing but the log of what was done. For every question it
//! replays the whole log from the beginning, so there is no state to go wrong.

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Unbounded},
    sync::LazyLock,
};

use driftlock::{
    Retry, Timestamp, Unit,
    store::{Limit, Reading, Refusal},
};

use super::{SECOND, nanos};

/// How long a counter of the model remembers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Span {
    Month,
    Day,
    Lifetime,
    /// Calls, each for exactly this long.
    Exact(u64),
    /// In sixtieths of this, the oldest one whole.
    Buckets(u64),
}

/// The first moments of all months.
static MONTHS: LazyLock<Vec<u64>> = LazyLock::new(|| {
    let months = (2026..2030).flat_map(|year| (1..=12).map(move |month| (year, month)));
    months.map(|(year, month)| nanos(&format!("{year}-{month:02}-01T00:00:00Z"))).collect()
});

impl Span {
    /// Until when something booked at `at` counts, from 2026 to 2029.
    pub(crate) fn until(self, at: u64) -> u64 {
        match self {
            Self::Month => *MONTHS.iter().find(|first| **first > at).unwrap(),
            Self::Day => (at / (86_400 * SECOND) + 1) * 86_400 * SECOND,
            Self::Lifetime => u64::MAX,
            Self::Exact(length) => at + length,
            Self::Buckets(length) => (at / (length / 60) + 61) * (length / 60),
        }
    }

    fn slides(self) -> bool {
        matches!(self, Self::Exact(_) | Self::Buckets(_))
    }
}

/// One line of the log.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    /// Reserved, as number 0, 1, 2, … : counter, value, amount; and for how long.
    Reserved(Vec<(usize, String, u64)>, u64),
    Settled(usize, u64),
    Released(usize),
    Extended(usize, u64),
    Adjusted(usize, String, i64),
    /// The store was asked something that changed nothing.
    Asked,
}

/// The log, and what its counters mean.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) counters: Vec<(Unit, Span)>,
    pub(crate) log: Vec<(u64, Entry)>,
}

/// Settled and reserved amounts by counter and value, and by when they leave.
type Parts = BTreeMap<(usize, String), BTreeMap<u64, (u64, u64)>>;

struct Open {
    charges: Vec<(usize, String, u64, u64)>,
    deadline: u64,
    is_open: bool,
    is_over: bool,
}

impl Model {
    /// The store's time: the latest it has seen.
    pub(crate) fn now(&self, at: u64) -> u64 {
        self.log.iter().map(|(at, _)| *at).fold(at, u64::max)
    }

    /// Everything that ever happened, as it stands at `at`.
    fn replay(&self, at: u64) -> Parts {
        let mut parts = Parts::new();
        let mut calls: Vec<Open> = Vec::new();
        let mut now = 0;
        for (at, entry) in self.log.iter().chain([&(at, Entry::Asked)]) {
            now = now.max(*at);
            for call in calls.iter_mut().filter(|call| call.is_open && call.deadline <= now) {
                call.is_open = false;
                for (counter, value, amount, until) in &call.charges {
                    if self.counters[*counter].0 == Unit::Cost {
                        let part = part(&mut parts, *counter, value, *until);
                        *part = (part.0 + amount, part.1 - amount);
                    }
                }
            }
            self.apply(entry, now, &mut parts, &mut calls);
        }
        parts
    }

    fn apply(&self, entry: &Entry, now: u64, parts: &mut Parts, calls: &mut Vec<Open>) {
        match entry {
            Entry::Reserved(charges, lasts) => {
                let mut booked = Vec::new();
                for (counter, value, amount) in charges {
                    let until = self.counters[*counter].1.until(now);
                    // Calls stay counted, so they count as settled at once.
                    match self.counters[*counter].0 {
                        Unit::Cost => part(parts, *counter, value, until).1 += amount,
                        Unit::Calls => part(parts, *counter, value, until).0 += amount,
                    }
                    booked.push((*counter, value.clone(), *amount, until));
                }
                let (is_open, is_over) = (true, false);
                calls.push(Open { charges: booked, deadline: now + lasts, is_open, is_over });
            }
            Entry::Settled(call, cost) => {
                let kept = |unit, amount| if unit == Unit::Cost { *cost } else { amount };
                self.end(&mut calls[*call], parts, now, kept);
            }
            Entry::Released(call) => self.end(&mut calls[*call], parts, now, |_, _| 0),
            Entry::Extended(call, deadline) if calls[*call].is_open => {
                calls[*call].deadline = calls[*call].deadline.max(*deadline);
            }
            Entry::Adjusted(counter, value, delta) if *delta >= 0 => {
                let until = self.counters[*counter].1.until(now);
                part(parts, *counter, value, until).0 += delta.unsigned_abs();
            }
            Entry::Adjusted(counter, value, delta) => {
                let mut left = delta.unsigned_abs();
                let counter = parts.entry((*counter, value.clone())).or_default();
                for (_, part) in counter.range_mut(now + 1..).rev() {
                    let taken = left.min(part.0);
                    part.0 -= taken;
                    left -= taken;
                }
            }
            Entry::Extended(..) | Entry::Asked => {}
        }
    }

    fn end(&self, call: &mut Open, parts: &mut Parts, now: u64, kept: impl Fn(Unit, u64) -> u64) {
        if std::mem::replace(&mut call.is_over, true) {
            return;
        }
        let was_open = std::mem::replace(&mut call.is_open, false);
        for (counter, value, amount, until) in &call.charges {
            let (unit, span) = self.counters[*counter];
            let kept = kept(unit, *amount);
            let own = part(parts, *counter, value, *until);
            if was_open && unit == Unit::Cost {
                *own = (own.0 + amount, own.1 - amount);
            }
            own.0 = own.0.saturating_sub(amount.saturating_sub(kept));
            let over = kept.saturating_sub(*amount);
            let until = if span.slides() { span.until(now) } else { *until };
            part(parts, *counter, value, until).0 += over;
        }
    }

    /// What a counter holds.
    pub(crate) fn reading(&self, counter: usize, value: &str, at: u64) -> Reading {
        let now = self.now(at);
        let parts = self.replay(at);
        let counting = parts.get(&(counter, value.to_owned())).into_iter().flatten();
        let (settled, reserved) = counting
            .filter(|(until, _)| **until > now)
            .fold((0, 0), |sum, (_, part)| (sum.0 + part.0, sum.1 + part.1));
        let span = self.counters[counter].1;
        let resets_at =
            matches!(span, Span::Month | Span::Day).then(|| Timestamp::from_nanos(span.until(now)));
        Reading { settled, reserved, raised: 0, resets_at }
    }

    /// Whether a hold has room at `at`, and else what the refusal should say.
    pub(crate) fn decide(
        &self,
        charges: &[(usize, String, u64)],
        limits: &[Limit],
        at: u64,
    ) -> Result<(), Refusal> {
        let mut first = None;
        let mut retries = Vec::new();
        for (index, limit) in limits.iter().enumerate() {
            let (counter, value, _) = &charges[usize::from(limit.charge)];
            let reading = self.reading(*counter, value, at);
            if reading.used() + limit.ask > limit.limit {
                first.get_or_insert((index, reading));
                retries.push(self.retry(*counter, value, limit, reading, at));
            }
        }
        let Some((limit, reading)) = first else { return Ok(()) };
        let latest = retries.iter().filter_map(|retry| match retry {
            Retry::At(time) => Some(*time),
            _ => None,
        });
        let retry = match latest.max() {
            _ if retries.contains(&Retry::Never) => Retry::Never,
            Some(time) => Retry::At(time),
            None => Retry::WhenInFlightSettles,
        };
        Err(Refusal { limit, used: reading.used(), reserved: reading.reserved, raised: 0, retry })
    }

    fn retry(&self, counter: usize, value: &str, limit: &Limit, has: Reading, at: u64) -> Retry {
        if limit.ask > limit.limit {
            return Retry::Never;
        }
        let (now, span) = (self.now(at), self.counters[counter].1);
        if !span.slides() && has.settled + limit.ask <= limit.limit {
            return Retry::WhenInFlightSettles;
        }
        let parts = &self.replay(at)[&(counter, value.to_owned())];
        let enough = parts.range(now + 1..).map(|(until, _)| *until).find(|time| {
            let used: u64 =
                parts.range((Excluded(*time), Unbounded)).map(|(_, part)| part.0 + part.1).sum();
            used + limit.ask <= limit.limit
        });
        match (span, enough) {
            (Span::Lifetime, _) | (_, None) => Retry::Never,
            (_, Some(time)) => Retry::At(Timestamp::from_nanos(time)),
        }
    }
}

fn part<'a>(parts: &'a mut Parts, counter: usize, value: &str, until: u64) -> &'a mut (u64, u64) {
    parts.entry((counter, value.to_owned())).or_default().entry(until).or_default()
}
