//! The rows of the store in a file, written without it.
#![allow(clippy::expect_used, unreachable_pub)] // a benchmark that cannot run should say so

use std::path::Path;

use driftlock::store::{Durability, SqliteStore};
use rusqlite::{Connection, params};

/// Amounts of the workspace and of a user that one call is charged to.
const SHARED: i64 = 3;
const OWN: i64 = 3;

/// SQLite with the store's tables, and nothing that decides.
pub struct Bare {
    conn: Connection,
}

impl Bare {
    pub fn open(path: &Path, durability: Durability) -> Self {
        drop(SqliteStore::builder(path).durability(durability).open().expect("a store"));
        let conn = Connection::open(path).expect("a connection");
        let synchronous = if durability == Durability::Power { "FULL" } else { "NORMAL" };
        conn.pragma_update(None, "synchronous", synchronous).expect("a pragma");
        conn.pragma_update(None, "foreign_keys", false).expect("a pragma");
        conn.pragma_update(None, "wal_autocheckpoint", 4_000).expect("a pragma");
        Self { conn }
    }

    fn amounts(&self, ids: &[i64], users: usize, settles: bool) {
        let sql = "INSERT OR REPLACE INTO amount VALUES (?1, ?2, ?3, ?4, ?5, NULL, ?6, 0, 0)";
        let mut statement = self.conn.prepare_cached(sql).expect("a statement");
        let mut write = |scope: i64, counter: i64, id: i64| {
            let row = params![scope, counter, id * 1_000, 500, i64::MAX - id, 1_000_000];
            statement.execute(row).expect("written");
        };
        // Once in a commit, as a store that shares commits would.
        let last = ids.last().copied().unwrap_or(0);
        let counters = if settles { SHARED - 1 } else { SHARED };
        (0..counters).for_each(|counter| write(1, counter, last));
        for id in ids {
            let counters = if settles { OWN - 1 } else { OWN };
            let user = 2 + id % users as i64;
            (0..counters).for_each(|counter| write(user, SHARED + counter, *id));
        }
    }

    /// Writes what so many reserves write.
    pub fn reserve(&mut self, ids: &[i64], users: usize) {
        self.conn.execute_batch("BEGIN IMMEDIATE").expect("begun");
        let sql = "INSERT INTO call (id, at, outcome, deadline, estimate, cost, charges, \
                   workspace, provider, operation, requested_model, model, labels, prices) \
                   VALUES (?1, ?2, 'open', ?3, 1000, 0, ?4, 'default', 'openai', 'chat', \
                   'gpt-4o-mini', 'gpt-4o-mini', '{\"user\":\"user-17\"}', '2026-11-20')";
        let mut statement = self.conn.prepare_cached(sql).expect("a statement");
        for id in ids {
            statement.execute(params![id, id, id, [7u8; 60]]).expect("written");
        }
        drop(statement);
        self.amounts(ids, users, false);
        self.end();
    }

    /// Writes what so many settles write.
    pub fn settle(&mut self, ids: &[i64], users: usize) {
        self.conn.execute_batch("BEGIN IMMEDIATE").expect("begun");
        let sql = "UPDATE call SET outcome = 'actual', deadline = NULL, cost = 900, \
                   answered_model = NULL, input_tokens = 700, output_tokens = 120, \
                   cached_input_tokens = 0, cache_write_tokens = 0, cache_write_1h_tokens = 0, \
                   input_audio_tokens = 0, cached_audio_tokens = 0, reasoning_tokens = 0, \
                   output_audio_tokens = 0, web_searches = 0 WHERE id = ?1";
        let mut statement = self.conn.prepare_cached(sql).expect("a statement");
        let sql = "INSERT INTO daily VALUES (?1, 1, ?2, 'gpt-4o-mini', 1, 1, 1, 1, 1, 1) \
                   ON CONFLICT DO UPDATE SET calls = calls + excluded.calls";
        let mut daily = self.conn.prepare_cached(sql).expect("a statement");
        for id in ids {
            statement.execute([id]).expect("written");
            daily.execute([2, 2 + id % users as i64]).expect("written");
        }
        daily.execute([1, 1]).expect("written");
        drop((statement, daily));
        self.amounts(ids, users, true);
        self.end();
    }

    fn end(&self) {
        self.conn
            .execute_batch("UPDATE store SET now = now + 1, last_call = last_call + 1; COMMIT")
            .expect("committed");
    }
}

/// Fills the file of a store with a history: calls that ended, and users.
pub fn fill(path: &Path, calls: usize, users: usize) {
    let conn = Connection::open(path).expect("a connection");
    conn.execute_batch("PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF; BEGIN")
        .expect("begun");
    let family = "SELECT id FROM family WHERE label = 'user'";
    let family: i64 = conn.query_row(family, [], |row| row.get(0)).unwrap_or_else(|_| {
        conn.execute("INSERT INTO family VALUES (1001, 'default', 'user')", []).expect("written");
        1_001
    });
    let sql = "INSERT OR IGNORE INTO counter VALUES (1001, ?1, 'cost', 'month UTC')";
    conn.execute(sql, [family]).expect("written");
    let mut statement = conn
        .prepare("INSERT INTO scope (id, family, value) VALUES (?1, ?2, ?3)")
        .expect("a statement");
    let sql = "INSERT INTO amount VALUES (?1, 1001, 900, 0, ?2, NULL, 1000000, 0, 0)";
    let mut amount = conn.prepare(sql).expect("a statement");
    for user in 0..users {
        let id = 10 + user as i64;
        statement.execute(params![id, family, format!("user-{user}")]).expect("written");
        amount.execute(params![id, 1_800_000_000_000_000_000i64]).expect("written");
    }
    let sql = "INSERT INTO call (id, at, outcome, estimate, cost, charges, workspace, provider, \
               operation, requested_model, model, labels, prices, input_tokens, output_tokens) \
               VALUES (?1, ?2, 'actual', 1000, 900, ?3, 'default', 'openai', 'chat', \
               'gpt-4o-mini', 'gpt-4o-mini', '{\"user\":\"user-17\"}', '2026-11-20', 700, 120)";
    let mut statement = conn.prepare(sql).expect("a statement");
    for id in 1..=calls as i64 {
        let at = 1_700_000_000_000_000_000 + id * 1_000_000;
        statement.execute(params![id, at, [7u8; 60]]).expect("written");
    }
    conn.execute("UPDATE store SET last_call = ?1", [calls as i64]).expect("written");
    drop((amount, statement));
    conn.execute_batch("COMMIT").expect("committed");
}

/// The memory this process has, in bytes, where the system tells.
pub fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1_024
}
