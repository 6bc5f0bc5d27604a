//! Forgetting old calls: the ledger grows for ever, what is spent must not.

use hashbrown::{DefaultHashBuilder, HashMap};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    blob::bookings_from_bytes,
    fault::Fault,
    shared::Registry,
    state::State,
    words::{from_sql, to_sql},
};

/// Rows deleted in one transaction, so that calls need not wait long.
const PIECE: usize = 2_000;

type Carried = HashMap<(i64, i64, u64), u64, DefaultHashBuilder>;

impl State {
    /// Deletes some calls that were decided before a time and have ended. Says how many,
    /// and whether these were the last. What they cost still counts.
    pub(super) fn prune(
        &mut self,
        before: u64,
        conn: &Connection,
        registry: &Registry,
    ) -> Result<(u64, bool), Fault> {
        let now = self.now();
        // In the order of numbers, which is the order of time; open calls stay.
        let sql = "SELECT id, at, cost, charges, outcome FROM call \
                   WHERE outcome <> 'open' ORDER BY id LIMIT ?1";
        let (mut old, mut last) = (Vec::new(), 0);
        let mut carried = Carried::default();
        {
            let mut statement = conn.prepare_cached(sql)?;
            let mut rows = statement.query([i64::try_from(PIECE).unwrap_or(i64::MAX)])?;
            while let Some(row) = rows.next()? {
                let at = from_sql(row.get(1)?);
                if at >= before {
                    break;
                }
                old.push(row.get::<_, i64>(0)?);
                last = at;
                let cost = from_sql(row.get(2)?);
                let is_sent = row.get_ref(4)?.as_str().is_ok_and(|outcome| outcome != "not_sent");
                let charges = row.get_ref(3)?.as_blob_or_null().map_err(rusqlite::Error::from)?;
                let Some(bytes) = charges else { continue };
                // What cannot be read still counts where it is booked, and so goes as well: only
                // what is added up again will lack it.
                for booked in bookings_from_bytes(bytes).unwrap_or_default() {
                    let until = at.wrapping_add(booked.lasts);
                    let meaning = match self.meanings.of_row(booked.counter, conn, registry) {
                        Err(Fault::Damaged(_)) => continue,
                        found => found?,
                    };
                    if until > now && !meaning.horizon.slides() {
                        let amount = if meaning.is_cost { cost } else { u64::from(is_sent) };
                        let sum = carried.entry((booked.scope, booked.counter, until)).or_default();
                        *sum = sum.saturating_add(amount);
                    }
                }
            }
        }
        let mut statement = conn.prepare_cached("DELETE FROM call WHERE id = ?1")?;
        for id in &old {
            statement.execute([id])?;
        }
        if !old.is_empty() {
            // For whoever adds the ledger up.
            let sql = "UPDATE store SET pruned = pruned + ?1, pruned_to = max(pruned_to, ?2)";
            conn.execute(sql, [old.len() as i64, to_sql(last)])?;
        }
        // Now there is room for it, also in a file that may not grow.
        carry(&carried, conn)?;
        let is_last = old.len() < PIECE;
        if is_last {
            self.forget_the_past(now, conn)?;
        }
        self.note_change();
        Ok((old.len() as u64, is_last))
    }

    /// What was carried over into periods that have ended, and raises that have.
    fn forget_the_past(&mut self, now: u64, conn: &Connection) -> Result<(), Fault> {
        // Times beyond 2^63, as "for ever", read as negative.
        let sql = "DELETE FROM carried WHERE until BETWEEN 0 AND ?1";
        conn.execute(sql, [to_sql(now)])?;
        Ok(())
    }
}

fn carry(carried: &Carried, conn: &Connection) -> Result<(), Fault> {
    for ((scope, counter, until), amount) in carried {
        let sql = "SELECT amount FROM carried WHERE scope = ?1 AND counter = ?2 AND until = ?3";
        let mut statement = conn.prepare_cached(sql)?;
        let key = params![scope, counter, to_sql(*until)];
        let before = statement.query_row(key, |row| row.get(0).map(from_sql)).optional()?;
        let sum = to_sql(before.unwrap_or(0).saturating_add(*amount));
        let sql = "INSERT OR REPLACE INTO carried (scope, counter, until, amount) \
                   VALUES (?1, ?2, ?3, ?4)";
        conn.prepare_cached(sql)?.execute(params![scope, counter, to_sql(*until), sum])?;
    }
    Ok(())
}
