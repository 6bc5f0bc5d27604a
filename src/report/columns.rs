//! Where an invoice says what.

use super::InvoiceError;

/// The columns of an invoice that are read, where they go by other names than those that
/// [`Invoice`](crate::report::Invoice) knows.
///
/// # Example
/// ```
/// use driftlock::report::{Invoice, InvoiceColumns};
///
/// let csv = "when;what;net\n2026-11-01;gpt-4o;$1,000.30\n";
/// let columns = InvoiceColumns::new().day("when").model("what").cost("net");
/// assert_eq!(Invoice::read_with(csv.as_bytes(), &columns)?.total().to_string(), "$1000.30");
/// # Ok::<(), driftlock::report::InvoiceError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "it is for `Invoice::read_with`"]
pub struct InvoiceColumns {
    day: Option<String>,
    model: Option<String>,
    cost: Option<String>,
}

/// Names of columns; the first that is there counts.
const DAY: [&str; 5] = ["day", "date", "usage_date_utc", "start_time_iso", "start_time"];
const MODEL: [&str; 2] = ["model", LINE_ITEM];
const COST: [&str; 7] =
    ["cost", "amount", "usd", "billed", "amount_usd", "cost_usd", "amount_value"];
const CURRENCY: [&str; 2] = ["amount_currency", "currency"];
/// What OpenAI names a model and what of it was used in: `gpt-4o-2024-08-06, input`.
const LINE_ITEM: &str = "line_item";

impl InvoiceColumns {
    /// Those that are known.
    pub fn new() -> Self {
        Self::default()
    }

    /// The column of days, or of months. Defaults to the first of `day`, `date`,
    /// `usage_date_utc`, `start_time_iso` and `start_time`.
    pub fn day(self, name: impl Into<String>) -> Self {
        Self { day: Some(name.into()), ..self }
    }

    /// The column of models. Defaults to `model` or `line_item`, if there is one.
    pub fn model(self, name: impl Into<String>) -> Self {
        Self { model: Some(name.into()), ..self }
    }

    /// The column of dollars. Defaults to the first of `cost`, `amount`, `usd`, `billed`,
    /// `amount_usd`, `cost_usd` and `amount_value`.
    pub fn cost(self, name: impl Into<String>) -> Self {
        Self { cost: Some(name.into()), ..self }
    }

    /// Where they are under these names.
    pub(super) fn places(&self, names: &csv::StringRecord) -> Result<Places, InvoiceError> {
        let find = |known: &[&str]| {
            known.iter().find_map(|known| names.iter().position(|name| is(name, known)))
        };
        let asked = |name: &Option<String>, known: &[&str]| match name {
            None => Ok(find(known)),
            Some(name) => find(&[name]).map(Some).ok_or_else(|| missing(&[name], names)),
        };
        let day = asked(&self.day, &DAY)?.ok_or_else(|| missing(&DAY, names))?;
        let cost = asked(&self.cost, &COST)?.ok_or_else(|| missing(&COST, names))?;
        let model = asked(&self.model, &MODEL)?;
        let is_line_item =
            model.and_then(|at| names.get(at)).is_some_and(|name| is(name, LINE_ITEM));
        let currency = find(&CURRENCY);
        for at in [Some(day), model, Some(cost), currency].into_iter().flatten() {
            let name = names.get(at).unwrap_or_default().trim();
            if names.iter().skip(at + 1).any(|other| is(other, name)) {
                return Err(InvoiceError::new(1, format!("two columns are named `{name}`")));
            }
        }
        Ok(Places { day, model, is_line_item, cost, currency })
    }
}

/// Columns by their place in a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    pub(super) day: usize,
    pub(super) model: Option<usize>,
    /// The model is told with more behind a comma.
    is_line_item: bool,
    pub(super) cost: usize,
    pub(super) currency: Option<usize>,
}

impl Places {
    /// The model that a cell is about.
    pub(super) fn model_in(self, cell: &str) -> &str {
        match cell.split_once(", ") {
            Some((model, _)) if self.is_line_item => model.trim_end(),
            _ => cell,
        }
    }
}

/// Whether a column has a name, however that is written.
fn is(name: &str, known: &str) -> bool {
    // Spreadsheets begin a file with a mark that is no part of the first name.
    name.trim_start_matches('\u{feff}').trim().eq_ignore_ascii_case(known)
}

fn missing(known: &[&str], names: &csv::StringRecord) -> InvoiceError {
    let known: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
    let found: String = names.iter().collect::<Vec<_>>().join(", ").chars().take(400).collect();
    InvoiceError::new(1, format!("no column {} among: {found}", known.join(" or ")))
}
