//! What calls book, looked up: which counters of which scopes.
//!
//! It depends on a policy's rules and not on the call, so there are few different
//! ones, and each is looked up once and then known by its number.

use hashbrown::{DefaultHashBuilder, HashMap};
use smallvec::SmallVec;

use super::{
    meaning::{Meaning, Meanings},
    scopes::{NONE, Scopes},
};
use crate::store::{
    answer::StoreError,
    contract::{Charge, CounterId},
    counting::{Horizon, Times},
};

/// Charges, those next to each other on one scope together.
#[derive(Debug, Default)]
pub(super) struct Charges {
    pub(super) runs: Vec<Run>,
    /// Whether two values are of one label, so that they may have one scope: the same
    /// value twice, or newcomers above the cap.
    pub(super) may_share: bool,
}

/// Charges on one scope.
#[derive(Debug)]
pub(super) struct Run {
    /// Which of the call's values has this scope.
    pub(super) value: u8,
    pub(super) family: u32,
    /// The slot of a workspace, which is known before; else [`NONE`].
    pub(super) slot: u32,
    /// The counters of money. They change again when a call has settled.
    pub(super) costs: Vec<Booked>,
    /// Those of calls.
    pub(super) calls: Vec<Booked>,
}

/// A counter that is booked on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Booked {
    pub(super) counter: CounterId,
    pub(super) column: u32,
    /// Which of the charges it is.
    pub(super) charge: usize,
    /// What the counter's meaning says, so that a booking need not look for it.
    pub(super) horizon: Horizon,
    pub(super) times: Times,
}

impl Run {
    /// All its counters.
    pub(super) fn booked(&self) -> impl Iterator<Item = &Booked> {
        self.costs.iter().chain(&self.calls)
    }

    /// How much is booked for a call of this cost on its counter of a charge, and which
    /// counter that is; `None` for a charge of another run.
    pub(super) fn amount(&self, charge: usize, cost: u64) -> Option<(Booked, u64)> {
        let of = |all: &[Booked]| all.iter().find(|one| one.charge == charge).copied();
        of(&self.costs).map(|one| (one, cost)).or_else(|| of(&self.calls).map(|one| (one, 1)))
    }
}

impl Charges {
    fn look_up(
        charges: &[Charge],
        meanings: &mut Meanings,
        scopes: &Scopes,
    ) -> Result<Self, StoreError> {
        let mut found = Self::default();
        for (index, charge) in charges.iter().enumerate() {
            if charges.iter().take(index).any(|before| before == charge) {
                return Err(senseless("one charge twice"));
            }
            let Some(meaning) = meanings.find(charge.counter) else {
                return Err(senseless("a charge on a counter of another store"));
            };
            let of_value = |run: &&Run| run.value == charge.value;
            if found.runs.iter().find(of_value).is_some_and(|run| run.family != meaning.family) {
                return Err(senseless("one value for counters of different labels"));
            }
            let Meaning { column, horizon, times, .. } = *meaning;
            let booked = Booked { counter: charge.counter, column, charge: index, horizon, times };
            if found.runs.last().is_none_or(|run| run.value != charge.value) {
                found.runs.push(Run {
                    value: charge.value,
                    family: meaning.family,
                    slot: scopes.workspace(meaning.family),
                    costs: Vec::new(),
                    calls: Vec::new(),
                });
            }
            if let Some(run) = found.runs.last_mut() {
                if meaning.is_cost { &mut run.costs } else { &mut run.calls }.push(booked);
            }
        }
        let of_one_label = |run: &Run, other: &Run| run.family == other.family;
        let mut rest = found.runs.as_slice();
        while let [run, others @ ..] = rest {
            found.may_share |= others.iter().any(|other| of_one_label(run, other));
            rest = others;
        }
        Ok(found)
    }

    /// How many counters are booked on.
    pub(super) fn len(&self) -> usize {
        self.runs.iter().map(|run| run.booked().count()).sum()
    }

    /// How many values a call must have.
    pub(super) fn values(&self) -> usize {
        self.runs.iter().map(|run| usize::from(run.value) + 1).max().unwrap_or(0)
    }

    /// The run and counter of one charge, and how much a call of this cost books there.
    pub(super) fn at(&self, charge: usize, cost: u64) -> Option<(usize, Booked, u64)> {
        let mut runs = self.runs.iter().enumerate();
        runs.find_map(|(run, one)| one.amount(charge, cost).map(|(one, of)| (run, one, of)))
    }
}

pub(super) fn senseless(what: &str) -> StoreError {
    StoreError::new(format!("the hold has {what}"))
}

/// Charges that were looked up.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(super) number: u32,
}

/// All charges that were ever looked up.
#[derive(Debug, Default)]
pub(super) struct Plans {
    numbers: HashMap<Box<[Charge]>, u32, DefaultHashBuilder>,
    list: Vec<Charges>,
}

impl Plans {
    /// The number of these charges.
    pub(super) fn of(
        &mut self,
        charges: &[Charge],
        meanings: &mut Meanings,
        scopes: &Scopes,
    ) -> Result<u32, StoreError> {
        if let Some(number) = self.numbers.get(charges) {
            return Ok(*number);
        }
        let found = Charges::look_up(charges, meanings, scopes)?;
        // There is no memory for four thousand million plans.
        let number = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        self.numbers.insert(charges.into(), number);
        self.list.push(found);
        Ok(number)
    }

    /// Takes note of how many calls of a counter are kept one by one.
    pub(super) fn renew(&mut self, counter: CounterId, times: Times) {
        let runs = self.list.iter_mut().flat_map(|charges| &mut charges.runs);
        let calls = runs.flat_map(|run| &mut run.calls);
        calls.filter(|one| one.counter == counter).for_each(|one| one.times = times);
    }

    /// The charges of a number that was given out.
    #[inline]
    pub(super) fn at(&mut self, number: u32) -> &mut Charges {
        &mut self.list[number as usize]
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

    /// Finds the scope of a run, or makes it. It is the value's unless that is missing,
    /// which the caller has seen to.
    #[inline]
    pub(super) fn enter(&mut self, scopes: &mut Scopes, run: &Run, values: &[&str]) {
        (self.slot, self.is_created) = match (run.slot, values.get(usize::from(run.value))) {
            (NONE, Some(value)) => scopes.enter(run.family, value, self.hash),
            (NONE, None) => scopes.enter(run.family, "", self.hash),
            (workspace, _) => (workspace, false),
        };
    }
}

/// By run.
pub(super) type Places = SmallVec<[Place; 4]>;
