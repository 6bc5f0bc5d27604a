//! What was recorded, as an invoice tells it.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;

use super::{
    Billed, Day, Report, ReportError, Uncertain,
    error::nonsense,
    ledger::numbers,
    pruned::Pruned,
    rollup::{self, Column, Days},
};
use crate::{clock::Timestamp, store::sqlite::words::from_sql, usd::Usd};

/// Costs by day or month, and by model.
pub(super) type Costs = BTreeMap<Billed, BTreeMap<String, Usd>>;

/// What was recorded, and what may yet change of it.
#[derive(Debug, Default)]
pub(super) struct Charged {
    pub(super) costs: Costs,
    pub(super) in_flight: Uncertain,
    pub(super) unreadable: Uncertain,
}

impl Report {
    /// From the sums by day.
    pub(super) fn charged(&self, periods: &[Billed]) -> Result<Charged, ReportError> {
        let mut charged = Charged::default();
        self.look(|db| {
            self.uncertain(db, None, periods, &mut charged)?;
            for family in self.families(db)?.iter().filter(|family| family.label.is_none()) {
                for period in periods {
                    rollup::each(db, Column::Model, family, period.days(), |model, spent| {
                        let model = model.as_str().map_err(nonsense)?;
                        add(&mut charged.costs, *period, model, spent.cost);
                        Ok(())
                    })?;
                }
            }
            Ok(())
        })?;
        Ok(charged)
    }

    /// Of one provider, from the ledger.
    pub(super) fn charged_by(
        &self,
        provider: &str,
        periods: &[Billed],
    ) -> Result<Charged, ReportError> {
        let ends = periods.first().zip(periods.last());
        let Some((first, last)) = ends else { return Ok(Charged::default()) };
        let days = Days { first: first.days().first, last: last.days().last };
        let (pruned, charged, others) = self.look(|db| {
            let mut others = BTreeSet::new();
            let costs = self.charges(db, provider, days, periods, &mut others)?;
            let mut charged = Charged { costs, ..Charged::default() };
            self.uncertain(db, Some(provider), periods, &mut charged)?;
            Ok((Pruned::of(db)?, charged, others))
        })?;
        let complete_from = pruned.complete_from;
        if complete_from > days.first {
            return Err(ReportError::Pruned { complete_from });
        }
        if charged.costs.is_empty() && charged.in_flight.calls == 0 && !others.is_empty() {
            let known = others.into_iter().collect();
            return Err(ReportError::UnknownProvider { provider: provider.into(), known });
        }
        Ok(charged)
    }

    fn charges(
        &self,
        db: &Connection,
        provider: &str,
        days: Days,
        periods: &[Billed],
        others: &mut BTreeSet<String>,
    ) -> rusqlite::Result<Costs> {
        let ids = numbers(db, days.first.start(), days.last.end())?;
        // As the sums by day name models.
        let sql = "SELECT provider, at, coalesce(answered_model, model, ''), cost FROM call \
                   WHERE id >= ?1 AND id < ?2 AND (?3 IS NULL OR workspace = ?3) \
                   AND outcome NOT IN ('open', 'denied')";
        let mut statement = db.prepare(sql)?;
        let mut rows = statement.query((ids.start, ids.end, self.only()))?;
        let mut charged = Costs::new();
        while let Some(row) = rows.next()? {
            let name = row.get_ref(0)?.as_str_or_null().map_err(nonsense)?.unwrap_or_default();
            if name != provider {
                if !others.contains(name) {
                    others.insert(name.to_owned());
                }
                continue;
            }
            let day = Day::of(Timestamp::from_nanos(from_sql(row.get(1)?)));
            let Some(period) = period_of(periods, day) else { continue };
            let model = row.get_ref(2)?.as_str().map_err(nonsense)?;
            add(&mut charged, *period, model, Usd::nanos(from_sql(row.get(3)?)));
        }
        Ok(charged)
    }

    /// Calls that are in flight, and those that were set aside, which have a deadline as well:
    /// so they are found without reading the ledger.
    fn uncertain(
        &self,
        db: &Connection,
        provider: Option<&str>,
        periods: &[Billed],
        charged: &mut Charged,
    ) -> rusqlite::Result<()> {
        let sql = "SELECT outcome = 'open', at, CASE outcome WHEN 'open' THEN estimate ELSE cost END FROM call \
                   WHERE deadline IS NOT NULL AND outcome IN ('open', 'unreadable') \
                   AND (?1 IS NULL OR workspace = ?1) AND (?2 IS NULL OR provider = ?2)";
        let mut statement = db.prepare(sql)?;
        let mut rows = statement.query((self.only(), provider))?;
        while let Some(row) = rows.next()? {
            let day = Day::of(Timestamp::from_nanos(from_sql(row.get(1)?)));
            if period_of(periods, day).is_some_and(|period| period.days().last >= day) {
                let cost = Usd::nanos(from_sql(row.get(2)?));
                match row.get(0)? {
                    true => charged.in_flight.add(cost),
                    false => charged.unreadable.add(cost),
                }
            }
        }
        Ok(())
    }
}

/// The last period that begins no later than a day.
fn period_of(periods: &[Billed], day: Day) -> Option<&Billed> {
    let place = periods.partition_point(|period| period.days().first <= day);
    place.checked_sub(1).and_then(|place| periods.get(place))
}

fn add(charged: &mut Costs, period: Billed, model: &str, cost: Usd) {
    let models = charged.entry(period).or_default();
    match models.get_mut(model) {
        Some(sum) => *sum = sum.saturating_add(cost),
        None => {
            models.insert(model.to_owned(), cost);
        }
    }
}
