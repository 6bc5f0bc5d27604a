//! What was spent by day, kept beside the ledger, so that a report need not read it.

use hashbrown::{DefaultHashBuilder, HashMap, HashSet};
use rusqlite::{Connection, params};
use smol_str::SmolStr;

use super::{calls::OpenCall, fault::Fault, meanings::Family, op};
use crate::usage::Usage;

const DAY: u64 = 86_400_000_000_000;

/// Where a sum belongs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    family: i64,
    day: i64,
    scope: i64,
    model: SmolStr,
}

/// What is added to it.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    calls: i64,
    cost: i64,
    estimate: i64,
    input_tokens: i64,
    cached_input_tokens: i64,
    output_tokens: i64,
}

type Map<K, V> = HashMap<K, V, DefaultHashBuilder>;

/// What a transaction adds, in one write for each sum.
#[derive(Debug, Default)]
pub(super) struct Daily {
    spent: Map<Key, Sums>,
    denied: Map<(SmolStr, i64, SmolStr), (i64, i64)>,
}

/// How a call counts: once more, or, to be corrected, once less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Add,
    Subtract,
}

impl Daily {
    /// A call that has ended, on each scope it was charged to; `families` are those of
    /// its bookings, one by one.
    pub(super) fn count(
        &mut self,
        sign: Sign,
        call: &OpenCall,
        families: &[Family],
        model: &SmolStr,
        cost: u64,
        usage: Option<&Usage>,
    ) {
        let signed = |number: u64| {
            let number = i64::try_from(number).unwrap_or(i64::MAX);
            if sign == Sign::Add { number } else { -number }
        };
        let usage = usage.copied().unwrap_or_default();
        let mut seen: HashSet<i64, DefaultHashBuilder> = HashSet::default();
        for (booked, family) in call.bookings.iter().zip(families) {
            if !seen.insert(booked.scope) {
                continue;
            }
            // A user's day is one row whatever models it took, or a year's quarter of many users
            // would be too much to add up while somebody waits for a report.
            let model = if family.is_label { SmolStr::default() } else { model.clone() };
            let key = Key { family: family.id, day: day_of(call.at), scope: booked.scope, model };
            let sums = self.spent.entry(key).or_default();
            for (sum, number) in [
                (&mut sums.calls, 1),
                (&mut sums.cost, cost),
                (&mut sums.estimate, call.estimate),
                (&mut sums.input_tokens, usage.input_tokens),
                (&mut sums.cached_input_tokens, usage.cached_input_tokens),
                (&mut sums.output_tokens, usage.output_tokens),
            ] {
                *sum = sum.saturating_add(signed(number));
            }
        }
    }

    /// A call that was denied.
    pub(super) fn deny(&mut self, denied: &op::Line, rule: &SmolStr, at: u64) {
        let key = (denied.facts.workspace.clone(), day_of(at), rule.clone());
        let sums = self.denied.entry(key).or_default();
        sums.0 += 1;
        sums.1 = sums.1.saturating_add(i64::try_from(denied.estimate).unwrap_or(i64::MAX));
    }

    /// Adds everything to what the file has.
    pub(super) fn write(&mut self, conn: &Connection) -> Result<(), Fault> {
        self.write_spent(conn)?;
        self.write_denied(conn)
    }

    fn write_spent(&mut self, conn: &Connection) -> Result<(), Fault> {
        if self.spent.is_empty() {
            return Ok(());
        }
        // A sum beyond the largest number becomes a float, which the cast turns back into
        // the largest number.
        let mut statement = conn.prepare_cached(
            "INSERT INTO daily VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) \
             ON CONFLICT DO UPDATE SET \
             calls = CAST(calls + excluded.calls AS INTEGER), \
             cost = CAST(cost + excluded.cost AS INTEGER), \
             estimate = CAST(estimate + excluded.estimate AS INTEGER), \
             input_tokens = CAST(input_tokens + excluded.input_tokens AS INTEGER), \
             cached_input_tokens = \
             CAST(cached_input_tokens + excluded.cached_input_tokens AS INTEGER), \
             output_tokens = CAST(output_tokens + excluded.output_tokens AS INTEGER)",
        )?;
        for (line, sums) in self.spent.drain() {
            statement.execute(params![
                line.family,
                line.day,
                line.scope,
                line.model.as_str(),
                sums.calls,
                sums.cost,
                sums.estimate,
                sums.input_tokens,
                sums.cached_input_tokens,
                sums.output_tokens,
            ])?;
        }
        Ok(())
    }

    fn write_denied(&mut self, conn: &Connection) -> Result<(), Fault> {
        if self.denied.is_empty() {
            return Ok(());
        }
        let mut statement = conn.prepare_cached(
            "INSERT INTO denied VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET \
             calls = calls + excluded.calls, \
             estimate = CAST(estimate + excluded.estimate AS INTEGER)",
        )?;
        for ((workspace, day, rule), (calls, estimate)) in self.denied.drain() {
            statement.execute(params![workspace.as_str(), day, rule.as_str(), calls, estimate])?;
        }
        Ok(())
    }

    /// Forgets what a transaction that did not happen would have added.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

/// Days since 1970-01-01.
fn day_of(at: u64) -> i64 {
    (at / DAY).cast_signed()
}
