//! Reservations, until they are settled.
//!
//! A reservation whose deadline passed is **kept**: a permit may still be alive
//! and settle to the truth. But forgotten permits must not pile up, so only the
//! last [`KEPT`] of them are; one that is dropped stays at what it reserved.

use std::collections::VecDeque;

use super::{few::Few, slab::Slab};
use crate::store::contract::Reservation;

/// How many reservations are kept after their deadline.
const KEPT: usize = 16_384;

/// What one reservation booked.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// Never used twice; 0 while the record is free.
    tag: u64,
    pub(super) expired: bool,
    /// The number of what was booked.
    pub(super) plan: u32,
    /// How much on counters of money.
    pub(super) cost: u64,
    /// When, from which follows in which part of them it is.
    pub(super) at: u64,
    /// On which scope, for each run of the plan.
    pub(super) slots: Few<u32, 4>,
    /// In which part, for each counter of calls.
    pub(super) untils: Few<u64, 2>,
}

/// All reservations, by number.
#[derive(Debug)]
pub(super) struct Held {
    slab: Slab<Record>,
    /// By slot, apart from the records, so that looking for what is due is one walk
    /// through contiguous memory. `u64::MAX` where nothing is open.
    deadlines: Vec<u64>,
    /// No deadline is earlier than this one.
    next_deadline: u64,
    last_tag: u64,
    open: usize,
    /// Those kept after their deadline, oldest first; some may be settled by now.
    expired: VecDeque<Reservation>,
}

impl Default for Held {
    fn default() -> Self {
        let (slab, deadlines, expired) = Default::default();
        Self { slab, deadlines, next_deadline: u64::MAX, last_tag: 0, open: 0, expired }
    }
}

impl Held {
    /// Opens an empty record. `deadline` must be below `u64::MAX`.
    #[inline]
    pub(super) fn open(&mut self, deadline: u64) -> (Reservation, &mut Record) {
        let slot = self.slab.take();
        match self.deadlines.get_mut(slot as usize) {
            Some(known) => *known = deadline,
            None => self.deadlines.push(deadline), // places come one after the other
        }
        self.next_deadline = self.next_deadline.min(deadline);
        self.last_tag += 1;
        self.open += 1;
        let record = &mut self.slab[slot];
        record.tag = self.last_tag;
        record.expired = false;
        (Reservation { key: u64::from(slot), tag: self.last_tag }, record)
    }

    /// The record of a reservation, unless it has ended already.
    fn find(&mut self, reservation: Reservation) -> Option<&mut Record> {
        let slot = u32::try_from(reservation.key).ok()?;
        self.slab.get_mut(slot).filter(|record| record.tag == reservation.tag && record.tag != 0)
    }

    /// Ends a reservation, unless it has ended already. What it booked is there to be
    /// looked at until another one is opened.
    #[inline]
    pub(super) fn close(&mut self, reservation: Reservation) -> Option<&Record> {
        let slot = u32::try_from(reservation.key).ok()?;
        let Self { slab, deadlines, open, .. } = self;
        slab.give_if(slot, |record| {
            if record.tag != reservation.tag || record.tag == 0 {
                return false;
            }
            record.tag = 0;
            if !record.expired {
                *open -= 1;
                if let Some(deadline) = deadlines.get_mut(slot as usize) {
                    *deadline = u64::MAX;
                }
            }
            true
        })
    }

    /// Moves the deadline of a reservation that is still open at `now`.
    pub(super) fn extend(&mut self, reservation: Reservation, deadline: u64, now: u64) {
        if self.find(reservation).is_some() {
            let known = &mut self.deadlines[reservation.key as usize];
            // One that has passed already is the end of time by now, and stays it.
            if *known > now {
                *known = deadline.max(*known);
            }
        }
    }

    /// When it is worth asking for what is due.
    pub(super) fn next_deadline(&self) -> u64 {
        self.next_deadline
    }

    /// How many reservations are open.
    pub(super) fn open_count(&self) -> usize {
        self.open
    }

    /// Marks every open reservation whose deadline is reached, and shows it to `each`.
    pub(super) fn expire(&mut self, now: u64, mut each: impl FnMut(&Record)) {
        self.next_deadline = u64::MAX;
        for place in 0..self.deadlines.len() {
            let deadline = self.deadlines[place];
            if deadline > now {
                self.next_deadline = self.next_deadline.min(deadline);
                continue;
            }
            let slot = place as u32;
            let record = &mut self.slab[slot];
            record.expired = true;
            each(record);
            let tag = record.tag;
            self.deadlines[place] = u64::MAX;
            self.open -= 1;
            self.expired.push_back(Reservation { key: u64::from(slot), tag });
        }
    }

    /// The next reservation to forget because too many are kept past their deadline.
    pub(super) fn surplus(&mut self) -> Option<Reservation> {
        if self.expired.len() > KEPT { self.expired.pop_front() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_deadline_is_known_and_the_place_of_what_has_ended_is_used_again() {
        let mut held = Held::default();
        for round in [0, 100] {
            let [first, second] = [5, 9].map(|deadline| held.open(round + deadline).0);
            assert_eq!(held.next_deadline(), round + 5);
            held.expire(round + 4, |_| panic!("too early"));
            held.expire(round + 5, |_| {});
            assert_eq!((held.next_deadline(), held.open_count()), (round + 9, 1));
            assert!(held.close(second).is_some() && held.close(second).is_none());
            assert!(held.close(first).is_some_and(|record| record.expired));
            held.expire(round + 9, |_| panic!("it has ended"));
            assert_eq!((held.next_deadline(), held.open_count()), (u64::MAX, 0));
            assert_eq!((held.slab.places(), held.deadlines.len()), (2, 2));
        }
    }

    #[test]
    fn as_many_are_kept_past_their_deadline_as_is_said() {
        let mut held = Held::default();
        let first = held.open(0).0;
        for _ in 1..KEPT {
            held.open(0);
        }
        held.expire(0, |_| {});
        assert_eq!(held.surplus(), None);
        held.open(1);
        held.expire(1, |_| {});
        assert_eq!((held.surplus(), held.surplus()), (Some(first), None));
    }
}
