//! What is no longer in the ledger.

use rusqlite::{Connection, OptionalExtension};

use super::{Day, Report, ReportError};
use crate::{clock::Timestamp, store::sqlite::words::from_sql};

/// Calls that were deleted from the ledger, which starts at its front.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pruned {
    /// How many.
    pub(super) calls: u64,
    /// The first day of which none was.
    pub(super) complete_from: Day,
}

impl Pruned {
    pub(super) fn of(db: &Connection) -> rusqlite::Result<Self> {
        let sql = "SELECT id, at FROM call WHERE outcome <> 'open' ORDER BY id LIMIT 1";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1).map(from_sql)?));
        let first: Option<(i64, u64)> = db.query_row(sql, [], read).optional()?;
        let store = "SELECT last_call, now FROM store";
        let (last, now) = db.query_row(store, [], read)?;
        // Numbers are given out once, from 1 on, and every one was a row.
        let before = first.map_or(last, |(id, _)| id.saturating_sub(1));
        // Those in flight are never pruned.
        let sql = "SELECT count(*) FROM call WHERE id <= ?1";
        let open: i64 = db.query_row(sql, [before], |row| row.get(0))?;
        let calls = from_sql(before).saturating_sub(from_sql(open));
        let complete_from = match calls {
            0 => Day::default(),
            // Of the day of the first that is left, earlier ones may be gone.
            _ => Day::of(Timestamp::from_nanos(first.map_or(now, |(_, at)| at))).next(),
        };
        Ok(Self { calls, complete_from })
    }
}

impl Report {
    /// How many calls were pruned from the ledger, of all workspaces.
    ///
    /// # Errors
    /// [`ReportError`] if the file cannot be read.
    pub fn pruned(&self) -> Result<u64, ReportError> {
        self.look(|db| Ok(Pruned::of(db)?.calls))
    }
}
