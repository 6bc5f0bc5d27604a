//! Where the scope of a value is: slots by hash.
//!
//! A store has many users, and few of them are in a processor's cache. So a number that
//! tells slot and hash at once lies where its hash says, or a few places further on: to
//! find a slot is one look at memory, where a table of the usual kind takes two.
//!
//! It is many small tables. One that is full doubles, and that happens while the store is
//! locked.

/// One table for each value of the highest bits of a hash.
const TABLE_BITS: u32 = 7;
/// In a new table.
const FEWEST: usize = 4;
/// Never a slot with its hash, because there are not so many slots.
const EMPTY: u64 = u64::MAX;

/// Slots by the hashes of what is in them.
#[derive(Debug)]
pub(super) struct Index {
    tables: Vec<Table>,
}

/// Entries at the lowest bits of their hash, or behind that without a gap.
#[derive(Debug, Default)]
struct Table {
    /// A power of two of them, of which a quarter at least is empty; or none.
    entries: Vec<u64>,
    len: usize,
}

impl Default for Index {
    fn default() -> Self {
        Self { tables: (0..1 << TABLE_BITS).map(|_| Table::default()).collect() }
    }
}

impl Index {
    /// The slot with this hash that `is_it`.
    #[inline]
    pub(super) fn find(&self, hash: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let Table { entries, .. } = &self.tables[table_of(hash)];
        let mut at = hash as usize;
        loop {
            let entry = *entries.get(at & entries.len().wrapping_sub(1))?;
            if entry == EMPTY {
                return None;
            }
            if hash_in(entry) == hash && is_it(entry as u32) {
                return Some(entry as u32);
            }
            at += 1;
        }
    }

    /// Adds a slot that is not there yet.
    pub(super) fn insert(&mut self, hash: u32, slot: u32) {
        self.tables[table_of(hash)].insert(u64::from(hash) << 32 | u64::from(slot));
    }

    /// Removes a slot.
    pub(super) fn remove(&mut self, hash: u32, slot: u32) {
        self.tables[table_of(hash)].remove(u64::from(hash) << 32 | u64::from(slot));
    }
}

impl Table {
    fn insert(&mut self, entry: u64) {
        if (self.len + 1) * 4 > self.entries.len() * 3 {
            let more = (self.entries.len() * 2).max(FEWEST);
            let old = std::mem::replace(&mut self.entries, vec![EMPTY; more]);
            old.into_iter().filter(|entry| *entry != EMPTY).for_each(|entry| self.put(entry));
        }
        self.put(entry);
        self.len += 1;
    }

    fn put(&mut self, entry: u64) {
        let mut at = self.home(entry);
        while self.entries[at] != EMPTY {
            at = self.behind(at);
        }
        self.entries[at] = entry;
    }

    /// What lies behind the gap moves up as far as it may, so that none is left.
    fn remove(&mut self, entry: u64) {
        if self.len == 0 {
            return;
        }
        let mut gap = self.home(entry);
        while self.entries[gap] != entry {
            if self.entries[gap] == EMPTY {
                return;
            }
            gap = self.behind(gap);
        }
        let mut at = gap;
        loop {
            at = self.behind(at);
            let next = self.entries[at];
            if next == EMPTY {
                break;
            }
            let (from_home, from_gap) = (self.steps(self.home(next), at), self.steps(gap, at));
            if from_home >= from_gap {
                self.entries[gap] = next;
                gap = at;
            }
        }
        self.entries[gap] = EMPTY;
        self.len -= 1;
    }

    fn home(&self, entry: u64) -> usize {
        hash_in(entry) as usize & (self.entries.len() - 1)
    }

    fn behind(&self, at: usize) -> usize {
        (at + 1) & (self.entries.len() - 1)
    }

    fn steps(&self, from: usize, to: usize) -> usize {
        to.wrapping_sub(from) & (self.entries.len() - 1)
    }
}

fn hash_in(entry: u64) -> u32 {
    (entry >> 32) as u32
}

fn table_of(hash: u32) -> usize {
    (hash >> (u32::BITS - TABLE_BITS)) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn it_has_what_was_inserted_and_not_removed_whatever_the_hashes() {
        let mut random = 1_u64;
        for distinct in [1, 7, 500, u32::MAX] {
            let (mut index, mut known) = (Index::default(), BTreeSet::new());
            for step in 0..4_000 {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                let hash = (random as u32 % distinct).wrapping_mul(0x9E37_79B9);
                // Grows, shrinks, grows again.
                let is_removal = (step / 1_000) % 2 == 1;
                match known.first().copied().filter(|_| is_removal) {
                    Some((hash, slot)) => {
                        index.remove(hash, slot);
                        index.remove(hash, slot);
                        known.remove(&(hash, slot));
                    }
                    None => {
                        index.insert(hash, step);
                        known.insert((hash, step));
                    }
                }
                let found = |(hash, slot)| index.find(hash, |one| one == slot).is_some();
                assert!(known.iter().step_by(97).all(|one| found(*one)));
                assert!(!found((hash, u32::MAX - 1)));
            }
            assert!(
                known.iter().all(|(hash, slot)| index.find(*hash, |one| one == *slot).is_some())
            );
            assert_eq!(index.tables.iter().map(|table| table.len).sum::<usize>(), known.len());
        }
    }
}
