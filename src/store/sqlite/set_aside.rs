//! Calls of which nobody can tell what they booked.
//!
//! A damaged row must not be in the way of all others, and must not make anybody's spend less.
//! What was reserved is in the sums already and stays there. So the call is over: it counts at
//! its estimate, takes no refund, and is told of once.

use rusqlite::{Connection, params};

use super::{
    blob::{Booked, Bookings},
    calls::OpenCall,
    daily::Sign,
    fault::Fault,
    meanings::Family,
    settling::{Families, write_adjustment},
    shared::Registry,
    state::State,
    words::to_sql,
};
use crate::claim::Scope;

/// A call that was set aside.
#[derive(Clone, Copy, Debug)]
pub(super) struct SetAside {
    pub(super) id: u64,
    pub(super) estimate: u64,
    /// What cannot be read.
    pub(super) what: &'static str,
}

impl State {
    /// A call that has not ended, or only by its deadline, with all that it booked at hand, so
    /// that it can be ended on all of its counters. One that cannot is set aside.
    pub(super) fn find(
        &mut self,
        id: u64,
        conn: &Connection,
        registry: &Registry,
    ) -> Result<Option<(OpenCall, Families)>, Fault> {
        match self.find_readable(id, conn, registry) {
            Err(Fault::Damaged(what)) => self.set_aside(id, what, conn).map(|()| None),
            found => found,
        }
    }

    fn find_readable(
        &mut self,
        id: u64,
        conn: &Connection,
        registry: &Registry,
    ) -> Result<Option<(OpenCall, Families)>, Fault> {
        let Some(call) = self.calls.find(id, conn)? else { return Ok(None) };
        let mut families = Families::new();
        for booked in &call.bookings {
            self.scopes.load(booked.scope, conn)?;
            self.meanings.of_row(booked.counter, conn, registry)?;
            families.push(self.meanings.family_of(booked.counter)?);
            if self.scopes.amount(booked.scope, booked.counter).is_none() {
                return Err(Fault::Damaged("it booked on what is not there"));
            }
        }
        Ok(Some((call, families)))
    }

    fn set_aside(&mut self, id: u64, what: &'static str, conn: &Connection) -> Result<(), Fault> {
        let Some(mut call) = self.calls.set_aside(id, conn)? else { return Ok(()) };
        if !call.is_expired {
            let families;
            (call.bookings, families) = presumed(id, conn)?;
            self.daily.count(Sign::Add, &call, &families, &call.model, call.estimate, None);
        }
        self.aside.push(SetAside { id, estimate: call.estimate, what });
        self.note_change();
        Ok(())
    }

    /// Adds what a call that was set aside cost beyond its estimate, to every counter that it
    /// may be on.
    pub(super) fn add_beyond(
        &mut self,
        id: u64,
        cost: u64,
        conn: &Connection,
        registry: &Registry,
    ) -> Result<(), Fault> {
        let Some((mut call, counted)) = self.calls.find_set_aside(id, conn)? else { return Ok(()) };
        let Some(over) = cost.checked_sub(counted).filter(|over| *over > 0) else { return Ok(()) };
        let families;
        (call.bookings, families) = presumed(id, conn)?;
        self.daily.count(Sign::Subtract, &call, &families, &call.model, counted, None);
        self.daily.count(Sign::Add, &call, &families, &call.model, cost, None);
        let now = self.now();
        for Booked { counter, scope, .. } in call.bookings {
            match self.scopes.load(scope, conn) {
                // Nobody is admitted on what cannot be read.
                Err(Fault::Damaged(_)) => continue,
                loaded => loaded?,
            }
            let (is_cost, mut horizon) = match self.meanings.of_row(counter, conn, registry) {
                Err(Fault::Damaged(_)) => continue,
                meaning => meaning.map(|meaning| (meaning.is_cost, meaning.horizon))?,
            };
            let until =
                if horizon.slides() { horizon.until(now) } else { horizon.until_of(call.at) };
            if is_cost && until > now {
                let amount = &mut self.scopes.change(scope, counter).amounts;
                amount.roll(now);
                amount.add(until, over);
                let reason = format!("call {id} cannot be read, and cost more than its estimate");
                write_adjustment(conn, now, (scope, counter, until), over.into(), &reason)?;
            }
        }
        conn.prepare_cached("UPDATE call SET cost = ?2 WHERE id = ?1")?
            .execute([to_sql(id), to_sql(cost)])?;
        self.note_change();
        Ok(())
    }
}

/// Where a call must have booked something, going by its workspace and labels: each counter of
/// these that there is.
fn presumed(id: u64, conn: &Connection) -> Result<(Bookings, Families), Fault> {
    let mut statement = conn.prepare_cached(
        "SELECT amount.counter, scope.id, family.id, family.label IS NOT NULL FROM call \
         JOIN family ON family.workspace = call.workspace \
         JOIN scope ON scope.family = family.id \
         JOIN amount ON amount.scope = scope.id \
         WHERE call.id = ?1 AND scope.value = CASE WHEN label IS NULL THEN '' \
         WHEN labels IS NULL THEN ?2 WHEN json_valid(labels) THEN \
         ifnull((SELECT value FROM json_each(labels) WHERE key = label), ?2) END",
    )?;
    let mut rows = statement.query(params![to_sql(id), Scope::NONE])?;
    let (mut bookings, mut families) = (Bookings::new(), Families::new());
    while let Some(row) = rows.next()? {
        bookings.push(Booked { counter: row.get(0)?, scope: row.get(1)?, lasts: 0 });
        families.push(Family { id: row.get(2)?, is_label: row.get(3)? });
    }
    Ok((bookings, families))
}
