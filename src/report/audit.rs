//! The sums of a check, made again call by call.
//!
//! It takes memory for counters and days, not for calls.

use hashbrown::HashMap;
use rusqlite::{Connection, Row};

use super::{counted::Counted, error::nonsense, pruned::Pruned};
use crate::{
    claim::Unit,
    clock::Timestamp,
    store::sqlite::{
        blob::{Booked, bookings_from_bytes},
        words::from_sql,
    },
    usd::Usd,
    window::Window,
};

/// A sum as it was kept, and as it adds up.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    pub(super) kept: i128,
    pub(super) adds_up_to: i128,
}

/// A counter of a scope in its current period.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) until: u64,
    pub(super) settled: Sum,
    pub(super) reserved: Sum,
}

/// A day: of a family what ended, or of a workspace what was denied.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DayLine {
    pub(super) calls: Sum,
    pub(super) cost: Sum,
    pub(super) estimate: Sum,
}

#[derive(Debug, Default)]
pub(super) struct Audit {
    counters: HashMap<i64, Meaning>,
    /// The file's time.
    pub(super) now: u64,
    /// By scope and counter.
    pub(super) lines: HashMap<(i64, i64), Line>,
    /// By family and day.
    pub(super) days: HashMap<(i64, i64), DayLine>,
    /// By workspace and day.
    pub(super) denied: HashMap<(String, i64), DayLine>,
    pub(super) calls: u64,
    /// Calls of which nobody can tell what they booked, each in words.
    pub(super) unreadable: Vec<String>,
    pub(super) pruned: Pruned,
}

/// What has to be known of a counter.
#[derive(Clone, Copy, Debug)]
struct Meaning {
    is_cost: bool,
    slides: bool,
    family: i64,
}

const DAY: u64 = 86_400 * 1_000_000_000;

impl Audit {
    /// Everything that was kept, and everything it is made of.
    pub(super) fn of(db: &Connection, counters: &[Counted]) -> rusqlite::Result<Self> {
        let now = db.query_row("SELECT now FROM store", [], |row| row.get(0).map(from_sql))?;
        let mut audit = Self { now, ..Self::default() };
        for Counted { id, family, key } in counters {
            let is_cost = key.unit == Unit::Cost;
            let slides = matches!(key.window, Window::Sliding(_));
            audit.counters.insert(*id, Meaning { is_cost, slides, family: *family });
        }
        audit.read_counters(db)?;
        audit.read_changes(db)?;
        audit.read_days(db)?;
        audit.read_calls(db)?;
        audit.pruned = Pruned::of(db)?;
        Ok(audit)
    }

    /// The counters of periods that are not over at the store's time: once they are, what
    /// happens to their calls is no longer booked on them.
    fn read_counters(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let mut statement = db.prepare("SELECT scope, counter, used, open, until FROM amount")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (scope, counter): (i64, i64) = (row.get(0)?, row.get(1)?);
            let (used, open) = (from_sql(row.get(2)?), from_sql(row.get(3)?));
            let until = from_sql(row.get(4)?);
            let slides = self.counters.get(&counter).is_none_or(|meaning| meaning.slides);
            if slides || until <= self.now {
                continue;
            }
            let kept = |kept: i128| Sum { kept, adds_up_to: 0 };
            let (used, open) = (i128::from(used), i128::from(open));
            let line = Line { until, settled: kept(used - open), reserved: kept(open) };
            self.lines.insert((scope, counter), line);
        }
        Ok(())
    }

    /// Adjustments, and what was pruned from the ledger.
    fn read_changes(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let adjusted = "SELECT scope, counter, until, delta FROM adjustment";
        self.read_changed(db, adjusted, |row| row.get::<_, i64>(3).map(i128::from))?;
        let carried = "SELECT scope, counter, until, amount FROM carried";
        self.read_changed(db, carried, |row| row.get(3).map(from_sql).map(i128::from))
    }

    fn read_changed(
        &mut self,
        db: &Connection,
        sql: &str,
        amount: impl Fn(&Row<'_>) -> rusqlite::Result<i128>,
    ) -> rusqlite::Result<()> {
        let mut statement = db.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let until = from_sql(row.get(2)?);
            if let Some(line) = self.lines.get_mut(&(row.get(0)?, row.get(1)?))
                && line.until == until
            {
                line.settled.adds_up_to += amount(row)?;
            }
        }
        Ok(())
    }

    fn read_days(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let mut statement = db.prepare("SELECT family, day, calls, cost, estimate FROM daily")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let line = self.days.entry((row.get(0)?, row.get(1)?)).or_default();
            line.keep(row.get(2)?, row.get(3)?, row.get(4)?);
        }
        let mut statement = db.prepare("SELECT workspace, day, calls, estimate FROM denied")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let line = self.denied.entry((row.get(0)?, row.get(1)?)).or_default();
            line.keep(row.get(2)?, 0, row.get(3)?);
        }
        Ok(())
    }

    fn read_calls(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let sql =
            "SELECT at, outcome, estimate, cost, charges, workspace, id FROM call ORDER BY id";
        let mut statement = db.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            self.calls += 1;
            let (at, estimate, cost) = (from_sql(row.get(0)?), row.get(2)?, row.get(3)?);
            let day = (at / DAY).cast_signed();
            let outcome = row.get_ref(1)?.as_str().map_err(nonsense)?;
            if outcome == "denied" {
                let workspace = row.get_ref(5)?.as_str_or_null().map_err(nonsense)?;
                let workspace = workspace.unwrap_or_default().to_owned();
                self.denied.entry((workspace, day)).or_default().count(0, estimate);
                continue;
            }
            let charges = row.get_ref(4)?.as_blob_or_null().map_err(nonsense)?;
            let bookings = charges.map_or_else(|| Some(Default::default()), bookings_from_bytes);
            let call = Call { at, day, outcome, estimate, cost };
            // One that was set aside may be of that kind because of what it booked on.
            match bookings.filter(|_| outcome != "unreadable") {
                Some(bookings) => self.count(&call, &bookings),
                None => self.unreadable.push(call.unreadable(from_sql(row.get(6)?))),
            }
        }
        Ok(())
    }

    fn count(&mut self, call: &Call<'_>, bookings: &[Booked]) {
        let is_open = call.outcome == "open";
        let is_sent = call.outcome != "not_sent";
        for (place, booked) in bookings.iter().enumerate() {
            let Some(meaning) = self.counters.get(&booked.counter).copied() else { continue };
            let Meaning { is_cost, slides, family } = meaning;
            let is_first = bookings.iter().take(place).all(|one| one.scope != booked.scope);
            if is_first && !is_open && is_sent {
                let line = self.days.entry((family, call.day)).or_default();
                line.count(call.cost, call.estimate);
            }
            let until = call.at.wrapping_add(booked.lasts);
            if slides || until <= self.now {
                continue;
            }
            // A counter that is not there holds nothing.
            let none = Line { until, settled: Sum::default(), reserved: Sum::default() };
            let line = self.lines.entry((booked.scope, booked.counter)).or_insert(none);
            if line.until != until {
                continue;
            }
            let settled = match (is_cost, is_open) {
                (true, true) => {
                    line.reserved.adds_up_to += i128::from(from_sql(call.estimate));
                    0
                }
                (true, false) => i128::from(from_sql(call.cost)),
                (false, _) => i128::from(is_sent),
            };
            line.settled.adds_up_to += settled;
        }
    }
}

struct Call<'a> {
    at: u64,
    day: i64,
    outcome: &'a str,
    estimate: i64,
    cost: i64,
}

impl Call<'_> {
    fn unreadable(&self, id: u64) -> String {
        let counted = if self.outcome == "open" { self.estimate } else { self.cost };
        let (at, counted) = (Timestamp::from_nanos(self.at), Usd::nanos(from_sql(counted)));
        format!(
            "what call {id} of {at} booked cannot be read: it counts at {counted} ({}), and what it \
             is part of does not add up",
            self.outcome
        )
    }
}

impl DayLine {
    fn keep(&mut self, calls: i64, cost: i64, estimate: i64) {
        self.calls.kept += i128::from(from_sql(calls));
        self.cost.kept += i128::from(from_sql(cost));
        self.estimate.kept += i128::from(from_sql(estimate));
    }

    fn count(&mut self, cost: i64, estimate: i64) {
        self.calls.adds_up_to += 1;
        self.cost.adds_up_to += i128::from(from_sql(cost));
        self.estimate.adds_up_to += i128::from(from_sql(estimate));
    }
}
