//! The writer without its thread.

use std::{sync::Arc, time::Duration};

use rusqlite::Connection;
use smol_str::SmolStr;
use tokio::sync::oneshot;

use super::{
    Durability,
    file::{File, Options},
    front::Front,
    mark::Mark,
    op::{Op, OwnedHold},
    shared::Shared,
    unclaimed::Unclaimed,
    writer::Writer,
};
use crate::{
    claim::Unit,
    store::contract::{Charge, CounterId, CounterKey, Limit, Reading, ReserveError},
    window::{Window, Zone},
};

const MOST_CACHED: usize = 100;

fn writer() -> (Writer, Arc<Shared>, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let options = Options {
        path: directory.path().join("driftlock.db"),
        durability: Durability::Process,
        timeout: Duration::ZERO,
        max_bytes: None,
        retention: None,
    };
    let file = File::open(&options).unwrap();
    let shared = Arc::new(Shared::new(file.identity, &[]));
    let front = Arc::new(Front::new(MOST_CACHED as u64, Mark::beside(&options.path)));
    (Writer::new(Arc::clone(&shared), front, options, file), shared, directory)
}

fn user_month(shared: &Shared) -> CounterId {
    let window = Window::month(Zone::UTC);
    let (workspace, label) = ("app".into(), Some("user".into()));
    shared.registry.number(&CounterKey { workspace, label, unit: Unit::Cost, window })
}

type Answer = oneshot::Receiver<Result<Unclaimed, ReserveError>>;

fn ask(counter: CounterId, cost: u64, limit: u64) -> (Op, Answer) {
    let hold = OwnedHold {
        values: std::iter::once(SmolStr::new("ann")).collect(),
        charges: std::iter::once(Charge { counter, value: 0 }).collect(),
        cost,
        limits: std::iter::once(Limit { charge: 0, ask: cost, limit }).collect(),
        at: 1_000,
        lasts: 1_000,
        call: None,
    };
    let (reply, answer) = oneshot::channel();
    (Op::Reserve(Box::new(hold), reply), answer)
}

#[test]
fn however_many_callers_wait_a_scope_is_read_once() {
    let (mut writer, shared, _directory) = writer();
    let counter = user_month(&shared);
    let (op, mut first) = ask(counter, 90, 100);
    writer.work(&mut vec![op]);
    let booked = first.try_recv().unwrap().unwrap();
    // As if it was long ago.
    writer.state.scopes.forget();
    let (mut ops, answers): (Vec<Op>, Vec<Answer>) =
        (0..1_000).map(|_| ask(counter, 20, 100)).unzip();
    writer.work(&mut ops);
    for mut answer in answers {
        assert!(matches!(answer.try_recv(), Ok(Err(ReserveError::Refused(_)))));
    }
    assert_eq!(writer.state.scopes.reads, 1);
    drop(booked);
}

#[test]
fn what_is_at_hand_has_a_bound() {
    let (mut writer, shared, _directory) = writer();
    let counter = user_month(&shared);
    book(&mut writer, counter, 90);
    // Of those that are refused, the front keeps as many as it was told.
    let refused = |user: usize| {
        let (op, answer) = ask(counter, 101, 100);
        let Op::Reserve(mut hold, reply) = op else { unreachable!() };
        hold.values[0] = format!("user-{user}").into();
        (Op::Reserve(hold, reply), answer)
    };
    for user in 0..300 {
        writer.work(&mut vec![refused(user).0]);
        assert!(writer.front.kept_for() <= MOST_CACHED);
    }
    let read = |user: usize| {
        let (value, reply) = (format!("user-{user}").into(), oneshot::channel().0);
        Op::Read { counter, value, at: 1_000, reply }
    };
    writer.work(&mut (0..40_000).map(read).collect());
    assert_eq!(writer.state.scopes.reads, 0);
    let (op, _answer) = ask(counter, 1, 100);
    writer.work(&mut vec![op]);
    assert_eq!(writer.state.scopes.reads, 1);
}

#[test]
fn a_reservation_nobody_waits_for_is_given_back() {
    let (mut writer, shared, _directory) = writer();
    let counter = user_month(&shared);
    let (op, answer) = ask(counter, 90, 100);
    drop(answer);
    writer.work(&mut vec![op]);
    let mut batch = Vec::new();
    shared.queue.look(&mut batch);
    assert!(matches!(batch[..], [Op::Release { .. }]));
    writer.work(&mut batch);
    let (op, mut answer) = ask(counter, 100, 100);
    writer.work(&mut vec![op]);
    let taken = answer.try_recv().unwrap().unwrap();
    assert_eq!(shared.in_flight(1_000), 1);
    let reservation = taken.claim().unwrap();
    assert_eq!((shared.in_flight(1_999), shared.in_flight(2_000)), (1, 0));
    assert_eq!(reservation.tag, shared.identity);
}

/// The number of a call that was admitted.
fn book(writer: &mut Writer, counter: CounterId, cost: u64) -> u64 {
    let (op, mut answer) = ask(counter, cost, 100);
    writer.work(&mut vec![op]);
    answer.try_recv().unwrap().unwrap().claim().unwrap().key
}

/// Makes a call one that can never be ended; whoever tries loses the transaction.
fn damage(conn: &Connection, id: u64) {
    let sql = format!(
        "UPDATE call SET deadline = NULL WHERE id = {id}; \
         CREATE TRIGGER never BEFORE UPDATE ON call WHEN old.id = {id} \
         BEGIN SELECT raise(ABORT, 'never'); END"
    );
    conn.execute_batch(&sql).unwrap();
}

fn settle(id: u64, at: u64) -> Op {
    Op::Settle { id, cost: 1, at, ended: None, _fall: None }
}

#[test]
fn what_was_in_a_transaction_that_failed_is_done_again_in_its_order_and_before_what_is_new() {
    let (mut writer, shared, directory) = writer();
    let counter = user_month(&shared);
    let [long, other, damaged] = [10, 10, 10].map(|cost| book(&mut writer, counter, cost));
    let conn = Connection::open(directory.path().join("driftlock.db")).unwrap();
    damage(&conn, damaged);
    // Its deadline is at 2,000.
    let extend = Op::Extend { id: long, deadline: 9_000 };
    writer.work(&mut vec![extend, settle(damaged, 1_000), settle(other, 2_500)]);
    let (reply, mut reading) = oneshot::channel();
    writer.work(&mut vec![Op::Read { counter, value: "ann".into(), at: 2_600, reply }]);
    let Reading { settled, reserved, .. } = reading.try_recv().unwrap().unwrap();
    assert_eq!((settled, reserved), (1, 20));
}

#[test]
fn a_transaction_that_failed_leaves_nothing_behind() {
    let (mut writer, shared, directory) = writer();
    let month = user_month(&shared);
    let [call, unreadable, damaged] = [10; 3].map(|cost| book(&mut writer, month, cost));
    let conn = Connection::open(directory.path().join("driftlock.db")).unwrap();
    damage(&conn, damaged);
    conn.execute("UPDATE call SET charges = x'FF' WHERE id = ?1", [unreadable as i64]).unwrap();
    let (workspace, label, window) = ("app".into(), None, Window::day(Zone::UTC));
    let day = shared.registry.number(&CounterKey { workspace, label, unit: Unit::Cost, window });
    let settles = [call, unreadable, damaged].map(|id| settle(id, 1_000));
    writer.work(&mut [Op::Know(day)].into_iter().chain(settles).collect());
    assert!(writer.state.aside.is_empty(), "nothing was set aside so far");
    let number = |sql| conn.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(number("SELECT count(*) FROM counter"), 1);
    writer.work(&mut Vec::new());
    assert_eq!(number("SELECT count(*) FROM counter"), 2);
    assert_eq!(number("SELECT sum(used) FROM amount"), 21);
    assert_eq!(number("SELECT sum(calls) FROM daily"), 1);
}

#[test]
fn who_waits_for_pruning_is_told_at_once_that_it_did_not_happen() {
    let (mut writer, shared, directory) = writer();
    let damaged = book(&mut writer, user_month(&shared), 10);
    let conn = Connection::open(directory.path().join("driftlock.db")).unwrap();
    damage(&conn, damaged);
    // More than is deleted in one transaction.
    let sql = "WITH RECURSIVE n(i) AS (SELECT 11 UNION ALL SELECT i + 1 FROM n WHERE i < 5010) \
               INSERT INTO call (id, at, outcome, estimate, cost) SELECT i, 1, 'denied', 0, 0 FROM n";
    conn.execute(sql, []).unwrap();
    let (reply, mut pruned) = oneshot::channel();
    let prune = Op::Prune { before: 1_000, done: 0, reply: Some(reply) };
    writer.work(&mut vec![prune, settle(damaged, 1_000)]);
    pruned.try_recv().unwrap().unwrap_err();
    let left = conn.query_row("SELECT count(*) FROM call", [], |row| row.get::<_, i64>(0));
    assert_eq!(left, Ok(5_001));
}

#[test]
fn a_commit_waits_for_the_disk_only_if_it_is_to_survive_a_loss_of_power() {
    let directory = tempfile::tempdir().unwrap();
    for (durability, synchronous) in [(Durability::Process, 1), (Durability::Power, 2)] {
        let options = Options {
            path: directory.path().join("driftlock.db"),
            durability,
            timeout: Duration::ZERO,
            max_bytes: None,
            retention: None,
        };
        let file = File::open(&options).unwrap();
        let found = file.conn.pragma_query_value(None, "synchronous", |row| row.get::<_, i32>(0));
        assert_eq!(found, Ok(synchronous), "{durability:?}");
        let mode = file.conn.pragma_query_value(None, "journal_mode", |row| row.get(0));
        assert_eq!(mode, Ok("wal".to_owned()));
    }
}
