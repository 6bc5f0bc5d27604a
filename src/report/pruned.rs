//! What is no longer in the ledger.

use rusqlite::Connection;

use super::{Day, Report, ReportError};
use crate::{clock::Timestamp, store::sqlite::words::from_sql};

/// Calls that were deleted from the ledger, as the store has written it down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pruned {
    /// How many.
    pub(super) calls: u64,
    /// The first day of which none was.
    pub(super) complete_from: Day,
}

impl Pruned {
    pub(super) fn of(db: &Connection) -> rusqlite::Result<Self> {
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1).map(from_sql)?));
        let (calls, to): (i64, u64) =
            db.query_row("SELECT pruned, pruned_to FROM store", [], read)?;
        let complete_from = match calls {
            0 => Day::default(),
            // Earlier ones of the last day may be left, but not all.
            _ => Day::of(Timestamp::from_nanos(to)).next(),
        };
        Ok(Self { calls: from_sql(calls), complete_from })
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
