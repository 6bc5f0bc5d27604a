//! A counter of a scope, as the file has it.

use rusqlite::{Connection, OptionalExtension, Row};

use super::error::nonsense;
use crate::{
    clock::Timestamp,
    store::sqlite::{standing::standing, words::from_sql},
};

/// What a counter holds of a scope at a time, and what limits it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Held {
    pub(super) scope: i64,
    pub(super) settled: u64,
    pub(super) reserved: u64,
    /// The smallest limit that the last call was held to.
    pub(super) cap: Option<u64>,
    /// By how much limits are raised now, and until when.
    pub(super) raised: u64,
    pub(super) raised_until: u64,
}

const SELECT: &str =
    "SELECT scope, counter, used, open, until, past, cap, raised, raised_until FROM amount";

impl Held {
    /// Every amount in the file, and its counter.
    pub(super) fn each(
        db: &Connection,
        now: Timestamp,
        mut each: impl FnMut(i64, Self),
    ) -> rusqlite::Result<()> {
        let mut statement = db.prepare_cached(SELECT)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            each(row.get(1)?, Self::read(row, now)?);
        }
        Ok(())
    }

    /// What is held of one scope by one counter.
    pub(super) fn of(
        db: &Connection,
        scope: i64,
        counter: i64,
        now: Timestamp,
    ) -> rusqlite::Result<Self> {
        let sql = format!("{SELECT} WHERE scope = ?1 AND counter = ?2");
        let mut statement = db.prepare_cached(&sql)?;
        let found = statement.query_row((scope, counter), |row| Self::read(row, now)).optional()?;
        Ok(found.unwrap_or(Self { scope, ..Self::default() }))
    }

    fn read(row: &Row<'_>, now: Timestamp) -> rusqlite::Result<Self> {
        let number = |at| row.get(at).map(from_sql);
        let (used, open, until) = (number(2)?, number(3)?, number(4)?);
        let past = row.get_ref(5)?.as_blob_or_null().map_err(nonsense)?;
        let held = standing(until, used, open, past, now.as_nanos());
        let (settled, reserved) =
            held.ok_or_else(|| nonsense("a counter's past makes no sense"))?;
        let raised_until = number(8)?;
        Ok(Self {
            scope: row.get(0)?,
            settled,
            reserved,
            cap: row.get::<_, Option<i64>>(6)?.map(from_sql),
            raised: if raised_until > now.as_nanos() { number(7)? } else { 0 },
            raised_until,
        })
    }

    fn used(&self) -> u64 {
        self.settled.saturating_add(self.reserved)
    }

    fn most(&self) -> Option<u64> {
        Some(self.cap?.saturating_add(self.raised))
    }

    /// What is left of the limit, as raised.
    pub(super) fn remaining(&self) -> Option<u64> {
        Some(self.most()?.saturating_sub(self.used()))
    }

    /// How much of the limit is used, in billionths; `None` without a limit.
    pub(super) fn share(&self) -> Option<u128> {
        let most = u128::from(self.most()?);
        Some((u128::from(self.used()) * 1_000_000_000).checked_div(most).unwrap_or(u128::MAX))
    }
}
