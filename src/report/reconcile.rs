//! What was recorded against what was billed.
//!
//! A budget is as true as the prices it counts by. The provider's invoice is the other
//! side: where the two differ day after day for one model, its price is not what the book
//! says; where a model is missing on one side, somebody calls around the policy.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Billed, Invoice, Report, ReportError, SignedUsd, charged::Charged, exact::Exact};
use crate::{call::Provider, price::PriceBook, usd::Usd};

/// What was recorded and what was billed, side by side.
///
/// For an example see [`Report::reconcile`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Reconciliation {
    /// By day, or month, and model.
    pub rows: Vec<Reconciled>,
    /// All that was recorded on the invoice's days.
    pub recorded: Usd,
    /// All that was billed, less credits.
    pub billed: SignedUsd,
    /// Billed less recorded.
    pub difference: SignedUsd,
    /// The difference in hundredths of a percent of what was recorded, rounded; `None` if
    /// nothing was.
    pub basis_points: Option<i128>,
    /// Calls of the invoice's days that are in flight: they are not among what was recorded,
    /// and count here at their estimates.
    pub in_flight: Uncertain,
    /// Calls of the invoice's days that cannot be read: they are among what was recorded,
    /// at their estimates.
    pub unreadable: Uncertain,
}

/// Calls of which it is not known what they cost, and what they count at.
///
/// For an example see [`Report::reconcile`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Uncertain {
    /// How many.
    pub calls: u64,
    /// All their estimates.
    pub estimate: Usd,
}

impl Uncertain {
    pub(super) fn add(&mut self, estimate: Usd) {
        self.calls += 1;
        self.estimate = self.estimate.saturating_add(estimate);
    }
}

/// One model of one day, or the day, if the invoice tells no models.
///
/// For an example see [`Report::reconcile`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Reconciled {
    /// The day of UTC, or the month.
    pub day: Billed,
    /// The model; where the two sides name it differently, by its name in the price book.
    pub model: Option<String>,
    /// What was recorded; `None` if nothing was.
    pub recorded: Option<Usd>,
    /// What was billed, less credits; `None` if nothing was.
    pub billed: Option<SignedUsd>,
    /// Billed less recorded.
    pub difference: SignedUsd,
}

impl Report {
    /// Compares what was recorded with an invoice, for the days or months that are on it,
    /// each from the first to the last. Calls that were sent during an outage of the store
    /// were recorded with no cost.
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
    /// let more_or_less = if compared.difference.as_nanos() < 0 { "less" } else { "more" };
    /// // "$1.09 more than was recorded"
    /// println!("{} {more_or_less} than was recorded", compared.difference.abs());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reconcile(
        &self,
        invoice: &Invoice,
        book: &PriceBook,
    ) -> Result<Reconciliation, ReportError> {
        Ok(compare(invoice, &self.charged(&invoice.periods())?, book))
    }

    /// Like [`reconcile`](Self::reconcile), with what was recorded of one provider's calls
    /// only: `openai`, `anthropic`. Sums by day do not tell providers apart, so this reads
    /// the calls themselves, which takes about a second for a million.
    ///
    /// # Errors
    /// [`ReportError`] if the file cannot be read; [`ReportError::UnknownProvider`] if all
    /// calls of these days went to others; [`ReportError::Pruned`] if some of the days'
    /// calls are no longer in the ledger.
    pub fn reconcile_provider(
        &self,
        provider: &str,
        invoice: &Invoice,
        book: &PriceBook,
    ) -> Result<Reconciliation, ReportError> {
        Ok(compare(invoice, &self.charged_by(provider, &invoice.periods())?, book))
    }
}

fn compare(invoice: &Invoice, charged: &Charged, book: &PriceBook) -> Reconciliation {
    let Charged { costs, in_flight, unreadable } = charged;
    let (billed, in_flight, unreadable) = (invoice.total(), *in_flight, *unreadable);
    let mut compared = Reconciliation { billed, in_flight, unreadable, ..Default::default() };
    for period in invoice.periods() {
        let recorded = costs.get(&period);
        let costs = recorded.into_iter().flat_map(BTreeMap::values);
        compared.recorded = compared.recorded.saturating_add(costs.copied().sum());
        compared.rows.extend(compare_day(period, recorded, invoice, book));
    }
    compared.difference = less(compared.billed, compared.recorded);
    let recorded = i128::from(compared.recorded.as_nanos());
    let share = compared.difference.as_nanos().saturating_mul(10_000);
    let half = recorded / 2 * share.signum();
    compared.basis_points = share.saturating_add(half).checked_div(recorded);
    compared
}

fn less(billed: SignedUsd, recorded: Usd) -> SignedUsd {
    SignedUsd::nanos(billed.as_nanos().saturating_sub(recorded.as_nanos().into()))
}

fn compare_day(
    day: Billed,
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
        let theirs = theirs.reduce(Exact::saturating_add).map(|sum| SignedUsd::nanos(sum.nanos()));
        let difference = less(theirs.unwrap_or_default(), ours.unwrap_or_default());
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
