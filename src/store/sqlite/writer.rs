//! The one thread that writes.
//!
//! What callers hand over while one transaction is committed is the next transaction:
//! the busier the store, the more calls share a commit. Whoever asked is answered
//! after the commit. What nobody waits for, above all settles, is kept until it is
//! committed, however long the file is away.

use std::{
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    answering::Answer,
    booking::Reserved,
    fault::Fault,
    file::{File, Options},
    front::Front,
    going_by::now,
    op::Op,
    queue::{MOST_LINES, Next},
    set_aside::SetAside,
    shared::Shared,
    state::{Failed, State},
};
use crate::{
    clock::saturating_nanos,
    store::StoreError,
    telemetry::{self, guarded},
};

/// So long a file that others hold is not asked again, so that an outage does not cost
/// every call a timeout.
const PAUSE: Duration = Duration::from_millis(200);
/// So long it is waited for then: neighbours that commit all the time are not an outage.
const BRIEFLY: Duration = Duration::from_millis(20);
/// How often what could not be written at the end is tried again.
const LAST_TRIES: usize = 5;
/// Between two looks for calls that are too old, in nanoseconds.
const BETWEEN_TIDYING: u64 = 3_600_000_000_000;

/// The thread, and all it needs.
pub(super) struct Writer {
    shared: Arc<Shared>,
    pub(super) front: Arc<Front>,
    options: Options,
    file: File,
    pub(super) state: State,
    /// Since the file did not answer, what it said, and when to ask again.
    away: Option<(StoreError, Instant)>,
    /// What must not be lost and could not be written.
    kept: Vec<Op>,
    /// What was done in this transaction and must not be lost.
    done: Vec<Op>,
    answers: Vec<Answer>,
    /// What is to be done after this transaction, without having been asked again.
    rest: Vec<Op>,
    /// When old calls are looked for again.
    next_tidy: u64,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        front: Arc<Front>,
        options: Options,
        file: File,
    ) -> Self {
        let (state, kept, done, answers, rest) = Default::default();
        let (away, next_tidy) = (None, 0);
        Self { shared, front, options, file, state, away, kept, done, answers, rest, next_tidy }
    }

    /// Works until nobody can ask for anything any more.
    pub(super) fn run(mut self) {
        let _end = End(Arc::clone(&self.shared));
        let mut batch = Vec::new();
        loop {
            if self.rest.is_empty() {
                let patience = (!self.kept.is_empty()).then_some(PAUSE);
                if let Next::End = self.shared.queue.take(&mut batch, patience) {
                    break;
                }
            } else {
                // What is left of tidying can wait for the next time the file is opened.
                match self.shared.queue.look(&mut batch) {
                    true => batch.append(&mut self.rest),
                    false => self.rest.clear(),
                }
            }
            self.work(&mut batch);
        }
        for _ in 0..LAST_TRIES {
            if self.kept.is_empty() {
                return;
            }
            std::thread::sleep(PAUSE);
            self.work(&mut batch);
        }
        if !self.kept.is_empty() {
            guarded(|| telemetry::unwritten(self.kept.len()));
        }
    }

    pub(super) fn work(&mut self, batch: &mut Vec<Op>) {
        let lost = self.shared.queue.take_lost();
        if lost > 0 {
            guarded(|| telemetry::lines_lost(lost));
        }
        if let Some((error, again)) = &self.away
            && now() < *again
        {
            let error = error.clone();
            return self.put_off(mem::take(batch), &error, MOST_LINES);
        }
        let mut ops = mem::take(&mut self.kept);
        ops.append(batch);
        if self.away.is_some() {
            // The file may be full, and this makes the room that the others need.
            ops.sort_by_key(|op| !matches!(op, Op::Prune { .. }));
        }
        match self.transaction(ops) {
            Ok(()) => {
                if self.away.take().is_some() {
                    guarded(telemetry::store_is_back);
                    self.file.be_patient(self.options.timeout);
                }
                self.front.refresh(&mut self.state);
                self.shared.latest.learn(self.state.now());
                self.done.clear();
                for SetAside { id, estimate, what } in self.state.aside.drain(..) {
                    guarded(|| telemetry::set_aside(id, estimate, what));
                }
                for answer in self.answers.drain(..) {
                    guarded(|| answer.send(&self.shared));
                }
                self.tidy();
            }
            Err((fault, ops)) => self.give_up(&fault, ops),
        }
    }

    fn transaction(&mut self, ops: Vec<Op>) -> Result<(), (Fault, Vec<Op>)> {
        let is_there = if self.file.is_there() { self.file.has_log() } else { self.reopen() };
        if let Err(fault) = is_there {
            return Err((fault, ops));
        }
        if let Err(fault) = self.state.begin(&self.file.conn) {
            return Err((fault, ops));
        }
        let mut ops = ops.into_iter();
        while let Some(op) = ops.next() {
            if let Err((fault, op)) = self.apply(op) {
                // One that can never be done would be in the way of all others.
                let again = op.is_asked() || !fault.is_lasting();
                if !again {
                    guarded(|| telemetry::unwritten(1));
                }
                return Err((fault, again.then_some(op).into_iter().chain(ops).collect()));
            }
        }
        if self.state.fell_here() {
            self.front.mark.set(self.state.epoch());
        }
        self.state.commit(&self.file.conn).map_err(|fault| (fault, Vec::new()))
    }

    fn apply(&mut self, op: Op) -> Result<(), (Fault, Op)> {
        let (conn, registry) = (&self.file.conn, &self.shared.registry);
        let done = match &op {
            Op::Settle { id, cost, at, ended, .. } => {
                self.state.settle(*id, *cost, *at, ended.as_deref(), conn, registry)
            }
            Op::Release { id, at, .. } => self.state.release(*id, *at, conn, registry),
            Op::Extend { id, deadline } => self.state.extend(*id, *deadline, conn),
            Op::Write(line) => self.state.write(line, conn, registry),
            Op::Know(counter) => self.state.know(*counter, conn, registry),
            Op::Look => Ok(()),
            _ => return self.ask(op),
        };
        match done {
            Ok(()) => {
                self.done.push(op);
                Ok(())
            }
            Err(fault) => Err((fault, op)),
        }
    }

    /// Does what somebody waits for.
    fn ask(&mut self, op: Op) -> Result<(), (Fault, Op)> {
        let (conn, registry) = (&self.file.conn, &self.shared.registry);
        let answer = match op {
            Op::Reserve(hold, reply) => match self.state.reserve(&hold, conn, registry) {
                Ok(Reserved::Booked(id, deadline)) => Answer::Booked(reply, id, deadline),
                Ok(Reserved::Refused(refusal, is_spent)) => {
                    if is_spent && let Err(fault) = self.front.note(&hold, &mut self.state, conn) {
                        return Err((fault, Op::Reserve(hold, reply)));
                    }
                    Answer::Refused(reply, refusal)
                }
                Err(Failed::Senseless(what)) => Answer::Senseless(reply, senseless(what)),
                Err(Failed::Fault(fault)) => return Err((fault, Op::Reserve(hold, reply))),
            },
            Op::Read { counter, value, at, reply } => {
                match self.state.read(counter, &value, at, conn, registry) {
                    Ok(reading) => Answer::Read(reply, Ok(reading)),
                    Err(Failed::Senseless(what)) => Answer::Read(reply, Err(StoreError::new(what))),
                    Err(Failed::Fault(fault)) => {
                        return Err((fault, Op::Read { counter, value, at, reply }));
                    }
                }
            }
            Op::Change(change, reply) => match self.state.change(&change, conn, registry) {
                Ok(reading) => Answer::Read(reply, Ok(reading)),
                Err(Failed::Senseless(what)) => Answer::Read(reply, Err(StoreError::new(what))),
                Err(Failed::Fault(fault)) => return Err((fault, Op::Change(change, reply))),
            },
            Op::Prune { before, done, reply } => match self.state.prune(before, conn, registry) {
                Ok((pruned, false)) => {
                    self.rest.push(Op::Prune { before, done: done + pruned, reply });
                    return Ok(());
                }
                Ok((pruned, true)) => Answer::Pruned(reply, done + pruned),
                Err(fault) => return Err((fault, Op::Prune { before, done, reply })),
            },
            Op::Flush(reply) => Answer::Flushed(reply),
            // The others are done by `apply`.
            _ => return Ok(()),
        };
        self.answers.push(answer);
        Ok(())
    }

    /// Has old calls deleted, now and then.
    fn tidy(&mut self) {
        let Some(retention) = self.options.retention else { return };
        let now = self.state.now();
        if now >= self.next_tidy {
            self.next_tidy = now.saturating_add(BETWEEN_TIDYING);
            let before = now.saturating_sub(saturating_nanos(retention));
            self.rest.push(Op::Prune { before, done: 0, reply: None });
        }
    }

    /// The transaction did not happen.
    fn give_up(&mut self, fault: &Fault, ops: Vec<Op>) {
        self.state.roll_back(&self.file.conn);
        self.front.forget();
        let error = fault.to_store_error();
        if self.away.is_none() {
            guarded(|| telemetry::store_is_away(&error));
            // Who asks while the file is held does not wait for it again and again.
            self.file.be_patient(self.options.timeout.min(BRIEFLY));
        }
        let pause = if fault.is_busy() { PAUSE } else { Duration::ZERO };
        self.away = Some((error.clone(), now() + pause));
        for answer in self.answers.drain(..) {
            guarded(|| answer.refuse(&error));
        }
        let mut undone = mem::take(&mut self.done);
        undone.append(&mut self.rest);
        undone.extend(ops);
        // What is left of a full file is for what must not be lost.
        let most_lines = if fault.is_full() { 0 } else { MOST_LINES };
        self.put_off(undone, &error, most_lines);
    }

    /// Tells whoever waits that the file is away, and keeps the rest.
    fn put_off(&mut self, ops: Vec<Op>, error: &StoreError, most_lines: usize) {
        let mut lines = self.kept.iter().filter(|op| matches!(op, Op::Write(_))).count();
        let mut lost = 0;
        for op in ops {
            match &op {
                Op::Look => {}
                Op::Write(_) if lines >= most_lines => lost += 1,
                Op::Write(_) => {
                    lines += 1;
                    self.kept.push(op);
                }
                _ if op.is_asked() => {
                    guarded(|| op.refuse(error));
                }
                _ => self.kept.push(op),
            }
        }
        if lost > 0 {
            guarded(|| telemetry::lines_lost(lost));
        }
    }

    fn reopen(&mut self) -> Result<(), Fault> {
        self.file = self.file.reopened(&self.options)?;
        self.state.roll_back(&self.file.conn);
        self.front.forget();
        Ok(())
    }
}

/// However the thread ends, be it by a panic, nobody waits for it any more.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.queue.end();
    }
}

fn senseless(what: &str) -> StoreError {
    StoreError::new(format!("the hold has {what}"))
}
