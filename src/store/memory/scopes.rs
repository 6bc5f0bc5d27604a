//! Who has counters: workspaces, and the values of labels.
//!
//! Scopes lie in a [`Slab`] and are found through an [`Index`] of their hashes, which grows
//! without touching them.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashMap};
use smol_str::SmolStr;

use super::{counters::Counters, index::Index, slab::Slab};
use crate::{claim::Scope as Names, same::same, store::counting::Counter};

/// No such slot, no such family.
pub(super) const NONE: u32 = u32::MAX;

/// One workspace, or one value of one label of it.
#[derive(Debug)]
#[repr(align(32))] // of its 160 bytes, none lie on a fourth line of memory
pub(super) struct Scope {
    key: SmolStr,
    family: u32,
    /// How many kept reservations point here, each as often as it has runs of
    /// entries here.
    held_by: u32,
    pub(super) counters: Counters,
}

impl Default for Scope {
    fn default() -> Self {
        Self { key: SmolStr::default(), family: NONE, held_by: 0, counters: Counters::default() }
    }
}

impl Scope {
    /// Its counters, for a reservation that will point here.
    #[inline]
    pub(super) fn hold(&mut self) -> &mut Counters {
        self.held_by += 1;
        &mut self.counters
    }

    /// The same for one that has ended.
    #[inline]
    pub(super) fn let_go(&mut self) -> &mut Counters {
        self.held_by -= 1;
        &mut self.counters
    }
}

/// A workspace, or one of its labels: scopes with the same columns.
#[derive(Debug)]
struct Family {
    /// The slot of the workspace's own scope; [`NONE`] for a label.
    workspace: u32,
}

/// All scopes.
#[derive(Debug)]
pub(super) struct Scopes {
    slab: Slab<Scope>,
    index: Index,
    hasher: DefaultHashBuilder,
    families: Vec<Family>,
    names: HashMap<(SmolStr, Option<SmolStr>), u32, DefaultHashBuilder>,
    /// Scopes of labels, and how many of them there may be.
    labelled: usize,
    most: usize,
}

impl Scopes {
    pub(super) fn new(hasher: DefaultHashBuilder, most: usize) -> Self {
        let (slab, index, families, names) = Default::default();
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

    /// The slot of a value, [`NONE`] if it has no scope, and whether it must share
    /// the one of newcomers.
    #[inline]
    pub(super) fn locate(&self, family: u32, value: &str, hash: u64) -> (u32, bool) {
        let workspace = self.families[family as usize].workspace;
        let slot = if workspace != NONE { workspace } else { self.find(family, value, hash) };
        if slot == NONE && self.labelled >= self.most {
            let hash = hash_of(&self.hasher, Names::OTHER);
            return (self.find(family, Names::OTHER, hash), true);
        }
        (slot, false)
    }

    #[inline(never)]
    fn find(&self, family: u32, key: &str, hash: u64) -> u32 {
        let found = self.index.find(mixed(hash, family), |slot| {
            let scope = &self.slab[slot];
            scope.family == family && same(&scope.key, key)
        });
        found.unwrap_or(NONE)
    }

    /// The slot of the workspace's own scope; [`NONE`] for a label.
    pub(super) fn workspace(&self, family: u32) -> u32 {
        self.families.get(family as usize).map_or(NONE, |family| family.workspace)
    }

    /// The slot of a value, and whether it was made because there was none yet.
    #[inline]
    pub(super) fn enter(&mut self, family: u32, value: &str, hash: u64) -> (u32, bool) {
        match self.locate(family, value, hash) {
            (NONE, is_shared) => {
                (self.create(family, if is_shared { Names::OTHER } else { value }), true)
            }
            (slot, _) => (slot, false),
        }
    }

    #[cold]
    fn create(&mut self, family: u32, key: &str) -> u32 {
        let hash = mixed(hash_of(&self.hasher, key), family);
        let slot = self.slab.take();
        self.slab[slot] = Scope { key: SmolStr::new(key), family, ..Scope::default() };
        self.labelled += 1;
        self.index.insert(hash, slot);
        slot
    }

    /// The scope in a slot that [`enter`](Self::enter) returned.
    #[inline]
    pub(super) fn at(&mut self, slot: u32) -> &mut Scope {
        &mut self.slab[slot]
    }

    /// A counter, if its scope is there and anything was ever booked on it.
    pub(super) fn counter(&mut self, slot: u32, column: u32) -> Option<&mut Counter> {
        self.slab.get_mut(slot)?.counters.get_mut(column)
    }

    /// What a counter has used, and the part of it that is reserved.
    pub(super) fn used(&mut self, slot: u32, column: u32, now: u64) -> (u64, u64) {
        self.counter(slot, column).map_or((0, 0), |counter| {
            counter.roll(now);
            (counter.used(), counter.open())
        })
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
        if !scope.counters.are_idle(now) || scope.held_by > 0 {
            return;
        }
        let hash = mixed(hash_of(&self.hasher, &scope.key), scope.family);
        self.slab[slot] = Scope::default();
        self.index.remove(hash, slot);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_that_was_reclaimed_leaves_nothing_and_its_place_is_used_again() {
        let mut scopes = Scopes::new(DefaultHashBuilder::default(), 10);
        let family = scopes.family(&"w".into(), &Some("user".into()));
        for name in ["ada", "bo", "cy"] {
            let hash = hash_of(&scopes.hasher, name);
            let (slot, is_created) = scopes.enter(family, name, hash);
            assert!(is_created && scopes.enter(family, name, hash) == (slot, false));
            scopes.reclaim(slot, 0);
            assert_eq!((scopes.locate(family, name, hash), scopes.labelled()), ((NONE, false), 0));
            assert_eq!(scopes.index.find(mixed(hash, family), |_| true), None);
            assert_eq!(scopes.slots(), 1);
        }
    }

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn a_user_takes_160_bytes() {
        assert_eq!(size_of::<Scope>(), 160);
    }
}
