//! What the ledger has: calls, how they ended, and what was changed by hand.

use driftlock::{
    Scope,
    report::{Changed, ChangedBy, Filter, Format, Outcome, Recorded, Report, Span},
};

use crate::{
    args::{ExportFormat, Recent},
    failure::Failure,
    print::{To, counted, foreign, grouped, moment, signed, time, usd},
    when::{self, During, Since, Until},
};

pub(crate) fn recent(report: &Report, asked: &Recent, to: &mut To<'_>) -> Result<(), Failure> {
    let mut filter = Filter::new();
    for (name, value) in &asked.label {
        filter = filter.label(name, value);
    }
    if let Some(user) = &asked.user {
        filter = filter.label("user", user);
    }
    if let Some(outcome) = &asked.outcome {
        filter = filter.outcome(outcome);
    }
    let calls = report.recent_of(&filter, asked.most)?;
    if to.is_json {
        return calls.iter().try_for_each(|call| to.json_line(call));
    }
    let rows = calls.iter().map(|call: &Recorded| {
        let model = call.answered_model.as_ref().or(call.model.as_ref());
        let tokens = |tokens: Option<u64>| tokens.map_or_else(String::new, |n| grouped(n.into()));
        let outcome = match &call.rule {
            Some(rule) if call.outcome == "denied" => format!("denied ({rule})"),
            Some(rule) => format!("{} (would deny: {rule})", call.outcome),
            None => call.outcome.clone(),
        };
        [
            time(call.at),
            foreign(call.workspace.as_deref().unwrap_or_default()),
            foreign(&outcome),
            foreign(model.map_or("", String::as_str)),
            foreign(call.labels.get("user").map_or(Scope::NONE, String::as_str)),
            usd(call.estimate),
            usd(call.cost),
            tokens(call.input_tokens),
            tokens(call.output_tokens),
        ]
    });
    let names = [
        "!at (UTC)",
        to.workspace(),
        "outcome",
        "model",
        "user",
        "?>estimate",
        ">cost",
        "?>tokens in",
        "?>tokens out",
    ];
    to.table(names, rows)
}

pub(crate) fn export(
    report: &Report,
    since: Option<Since>,
    until: Until,
    format: Option<ExportFormat>,
    to: &mut To<'_>,
) -> Result<(), Failure> {
    let unsaid = if to.is_json { ExportFormat::Jsonl } else { ExportFormat::Csv };
    let span = when::span(since.unwrap_or(Span::all()), until, report)?;
    report.export(span, Format::from(format.unwrap_or(unsaid)), &mut *to.out)?;
    Ok(())
}

pub(crate) fn outcomes(report: &Report, during: During, to: &mut To<'_>) -> Result<(), Failure> {
    let outcomes = report.outcomes(during.span(report)?)?;
    if to.is_json {
        return to.json(&outcomes);
    }
    let rows = outcomes.iter().map(|one: &Outcome| {
        [
            foreign(&one.outcome),
            grouped(one.calls.into()),
            usd(one.cost),
            usd(one.estimate),
            meaning(&one.outcome).into(),
        ]
    });
    to.table(["!outcome", ">calls", ">cost", ">estimate", "the cost is"], rows)?;
    match report.pruned()? {
        0 => Ok(()),
        pruned => {
            to.line(format_args!("{} pruned, which are not among them", counted(pruned, "call")))
        }
    }
}

/// Where a cost comes from.
fn meaning(outcome: &str) -> &'static str {
    match outcome {
        "actual" => "what the provider's usage comes to",
        "estimated" => "the estimate: no usage was reported",
        "abandoned" => "the estimate, or what was seen: not read to its end",
        "ambiguous" => "the estimate: it failed, and may be billed",
        "expired" => "the estimate: its end was never told",
        "unreadable" => "the estimate: its row in the file was damaged",
        "refused" | "not_sent" => "nothing: it is not billed",
        "denied" => "nothing: it was not sent",
        "open" => "not known yet",
        "unmetered" => "not counted: it was sent during an outage",
        _ => "",
    }
}

pub(crate) fn changes(report: &Report, most: usize, to: &mut To<'_>) -> Result<(), Failure> {
    let changes = report.changes(most)?;
    if to.is_json {
        return to.json(&changes);
    }
    let rows = changes.iter().map(|change| {
        let by = match change.amount {
            ChangedBy::Cost(usd) => signed(usd, "+"),
            ChangedBy::Calls(calls) => {
                let sign = if calls < 0 { "-" } else { "+" };
                format!("{sign}{}", grouped(calls.unsigned_abs()))
            }
        };
        let what = match change.what {
            Changed::Adjusted => "settled",
            Changed::Raised => "limits",
            _ => "",
        };
        [
            time(change.at),
            foreign(&change.workspace),
            change.key.to_string(),
            what.into(),
            by,
            change.until.map_or_else(|| "–".into(), moment),
            foreign(&change.reason),
        ]
    });
    to.table(["!at (UTC)", to.workspace(), "=key", "?what", ">by", "!until", "reason"], rows)
}
