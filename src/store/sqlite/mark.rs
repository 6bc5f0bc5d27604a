//! Tells other processes at once that settled spend has fallen, or that a limit has changed.
//!
//! Who refuses a call from memory must not ask the database, which would take longer than
//! all the rest. But to ask how long a file is takes less than a microsecond. So there is
//! a second file beside the first, empty on the disk, of which the length tells the epoch.
//! It is set before the change is committed, so that nobody is told of a change that is
//! not to be seen yet by everybody.

use std::{
    fs::{self, OpenOptions},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

/// Epochs are told apart by so many lengths.
const LENGTHS: u64 = 1 << 20;

#[derive(Debug)]
pub(super) struct Mark {
    place: PathBuf,
    /// The length of the epoch that this process knows.
    known: AtomicU64,
}

impl Mark {
    /// For the database at this place.
    pub(super) fn beside(database: &Path) -> Self {
        let mut place = database.as_os_str().to_owned();
        place.push("-epoch");
        Self { place: place.into(), known: AtomicU64::new(0) }
    }

    /// What this process knows. It is to be asked before anything is looked at that is to be
    /// believed: what is learned afterwards does not say that this was not of an earlier epoch.
    pub(super) fn known(&self) -> u64 {
        self.known.load(Ordering::Acquire)
    }

    /// Whether nobody has set another epoch since the one that was `known`.
    pub(super) fn is_still(&self, known: u64) -> bool {
        self.length() == known
    }

    /// What the database says.
    pub(super) fn learn(&self, epoch: u64) {
        self.known.store(epoch % LENGTHS, Ordering::Release);
    }

    /// Sets an epoch, while nobody else can write to the database. Where that fails, others
    /// learn of it when they look at the database.
    pub(super) fn set(&self, epoch: u64) {
        if self.length() != epoch % LENGTHS {
            let file =
                OpenOptions::new().write(true).create(true).truncate(false).open(&self.place);
            let _ = file.and_then(|file| file.set_len(epoch % LENGTHS));
        }
    }

    /// A file that is not there tells of no change yet.
    fn length(&self) -> u64 {
        fs::metadata(&self.place).map_or(0, |found| found.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_sets_is_news_to_another_until_it_has_learned_it() {
        let directory = tempfile::tempdir().unwrap();
        let [one, other] = [(), ()].map(|()| Mark::beside(&directory.path().join("a.db")));
        let is_news_to = |mark: &Mark| !mark.is_still(mark.known());
        assert!(!is_news_to(&one) && !is_news_to(&other));
        for epoch in [1, 2, LENGTHS, LENGTHS + 2] {
            one.set(epoch);
            assert!(is_news_to(&other), "{epoch}");
            let before = other.known();
            one.learn(epoch);
            other.learn(epoch);
            assert!(!is_news_to(&one) && !is_news_to(&other));
            assert!(!other.is_still(before), "it was looked at before {epoch} was learned");
        }
    }
}
