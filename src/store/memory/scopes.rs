//! Who has counters: workspaces, and the values of labels.
//!
//! Scopes lie in a [`Slab`] and are found through an index of `(hash, slot)` pairs.
//! Because the index carries the hash, it grows without touching the scopes; it
//! is split into small tables, so that no call waits for all of it to grow.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use smallvec::SmallVec;
use smol_str::SmolStr;

use super::{counter::Counter, slab::Slab};
use crate::claim::Scope as Names;

/// No such slot, no such family.
pub(super) const NONE: u32 = u32::MAX;

/// One table for each value of the highest bits of a hash.
const TABLE_BITS: u32 = 7;

/// One workspace, or one value of one label of it.
#[derive(Debug)]
pub(super) struct Scope {
    key: SmolStr,
    family: u32,
    /// How many amounts of kept reservations point here.
    pub(super) held_by: u32,
    counters: SmallVec<[Counter; 3]>,
}

impl Default for Scope {
    fn default() -> Self {
        Self { key: SmolStr::default(), family: NONE, held_by: 0, counters: SmallVec::new() }
    }
}

impl Scope {
    /// The counter in a column, if anything was ever booked there or further right.
    #[inline]
    pub(super) fn counter(&mut self, column: u32) -> Option<&mut Counter> {
        self.counters.get_mut(column as usize)
    }

    /// The counter in a column.
    #[inline]
    pub(super) fn counter_or_new(&mut self, column: u32) -> &mut Counter {
        let column = column as usize;
        if self.counters.len() <= column {
            self.counters.resize_with(column + 1, Counter::default);
        }
        &mut self.counters[column]
    }
}

/// A workspace, or one of its labels: scopes with the same columns.
#[derive(Debug)]
struct Family {
    /// The slot of the workspace's own scope; [`NONE`] for a label.
    workspace: u32,
}

/// Where a value's counters are, or will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// [`NONE`] while there is no such scope.
    pub(super) slot: u32,
    /// [`NONE`] for a value that nothing is charged for.
    pub(super) family: u32,
    /// Whether it is the shared scope of newcomers.
    pub(super) other: bool,
}

impl Default for Place {
    fn default() -> Self {
        Self::UNUSED
    }
}

impl Place {
    pub(super) const UNUSED: Self = Self { slot: NONE, family: NONE, other: false };
}

/// All scopes.
#[derive(Debug)]
pub(super) struct Scopes {
    slab: Slab<Scope>,
    index: Vec<HashTable<(u32, u32)>>,
    hasher: DefaultHashBuilder,
    families: Vec<Family>,
    names: HashMap<(SmolStr, Option<SmolStr>), u32, DefaultHashBuilder>,
    /// Scopes of labels, and how many of them there may be.
    labelled: usize,
    most: usize,
}

impl Scopes {
    pub(super) fn new(hasher: DefaultHashBuilder, most: usize) -> Self {
        let index = (0..1 << TABLE_BITS).map(|_| HashTable::new()).collect();
        let (slab, families, names) = Default::default();
        Self { slab, index, hasher, families, names, labelled: 0, most }
    }

    /// The family of a workspace (`None`) or of one of its labels.
    pub(super) fn family(&mut self, workspace: &SmolStr, label: &Option<SmolStr>) -> u32 {
        let name = (workspace.clone(), label.clone());
        if let Some(family) = self.names.get(&name) {
            return *family;
        }
        let family = u32::try_from(self.families.len()).unwrap_or(NONE);
        let workspace = if label.is_none() { self.slab.take() } else { NONE };
        if workspace != NONE {
            self.slab[workspace] = Scope { family, ..Scope::default() };
        }
        self.families.push(Family { workspace });
        self.names.insert(name, family);
        family
    }

    /// Finds the place of a value. `newcomers` are those of the same call that
    /// will need room too.
    #[inline(always)] // the place is to be written where it stays, not copied there
    pub(super) fn place(&self, family: u32, value: &str, hash: u64, newcomers: usize) -> Place {
        let workspace = self.families[family as usize].workspace;
        let slot = if workspace != NONE { workspace } else { self.find(family, value, hash) };
        let other = slot == NONE && self.labelled.saturating_add(newcomers) >= self.most;
        let slot = if other { self.find_other(family) } else { slot };
        Place { slot, family, other }
    }

    #[cold]
    fn find_other(&self, family: u32) -> u32 {
        self.find(family, Names::OTHER, hash_of(&self.hasher, Names::OTHER))
    }

    #[inline]
    fn find(&self, family: u32, key: &str, hash: u64) -> u32 {
        let hash = mixed(hash, family);
        let found = self.index[table_of(hash)].find(spread(hash), |&(known, slot)| {
            known == hash && {
                let scope = &self.slab[slot];
                scope.family == family && scope.key == key
            }
        });
        found.map_or(NONE, |&(_, slot)| slot)
    }

    /// The slot of a place, made if there is none yet.
    #[inline]
    pub(super) fn ensure(&mut self, place: Place, value: &str) -> u32 {
        if place.slot != NONE { place.slot } else { self.create(place, value) }
    }

    fn create(&mut self, place: Place, value: &str) -> u32 {
        let key = if place.other { Names::OTHER } else { value };
        let hash = hash_of(&self.hasher, key);
        // The same call may name a newcomer twice.
        let found = self.find(place.family, key, hash);
        if found != NONE {
            return found;
        }
        let slot = self.slab.take();
        let (key, family) = (SmolStr::new(key), place.family);
        self.slab[slot] = Scope { key, family, ..Scope::default() };
        self.labelled += 1;
        let hash = mixed(hash, family);
        self.index[table_of(hash)].insert_unique(spread(hash), (hash, slot), |&(h, _)| spread(h));
        slot
    }

    /// The scope in a slot that [`ensure`](Self::ensure) returned.
    #[inline]
    pub(super) fn at(&mut self, slot: u32) -> &mut Scope {
        &mut self.slab[slot]
    }

    /// How many slots there are to sweep over.
    pub(super) fn slots(&self) -> u32 {
        self.slab.places()
    }

    /// How many values of labels have counters of their own.
    pub(super) fn labelled(&self) -> usize {
        self.labelled
    }

    /// Forgets the scope in a slot if nothing in it can matter any more.
    pub(super) fn reclaim(&mut self, slot: u32, now: u64) {
        let scope = &mut self.slab[slot];
        if scope.family == NONE || self.families[scope.family as usize].workspace != NONE {
            return;
        }
        let busy: usize = scope.counters.iter_mut().map(|one| usize::from(!one.is_idle(now))).sum();
        if busy > 0 || scope.held_by > 0 {
            return;
        }
        let hash = mixed(hash_of(&self.hasher, &scope.key), scope.family);
        self.slab[slot] = Scope::default();
        let entry = self.index[table_of(hash)].find_entry(spread(hash), |&(_, at)| at == slot);
        if let Ok(entry) = entry {
            entry.remove();
        }
        self.slab.give(slot);
        self.labelled -= 1;
    }
}

/// The hash of a value; done before the store is locked.
#[inline]
pub(super) fn hash_of(hasher: &DefaultHashBuilder, value: &str) -> u64 {
    // Most often the workspace, which needs none.
    if value.is_empty() { 0 } else { hasher.hash_one(value) }
}

fn mixed(hash: u64, family: u32) -> u32 {
    ((hash >> 32) as u32 ^ hash as u32) ^ family.wrapping_mul(0x9E37_79B9)
}

fn table_of(hash: u32) -> usize {
    (hash >> (u32::BITS - TABLE_BITS)) as usize
}

/// All 64 bits a table wants, of which the highest are not those of [`table_of`].
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}
