//! The ledger: one row per call, from its reservation to its end.
//!
//! A reservation and its line in the ledger are one row, so that none can be there
//! without the other, whenever the process ends.

use hashbrown::{DefaultHashBuilder, HashMap};
use rusqlite::{Connection, OptionalExtension, Row, params};
use smol_str::SmolStr;

use super::{
    blob::{Bookings, bookings_from_bytes, bookings_to_bytes},
    fault::Fault,
    op::{Ended, Line, OwnedFacts},
    words::{from_sql, to_sql},
};
use crate::usage::Usage;

/// What is needed to end a call.
#[derive(Clone, Debug)]
pub(super) struct OpenCall {
    pub(super) at: u64,
    pub(super) estimate: u64,
    pub(super) bookings: Bookings,
    /// As it was sent.
    pub(super) model: SmolStr,
    /// Whether its deadline has passed, so that it counts as settled already.
    pub(super) is_expired: bool,
}

/// Calls that may still end, as far as they are at hand.
#[derive(Debug, Default)]
pub(super) struct Calls {
    open: HashMap<u64, OpenCall, DefaultHashBuilder>,
}

/// The last moment a deadline can be told as; later ones are never reached.
const LAST: u64 = i64::MAX as u64;

impl Calls {
    /// Writes a call down that was admitted.
    pub(super) fn open(
        &mut self,
        id: u64,
        call: OpenCall,
        deadline: u64,
        facts: Option<&OwnedFacts>,
        conn: &Connection,
    ) -> Result<(), Fault> {
        let mut statement = conn.prepare_cached(
            "INSERT INTO call (id, at, outcome, deadline, estimate, cost, charges, workspace, \
             provider, operation, requested_model, model, labels, prices, rule) \
             VALUES (?1, ?2, 'open', ?3, ?4, 0, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        )?;
        statement.execute(params![
            to_sql(id),
            to_sql(call.at),
            to_sql(deadline.min(LAST)),
            to_sql(call.estimate),
            bookings_to_bytes(&call.bookings),
            facts.map(|facts| facts.workspace.as_str()),
            facts.map(|facts| facts.provider.as_str()),
            facts.map(|facts| facts.operation.as_str()),
            facts.map(|facts| facts.requested_model.as_str()),
            facts.map(|facts| facts.model.as_str()),
            facts.and_then(|facts| facts.labels.as_deref()),
            facts.map(|facts| facts.prices.as_str()),
            facts.and_then(|facts| facts.rule.as_deref()),
        ])?;
        self.open.insert(id, call);
        Ok(())
    }

    /// A call that has not ended, or only by its deadline.
    pub(super) fn find(&mut self, id: u64, conn: &Connection) -> Result<Option<OpenCall>, Fault> {
        if let Some(call) = self.open.get(&id) {
            return Ok(Some(call.clone()));
        }
        let Some((mut call, charges)) = read(id, conn)? else { return Ok(None) };
        let bookings = bookings_from_bytes(&charges);
        call.bookings = bookings.ok_or(Fault::Damaged("what it booked makes no sense"))?;
        self.open.insert(id, call.clone());
        Ok(Some(call))
    }

    /// Writes down how a call ended.
    pub(super) fn end(
        &mut self,
        id: u64,
        outcome: &str,
        cost: u64,
        ended: Option<&Ended>,
        conn: &Connection,
    ) -> Result<(), Fault> {
        self.open.remove(&id);
        let model = ended.and_then(|ended| ended.model.as_deref());
        let Some(usage) = ended.and_then(|ended| ended.usage.as_ref()) else {
            let mut statement = conn.prepare_cached(
                "UPDATE call SET outcome = ?2, deadline = NULL, cost = ?3, answered_model = ?4 \
                 WHERE id = ?1",
            )?;
            statement.execute(params![to_sql(id), outcome, to_sql(cost), model])?;
            return Ok(());
        };
        let mut statement = conn.prepare_cached(
            "UPDATE call SET outcome = ?2, deadline = NULL, cost = ?3, answered_model = ?4, \
             input_tokens = ?5, cached_input_tokens = ?6, cache_write_tokens = ?7, \
             cache_write_1h_tokens = ?8, input_audio_tokens = ?9, cached_audio_tokens = ?10, \
             output_tokens = ?11, reasoning_tokens = ?12, output_audio_tokens = ?13, \
             web_searches = ?14 WHERE id = ?1",
        )?;
        let Usage {
            input_tokens,
            cached_input_tokens,
            cache_write_tokens,
            cache_write_1h_tokens,
            input_audio_tokens,
            cached_audio_tokens,
            output_tokens,
            reasoning_tokens,
            output_audio_tokens,
            web_searches,
        } = *usage;
        statement.execute(params![
            to_sql(id),
            outcome,
            to_sql(cost),
            model,
            to_sql(input_tokens),
            to_sql(cached_input_tokens),
            to_sql(cache_write_tokens),
            to_sql(cache_write_1h_tokens),
            to_sql(input_audio_tokens),
            to_sql(cached_audio_tokens),
            to_sql(output_tokens),
            to_sql(reasoning_tokens),
            to_sql(output_audio_tokens),
            to_sql(web_searches),
        ])?;
        Ok(())
    }

    /// Writes down that a deadline has passed: what was reserved counts as settled.
    pub(super) fn expire(&mut self, id: u64, cost: u64, conn: &Connection) -> Result<(), Fault> {
        let mut statement = conn.prepare_cached(
            "UPDATE call SET outcome = 'expired', deadline = NULL, cost = ?2 WHERE id = ?1",
        )?;
        statement.execute(params![to_sql(id), to_sql(cost)])?;
        // It may still be corrected, but few will be, and the file remembers them.
        self.open.remove(&id);
        Ok(())
    }

    /// Writes down that a call cannot be read: it counts at its estimate, and is over. Returns
    /// what can be read of it.
    ///
    /// Its deadline is one that is not waited for, only so that it can be found by the index of
    /// deadlines, without reading the ledger.
    pub(super) fn set_aside(
        &mut self,
        id: u64,
        conn: &Connection,
    ) -> Result<Option<OpenCall>, Fault> {
        let Some((call, _)) = read(id, conn)? else { return Ok(None) };
        let mut statement = conn.prepare_cached(
            "UPDATE call SET outcome = 'unreadable', deadline = ?2, cost = estimate WHERE id = ?1",
        )?;
        statement.execute([to_sql(id), to_sql(LAST)])?;
        self.open.remove(&id);
        Ok(Some(call))
    }

    /// What can be read of a call that was set aside, and what it counts at.
    pub(super) fn find_set_aside(
        &self,
        id: u64,
        conn: &Connection,
    ) -> Result<Option<(OpenCall, u64)>, Fault> {
        let mut statement = conn.prepare_cached(
            "SELECT at, estimate, model, FALSE, cost FROM call \
             WHERE id = ?1 AND outcome = 'unreadable'",
        )?;
        let found = statement
            .query_row([to_sql(id)], |row| Ok((without_bookings(row)?, from_sql(row.get(4)?))));
        Ok(found.optional()?)
    }

    /// Moves the deadline of an open call to a later time, unless it has passed at `now`.
    pub(super) fn extend(
        &self,
        id: u64,
        deadline: u64,
        now: u64,
        conn: &Connection,
    ) -> Result<(), Fault> {
        let mut statement = conn.prepare_cached(
            "UPDATE call SET deadline = max(deadline, ?2) WHERE id = ?1 AND deadline > ?3",
        )?;
        statement.execute([to_sql(id), to_sql(deadline.min(LAST)), to_sql(now.min(LAST))])?;
        Ok(())
    }

    /// Writes a call down that was denied, or sent without being counted.
    pub(super) fn write(
        &self,
        id: u64,
        at: u64,
        line: &Line,
        conn: &Connection,
    ) -> Result<(), Fault> {
        let mut statement = conn.prepare_cached(
            "INSERT INTO call (id, at, outcome, estimate, cost, workspace, provider, operation, \
             requested_model, model, labels, prices, rule) \
             VALUES (?1, ?2, ?12, ?3, 0, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?;
        let facts = &line.facts;
        statement.execute(params![
            to_sql(id),
            to_sql(at),
            to_sql(line.estimate),
            facts.workspace.as_str(),
            facts.provider.as_str(),
            facts.operation.as_str(),
            facts.requested_model.as_str(),
            facts.model.as_str(),
            facts.labels.as_deref(),
            facts.prices.as_str(),
            line.denied_by.as_deref(),
            if line.denied_by.is_some() { "denied" } else { "unmetered" },
        ])?;
        Ok(())
    }

    /// Keeps nothing at hand.
    pub(super) fn forget(&mut self) {
        self.open.clear();
    }
}

/// What there is of a call that has not ended, or only by its deadline: all but what it
/// booked, and the bytes of that.
fn read(id: u64, conn: &Connection) -> Result<Option<(OpenCall, Vec<u8>)>, Fault> {
    let mut statement = conn.prepare_cached(
        "SELECT at, estimate, model, outcome = 'expired', charges FROM call \
         WHERE id = ?1 AND outcome IN ('open', 'expired')",
    )?;
    let found = statement.query_row([to_sql(id)], |row| {
        let charges = row.get::<_, Option<Vec<u8>>>(4)?.unwrap_or_default();
        Ok((without_bookings(row)?, charges))
    });
    Ok(found.optional()?)
}

/// Its time, its estimate, its model, and whether its deadline has passed.
fn without_bookings(row: &Row<'_>) -> rusqlite::Result<OpenCall> {
    Ok(OpenCall {
        at: from_sql(row.get(0)?),
        estimate: from_sql(row.get(1)?),
        bookings: Bookings::new(),
        // A name that is none is no reason not to end the call.
        model: row.get_ref(2)?.as_str().unwrap_or_default().into(),
        is_expired: row.get(3)?,
    })
}

/// The earliest deadline of an open call, the end of time if there is none.
pub(super) fn next_deadline(conn: &Connection) -> Result<u64, Fault> {
    let mut statement = conn.prepare_cached(
        "SELECT min(deadline) FROM call WHERE deadline IS NOT NULL AND outcome = 'open'",
    )?;
    let next: Option<i64> = statement.query_row([], |row| row.get(0))?;
    Ok(next.map_or(u64::MAX, from_sql))
}

/// Open calls whose deadline has passed, some at a time.
pub(super) fn due(now: u64, conn: &Connection) -> Result<Vec<u64>, Fault> {
    let mut statement = conn.prepare_cached(
        "SELECT id FROM call WHERE deadline <= ?1 AND outcome = 'open' \
         ORDER BY deadline LIMIT 1000",
    )?;
    let ids = statement.query_map([to_sql(now.min(LAST))], |row| row.get(0).map(from_sql))?;
    Ok(ids.collect::<Result<_, _>>()?)
}
