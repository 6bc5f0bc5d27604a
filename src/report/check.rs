//! Whether the file adds up.
//!
//! A counter is a sum that was kept up call by call. The ledger has the calls, the
//! adjustments and what was pruned, so the sum can be made again and compared; the same
//! for the rollup. Whatever a bug, a crash or an edit by hand has done shows here.

use std::{mem, time::Duration};

use rusqlite::Connection;
use serde::Serialize;

use super::{
    Day, Key, Report, ReportError,
    audit::{Audit, DayLine, Sum},
    by_label::value_of,
    counted::{Counted, counted},
    pruned::Pruned,
};
use crate::{clock::Timestamp, store::sqlite::latest::BEHIND};

/// What was looked at, and what does not add up.
///
/// For an example see [`report`](crate::report).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Check {
    /// Calls in the ledger that were added up.
    pub calls: u64,
    /// Counters of scopes that were compared: those of calendar periods that are not over,
    /// and of all time. A sliding window forgets what it counted.
    pub counters: u64,
    /// Days of the rollup that were compared, by workspace or label. Days of which calls
    /// were pruned are left out.
    pub days: u64,
    /// How many calls were pruned from the ledger.
    pub pruned: u64,
    /// The first day that could be compared, if calls were pruned.
    pub complete_from: Option<Day>,
    /// What is wrong with the file: what SQLite finds, and calls of which nobody can tell what
    /// they booked.
    pub faults: Vec<String>,
    /// Sums that are not what they should be.
    pub mismatches: Vec<Mismatch>,
    /// The file's time: the latest that a store was ever told.
    pub time: Timestamp,
    /// The time now, by the report's clock.
    pub clock: Timestamp,
}

/// A sum that is not what it should be. Numbers are nano-dollars or calls.
///
/// For an example see [`report`](crate::report).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Mismatch {
    /// Of what: a workspace and a key, or a workspace, a label and a day.
    pub of: String,
    /// Which number of it: `settled`, `reserved`, `calls`, `cost`, `estimate`.
    pub number: &'static str,
    /// What the file has.
    pub kept: i128,
    /// What the ledger, the adjustments and what was pruned add up to.
    pub adds_up_to: i128,
}

impl Check {
    /// Whether everything adds up.
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty() && self.mismatches.is_empty()
    }

    /// By how much the file's time is ahead of the clock, if that is more than five minutes: a
    /// clock was wrong once, or is now. A store never goes back in time, so until the clock is
    /// there, periods do not end and sliding windows stand still.
    pub fn is_ahead_by(&self) -> Option<Duration> {
        let ahead = self.time.since(self.clock);
        (ahead > BEHIND).then_some(ahead)
    }
}

/// As many complaints are enough to know that there is something.
const MOST_FAULTS: u32 = 20;

impl Report {
    /// Adds everything up again. It looks at the whole file as it is at one moment, of all
    /// workspaces, which takes about a second for a million calls; meanwhile the store goes
    /// on, but its log grows.
    ///
    /// # Errors
    /// [`ReportError`] if the file cannot be read. What does not add up is no error, but in
    /// the [`Check`].
    pub fn check(&self) -> Result<Check, ReportError> {
        self.look(|db| {
            let faults = faults(db)?;
            if !faults.is_empty() {
                // Sums of a damaged file say nothing.
                return Ok(Check { faults, ..Check::default() });
            }
            let counters = counted(db, None)?;
            let mut audit = Audit::of(db, &counters)?;
            let faults = told(mem::take(&mut audit.unreadable));
            let Pruned { calls: pruned, complete_from } = audit.pruned;
            let complete_from = (pruned > 0).then_some(complete_from);
            let calls = audit.calls;
            let (time, clock) = (Timestamp::from_nanos(audit.now), self.clock.now());
            let sums = Check { calls, pruned, complete_from, ..Check::default() };
            let mut check = Check { faults, time, clock, ..sums };
            check.compare_counters(db, &audit, &counters)?;
            check.compare_days(db, &audit)?;
            check.mismatches.sort_by(|one, other| one.of.cmp(&other.of));
            Ok(check)
        })
    }
}

/// The first of many, and how many more there are.
fn told(mut faults: Vec<String>) -> Vec<String> {
    let more = faults.len().saturating_sub(MOST_FAULTS as usize);
    if more > 0 {
        faults.truncate(MOST_FAULTS as usize);
        faults.push(format!("what {more} more calls booked cannot be read"));
    }
    faults
}

fn faults(db: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut faults = Vec::new();
    let mut statement = db.prepare(&format!("PRAGMA integrity_check({MOST_FAULTS})"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let line: String = row.get(0)?;
        if line != "ok" {
            faults.push(line);
        }
    }
    let mut statement = db.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query([])?;
    while faults.len() < MOST_FAULTS as usize
        && let Some(row) = rows.next()?
    {
        let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
        faults.push(format!("a row of `{table}` belongs to a row of `{parent}` that is not there"));
    }
    Ok(faults)
}

impl Check {
    fn compare_counters(
        &mut self,
        db: &Connection,
        audit: &Audit,
        counters: &[Counted],
    ) -> rusqlite::Result<()> {
        self.counters = audit.lines.len() as u64;
        for ((scope, counter), line) in &audit.lines {
            let numbers = [("settled", line.settled), ("reserved", line.reserved)];
            // One that reached the largest number no longer knows how far above it was.
            let is_full = line.settled.kept + line.reserved.kept >= i128::from(u64::MAX);
            let is_wrong = |sum: &Sum| sum.kept != sum.adds_up_to && !is_full;
            let wrong = numbers.into_iter().filter(|(_, sum)| is_wrong(sum));
            for (number, sum) in wrong {
                let of = match counters.iter().find(|counted| counted.id == *counter) {
                    None => format!("counter {counter}"),
                    Some(Counted { key, .. }) => {
                        let scope = key.scope(&value_of(db, *scope)?);
                        let (window, unit) = (key.window, key.unit);
                        format!("{} {}", key.workspace, Key { scope, window, unit })
                    }
                };
                self.mismatch(of, number, sum);
            }
        }
        Ok(())
    }

    fn compare_days(&mut self, db: &Connection, audit: &Audit) -> rusqlite::Result<()> {
        let first = audit.pruned.complete_from.number();
        let mut names = db.prepare("SELECT workspace, label FROM family WHERE id = ?1")?;
        let ended =
            audit.days.iter().map(|((family, day), line)| (*day, line, Some(*family), None));
        let denied = audit.denied.iter();
        let denied = denied.map(|((workspace, day), line)| (*day, line, None, Some(workspace)));
        for (day, line, family, workspace) in ended.chain(denied).filter(|(day, ..)| *day >= first)
        {
            self.days += 1;
            let DayLine { calls, cost, estimate } = *line;
            let numbers = [("calls", calls), ("cost", cost), ("estimate", estimate)];
            // A sum of the rollup stops at the largest number of 63 bits.
            let full = i128::from(i64::MAX);
            let is_wrong = |sum: &Sum| sum.kept != sum.adds_up_to && sum.kept < full;
            for (number, sum) in numbers.into_iter().filter(|(_, sum)| is_wrong(sum)) {
                let name = match (family, workspace) {
                    (Some(family), _) => names.query_row([family], |row| {
                        let (workspace, label): (String, Option<String>) =
                            (row.get(0)?, row.get(1)?);
                        Ok(format!("{workspace} {}", label.unwrap_or_default())
                            .trim_end()
                            .to_owned())
                    })?,
                    (None, workspace) => {
                        format!("{} denied", workspace.map_or("", |workspace| workspace))
                    }
                };
                let day =
                    Day::numbered(day).map_or_else(|| format!("day {day}"), |day| day.to_string());
                self.mismatch(format!("{name} {day}"), number, sum);
            }
        }
        Ok(())
    }

    fn mismatch(&mut self, of: String, number: &'static str, sum: Sum) {
        let Sum { kept, adds_up_to } = sum;
        self.mismatches.push(Mismatch { of, number, kept, adds_up_to });
    }
}
