//! What calls book, looked up: which counters of which scopes.
//!
//! It depends on a policy's rules and not on the call, so there are few different
//! ones, and each is looked up once and then known by its number.

use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashMap};
use smallvec::SmallVec;

use super::{
    meaning::Meanings,
    scopes::{NONE, Scopes},
};
use crate::store::contract::{Charge, CounterId, StoreError};

/// Charges, those next to each other on one scope together.
#[derive(Debug, Default)]
pub(crate) struct Charges {
    pub(super) runs: Vec<Run>,
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
    pub(super) booked: Vec<Booked>,
}

/// A counter that is booked on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Booked {
    pub(super) counter: CounterId,
    pub(super) column: u32,
    pub(super) is_cost: bool,
}

impl Booked {
    /// How much is booked for a call of this cost.
    #[inline]
    pub(super) fn amount(&self, cost: u64) -> u64 {
        if self.is_cost { cost } else { 1 }
    }
}

impl Charges {
    fn look_up(
        charges: &[Charge],
        meanings: &mut Meanings,
        scopes: &Scopes,
    ) -> Result<Self, StoreError> {
        let mut found = Self::default();
        for charge in charges {
            let Some(meaning) = meanings.find(charge.counter) else {
                return Err(senseless("a charge on a counter of another store"));
            };
            let of_value = |run: &&Run| run.value == charge.value;
            if found.runs.iter().find(of_value).is_some_and(|run| run.family != meaning.family) {
                return Err(senseless("one value for counters of different labels"));
            }
            let (column, is_cost) = (meaning.column, meaning.is_cost);
            let booked = Booked { counter: charge.counter, column, is_cost };
            match found.runs.last_mut().filter(|run| run.value == charge.value) {
                Some(run) => {
                    run.columns = run.columns.max(column + 1);
                    run.booked.push(booked);
                }
                None => found.runs.push(Run {
                    value: charge.value,
                    family: meaning.family,
                    slot: scopes.workspace(meaning.family),
                    columns: column + 1,
                    booked: vec![booked],
                }),
            }
        }
        Ok(found)
    }

    /// How many counters are booked on.
    pub(super) fn len(&self) -> usize {
        self.runs.iter().map(|run| run.booked.len()).sum()
    }

    /// How many values a call must have.
    pub(super) fn values(&self) -> usize {
        self.runs.iter().map(|run| usize::from(run.value) + 1).max().unwrap_or(0)
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

/// Charges that were looked up, with their number.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(super) number: u32,
    pub(super) charges: Arc<Charges>,
}

/// All charges that were ever looked up.
#[derive(Debug, Default)]
pub(super) struct Plans {
    numbers: HashMap<Box<[Charge]>, u32, DefaultHashBuilder>,
    list: Vec<Arc<Charges>>,
}

impl Plans {
    /// The plan of these charges.
    pub(super) fn of(
        &mut self,
        charges: &[Charge],
        meanings: &mut Meanings,
        scopes: &Scopes,
    ) -> Result<Plan, StoreError> {
        if let Some(number) = self.numbers.get(charges) {
            let charges = Arc::clone(&self.list[*number as usize]);
            return Ok(Plan { number: *number, charges });
        }
        let found = Arc::new(Charges::look_up(charges, meanings, scopes)?);
        // There is no memory for four thousand million plans.
        let number = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        self.numbers.insert(charges.into(), number);
        self.list.push(Arc::clone(&found));
        Ok(Plan { number, charges: found })
    }

    /// The charges of a number that was given out.
    #[inline]
    pub(super) fn at(&self, number: u32) -> &Charges {
        &self.list[number as usize]
    }
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
