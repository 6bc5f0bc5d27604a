//! The ledger, for other programs.

use std::io::{self, Write};

use serde::Serialize;

use super::{Recorded, Report, ReportError, Span};

/// How to write calls down.
///
/// For an example see [`Report::export`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values under a line of names; labels are JSON in one column.
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
    to.write_record(NAMES).map_err(failed)?;
    let mut written = 0;
    for call in calls {
        let call = call?;
        let labels = if call.labels.is_empty() {
            String::new()
        } else {
            serde_json::to_string(&call.labels).unwrap_or_default()
        };
        to.serialize(Line::of(&call, labels)).map_err(failed)?;
        written += 1;
    }
    to.flush().map_err(ReportError::Write)?;
    Ok(written)
}
