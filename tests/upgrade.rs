//! A file of an earlier version is opened by this one.
//!
//! `data/v1.db` was written by the program of that time: calls of two workspaces, seven
//! users and three teams that ended in every way, four that had not ended, one that had
//! expired, denials and adjustments, on the 22nd of November 2026. `data/v2.db` is the same
//! file half a minute later: the program of that time has raised a limit, admitted two calls
//! and pruned sixty.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used)] // in helpers too

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use driftlock::{
    Timestamp, Unit, Usd, Window, Zone,
    report::Report,
    store::{CounterKey, OpenError, Raise, Reservation, ReserveError, SqliteStore, Store},
};
use on_disk::{Ask, MINUTE, at, directory, november, open, reserve, spend, users, wait};
use rusqlite::{Connection, OpenFlags, types::Value};
use tempfile::TempDir;

mod on_disk;

/// All rows of a table, in the columns that it had then.
fn rows(conn: &Connection, table: &str, columns: &[String]) -> Vec<Vec<Value>> {
    let sql = format!("SELECT {} FROM {table} ORDER BY 1, 2, 3", columns.join(", "));
    let mut statement = conn.prepare(&sql).unwrap();
    let row = |row: &rusqlite::Row<'_>| (0..columns.len()).map(|place| row.get(place)).collect();
    statement.query_map([], row).unwrap().map(Result::unwrap).collect()
}

/// The tables of the first version, with their columns.
fn tables(conn: &Connection) -> Vec<(String, Vec<String>)> {
    let strings = |sql: &str| -> Vec<String> {
        let mut statement = conn.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let tables = strings("SELECT name FROM sqlite_schema WHERE type = 'table'");
    let columns =
        |table: &String| strings(&format!("SELECT name FROM pragma_table_info('{table}')"));
    tables.into_iter().map(|table| (table.clone(), columns(&table))).collect()
}

/// A copy of a file of an earlier version, and the directory it is in.
fn written_by(version: &str) -> (TempDir, PathBuf) {
    let directory = directory();
    let file = directory.path().join("driftlock.db");
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    fs::copy(data.join(version), &file).unwrap();
    (directory, file)
}

fn look(file: &Path) -> Connection {
    Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

fn number<T: rusqlite::types::FromSql>(conn: &Connection, sql: &str) -> T {
    conn.query_row(sql, [], |row| row.get(0)).unwrap()
}

fn month(workspace: &str, label: Option<&str>) -> CounterKey {
    let (workspace, label) = (workspace.into(), label.map(Into::into));
    CounterKey { workspace, label, unit: Unit::Cost, window: Window::month(Zone::UTC) }
}

fn read(store: &SqliteStore, key: &CounterKey, value: &str, now: u64) -> (u64, u64) {
    assert!(store.knows(key));
    wait(store.flush()).unwrap();
    let reading = wait(store.read(store.counter(key), value, at(now))).unwrap();
    (reading.settled, reading.reserved)
}

#[test]
fn a_file_of_the_first_version_is_brought_to_this_one_with_all_that_is_in_it() {
    let (_directory, file) = written_by("v1.db");
    let before = look(&file);
    assert_eq!(number::<i64>(&before, "PRAGMA user_version"), 1);
    let tables = tables(&before);
    let all = |conn: &Connection| -> Vec<_> {
        tables.iter().map(|(table, columns)| rows(conn, table, columns)).collect()
    };
    let content = all(&before);
    let calls: i64 = number(&before, "SELECT count(*) FROM call");
    assert!(calls > 100 && content.iter().all(|rows| !rows.is_empty()));
    let identity = number::<i64>(&before, "SELECT identity FROM store").cast_unsigned();
    let now = number::<i64>(&before, "SELECT now FROM store").cast_unsigned();
    drop(before);

    let store = open(&file);
    let conn = look(&file);
    assert!(number::<i64>(&conn, "PRAGMA user_version") > 1);
    assert!(all(&conn) == content, "something was lost");

    // What its counters held.
    let (app, other) = (month("app", None), month("other", None));
    assert_eq!(read(&store, &app, "", now), (180_410_000, 4_540_000));
    assert_eq!(read(&store, &other, "", now), (27_890_000, 0));
    let raised = wait(store.raise(Raise {
        counter: store.counter(&app),
        value: "",
        by: 5,
        until: at(now + MINUTE),
        reason: "a test",
        at: at(now),
    }))
    .unwrap();
    assert_eq!(raised.settled, 180_410_000);

    // Four calls had not ended, and one had expired, at $0.00113.
    let call = |key| Reservation { key, tag: identity };
    store.settle(call(122), Usd::nanos(1_000_000), at(now));
    store.release(call(123), at(now));
    store.settle(call(1), Usd::nanos(1_030_000), at(now));
    assert_eq!(read(&store, &app, "", now), (181_310_000, 2_290_000));
    let deadline = now + 15 * MINUTE;
    assert_eq!(read(&store, &app, "", deadline - 1), (181_310_000, 2_290_000));
    assert_eq!(read(&store, &app, "", deadline), (183_600_000, 0));
    store.settle(call(124), Usd::ZERO, at(deadline));
    assert_eq!(read(&store, &app, "", deadline), (182_460_000, 0));
    let outcomes = "SELECT group_concat(outcome) FROM call WHERE id >= 122 AND charges IS NOT NULL";
    let outcomes: String = number(&conn, outcomes);
    assert_eq!(outcomes, "settled,not_sent,settled,expired");

    // Once more, and by a program that does not know this version.
    drop(store);
    assert_eq!(read(&open(&file), &app, "", deadline), (182_460_000, 0));
    drop(conn);
    let conn = Connection::open(&file).unwrap();
    let version: i64 = number(&conn, "PRAGMA user_version");
    conn.pragma_update(None, "user_version", version + 1).unwrap();
    let error = SqliteStore::open(&file).unwrap_err();
    assert!(matches!(error, OpenError::Newer { .. }), "{error:?}");
}

#[test]
fn a_file_of_the_second_version_keeps_what_was_raised_and_knows_what_was_pruned() {
    let (_directory, file) = written_by("v2.db");
    let before = look(&file);
    assert_eq!(number::<i64>(&before, "PRAGMA user_version"), 2);
    let tables = tables(&before);
    let all = |conn: &Connection| -> Vec<_> {
        tables.iter().map(|(table, columns)| rows(conn, table, columns)).collect()
    };
    let content = all(&before);
    let identity = number::<i64>(&before, "SELECT identity FROM store").cast_unsigned();
    let now = number::<i64>(&before, "SELECT now FROM store").cast_unsigned();
    drop(before);

    let store = open(&file);
    let conn = look(&file);
    assert!(number::<i64>(&conn, "PRAGMA user_version") > 2);
    assert!(all(&conn) == content, "something was lost");
    let app = month("app", None);
    assert_eq!(read(&store, &app, "", now), (182_910_000, 9_540_000));

    // $7.00 above a limit of $0.10.
    let limit = 100_000_000;
    let room = limit + 7_000_000_000 - 182_910_000 - 9_540_000;
    let ask = |amount| Ask { counter: store.counter(&app), value: "", amount, limit, now };
    assert!(reserve(&store, &ask(room + 1)).is_err());
    let reservation = reserve(&store, &ask(room)).unwrap();
    store.release(reservation, at(now));
    store.settle(Reservation { key: 129, tag: identity }, Usd::nanos(4_000_000), at(now));
    assert_eq!(read(&store, &app, "", now), (186_910_000, 4_540_000));

    let report = Report::open(&file).unwrap();
    assert_eq!(report.pruned().unwrap(), 60);
    assert!(report.check().unwrap().is_sound());
}

#[test]
fn what_was_pruned_before_that_was_written_down_is_known() {
    // Behind the four that had not ended two were denied.
    for (last, left_days) in [(0, true), (20, false), (121, false), (127, false)] {
        let (_directory, file) = written_by("v1.db");
        let conn = Connection::open(&file).unwrap();
        conn.execute("DELETE FROM call WHERE id <= ?1 AND outcome <> 'open'", [last]).unwrap();
        let deleted = conn.changes();
        // As that of a call whose transaction failed.
        conn.execute("DELETE FROM call WHERE id = 100 AND ?1 < 100", [last]).unwrap();
        drop(conn);
        drop(open(&file));
        let check = Report::open(&file).unwrap().check().unwrap();
        assert_eq!((check.pruned, check.days > 0), (deleted, left_days), "up to {last}");
        let complete_from = check.complete_from.map(|day| day.to_string());
        assert_eq!(complete_from.as_deref(), (deleted > 0).then_some("2026-11-23"));
    }
}

#[test]
fn an_old_file_is_upgraded_once_however_many_open_it() {
    let (_directory, file) = written_by("v1.db");
    let open = || {
        std::thread::spawn({
            let file = file.clone();
            move || open(&file)
        })
    };
    let threads: Vec<_> = (0..4).map(|_| open()).collect();
    let stores: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    let later: Timestamp = "2026-11-23T00:00:00Z".parse().unwrap();
    for store in &stores {
        let app = month("app", None);
        assert_eq!(read(store, &app, "", later.as_nanos()), (184_950_000, 0));
    }
}

#[test]
fn a_program_that_runs_while_a_newer_one_changes_the_tables_writes_no_more() {
    let directory = directory();
    let file = directory.path().join("driftlock.db");
    let store = open(&file);
    spend(&store, &users(), "ada", 60);
    let newer = Connection::open(&file).unwrap();
    let version: i64 = number(&newer, "PRAGMA user_version");
    newer.pragma_update(None, "user_version", version + 1).unwrap();
    let ask = |amount| Ask {
        counter: store.counter(&users()),
        value: "ada",
        amount,
        limit: 100,
        now: november(),
    };
    for _ in 0..2 {
        let Err(ReserveError::Unavailable(error)) = reserve(&store, &ask(1)) else {
            panic!("admitted")
        };
        assert!(error.to_string().contains("a newer driftlock"), "{error}");
    }
    newer.pragma_update(None, "user_version", version).unwrap();
    assert!(reserve(&store, &ask(41)).is_err() && reserve(&store, &ask(40)).is_ok());
}

#[test]
fn an_old_file_that_is_damaged_is_not_upgraded() {
    let directory = directory();
    let file = directory.path().join("driftlock.db");
    let mut bytes =
        fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/v1.db")).unwrap();
    bytes[20 * 4_096..22 * 4_096].fill(7);
    fs::write(&file, &bytes).unwrap();
    let error = SqliteStore::builder(&file).timeout(Duration::ZERO).open().unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
    assert!(fs::read(&file).unwrap() == bytes, "it was changed");
}
