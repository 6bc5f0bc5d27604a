//! The ledger, for other programs.

use std::io::{self, Write};

use super::{Recorded, Report, ReportError, Span};
use crate::usd::Usd;

/// How to write calls down.
///
/// For an example see [`Report::export`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values under a line of names; all labels are JSON in one column, and
    /// the user has a column too. Texts are as they were written down: a spreadsheet takes
    /// one that begins with `=` for a formula, unless it is told that columns are text.
    Csv,
    /// An object of JSON on each line.
    JsonLines,
}

impl Report {
    /// Writes every call that was decided within a span, in the order of time, and returns
    /// how many there were. Like [`calls`](Self::calls), which it reads, it takes no memory
    /// to speak of.
    ///
    /// # Errors
    /// [`ReportError`] if the file cannot be read, or [`ReportError::Write`] if there is
    /// nobody to write to any more.
    ///
    /// # Example
    /// ```no_run
    /// use driftlock::report::{Format, Report, Span};
    ///
    /// let report = Report::open("driftlock.db")?;
    /// let calls = report.export(Span::days(30), Format::Csv, std::fs::File::create("calls.csv")?)?;
    /// println!("{calls} calls");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn export(&self, span: Span, format: Format, to: impl Write) -> Result<u64, ReportError> {
        let calls = self.calls(span)?;
        match format {
            Format::Csv => write_csv(calls, to),
            Format::JsonLines => write_lines(calls, to),
        }
    }
}

type Found = Result<Recorded, ReportError>;

fn write_lines(calls: impl Iterator<Item = Found>, to: impl Write) -> Result<u64, ReportError> {
    let mut to = io::BufWriter::new(to);
    let mut written = 0;
    for call in calls {
        serde_json::to_writer(&mut to, &call?).map_err(|error| ReportError::Write(error.into()))?;
        to.write_all(b"\n").map_err(ReportError::Write)?;
        written += 1;
    }
    to.flush().map_err(ReportError::Write)?;
    Ok(written)
}

fn write_csv(calls: impl Iterator<Item = Found>, to: impl Write) -> Result<u64, ReportError> {
    let failed = |error: csv::Error| match error.into_kind() {
        csv::ErrorKind::Io(error) => ReportError::Write(error),
        other => ReportError::Write(io::Error::other(format!("{other:?}"))),
    };
    let mut to = csv::Writer::from_writer(to);
    let names = cells(&Recorded::default()).map(|(name, _)| name);
    to.write_record(names).map_err(failed)?;
    let mut written = 0;
    for call in calls {
        to.write_record(cells(&call?).map(|(_, value)| value)).map_err(failed)?;
        written += 1;
    }
    to.flush().map_err(ReportError::Write)?;
    Ok(written)
}

/// The columns of a line, by name.
fn cells(call: &Recorded) -> [(&'static str, String); 25] {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let tokens = |tokens: Option<u64>| tokens.map_or_else(String::new, |tokens| tokens.to_string());
    // As in JSON, without the sign, so that it is a number to whoever reads it.
    let usd = |usd: Usd| usd.to_string().trim_start_matches('$').to_owned();
    let labels = match call.labels.is_empty() {
        true => String::new(),
        false => serde_json::to_string(&call.labels).unwrap_or_default(),
    };
    [
        ("id", call.id.to_string()),
        ("at", call.at.to_string()),
        ("outcome", call.outcome.clone()),
        ("workspace", text(&call.workspace)),
        ("provider", text(&call.provider)),
        ("operation", text(&call.operation)),
        ("requested_model", text(&call.requested_model)),
        ("model", text(&call.model)),
        ("answered_model", text(&call.answered_model)),
        ("user", call.labels.get("user").cloned().unwrap_or_default()),
        ("labels", labels),
        ("estimate", usd(call.estimate)),
        ("cost", usd(call.cost)),
        ("rule", text(&call.rule)),
        ("prices", text(&call.prices)),
        ("input_tokens", tokens(call.input_tokens)),
        ("cached_input_tokens", tokens(call.cached_input_tokens)),
        ("cache_write_tokens", tokens(call.cache_write_tokens)),
        ("cache_write_1h_tokens", tokens(call.cache_write_1h_tokens)),
        ("input_audio_tokens", tokens(call.input_audio_tokens)),
        ("cached_audio_tokens", tokens(call.cached_audio_tokens)),
        ("output_tokens", tokens(call.output_tokens)),
        ("reasoning_tokens", tokens(call.reasoning_tokens)),
        ("output_audio_tokens", tokens(call.output_audio_tokens)),
        ("web_searches", tokens(call.web_searches)),
    ]
}
