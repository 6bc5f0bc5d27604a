//! The commands that change the file, by way of the store that the service uses.

use std::future::Future;

use driftlock::{
    Amount, Timestamp, Unit, Usd,
    report::{Budget, Key, Report, ReportError},
    store::{Adjustment, CounterKey, Raise, SqliteStore, Store},
};
use serde::Serialize;

use crate::{
    args,
    failure::Failure,
    left::{budgets_table, raised},
    print::{To, amount, counted, moment},
    when::Before,
};

pub(crate) fn reset(
    report: &Report,
    key: &Key,
    reason: &str,
    to: &mut To<'_>,
) -> Result<(), Failure> {
    let counter = report.counter(key)?;
    let before = Some(report.budget(key)?);
    let at = report.now()?;
    with_store(report, async |store| Ok(store.reset(&counter, key.value(), reason, at).await?))?;
    tell(report, key, &before, to)?;
    Ok(())
}

pub(crate) fn raise(report: &Report, asked: &args::Raise, to: &mut To<'_>) -> Result<(), Failure> {
    let args::Raise { key, amount, until, length, new, reason } = asked;
    let by = number(key, amount)?;
    let at = report.now()?;
    let until = match (until.until, length) {
        _ if by == 0 => at,
        (Some(until), _) if until > at => until,
        (Some(until), _) => {
            return Err(Failure::Usage(format!("--until {until} has passed; it is {at}")));
        }
        (None, Some(length)) => at.saturating_add(length.0),
        (None, None) => {
            return Err(Failure::Usage("until when? say --until DATE or --for 24h".into()));
        }
    };
    let (counter, before) = find(report, key, *new)?;
    let value = key.value();
    with_store(report, async |store| {
        let counter = store.counter(&counter);
        Ok(store.raise(Raise { counter, value, by, until, reason, at }).await?)
    })?;
    let after = tell(report, key, &before, to)?;
    if to.is_json {
        return Ok(());
    }
    if let Some(was) = before.as_ref().and_then(raised) {
        to.line(format_args!("this takes the place of the raise before, which was {was}"))?;
    }
    match after.limit {
        None if by > 0 => to.line(format_args!(
            "nothing has limited `{key}` so far; the raise counts once it does"
        )),
        _ => Ok(()),
    }
}

pub(crate) fn seed(
    report: &Report,
    key: &Key,
    balance: &str,
    new: bool,
    reason: &str,
    to: &mut To<'_>,
) -> Result<(), Failure> {
    let balance = number(key, balance)?;
    let delta = i64::try_from(balance).map_err(|_| {
        let most = readable(key, i64::MAX.unsigned_abs());
        Failure::Usage(format!("an opening balance is at most {most}"))
    })?;
    let (key_of_counter, before) = find(report, key, new)?;
    let at = report.now()?;
    let value = key.value();
    with_store(report, async |store| {
        let counter = store.counter(&key_of_counter);
        Ok(store.adjust(Adjustment { counter, value, delta, reason, at }).await?)
    })?;
    tell(report, key, &before, to)?;
    Ok(())
}

#[derive(Serialize)]
struct Pruned {
    pruned: u64,
    before: Timestamp,
}

pub(crate) fn prune(report: &Report, before: Before, to: &mut To<'_>) -> Result<(), Failure> {
    let before = before.moment(report.now()?)?;
    if !to.is_json {
        let since = moment(before);
        // Times say it themselves.
        let zone = if since.ends_with('Z') { "" } else { " UTC" };
        to.line(format_args!(
            "kept: calls since {since}{zone}, those in flight, and all counters and sums by day"
        ))?;
        // It may take a while.
        to.out.flush()?;
    }
    let pruned = with_store(report, async |store| Ok(store.prune(before).await?))?;
    if to.is_json {
        return to.json(&Pruned { pruned, before });
    }
    to.line(format_args!("{} deleted from the ledger", counted(pruned, "call")))
}

/// The counter behind a key, and what it holds; nothing yet if it is for somebody new.
///
/// Only where that was said: a typing error would else be a user of its own.
fn find(report: &Report, key: &Key, new: bool) -> Result<(CounterKey, Option<Budget>), Failure> {
    let counter = report.counter(key)?;
    match report.budget(key) {
        Ok(budget) => Ok((counter, Some(budget))),
        Err(ReportError::UnknownScope { .. }) if new => Ok((counter, None)),
        Err(error @ ReportError::UnknownScope { .. }) => Err(Failure::New(error)),
        Err(error) => Err(error.into()),
    }
}

/// Opens the store, does one thing, and waits until that is in the file.
fn with_store<T, F: Future<Output = Result<T, Failure>>>(
    report: &Report,
    work: impl FnOnce(SqliteStore) -> F,
) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let store = SqliteStore::open(report.path())?;
    runtime.block_on(work(store))
}

/// An amount of what the key counts.
fn number(key: &Key, text: &str) -> Result<u64, Failure> {
    match key.unit {
        Unit::Cost => {
            let usd: Result<Usd, _> = text.parse();
            usd.map(Usd::as_nanos).map_err(|error| Failure::Usage(error.to_string()))
        }
        Unit::Calls => text.parse().map_err(|_| {
            Failure::Usage(format!("`{text}` is no number of calls, which `{key}` counts"))
        }),
    }
}

fn readable(key: &Key, number: u64) -> String {
    amount(match key.unit {
        Unit::Cost => Amount::Cost(Usd::nanos(number)),
        Unit::Calls => Amount::Calls(number),
    })
}

#[derive(Serialize)]
struct Changed<'a> {
    before: Option<&'a Budget>,
    after: &'a Budget,
}

/// What it was, and what it is now.
fn tell(
    report: &Report,
    key: &Key,
    before: &Option<Budget>,
    to: &mut To<'_>,
) -> Result<Budget, Failure> {
    let after = report.budget(key)?;
    if to.is_json {
        to.json(&Changed { before: before.as_ref(), after: &after })?;
        return Ok(after);
    }
    let budgets: Vec<Budget> = before.iter().cloned().chain([after.clone()]).collect();
    to.line(if before.is_some() { "before and after:" } else { "new:" })?;
    budgets_table(&budgets, to)?;
    Ok(after)
}
