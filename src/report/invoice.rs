//! What a provider has billed.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, BufRead, BufReader, Read},
};

use super::{Billed, InvoiceColumns, SignedUsd, exact::Exact};

/// A provider's invoice, or what its console exports: what was billed by day, or by month,
/// and by model if it says so.
///
/// # Example
/// ```
/// use driftlock::report::Invoice;
///
/// let csv = "Date,Model,Cost\n2026-11-01,gpt-4o-2024-08-06,12.50\n2026-11-01,gpt-4o-mini,0.75\n";
/// let invoice = Invoice::read(csv.as_bytes())?;
/// assert_eq!(invoice.total().to_string(), "$13.25");
///
/// // As OpenAI exports costs, with a credit.
/// let csv = "start_time,start_time_iso,amount_value,amount_currency,line_item\n\
///     1793491200,2026-11-01T00:00:00+00:00,12.50,usd,\"gpt-4o-2024-08-06, input\"\n\
///     1793491200,2026-11-01T00:00:00+00:00,-2.50,usd,\"gpt-4o-2024-08-06, input\"\n";
/// assert_eq!(Invoice::read(csv.as_bytes())?.total().to_string(), "$10.00");
///
/// let months = Invoice::read("day;cost\n2026-10;1,000.30\n2026-11;$980\n".as_bytes())?;
/// assert_eq!(months.total().to_string(), "$1980.30");
/// # Ok::<(), driftlock::report::InvoiceError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Invoice {
    /// By day or month, and by model where there is a column for it.
    pub(super) billed: BTreeMap<Billed, BTreeMap<String, Exact>>,
    pub(super) has_models: bool,
}

impl Invoice {
    /// Reads values separated by commas, semicolons or tabs under a line of names, as
    /// [`InvoiceColumns`] knows them: those of a hand-made table, of OpenAI's export of
    /// costs, of Anthropic's console.
    ///
    /// Lines of one day and model are added up, negative ones, as credits, too. A month
    /// (`2026-11`) is one sum; an invoice is by days or by months. Other columns are left
    /// alone; a currency has to be dollars.
    ///
    /// # Errors
    /// [`InvoiceError`] with the line.
    pub fn read(csv: impl Read) -> Result<Self, InvoiceError> {
        Self::read_with(csv, &InvoiceColumns::new())
    }

    /// Reads like [`read`](Self::read), from columns by other names.
    ///
    /// # Errors
    /// [`InvoiceError`] with the line.
    pub fn read_with(csv: impl Read, columns: &InvoiceColumns) -> Result<Self, InvoiceError> {
        let mut csv = BufReader::new(csv);
        let mut first = Vec::new();
        let read = csv.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut first);
        read.map_err(|error| InvoiceError::of(&error.into()))?;
        let separator = separator(&first);
        let mut csv = csv::ReaderBuilder::new()
            .flexible(true)
            .delimiter(separator)
            .from_reader(io::Cursor::new(first).chain(csv));
        let names = csv.headers().map_err(|error| InvoiceError::of(&error))?.clone();
        let places = columns.places(&names)?;

        let mut invoice = Self { has_models: places.model.is_some(), ..Self::default() };
        for record in csv.records() {
            let record = record.map_err(|error| InvoiceError::of(&error))?;
            let line = record.position().map_or(0, csv::Position::line);
            let cell = |at: usize| record.get(at).unwrap_or_default().trim();
            let wrong = |what: &str, cell: &str, why: &str| {
                let cell: String = cell.chars().take(40).collect();
                InvoiceError::new(line, format!("{what} `{cell}`: {why}"))
            };
            let (day, cost) = (cell(places.day), cell(places.cost));
            let billed = Billed::read(day).ok_or_else(|| {
                wrong("the day", day, "expected one like 2026-11-22, or a month like 2026-11")
            })?;
            let is_other = |other: &Billed| other.is_day() != billed.is_day();
            if invoice.billed.keys().next().is_some_and(is_other) {
                return Err(wrong("the day", day, "an invoice is by days or by months, not both"));
            }
            if separator == b';' && cost.contains(',') && !cost.contains('.') {
                let why = "is the comma one of thousands or of decimals? write it with a point";
                return Err(wrong("the amount", cost, why));
            }
            let currency = places.currency.map(cell).unwrap_or_default();
            if !currency.is_empty() && !currency.eq_ignore_ascii_case("usd") {
                return Err(wrong("the currency", currency, "only dollars (usd) can be compared"));
            }
            let cost = Exact::parse(cost).map_err(|why| wrong("the amount", cost, why))?;
            let model = places.model_in(places.model.map(cell).unwrap_or_default()).to_owned();
            let sum = invoice.billed.entry(billed).or_default().entry(model).or_default();
            *sum = sum.saturating_add(cost);
        }
        if invoice.billed.is_empty() {
            return Err(InvoiceError::new(
                1,
                "nothing is billed below the names of the columns".into(),
            ));
        }
        Ok(invoice)
    }

    /// Every day or month from the first to the last, also those that are not on it.
    pub(super) fn periods(&self) -> Vec<Billed> {
        let last = self.billed.keys().next_back();
        let next = |period: &Billed| period.next().filter(|next| Some(next) <= last);
        std::iter::successors(self.billed.keys().next().copied(), next).collect()
    }

    /// All that was billed, less credits.
    pub fn total(&self) -> SignedUsd {
        let all = self.billed.values().flat_map(BTreeMap::values);
        SignedUsd::nanos(all.copied().fold(Exact::default(), Exact::saturating_add).nanos())
    }
}

/// More names than a table has.
const LONGEST_LINE: u64 = 64 * 1024;

/// What is most often between the names of columns.
fn separator(names: &[u8]) -> u8 {
    let count = |separator: &u8| names.iter().filter(|byte| *byte == separator).count();
    // Of equals the last wins, which is the comma.
    [b'\t', b';', b','].into_iter().max_by_key(count).unwrap_or(b',')
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
    pub(super) fn new(line: u64, why: String) -> Self {
        Self { line, why }
    }

    fn of(error: &csv::Error) -> Self {
        Self::new(error.position().map_or(1, csv::Position::line), error.to_string())
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
