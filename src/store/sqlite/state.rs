//! All that the writer keeps between transactions.

use rusqlite::{Connection, params};
use smol_str::SmolStr;

use super::{
    calls::{Calls, next_deadline},
    daily::Daily,
    fault::Fault,
    meanings::Meanings,
    op::before_the_end,
    schema::VERSION,
    scopes::Scopes,
    set_aside::SetAside,
    shared::Registry,
    words::{from_sql, to_sql},
};
use crate::{
    clock::Timestamp,
    store::contract::{CounterId, Reading},
};

/// What is at hand of the file. It is true while nobody else has written to it.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) meanings: Meanings,
    pub(super) scopes: Scopes,
    pub(super) calls: Calls,
    pub(super) daily: Daily,
    /// Calls that this transaction sets aside, of which somebody is to be told.
    pub(super) aside: Vec<SetAside>,
    /// The latest time seen.
    now: u64,
    last_call: u64,
    /// Grows when settled spend falls or a limit changes.
    epoch: u64,
    /// No open call has an earlier deadline.
    pub(super) due: u64,
    /// What SQLite says of who wrote last.
    version: Option<i64>,
    /// Whether somebody else has let settled spend fall, or has changed a limit.
    fell_elsewhere: bool,
    fell_here: bool,
    is_dirty: bool,
}

/// Why a question has no answer.
pub(super) enum Failed {
    /// The question makes no sense; everything else goes on.
    Senseless(&'static str),
    /// The transaction is lost.
    Fault(Fault),
}

impl<E: Into<Fault>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

impl State {
    /// Opens a transaction, and forgets what somebody else may have changed.
    pub(super) fn begin(&mut self, conn: &Connection) -> Result<(), Fault> {
        conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let version =
            conn.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        if self.version != Some(version) {
            check_tables(conn)?;
            self.scopes.forget();
            self.calls.forget();
            let mut statement =
                conn.prepare_cached("SELECT now, last_call, epoch FROM store WHERE id = 1")?;
            let (now, last_call, epoch): (i64, i64, i64) =
                statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            self.now = self.now.max(from_sql(now));
            self.fell_elsewhere |= self.epoch != from_sql(epoch);
            self.epoch = from_sql(epoch);
            // A backup that was put back must not give the numbers of calls out again that
            // are still in flight.
            self.last_call = self.last_call.max(from_sql(last_call));
            self.due = next_deadline(conn)?;
            self.version = Some(version);
        }
        Ok(())
    }

    /// Writes everything that was changed, and ends the transaction.
    pub(super) fn commit(&mut self, conn: &Connection) -> Result<(), Fault> {
        if self.is_dirty {
            self.scopes.write(conn)?;
            self.daily.write(conn)?;
            let mut statement = conn.prepare_cached(
                "UPDATE store SET now = ?1, last_call = ?2, epoch = ?3 WHERE id = 1",
            )?;
            statement.execute([to_sql(self.now), to_sql(self.last_call), to_sql(self.epoch)])?;
        }
        conn.prepare_cached("COMMIT")?.execute([])?;
        (self.fell_here, self.is_dirty) = (false, false);
        Ok(())
    }

    /// Forgets a transaction that did not happen; the next one reads everything again.
    pub(super) fn roll_back(&mut self, conn: &Connection) {
        // Where there is none, or it was rolled back already, there is nothing to do.
        let _ = conn.execute_batch("ROLLBACK");
        self.daily.forget();
        self.aside.clear();
        self.meanings.forget_rows();
        self.version = None;
        (self.fell_here, self.is_dirty) = (false, false);
    }

    /// Takes note of a time. Returns the file's time, which never runs backwards and
    /// never reaches the end of time, so that what counts until then counts for ever.
    /// Calls whose deadline has passed by then are expired.
    pub(super) fn advance(
        &mut self,
        at: u64,
        conn: &Connection,
        registry: &Registry,
    ) -> Result<u64, Fault> {
        self.now = self.now.max(before_the_end(at));
        if self.due <= self.now {
            self.expire(conn, registry)?;
        }
        Ok(self.now)
    }

    pub(super) fn now(&self) -> u64 {
        self.now
    }

    /// Whether, since this was asked last, somebody else has let settled spend fall or
    /// has changed a limit.
    pub(super) fn take_fall_elsewhere(&mut self) -> bool {
        std::mem::take(&mut self.fell_elsewhere)
    }

    /// Says that settled spend has fallen, or that a limit has changed.
    pub(super) fn note_fall(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        (self.fell_here, self.is_dirty) = (true, true);
    }

    /// Whether that was said in this transaction.
    pub(super) fn fell_here(&self) -> bool {
        self.fell_here
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Says that there is something to write.
    pub(super) fn note_change(&mut self) {
        self.is_dirty = true;
    }

    /// A number for a call, which no other call has or had.
    pub(super) fn next_call(&mut self) -> u64 {
        self.last_call += 1;
        self.is_dirty = true;
        self.last_call
    }

    /// Gives a counter a number in the file.
    pub(super) fn know(
        &mut self,
        counter: CounterId,
        conn: &Connection,
        registry: &Registry,
    ) -> Result<(), Fault> {
        if self.meanings.find(counter, registry).is_some() {
            self.meanings.row(counter, conn)?;
        }
        Ok(())
    }

    /// What a counter holds for one value.
    pub(super) fn read(
        &mut self,
        counter: CounterId,
        value: &SmolStr,
        at: u64,
        conn: &Connection,
        registry: &Registry,
    ) -> Result<Reading, Failed> {
        let now = self.advance(at, conn, registry)?;
        let Some(meaning) = self.meanings.find(counter, registry) else {
            return Err(Failed::Senseless("a counter of another store"));
        };
        let mut horizon = meaning.horizon;
        let resets_at = horizon.is_calendar().then(|| Timestamp::from_nanos(horizon.until(now)));
        let (used, open, raised) = match self.place(counter, value, conn)? {
            Some((scope, row)) => self.scopes.amount(scope, row).map_or((0, 0, 0), |amount| {
                amount.amounts.roll(now);
                (amount.amounts.used(), amount.amounts.open(), amount.raised(now))
            }),
            None => (0, 0, 0),
        };
        let reserved = open.min(used);
        Ok(Reading { settled: used - reserved, reserved, raised, resets_at })
    }

    /// The scope and the counter in the file, with the scope's amounts at hand; nothing
    /// where the file has no such scope.
    pub(super) fn place(
        &mut self,
        counter: CounterId,
        value: &SmolStr,
        conn: &Connection,
    ) -> Result<Option<(i64, i64)>, Fault> {
        let row = self.meanings.row(counter, conn)?;
        let Some(scope) = self.scopes.find(row.family, value, conn)? else { return Ok(None) };
        self.scopes.load(scope, conn)?;
        Ok(Some((scope, row.id)))
    }
}

/// Whether the tables are still those that this program knows: it might write less to a row
/// than a newer one keeps there.
fn check_tables(conn: &Connection) -> Result<(), Fault> {
    let mut statement = conn.prepare_cached("PRAGMA user_version")?;
    let found: i32 = statement.query_row([], |row| row.get(0))?;
    if found > VERSION { Err(Fault::Outdated) } else { Ok(()) }
}

/// The number that tells this file from others.
pub(super) fn identity(conn: &Connection) -> Result<u64, Fault> {
    let sql = "SELECT identity FROM store WHERE id = 1";
    Ok(conn.query_row(sql, params![], |row| row.get(0)).map(from_sql)?)
}
