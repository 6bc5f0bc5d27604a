//! From the callers to the writer.
//!
//! Settling and releasing happen in `drop`, on whatever thread, with or without a
//! runtime. So handing over is a push under a short lock and cannot fail. What must
//! not be lost is bounded by the calls in flight; what may be lost, lines about denied
//! calls, by [`MOST_LINES`].

use std::{
    mem,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use super::{going_by::now, op::Op};

/// So many denied calls may wait to be written down.
pub(super) const MOST_LINES: usize = 65_536;
/// So long they wait for something that is more urgent, and wakes the writer.
const LINGER: Duration = Duration::from_millis(20);
/// To wake a thread takes about as long as a commit. So long the writer, when it has done
/// something, looks whether more comes before it sleeps: that costs at most as much again
/// as sleeping would.
const AWAKE: Duration = Duration::from_micros(50);

#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    ops: Vec<Op>,
    /// How many of them are lines about denied calls.
    lines: usize,
    /// How many lines were dropped because too many waited.
    lost: u64,
    is_closed: bool,
    is_writer_asleep: bool,
    is_writer_gone: bool,
}

/// What the writer is to do next.
pub(super) enum Next {
    Work,
    /// It has waited as long as it wanted to.
    Time,
    /// Nobody will ask for anything any more.
    End,
}

impl Queue {
    pub(super) fn push(&self, op: Op) {
        let is_line = matches!(op, Op::Write(_));
        let mut waiting = self.lock();
        if waiting.is_writer_gone {
            return; // who waits for it sees that
        }
        if is_line {
            if waiting.lines >= MOST_LINES {
                waiting.lost += 1;
                return;
            }
            waiting.lines += 1;
        }
        waiting.ops.push(op);
        // Lines linger, so that a burst of denials does not wake the writer for each.
        let wake = waiting.is_writer_asleep && (!is_line || waiting.lines == 1);
        if wake {
            waiting.is_writer_asleep = is_line;
            drop(waiting);
            self.wake.notify_one();
        }
    }

    /// Waits for work, and moves all there is to `batch`. `patience` is how long the
    /// writer can wait; nothing means for ever.
    pub(super) fn take(&self, batch: &mut Vec<Op>, patience: Option<Duration>) -> Next {
        self.stay_awake();
        let mut waiting = self.lock();
        loop {
            let only_lines = waiting.lines == waiting.ops.len() && !waiting.is_closed;
            if !waiting.ops.is_empty() && !only_lines {
                break;
            }
            if waiting.is_closed {
                return Next::End;
            }
            let linger = (!waiting.ops.is_empty()).then_some(LINGER);
            let time = match (linger, patience) {
                (Some(linger), Some(patience)) => Some(linger.min(patience)),
                (one, other) => one.or(other),
            };
            waiting.is_writer_asleep = true;
            let is_over;
            (waiting, is_over) = match time {
                None => {
                    let woken = self.wake.wait(waiting);
                    (woken.unwrap_or_else(PoisonError::into_inner), false)
                }
                Some(time) => {
                    let woken = self.wake.wait_timeout(waiting, time);
                    let (waiting, timeout) = woken.unwrap_or_else(PoisonError::into_inner);
                    (waiting, timeout.timed_out())
                }
            };
            waiting.is_writer_asleep = false;
            if is_over {
                if linger.is_some() {
                    break;
                }
                return Next::Time;
            }
        }
        waiting.lines = 0;
        batch.append(&mut waiting.ops);
        Next::Work
    }

    /// Waits a moment for work without sleeping, and lets others run meanwhile.
    fn stay_awake(&self) {
        let began = now();
        while self.is_idle() && began.elapsed() < AWAKE {
            thread::yield_now();
        }
    }

    fn is_idle(&self) -> bool {
        let waiting = self.lock();
        waiting.ops.is_empty() && !waiting.is_closed
    }

    /// Moves all there is to `batch`, without waiting for anything. Says whether more may
    /// come.
    pub(super) fn look(&self, batch: &mut Vec<Op>) -> bool {
        let mut waiting = self.lock();
        waiting.lines = 0;
        batch.append(&mut waiting.ops);
        !waiting.is_closed
    }

    /// No more is to come; what is there will be done.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.wake.notify_one();
    }

    /// Nothing will be done any more: whoever waits is told so.
    pub(super) fn end(&self) {
        let mut waiting = self.lock();
        waiting.is_writer_gone = true;
        let ops = mem::take(&mut waiting.ops);
        // Dropping them wakes those who wait, which is code of others.
        drop(waiting);
        drop(ops);
    }

    /// How many lines were dropped since this was asked last.
    pub(super) fn take_lost(&self) -> u64 {
        mem::take(&mut self.lock().lost)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing in here runs foreign code, so there is no half-done change to fear.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
