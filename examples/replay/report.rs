//! What the replay did, and whether every limit held by the provider's own bills.

use std::{cmp::Reverse, collections::BTreeMap, time::Duration};

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use driftlock::{BoxError, Policy, Scope, Timestamp, Usd, Window, Zone};

use crate::{
    Admitted, Log,
    limits::{
        BURN, CALLS, CHEAPER, LOOKBACK_DAYS, MONTH, ONE_CALL, POWER_USER, RESTRICTED, TEAM_MONTH,
        team_limit, user_limit,
    },
    loopback::Bill,
};

/// Prints the tables.
///
/// # Errors
/// Says which promise is broken, if one is.
pub(crate) async fn print(
    log: &Log,
    bills: &[Bill],
    policy: &Policy,
    took: Duration,
) -> Result<(), BoxError> {
    promise(bills.len() == log.admitted.len(), "only admitted calls reach the provider")?;
    let checks = checks(log, bills);
    let overspend: Usd = checks.iter().map(|check| check.over).sum();
    println!("{}", rules(log, &checks));

    let month = policy.spend(&Scope::Workspace, Window::month(Zone::UTC)).await?;
    let billed: Usd = bills.iter().map(|bill| bill.cost).sum();
    println!("{}", totals(log, took, month.settled, billed, overspend));

    promise(month.reserved.is_zero(), "nothing stays reserved")?;
    promise(month.settled == billed, "driftlock and the provider count the same spend")?;
    promise(policy.stats().estimated == 0, "every answer is metered, streams as well")?;
    let calls_over = checks.iter().any(|check| check.calls_over > 0);
    promise(!calls_over, "no more calls than a velocity limit admits")?;
    promise(overspend.is_zero(), "no limit is overspent")
}

fn promise(holds: bool, what: &str) -> Result<(), BoxError> {
    if holds { Ok(()) } else { Err(format!("a promise is broken: {what}").into()) }
}

/// One rule, held against the bills.
#[derive(Default)]
struct Check {
    rule: &'static str,
    limit: String,
    /// The most that was used of the limit, wherever it came closest.
    most: String,
    over: Usd,
    calls_over: u64,
}

fn checks(log: &Log, bills: &[Bill]) -> Vec<Check> {
    // Calls are made one after the other, so bills are in the order of admissions.
    let billed: Vec<_> = log.admitted.iter().zip(bills).collect();
    let cost = |(admitted, bill): &(&Admitted, &Bill)| (admitted.chat.row.at, bill.cost.as_nanos());
    let call = |(admitted, _): &(&Admitted, &Bill)| (admitted.chat.row.at, 1);

    let dearest = bills.iter().map(|bill| bill.cost).max().unwrap_or_default();
    let busiest = most_within(CALLS.1, billed.iter().map(call));
    let hottest = Usd::nanos(most_within(BURN.1, billed.iter().map(cost)));
    let by_user =
        sums(bills.iter().map(|bill| (bill.user.as_deref().unwrap_or_default(), bill.cost)));
    let by_team = sums(billed.iter().map(|(admitted, bill)| (admitted.chat.team, bill.cost)));
    let month: Usd = bills.iter().map(|bill| bill.cost).sum();
    let restricted: Usd =
        bills.iter().filter(|bill| bill.model == RESTRICTED).map(|bill| bill.cost).sum();

    let spend = |rule, limit: String, most: Usd, cap: Usd| Check {
        rule,
        limit,
        most: most.to_string(),
        over: most.saturating_sub(cap),
        ..Check::default()
    };
    vec![
        spend("restrict_model", format!("no {RESTRICTED}"), restricted, Usd::ZERO),
        Check {
            rule: "tag_based_model_downgrade",
            limit: format!("free plan: {CHEAPER}"),
            ..Check::default()
        },
        spend("max_cost_per_request", format!("{ONE_CALL} a call"), dearest, ONE_CALL),
        Check {
            rule: "velocity_limit",
            limit: format!("{} calls in any {:?}", CALLS.0, CALLS.1),
            most: format!("{busiest} calls"),
            calls_over: busiest.saturating_sub(CALLS.0),
            ..Check::default()
        },
        spend("cost_velocity", format!("{} in any {:?}", BURN.0, BURN.1), hottest, BURN.0),
        each(
            "per_user_budget",
            format!("{} a user, {} {}", user_limit(""), POWER_USER.0, POWER_USER.1),
            &by_user,
            user_limit,
        ),
        each(
            "forecast_budget",
            format!("{TEAM_MONTH} a team, by {LOOKBACK_DAYS} day"),
            &by_team,
            |_| team_limit(),
        ),
        spend("monthly_budget", MONTH.to_string(), month, MONTH),
    ]
}

/// A limit that each user or team has; shows the one that came closest to it.
fn each(
    rule: &'static str,
    limit: String,
    spent: &BTreeMap<&str, Usd>,
    cap: impl Fn(&str) -> Usd,
) -> Check {
    let closest = spent.iter().max_by_key(|(who, usd)| {
        (usd.saturating_sub(cap(who)), Reverse(cap(who).saturating_sub(**usd)))
    });
    Check {
        rule,
        limit,
        most: closest
            .map_or_else(String::new, |(who, usd)| format!("{usd} of {} ({who})", cap(who))),
        over: spent.iter().map(|(who, usd)| usd.saturating_sub(cap(who))).sum(),
        ..Check::default()
    }
}

fn sums<'a>(costs: impl Iterator<Item = (&'a str, Usd)>) -> BTreeMap<&'a str, Usd> {
    let mut sums: BTreeMap<&str, Usd> = BTreeMap::new();
    for (who, cost) in costs {
        let sum = sums.entry(who).or_default();
        *sum = sum.saturating_add(cost);
    }
    sums
}

/// The largest sum of amounts in any span of time of this length.
fn most_within(length: Duration, amounts: impl Iterator<Item = (Timestamp, u64)>) -> u64 {
    let amounts: Vec<_> = amounts.collect();
    let (mut first, mut sum, mut most) = (0, 0, 0);
    for (at, amount) in &amounts {
        sum += amount;
        while at.since(amounts[first].0) >= length {
            sum -= amounts[first].1;
            first += 1;
        }
        most = most.max(sum);
    }
    most
}

fn rules(log: &Log, checks: &[Check]) -> Table {
    let rewritten = log.admitted.iter().map(|one| &one.receipt);
    let rewritten =
        rewritten.filter(|receipt| receipt.model() != receipt.requested_model()).count();
    let mut table = table(["rule", "limit", "denied", "most used", "overspend"]);
    for check in checks {
        let denied = log.denied.get(check.rule).copied().unwrap_or(0);
        let is_downgrade = check.rule == "tag_based_model_downgrade";
        let acted =
            if is_downgrade { format!("{rewritten} downgraded") } else { denied.to_string() };
        let over = match check.rule {
            _ if is_downgrade => String::new(),
            "velocity_limit" => format!("{} calls", check.calls_over),
            _ => check.over.to_string(),
        };
        table.add_row([check.rule, &check.limit, &acted, &check.most, &over]);
    }
    right(&mut table, 2);
    table
}

fn totals(log: &Log, took: Duration, settled: Usd, billed: Usd, overspend: Usd) -> Table {
    let (admitted, denied) = (log.admitted.len() as u64, log.denied.values().sum::<u64>());
    let per_second = (admitted + denied) as f64 / took.as_secs_f64();
    let share = 100.0 * settled.as_nanos() as f64 / MONTH.as_nanos() as f64;
    let accuracy = Accuracy::of(log);
    let mut table = table(["all calls", ""]);
    table.add_rows([
        ["admitted", &admitted.to_string()],
        ["denied", &denied.to_string()],
        ["most in flight at once", &log.most_in_flight.to_string()],
        ["calls per second", &format!("{per_second:.0}")],
        ["spend, by driftlock", &settled.to_string()],
        ["billed by the provider", &billed.to_string()],
        ["month's budget used", &format!("{share:.2} %")],
        ["overspend, of all limits", &overspend.to_string()],
        ["reserved ÷ cost, median", &ratio(accuracy.all)],
        ["  with a stated maximum", &ratio(accuracy.stated)],
        ["  without", &ratio(accuracy.open)],
        ["reserved too little", &format!("{:.2} %", accuracy.percent_under)],
    ]);
    right(&mut table, 1);
    table
}

/// How what was reserved compares with what calls cost.
struct Accuracy {
    all: Option<f64>,
    stated: Option<f64>,
    open: Option<f64>,
    percent_under: f64,
}

impl Accuracy {
    fn of(log: &Log) -> Self {
        let ratios = |of: fn(&Admitted) -> bool| {
            let settled = log.admitted.iter().filter(|one| of(one));
            let settled = settled.filter_map(|one| one.receipt.try_settled());
            let ratio = settled
                .map(|one| one.reserved.as_nanos() as f64 / one.cost.as_nanos().max(1) as f64);
            ratio.collect::<Vec<_>>()
        };
        let all = ratios(|_| true);
        let under = all.iter().filter(|ratio| **ratio < 1.0).count();
        Self {
            percent_under: 100.0 * under as f64 / all.len().max(1) as f64,
            all: median(all),
            stated: median(ratios(|one| one.chat.max_tokens.is_some())),
            open: median(ratios(|one| one.chat.max_tokens.is_none())),
        }
    }
}

fn median(mut numbers: Vec<f64>) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied()
}

fn ratio(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"))
}

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(header);
    table
}

fn right(table: &mut Table, column: usize) {
    if let Some(column) = table.column_mut(column) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}
