//! Reads a trace in the format of the Azure LLM inference traces.

use std::{fs::File, io, io::BufRead, path::Path};

use driftlock::Timestamp;

const HEADER: &str = "TIMESTAMP,ContextTokens,GeneratedTokens";

/// One call of the trace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// When it was made.
    pub(crate) at: Timestamp,
    /// The tokens of its prompt.
    pub(crate) context: u64,
    /// The tokens of its answer.
    pub(crate) generated: u64,
}

/// The first `limit` rows, or what is wrong with the file, in one line.
pub(crate) fn read(path: &Path, limit: usize) -> Result<Vec<Row>, String> {
    let in_file = |error: io::Error| format!("{}: {error}", path.display());
    let file = File::open(path).map_err(in_file)?;
    let mut lines = io::BufReader::new(file).lines();
    let header = lines.next().transpose().map_err(in_file)?.unwrap_or_default();
    if header.trim().trim_start_matches('\u{feff}') != HEADER {
        return Err(format!("{}, line 1: expected the header `{HEADER}`", path.display()));
    }
    let mut rows: Vec<Row> = Vec::new();
    for (number, line) in (2..).zip(lines) {
        if rows.len() == limit {
            break;
        }
        let line = line.map_err(in_file)?;
        if line.trim().is_empty() {
            continue;
        }
        let in_line = |why: String| format!("{}, line {number}: {why}", path.display());
        let row = row(line.trim()).map_err(in_line)?;
        if rows.last().is_some_and(|last| row.at < last.at) {
            return Err(in_line("it is earlier than the line before".into()));
        }
        rows.push(row);
    }
    if rows.is_empty() {
        return Err(format!("{}: no calls in it", path.display()));
    }
    Ok(rows)
}

fn row(line: &str) -> Result<Row, String> {
    let fields: Vec<_> = line.split(',').map(str::trim).collect();
    let [at, context, generated] = fields[..] else {
        return Err(format!("expected three fields, found {}", fields.len()));
    };
    let tokens = |name: &str, text: &str| {
        text.parse().map_err(|_| format!("{name} is `{text}`, not a number of tokens"))
    };
    Ok(Row {
        at: time(at)?,
        context: tokens("ContextTokens", context)?,
        generated: tokens("GeneratedTokens", generated)?,
    })
}

/// `2023-11-16 18:15:46.6805900`, which is UTC, or the same with an offset.
fn time(text: &str) -> Result<Timestamp, String> {
    let rfc = text.replacen(' ', "T", 1);
    let has_offset = rfc.ends_with('Z') || rfc.rfind(['+', '-']).is_some_and(|at| at > 10);
    let zone = if has_offset { "" } else { "Z" };
    format!("{rfc}{zone}").parse().map_err(|_| format!("TIMESTAMP is `{text}`, not a time"))
}
