//! How a call ends: settled, released or expired; and changes by hand.

use rusqlite::{Connection, params};
use smallvec::SmallVec;

use super::{
    calls::{OpenCall, due, next_deadline},
    daily::Sign,
    fault::Fault,
    meanings::Family,
    op::{Change, Ended, Line, What, before_the_end},
    shared::Registry,
    state::{Failed, State},
    words::to_sql,
};
use crate::{settled::SettledHow, store::contract::Reading, usage::Usage};

/// Which family's scope each booking is on.
pub(super) type Families = SmallVec<[Family; 8]>;

impl State {
    /// Replaces what is reserved by what the call cost; calls stay counted.
    pub(super) fn settle(
        &mut self,
        id: u64,
        cost: u64,
        at: u64,
        ended: Option<&Ended>,
        conn: &Connection,
        registry: &Registry,
    ) -> Result<(), Fault> {
        let now = self.advance(at, conn, registry)?;
        let Some((call, families)) = self.find(id, conn, registry)? else {
            return self.add_beyond(id, cost, conn, registry);
        };
        let (refund, over) =
            (call.estimate.saturating_sub(cost), cost.saturating_sub(call.estimate));
        for booked in &call.bookings {
            let meaning = self.meanings.of_row(booked.counter, conn, registry)?;
            let (is_cost, mut horizon) = (meaning.is_cost, meaning.horizon);
            if !is_cost {
                continue;
            }
            let until = call.at.wrapping_add(booked.lasts);
            let amount = self.scopes.change(booked.scope, booked.counter);
            amount.amounts.roll(now);
            let open = if call.is_expired { 0 } else { call.estimate };
            let given = amount.amounts.close(until, now, open, refund);
            if over > 0 {
                let until = if horizon.slides() { horizon.until(now) } else { until };
                if until > now {
                    amount.amounts.add(until, over);
                }
            }
            let lacks = refund - given.min(refund);
            if lacks > 0 && until > now && !horizon.slides() {
                // Somebody has taken away by hand what was to be given back.
                let at = (booked.scope, booked.counter, until);
                write_adjustment(conn, now, at, lacks.into(), "given back before")?;
            }
        }
        if call.is_expired && refund > 0 {
            self.note_fall();
        }
        let outcome = ended.map_or("settled", |ended| ended.how.name());
        self.count_end(&call, &families, cost, ended);
        self.calls.end(id, outcome, cost, ended, conn)?;
        self.note_change();
        Ok(())
    }

    /// Keeps the daily sums up with a call that ended, or ended otherwise than it seemed.
    fn count_end(
        &mut self,
        call: &OpenCall,
        families: &Families,
        cost: u64,
        ended: Option<&Ended>,
    ) {
        if call.is_expired {
            self.daily.count(Sign::Subtract, call, families, &call.model, call.estimate, None);
        }
        let answered = ended.and_then(|ended| ended.model.as_ref());
        let usage: Option<&Usage> = ended.and_then(|ended| ended.usage.as_ref());
        self.daily.count(Sign::Add, call, families, answered.unwrap_or(&call.model), cost, usage);
    }

    /// Gives everything back, calls included.
    pub(super) fn release(
        &mut self,
        id: u64,
        at: u64,
        conn: &Connection,
        registry: &Registry,
    ) -> Result<(), Fault> {
        let now = self.advance(at, conn, registry)?;
        let Some((call, families)) = self.find(id, conn, registry)? else { return Ok(()) };
        for booked in &call.bookings {
            let meaning = self.meanings.of_row(booked.counter, conn, registry)?;
            let (is_cost, slides) = (meaning.is_cost, meaning.horizon.slides());
            let (open, refund) = match (is_cost, call.is_expired) {
                (true, false) => (call.estimate, call.estimate),
                (true, true) => (0, call.estimate),
                (false, _) => (0, 1),
            };
            let until = call.at.wrapping_add(booked.lasts);
            let amount = self.scopes.change(booked.scope, booked.counter);
            amount.amounts.roll(now);
            let given = amount.amounts.close(until, now, open, refund);
            let lacks = refund - given.min(refund);
            if lacks > 0 && until > now && !slides {
                let at = (booked.scope, booked.counter, until);
                write_adjustment(conn, now, at, lacks.into(), "given back before")?;
            }
        }
        if call.is_expired {
            self.daily.count(Sign::Subtract, &call, &families, &call.model, call.estimate, None);
        }
        // Calls come back, and of an expired one also money: settled spend has fallen.
        self.note_fall();
        self.calls.end(id, SettledHow::NotSent.name(), 0, None, conn)
    }

    /// Moves a deadline to a later time, unless it has passed already.
    pub(super) fn extend(
        &mut self,
        id: u64,
        deadline: u64,
        conn: &Connection,
    ) -> Result<(), Fault> {
        self.calls.extend(id, before_the_end(deadline), self.now(), conn)
    }

    /// Counts every call whose deadline is reached as settled at what it reserved.
    pub(super) fn expire(&mut self, conn: &Connection, registry: &Registry) -> Result<(), Fault> {
        let now = self.now();
        loop {
            let ids = due(now, conn)?;
            if ids.is_empty() {
                break;
            }
            for id in ids {
                let Some((call, families)) = self.find(id, conn, registry)? else { continue };
                for booked in &call.bookings {
                    if self.meanings.of_row(booked.counter, conn, registry)?.is_cost {
                        let until = call.at.wrapping_add(booked.lasts);
                        let amount = self.scopes.change(booked.scope, booked.counter);
                        amount.amounts.roll(now);
                        amount.amounts.close(until, now, call.estimate, 0);
                    }
                }
                self.daily.count(Sign::Add, &call, &families, &call.model, call.estimate, None);
                self.calls.expire(id, call.estimate, conn)?;
            }
            self.note_change();
        }
        self.due = next_deadline(conn)?;
        Ok(())
    }

    /// Writes a call down that was denied, or sent without being counted.
    pub(super) fn write(
        &mut self,
        line: &Line,
        conn: &Connection,
        registry: &Registry,
    ) -> Result<(), Fault> {
        let at = self.advance(line.at, conn, registry)?;
        let id = self.next_call();
        self.calls.write(id, at, line, conn)?;
        if let Some(rule) = &line.denied_by {
            self.daily.deny(line, rule, at);
        }
        Ok(())
    }

    /// Changes what is settled on one counter, or its limits.
    pub(super) fn change(
        &mut self,
        change: &Change,
        conn: &Connection,
        registry: &Registry,
    ) -> Result<Reading, Failed> {
        let now = self.advance(change.at, conn, registry)?;
        if self.meanings.find(change.counter, registry).is_none() {
            return Err(Failed::Senseless("a counter of another store"));
        }
        if matches!(change.what, What::Reset) && !self.meanings.is_in_file(change.counter, conn)? {
            return Err(Failed::Senseless("nothing counts that"));
        }
        let takes = match change.what {
            What::Add(delta) => delta <= 0,
            What::Reset => true,
            What::Raise { .. } => false,
        };
        if !takes || self.place(change.counter, &change.value, conn)?.is_some() {
            self.apply(change, now, conn)?;
        }
        self.read(change.counter, &change.value, now, conn, registry)
    }

    fn apply(&mut self, change: &Change, now: u64, conn: &Connection) -> Result<(), Fault> {
        let row = self.meanings.row(change.counter, conn)?;
        let scope = self.scopes.enter(row.family, &change.value, conn)?;
        self.scopes.load(scope, conn)?;
        let Some(meaning) = self.meanings.at(change.counter) else { return Ok(()) };
        let amount = self.scopes.change(scope, row.id);
        let counter = &mut amount.amounts;
        counter.roll(now);
        let mut until = meaning.horizon.until(now);
        let delta = match change.what {
            What::Add(delta) if delta >= 0 => {
                let before = counter.used();
                until = meaning.times.until(&mut meaning.horizon, now, counter);
                until = counter.add(until, delta.unsigned_abs());
                i128::from(counter.used() - before)
            }
            What::Add(delta) => -i128::from(counter.take_settled(delta.unsigned_abs())),
            What::Reset => {
                let settled = counter.used() - counter.open().min(counter.used());
                -i128::from(counter.take_settled(settled))
            }
            What::Raise { by, until } => {
                amount.raise(by, until);
                self.note_fall();
                return write_raise(conn, now, (scope, row.id), by, until, &change.reason);
            }
        };
        match delta < 0 {
            true => self.note_fall(),
            false => self.note_change(),
        }
        write_adjustment(conn, now, (scope, row.id, until), delta, &change.reason)
    }
}

/// Scope, counter, and until when the part counts.
pub(super) type Part = (i64, i64, u64);

/// Writes down what was added to what is settled, or taken from it.
pub(super) fn write_adjustment(
    conn: &Connection,
    now: u64,
    (scope, counter, until): Part,
    delta: i128,
    reason: &str,
) -> Result<(), Fault> {
    let mut statement = conn.prepare_cached(
        "INSERT INTO adjustment (at, scope, counter, until, delta, reason) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let mut left = delta;
    loop {
        // A line has place for half of what a counter can hold.
        let part = i64::try_from(left).unwrap_or(if left < 0 { i64::MIN } else { i64::MAX });
        statement.execute(params![to_sql(now), scope, counter, to_sql(until), part, reason])?;
        left -= i128::from(part);
        if left == 0 {
            return Ok(());
        }
    }
}

fn write_raise(
    conn: &Connection,
    now: u64,
    (scope, counter): (i64, i64),
    by: u64,
    until: u64,
    reason: &str,
) -> Result<(), Fault> {
    let mut statement = conn.prepare_cached(
        "INSERT INTO raise (at, scope, counter, amount, until, reason) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let (at, by, until) = (to_sql(now), to_sql(by), to_sql(until));
    statement.execute(params![at, scope, counter, by, until, reason])?;
    Ok(())
}
