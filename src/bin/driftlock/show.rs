//! What was spent, from the sums by day.

use driftlock::report::{DaySpend, Denials, ModelSpend, Report, Span, Spent, Totals};
use serde::Serialize;

use crate::{
    bars::bars,
    failure::Failure,
    print::{To, counted, foreign, grouped, usd, width},
    when::During,
};

/// The width of what is no terminal.
const WIDTH: usize = 80;

#[derive(Serialize)]
struct Stats {
    totals: Totals,
    days: Vec<DaySpend>,
    models: Vec<ModelSpend>,
    denials: Vec<Denials>,
}

pub(crate) fn stats(report: &Report, during: During, to: &mut To<'_>) -> Result<(), Failure> {
    let (span, cuts) = during.days(report)?;
    let stats = Stats {
        totals: report.totals(span)?,
        days: report.by_day(span)?,
        models: report.by_model(span)?,
        denials: report.denials(span)?,
    };
    if to.is_json {
        return to.json(&stats);
    }
    let Totals { spent, denied, denied_estimate, .. } = stats.totals;
    let denied = match denied {
        0 => "none denied".to_owned(),
        calls => format!(
            "{} denied, which would have cost up to {}",
            counted(calls, "call"),
            usd(denied_estimate)
        ),
    };
    to.line(format_args!(
        "{}: {} for {}, {} tokens in, {} out; {denied}",
        days(&stats.totals, cuts),
        usd(spent.cost),
        counted(spent.calls, "call"),
        grouped(spent.input_tokens.into()),
        grouped(spent.output_tokens.into()),
    ))?;
    let bars = bars(&stats.days, width().unwrap_or(WIDTH));
    if !bars.is_empty() {
        to.line("")?;
        for line in bars {
            to.line(line)?;
        }
    }
    if !stats.models.is_empty() {
        to.line("")?;
        models_table(&stats.models, to)?;
    }
    if stats.denials.is_empty() {
        return Ok(());
    }
    to.line("")?;
    let rows = stats.denials.iter().map(|denials| {
        [foreign(&denials.rule), grouped(denials.calls.into()), usd(denials.estimate)]
    });
    to.table(["denied by", ">calls", ">would have cost"], rows)
}

/// Which days are told, which may be more than were asked for.
fn days(totals: &Totals, cuts: bool) -> String {
    let whole = if cuts { ", whole days" } else { "" };
    format!("{} to {} (UTC{whole})", totals.from, totals.to)
}

fn heading(report: &Report, span: Span, cuts: bool, to: &mut To<'_>) -> Result<(), Failure> {
    to.line(days(&report.totals(span)?, cuts))
}

pub(crate) fn models(report: &Report, during: During, to: &mut To<'_>) -> Result<(), Failure> {
    let (span, cuts) = during.days(report)?;
    let models = report.by_model(span)?;
    if to.is_json {
        return to.json(&models);
    }
    heading(report, span, cuts, to)?;
    models_table(&models, to)
}

fn models_table(models: &[ModelSpend], to: &mut To<'_>) -> Result<(), Failure> {
    let rows = models.iter().map(|model| spent_row(&model.model, &model.spent));
    to.table(spent_names("model"), rows)
}

fn spent_names(of: &str) -> [&str; 6] {
    [of, ">cost", ">calls", ">tokens in", "?>cached", ">tokens out"]
}

fn spent_row(name: &str, spent: &Spent) -> [String; 6] {
    let count = |number: u64| grouped(number.into());
    [
        foreign(name),
        usd(spent.cost),
        count(spent.calls),
        count(spent.input_tokens),
        count(spent.cached_input_tokens),
        count(spent.output_tokens),
    ]
}

pub(crate) fn top_users(
    report: &Report,
    label: &str,
    during: During,
    most: usize,
    to: &mut To<'_>,
) -> Result<(), Failure> {
    let (span, cuts) = during.days(report)?;
    let top = report.top(label, span, most)?;
    if to.is_json {
        return to.json(&top);
    }
    heading(report, span, cuts, to)?;
    let rows = top.iter().map(|one| spent_row(&one.value, &one.spent));
    to.table(spent_names(label), rows)
}
