//! What was recorded against what was billed.
//!
//! A budget is as true as the prices it counts by. The provider's invoice is the other
//! side: where the two differ day after day for one model, its price is not what the book
//! says; where a model is missing on one side, somebody calls around the policy.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use rusqlite::Connection;
use serde::{Serialize, Serializer};

use super::{
    Day, Invoice, Report, ReportError,
    error::nonsense,
    exact::Exact,
    rollup::{self, Column, Days},
};
use crate::{call::Provider, price::PriceBook, usd::Usd};

/// What was recorded and what was billed, side by side.
///
/// For an example see [`Report::reconcile`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Reconciliation {
    /// By day and model.
    pub rows: Vec<Reconciled>,
    /// All that was recorded on the invoice's days.
    pub recorded: Usd,
    /// All that was billed.
    pub billed: Usd,
    /// Billed less recorded.
    pub difference: Difference,
}

/// One model of one day, or the day, if the invoice tells no models.
///
/// For an example see [`Report::reconcile`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Reconciled {
    /// The day of UTC.
    pub day: Day,
    /// The model; where the two sides name it differently, by its name in the price book.
    pub model: Option<String>,
    /// What was recorded; `None` if nothing was.
    pub recorded: Option<Usd>,
    /// What was billed; `None` if nothing was.
    pub billed: Option<Usd>,
    /// Billed less recorded.
    pub difference: Difference,
}

/// A signed amount of money, in nano-dollars. As text, dollars: `+0.25`, `-1.50`, `0.00`.
///
/// For an example see [`Report::reconcile`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference(i128);

impl Difference {
    fn between(billed: Usd, recorded: Usd) -> Self {
        Self(i128::from(billed.as_nanos()) - i128::from(recorded.as_nanos()))
    }

    /// In nano-dollars.
    pub const fn as_nanos(self) -> i128 {
        self.0
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usd = Usd::nanos(u64::try_from(self.0.unsigned_abs()).unwrap_or(u64::MAX)).to_string();
        let sign = match self.0.signum() {
            1 => "+",
            -1 => "-",
            _ => "",
        };
        f.pad(&format!("{sign}{}", usd.trim_start_matches('$')))
    }
}

impl Serialize for Difference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Report {
    /// Compares what was recorded with an invoice, for the days that are on it, each from
    /// the first to the last.
    ///
    /// Where the two sides name a model differently, as by a dated name or an alias, they
    /// are compared under the name the book has for it.
    ///
    /// # Errors
    /// [`ReportError`] if the file cannot be read.
    ///
    /// # Example
    /// ```no_run
    /// use driftlock::{PriceBook, report::{Invoice, Report}};
    ///
    /// let invoice = Invoice::read(std::fs::File::open("invoice.csv")?)?;
    /// let compared = Report::open("driftlock.db")?.reconcile(&invoice, &PriceBook::bundled())?;
    /// println!("billed {}, which is {} of what was recorded", compared.billed, compared.difference);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reconcile(
        &self,
        invoice: &Invoice,
        book: &PriceBook,
    ) -> Result<Reconciliation, ReportError> {
        let ends = invoice.billed.keys().next().zip(invoice.billed.keys().next_back());
        let Some((first, last)) = ends else { return Ok(Reconciliation::default()) };
        let days = Days { first: *first, last: *last };
        let recorded = self.look(|db| self.recorded(db, days))?;
        let mut compared = Reconciliation { billed: invoice.total(), ..Default::default() };
        for day in days.first.to(days.last) {
            let recorded = recorded.get(&day);
            let of_the_day = compare_day(day, recorded, invoice, book);
            let costs = recorded.into_iter().flat_map(BTreeMap::values);
            compared.recorded = compared.recorded.saturating_add(costs.copied().sum());
            compared.rows.extend(of_the_day);
        }
        compared.difference = Difference::between(compared.billed, compared.recorded);
        Ok(compared)
    }

    /// What was recorded by day and model.
    fn recorded(
        &self,
        db: &Connection,
        days: Days,
    ) -> rusqlite::Result<BTreeMap<Day, BTreeMap<String, Usd>>> {
        let mut recorded: BTreeMap<Day, BTreeMap<String, Usd>> = BTreeMap::new();
        for family in self.families(db)?.iter().filter(|family| family.label.is_none()) {
            for day in days.first.to(days.last) {
                let only = Days { first: day, last: day };
                rollup::each(db, Column::Model, family, only, |model, spent| {
                    let model = model.as_str().map_err(nonsense)?.to_owned();
                    let sum = recorded.entry(day).or_default().entry(model).or_default();
                    *sum = sum.saturating_add(spent.cost);
                    Ok(())
                })?;
            }
        }
        Ok(recorded)
    }
}

fn compare_day(
    day: Day,
    recorded: Option<&BTreeMap<String, Usd>>,
    invoice: &Invoice,
    book: &PriceBook,
) -> Vec<Reconciled> {
    let empty = BTreeMap::new();
    let recorded = recorded.unwrap_or(&empty);
    let billed: BTreeMap<&str, Exact> = invoice
        .billed
        .get(&day)
        .into_iter()
        .flatten()
        .map(|(model, exact)| (model.as_str(), *exact))
        .collect();
    let name = |model: &str| match invoice.has_models {
        true => canonical(book, model),
        false => String::new(),
    };
    // Under one name of the book: the names on either side.
    let mut groups: BTreeMap<String, (BTreeSet<&str>, BTreeSet<&str>)> = BTreeMap::new();
    for model in recorded.keys() {
        groups.entry(name(model)).or_default().0.insert(model);
    }
    for model in billed.keys() {
        groups.entry(name(model)).or_default().1.insert(model);
    }
    let row = |model: Option<String>, ours: &BTreeSet<&str>, theirs: &BTreeSet<&str>| {
        let ours = ours.iter().filter_map(|model| recorded.get(*model)).copied();
        let ours = ours.reduce(Usd::saturating_add);
        let theirs = theirs.iter().filter_map(|model| billed.get(model)).copied();
        let theirs = theirs.reduce(Exact::saturating_add).map(|exact| Usd::nanos(exact.nanos()));
        let difference = Difference::between(theirs.unwrap_or_default(), ours.unwrap_or_default());
        Reconciled { day, model, recorded: ours, billed: theirs, difference }
    };
    let mut rows = Vec::new();
    for (name, (ours, theirs)) in &groups {
        if !invoice.has_models {
            rows.push(row(None, ours, theirs));
        } else if ours == theirs {
            // Both sides use the same names, so they can be told apart.
            for model in ours {
                let one = BTreeSet::from([*model]);
                rows.push(row(Some((*model).to_owned()), &one, &one));
            }
        } else {
            rows.push(row(Some(name.clone()), ours, theirs));
        }
    }
    rows
}

/// The name a book has for a model, whoever's it is; one it does not know, as it is.
fn canonical(book: &PriceBook, model: &str) -> String {
    // Of a provider that the book does not know, it looks for the model with all.
    let anyone = Provider::named("invoice");
    book.canonical(&anyone, model).unwrap_or(model).to_owned()
}
