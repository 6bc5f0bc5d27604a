//! What a provider has billed.

use std::{collections::BTreeMap, fmt, io::Read};

use super::{Day, exact::Exact};
use crate::usd::Usd;

/// A provider's invoice, or what its console exports: what was billed by day, and by
/// model if it says so.
///
/// # Example
/// ```
/// use driftlock::report::Invoice;
///
/// let csv = "Date,Model,Cost\n2026-11-01,gpt-4o-2024-08-06,12.50\n2026-11-01,gpt-4o-mini,0.75\n";
/// let invoice = Invoice::read(csv.as_bytes())?;
/// assert_eq!(invoice.total().to_string(), "$13.25");
/// # Ok::<(), driftlock::report::InvoiceError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Invoice {
    /// By day, and by model where there is a column for it.
    pub(super) billed: BTreeMap<Day, BTreeMap<String, Exact>>,
    pub(super) has_models: bool,
}

/// Names of columns; the first that is there counts.
const DAY: [&str; 2] = ["day", "date"];
const MODEL: [&str; 1] = ["model"];
const COST: [&str; 5] = ["cost", "amount", "usd", "billed", "amount_usd"];

impl Invoice {
    /// Reads comma-separated values under a line of names: `day` or `date`; `cost`,
    /// `amount`, `usd`, `billed` or `amount_usd`, in dollars; and `model`, which may be
    /// missing. Other columns are left alone; lines of one day and model are added up.
    ///
    /// # Errors
    /// [`InvoiceError`] with the line.
    pub fn read(csv: impl Read) -> Result<Self, InvoiceError> {
        let mut csv = csv::ReaderBuilder::new().flexible(true).from_reader(csv);
        let names = csv.headers().map_err(|error| InvoiceError::of(&error))?.clone();
        let find = |known: &[&str]| {
            known.iter().find_map(|known| names.iter().position(|name| is(name, known)))
        };
        let missing = |what| {
            let found = names.iter().collect::<Vec<_>>().join(", ");
            InvoiceError { line: 1, why: format!("no column {what} among: {found}") }
        };
        let day_at = find(&DAY).ok_or_else(|| missing("`day` or `date`"))?;
        let cost_at = find(&COST)
            .ok_or_else(|| missing("`cost`, `amount`, `usd`, `billed` or `amount_usd`"))?;
        let model_at = find(&MODEL);

        let mut invoice = Self { has_models: model_at.is_some(), ..Self::default() };
        for record in csv.records() {
            let record = record.map_err(|error| InvoiceError::of(&error))?;
            let line = record.position().map_or(0, csv::Position::line);
            let cell = |at: usize| record.get(at).unwrap_or_default().trim();
            let (day, cost) = (cell(day_at), cell(cost_at));
            let wrong = |what: &str, cell: &str, why: &str| InvoiceError {
                line,
                why: format!("{what} `{}`: {why}", cell.chars().take(40).collect::<String>()),
            };
            let day: Day =
                day.parse().map_err(|_| wrong("the day", day, "expected one like 2026-11-22"))?;
            let cost = Exact::parse(cost).map_err(|why| wrong("the amount", cost, why))?;
            let model = model_at.map(cell).unwrap_or_default().to_owned();
            let sum = invoice.billed.entry(day).or_default().entry(model).or_default();
            *sum = sum.saturating_add(cost);
        }
        Ok(invoice)
    }

    /// All that was billed.
    pub fn total(&self) -> Usd {
        let all = self.billed.values().flat_map(BTreeMap::values);
        Usd::nanos(all.copied().fold(Exact::default(), Exact::saturating_add).nanos())
    }
}

/// Whether a column has a name, however that is written.
fn is(name: &str, known: &str) -> bool {
    // Spreadsheets begin a file with a mark that is no part of the first name.
    name.trim_start_matches('\u{feff}').trim().eq_ignore_ascii_case(known)
}

/// An invoice could not be read.
///
/// # Example
/// ```
/// use driftlock::report::Invoice;
///
/// let error = Invoice::read("day,cost\n2026-11-01,twelve\n".as_bytes()).unwrap_err();
/// assert_eq!(error.to_string(), "line 2: the amount `twelve`: expected digits, like 0.10 or $0.10");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvoiceError {
    line: u64,
    why: String,
}

impl InvoiceError {
    fn of(error: &csv::Error) -> Self {
        Self { line: error.position().map_or(1, csv::Position::line), why: error.to_string() }
    }

    /// The line it is about; the first is 1.
    pub fn line(&self) -> u64 {
        self.line
    }
}

impl fmt::Display for InvoiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

impl std::error::Error for InvoiceError {}
