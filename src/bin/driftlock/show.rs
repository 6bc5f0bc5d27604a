//! The commands that only read.

use driftlock::{
    Timestamp,
    report::{
        Budget, DaySpend, Denials, Format, Key, ModelSpend, Recorded, Report, Span, Spent, Totals,
    },
};
use serde::Serialize;

use crate::{
    args::ExportFormat,
    bars::{bars, width},
    failure::Failure,
    print::{To, amount, foreign, grouped, time, usd},
    table::table,
};

#[derive(Serialize)]
struct Stats {
    totals: Totals,
    days: Vec<DaySpend>,
    models: Vec<ModelSpend>,
    denials: Vec<Denials>,
}

pub(crate) fn stats(report: &Report, since: Span, to: &mut To<'_>) -> Result<(), Failure> {
    let stats = Stats {
        totals: report.totals(since)?,
        days: report.by_day(since)?,
        models: report.by_model(since)?,
        denials: report.denials(since)?,
    };
    if to.is_json {
        return to.json(&stats);
    }
    let Totals { from, to: last, spent, denied, denied_estimate, .. } = stats.totals;
    to.line(format_args!(
        "{from} to {last} (UTC): {} for {} calls, {} tokens in, {} out; {} calls denied, of up to {}",
        usd(spent.cost),
        grouped(spent.calls.into()),
        grouped(spent.input_tokens.into()),
        grouped(spent.output_tokens.into()),
        grouped(denied.into()),
        usd(denied_estimate),
    ))?;
    let bars = bars(&stats.days, width());
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
    to.line(table(["denied by", ">calls", ">of up to"], rows))
}

pub(crate) fn models(report: &Report, since: Span, to: &mut To<'_>) -> Result<(), Failure> {
    let models = report.by_model(since)?;
    if to.is_json { to.json(&models) } else { models_table(&models, to) }
}

fn models_table(models: &[ModelSpend], to: &mut To<'_>) -> Result<(), Failure> {
    let rows = models.iter().map(|model| spent_row(&model.model, &model.spent));
    to.line(table(spent_names("model"), rows))
}

fn spent_names(of: &str) -> [&str; 6] {
    [of, ">cost", ">calls", ">tokens in", ">cached", ">tokens out"]
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
    since: Span,
    most: usize,
    to: &mut To<'_>,
) -> Result<(), Failure> {
    let top = report.top(label, since, most)?;
    if to.is_json {
        return to.json(&top);
    }
    let rows = top.iter().map(|one| spent_row(&one.value, &one.spent));
    to.line(table(spent_names(label), rows))
}

pub(crate) fn budgets(
    report: &Report,
    key: Option<&Key>,
    most: usize,
    to: &mut To<'_>,
) -> Result<(), Failure> {
    let budgets = match key {
        Some(key) => vec![report.budget(key)?],
        None => report.budgets(most)?,
    };
    if to.is_json { to.json(&budgets) } else { budgets_table(&budgets, to) }
}

pub(crate) fn budgets_table(budgets: &[Budget], to: &mut To<'_>) -> Result<(), Failure> {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".into());
    let rows = budgets.iter().map(|budget| {
        let raised = budget
            .raised
            .zip(budget.raised_until)
            .map(|(by, until)| format!("+{} until {}", amount(by), time(until)));
        [
            foreign(&budget.workspace),
            budget.key.to_string(),
            or_dash(budget.limit.map(amount)),
            amount(budget.settled),
            amount(budget.reserved),
            or_dash(budget.remaining.map(amount)),
            or_dash(budget.resets_at.map(time)),
            or_dash(raised),
        ]
    });
    let names =
        ["workspace", "key", ">limit", ">settled", ">reserved", ">remaining", "resets", "raised"];
    to.line(table(names, rows))
}

pub(crate) fn forecast(
    report: &Report,
    days: u32,
    most: usize,
    to: &mut To<'_>,
) -> Result<(), Failure> {
    let forecast = report.forecast(days, most)?;
    if to.is_json {
        return to.json(&forecast);
    }
    to.line(format_args!(
        "{} since {} (UTC) is {} a day, {} in 30 days",
        usd(forecast.spent),
        forecast.from,
        usd(forecast.per_day),
        usd(forecast.in_30_days),
    ))?;
    if forecast.budgets.is_empty() {
        return to.line("no budget of a day, week, month or lifetime limits anything");
    }
    let rows = forecast.budgets.iter().map(|outlook| {
        let gone = match (outlook.gone_at, outlook.days_left) {
            (Some(at), Some(1)) => format!("{}, in 1 day", time(at)),
            (Some(at), Some(days)) => format!("{}, in {} days", time(at), grouped(days.into())),
            _ => "never at this rate".into(),
        };
        [
            foreign(&outlook.workspace),
            outlook.key.to_string(),
            usd(outlook.remaining),
            usd(outlook.per_day),
            if outlook.lasts { "lasts".into() } else { gone },
            outlook.resets_at.map_or_else(|| "–".into(), time),
        ]
    });
    to.line(table(["workspace", "key", ">remaining", ">a day", "gone", "resets"], rows))
}

pub(crate) fn recent(report: &Report, most: usize, to: &mut To<'_>) -> Result<(), Failure> {
    let calls = report.recent(most)?;
    if to.is_json {
        return calls.iter().try_for_each(|call| to.json_line(call));
    }
    let rows = calls.iter().map(|call: &Recorded| {
        let model = call.answered_model.as_ref().or(call.model.as_ref());
        let tokens = |tokens: Option<u64>| tokens.map_or_else(String::new, |n| grouped(n.into()));
        let outcome = match &call.rule {
            Some(rule) => format!("{} ({rule})", call.outcome),
            None => call.outcome.clone(),
        };
        [
            time(call.at),
            foreign(&outcome),
            foreign(model.map_or("", String::as_str)),
            foreign(call.labels.get("user").map_or("", String::as_str)),
            usd(call.estimate),
            usd(call.cost),
            tokens(call.input_tokens),
            tokens(call.output_tokens),
        ]
    });
    let names =
        ["at (UTC)", "outcome", "model", "user", ">estimate", ">cost", ">tokens in", ">tokens out"];
    to.line(table(names, rows))
}

pub(crate) fn export(
    report: &Report,
    since: Span,
    until: Option<Timestamp>,
    format: Option<ExportFormat>,
    to: &mut To<'_>,
) -> Result<(), Failure> {
    let unsaid = if to.is_json { ExportFormat::Jsonl } else { ExportFormat::Csv };
    let span = until.map_or(since, |end| since.until(end));
    report.export(span, Format::from(format.unwrap_or(unsaid)), &mut *to.out)?;
    Ok(())
}
