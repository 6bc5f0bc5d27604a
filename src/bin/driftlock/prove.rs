//! Whether the file is right: by itself, and against an invoice.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    process::ExitCode,
};

use driftlock::{
    PriceBook,
    report::{Invoice, InvoiceColumns, Reconciliation, Report},
};
use serde::Serialize;

use crate::{
    args::Reconcile,
    failure::Failure,
    print::{To, counted, foreign, grouped, signed, time, usd},
};

pub(crate) fn check(report: &Report, to: &mut To<'_>) -> Result<ExitCode, Failure> {
    const MOST_LINES: usize = 50;
    let check = report.check()?;
    let code = if check.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    if to.is_json {
        return to.json(&check).map(|()| code);
    }
    for fault in &check.faults {
        to.line(format_args!("the file: {}", foreign(fault)))?;
    }
    for mismatch in check.mismatches.iter().take(MOST_LINES) {
        let (of, number) = (foreign(&mismatch.of), mismatch.number);
        let (kept, sum) = (mismatch.kept, mismatch.adds_up_to);
        to.line(format_args!("{of}: {number} is {kept}, the ledger adds up to {sum}"))?;
    }
    if let Some(more @ 1..) = check.mismatches.len().checked_sub(MOST_LINES) {
        to.line(format_args!("and {more} more; --json has them all"))?;
    }
    let verdict = if check.is_sound() { "everything adds up" } else { "it does not add up" };
    let (calls, counters) = (counted(check.calls, "call"), counted(check.counters, "counter"));
    let days = grouped(check.days.into());
    to.line(format_args!("{verdict}: {calls}, {counters}, {days} sums of days"))?;
    if let Some(from) = check.complete_from {
        let pruned = counted(check.pruned, "call");
        to.line(format_args!("{pruned} pruned: days before {from} could not be compared"))?;
    }
    if check.is_ahead_by().is_some() {
        to.line(format_args!(
            "WARNING: the file's time is {}, the clock's {}: one of them was wrong. Stores never go \
             back in time, so until the clock is there periods do not end and sliding windows stand still",
            time(check.time),
            time(check.clock)
        ))?;
    }
    Ok(code)
}

#[derive(Serialize)]
struct BackedUp<'a> {
    file: &'a Path,
    bytes: u64,
}

pub(crate) fn backup(report: &Report, file: &Path, to: &mut To<'_>) -> Result<(), Failure> {
    let bytes = report.backup(file)?;
    if to.is_json {
        return to.json(&BackedUp { file, bytes });
    }
    let size = grouped(bytes.into());
    to.line(format_args!("{} has all that was in the file, {size} bytes", file.display()))
}

pub(crate) fn reconcile(
    report: &Report,
    asked: &Reconcile,
    to: &mut To<'_>,
) -> Result<ExitCode, Failure> {
    let Reconcile { invoice, provider, tolerance, .. } = asked;
    let invoice = read(invoice, asked)?;
    let book = PriceBook::bundled();
    let compared = match provider {
        Some(provider) => report.reconcile_provider(provider, &invoice, &book)?,
        None => report.reconcile(&invoice, &book)?,
    };
    let is_off = tolerance.is_some_and(|tolerance| !tolerance.allows(&compared));
    let code = if is_off { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    if to.is_json {
        return to.json(&compared).map(|()| code);
    }
    tell(&compared, to)?;
    if is_off {
        to.line("that is more than --tolerance allows")?;
    }
    Ok(code)
}

fn read(path: &Path, asked: &Reconcile) -> Result<Invoice, Failure> {
    let named =
        |error: &dyn std::fmt::Display| Failure::Other(format!("{}: {error}", path.display()));
    let csv: Box<dyn Read> = match path.to_str() {
        Some("-") => Box::new(io::stdin().lock()),
        _ => Box::new(File::open(path).map_err(|error| named(&error))?),
    };
    let mut columns = InvoiceColumns::new();
    if let Some(name) = &asked.day_column {
        columns = columns.day(name);
    }
    if let Some(name) = &asked.model_column {
        columns = columns.model(name);
    }
    if let Some(name) = &asked.cost_column {
        columns = columns.cost(name);
    }
    Invoice::read_with(csv, &columns).map_err(|error| named(&error))
}

fn tell(compared: &Reconciliation, to: &mut To<'_>) -> Result<(), Failure> {
    let missing = || "missing".to_owned();
    let rows = compared.rows.iter().map(|row| {
        [
            row.day.to_string(),
            row.model.as_deref().map_or_else(|| "(all)".into(), foreign),
            row.recorded.map_or_else(missing, usd),
            row.billed.map_or_else(missing, |billed| signed(billed, "")),
            signed(row.difference, "+"),
        ]
    });
    to.table(["!day (UTC)", "model", ">recorded", ">billed", ">billed - recorded"], rows)?;
    let share = compared.basis_points.map_or_else(String::new, |points| {
        let sign = if points < 0 { "-" } else { "+" };
        let (whole, part) = (points.unsigned_abs() / 100, points.unsigned_abs() % 100);
        format!(" ({sign}{}.{part:02}%)", grouped(whole))
    });
    to.line(format_args!(
        "recorded {}, billed {}, difference {}{share}",
        usd(compared.recorded),
        signed(compared.billed, ""),
        signed(compared.difference, "+"),
    ))?;
    for (of_them, what) in [
        (compared.in_flight, "in flight and not yet recorded, estimated at"),
        (compared.unreadable, "of damaged rows, recorded at their estimates:"),
    ] {
        if of_them.calls > 0 {
            let (calls, estimate) = (counted(of_them.calls, "call"), usd(of_them.estimate));
            to.line(format_args!("{calls} {what} {estimate}"))?;
        }
    }
    Ok(())
}
