//! What a call books, looked up: which counters of which scopes.
//!
//! It depends on a policy's rules and not on the call, so a policy has it looked up
//! once. A call with claims of its own has it looked up for itself.

use smallvec::SmallVec;

use super::{
    meaning::Meanings,
    scopes::{NONE, Scopes},
};
use crate::store::contract::{Charge, CounterId, StoreError};

/// Charges, those next to each other on one scope together.
#[derive(Debug, Default)]
pub(crate) struct Charges {
    pub(super) runs: SmallVec<[Run; 4]>,
}

/// Charges on one scope.
#[derive(Debug)]
pub(super) struct Run {
    /// Which of the call's values has this scope.
    pub(super) value: u8,
    pub(super) family: u32,
    /// The slot of a workspace, which is known before; else [`NONE`].
    pub(super) slot: u32,
    /// How many counters the scope must have.
    pub(super) columns: u32,
    pub(super) booked: SmallVec<[Booked; 4]>,
}

/// A counter that is booked on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Booked {
    pub(super) counter: CounterId,
    pub(super) column: u32,
    pub(super) is_cost: bool,
}

impl Booked {
    #[inline]
    pub(super) fn amount(&self, cost: u64) -> u64 {
        if self.is_cost { cost } else { 1 }
    }
}

impl Charges {
    /// Looks charges up for a call with this many values.
    pub(super) fn look_up(
        charges: &[Charge],
        values: usize,
        meanings: &mut Meanings,
        scopes: &Scopes,
    ) -> Result<Self, StoreError> {
        let mut found = Self::default();
        for charge in charges {
            let Some(meaning) = meanings.find(charge.counter) else {
                return Err(senseless("a charge on a counter of another store"));
            };
            if usize::from(charge.value) >= values {
                return Err(senseless("a charge for a value that is not there"));
            }
            let of_value = |run: &&Run| run.value == charge.value;
            if found.runs.iter().find(of_value).is_some_and(|run| run.family != meaning.family) {
                return Err(senseless("one value for counters of different labels"));
            }
            let booked = Booked {
                counter: charge.counter,
                column: meaning.column,
                is_cost: meaning.is_cost,
            };
            match found.runs.last_mut().filter(|run| run.value == charge.value) {
                Some(run) => {
                    run.columns = run.columns.max(meaning.column + 1);
                    run.booked.push(booked);
                }
                None => found.runs.push(Run {
                    value: charge.value,
                    family: meaning.family,
                    slot: scopes.workspace(meaning.family),
                    columns: meaning.column + 1,
                    booked: SmallVec::from_iter([booked]),
                }),
            }
        }
        Ok(found)
    }

    /// How many counters are booked on.
    pub(super) fn len(&self) -> usize {
        self.runs.iter().map(|run| run.booked.len()).sum()
    }

    /// The run and counter of one charge.
    pub(super) fn at(&self, charge: u8) -> Option<(usize, Booked)> {
        let runs = self.runs.iter().enumerate();
        let mut all = runs.flat_map(|(index, run)| run.booked.iter().map(move |one| (index, *one)));
        all.nth(usize::from(charge))
    }
}

pub(super) fn senseless(what: &str) -> StoreError {
    StoreError::new(format!("the hold has {what}"))
}

/// Where the scope of one run is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) hash: u64,
    pub(super) slot: u32,
    /// Whether the scope was made for this call.
    pub(super) is_created: bool,
}

impl Place {
    /// Not looked up yet.
    #[inline]
    pub(super) fn of(hash: u64) -> Self {
        Self { hash, slot: NONE, is_created: false }
    }
}

/// By run.
pub(super) type Places = SmallVec<[Place; 4]>;
