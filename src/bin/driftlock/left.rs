//! What is left of budgets, and for how long.

use driftlock::report::{Budget, Day, Key, Report};

use crate::{
    failure::Failure,
    print::{To, amount, counted, foreign, moment, usd},
};

pub(crate) fn budgets(
    report: &Report,
    key: Option<&Key>,
    label: Option<&str>,
    most: usize,
    to: &mut To<'_>,
) -> Result<(), Failure> {
    let budgets = match (key, label) {
        (Some(key), _) => vec![report.budget(key)?],
        (None, Some(label)) => report.budgets_by(label, most)?,
        (None, None) => report.budgets(most)?,
    };
    match (to.is_json, budgets.is_empty()) {
        (true, _) => to.json(&budgets),
        (false, true) => to.line("nothing was counted yet"),
        (false, false) => {
            budgets_table(&budgets, to)?;
            match budgets.iter().any(|budget| budget.limit.is_some()) {
                // The file knows no rules; one that was changed since is told by the next call.
                true => to.line("limits are those that the last call on each was held to"),
                false => Ok(()),
            }
        }
    }
}

pub(crate) fn budgets_table(budgets: &[Budget], to: &mut To<'_>) -> Result<(), Failure> {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".into());
    let rows = budgets.iter().map(|budget| {
        [
            foreign(&budget.workspace),
            budget.key.to_string(),
            or_dash(budget.limit.map(amount)),
            amount(budget.settled),
            amount(budget.reserved),
            or_dash(budget.remaining.map(amount)),
            or_dash(budget.resets_at.map(moment)),
            or_dash(raised(budget)),
        ]
    });
    let names = [
        to.workspace(),
        "=key",
        ">limit",
        ">settled",
        "?>reserved",
        ">remaining",
        "!resets",
        if budgets.iter().any(|budget| budget.raised.is_some()) { "?raised" } else { "" },
    ];
    to.table(names, rows)
}

/// By how much the limits on a budget are raised, and until when.
pub(crate) fn raised(budget: &Budget) -> Option<String> {
    let (by, until) = budget.raised.zip(budget.raised_until)?;
    Some(format!("+{} until {}", amount(by), moment(until)))
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
            (Some(at), Some(days)) => format!("{}, in {}", Day::of(at), counted(days, "day")),
            _ => "never at this rate".into(),
        };
        [
            foreign(&outlook.workspace),
            outlook.key.to_string(),
            usd(outlook.remaining),
            usd(outlook.per_day),
            if outlook.lasts { "lasts".into() } else { gone },
            outlook.resets_at.map_or_else(|| "–".into(), moment),
        ]
    });
    to.table([to.workspace(), "=key", ">remaining", ">a day", "gone", "!resets"], rows)
}
