//! What was recorded, as an invoice tells it.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;

use super::{
    Billed, Day, Report, ReportError,
    error::nonsense,
    ledger::numbers,
    pruned::Pruned,
    rollup::{self, Column, Days},
};
use crate::{clock::Timestamp, store::sqlite::words::from_sql, usd::Usd};

/// Costs by day or month, and by model.
pub(super) type Charged = BTreeMap<Billed, BTreeMap<String, Usd>>;

impl Report {
    /// From the sums by day.
    pub(super) fn charged(&self, periods: &[Billed]) -> Result<Charged, ReportError> {
        let mut charged = Charged::new();
        self.look(|db| {
            for family in self.families(db)?.iter().filter(|family| family.label.is_none()) {
                for period in periods {
                    rollup::each(db, Column::Model, family, period.days(), |model, spent| {
                        let model = model.as_str().map_err(nonsense)?;
                        add(&mut charged, *period, model, spent.cost);
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
        let Some((first, last)) = ends else { return Ok(Charged::new()) };
        let days = Days { first: first.days().first, last: last.days().last };
        let (pruned, charged, others) = self.look(|db| {
            let mut others = BTreeSet::new();
            let charged = self.charges(db, provider, days, periods, &mut others)?;
            Ok((Pruned::of(db)?, charged, others))
        })?;
        let complete_from = pruned.complete_from;
        if complete_from > days.first {
            return Err(ReportError::Pruned { complete_from });
        }
        if charged.is_empty() && !others.is_empty() {
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
    ) -> rusqlite::Result<Charged> {
        let ids = numbers(db, days.first.start(), days.last.end())?;
        // As the sums by day name models.
        let sql = "SELECT provider, at, coalesce(answered_model, model, ''), cost FROM call \
                   WHERE id >= ?1 AND id < ?2 AND (?3 IS NULL OR workspace = ?3) \
                   AND outcome NOT IN ('open', 'denied')";
        let mut statement = db.prepare(sql)?;
        let mut rows = statement.query((ids.start, ids.end, self.only()))?;
        let mut charged = Charged::new();
        while let Some(row) = rows.next()? {
            let name = row.get_ref(0)?.as_str_or_null().map_err(nonsense)?.unwrap_or_default();
            if name != provider {
                if !others.contains(name) {
                    others.insert(name.to_owned());
                }
                continue;
            }
            let day = Day::of(Timestamp::from_nanos(from_sql(row.get(1)?)));
            // Those before it begin no later than this day.
            let place = periods.partition_point(|period| period.days().first <= day);
            let Some(period) = place.checked_sub(1).and_then(|place| periods.get(place)) else {
                continue;
            };
            let model = row.get_ref(2)?.as_str().map_err(nonsense)?;
            add(&mut charged, *period, model, Usd::nanos(from_sql(row.get(3)?)));
        }
        Ok(charged)
    }
}

fn add(charged: &mut Charged, period: Billed, model: &str, cost: Usd) {
    let models = charged.entry(period).or_default();
    match models.get_mut(model) {
        Some(sum) => *sum = sum.saturating_add(cost),
        None => {
            models.insert(model.to_owned(), cost);
        }
    }
}
