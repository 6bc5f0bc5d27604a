//! Finding counters and scopes by their keys.

use rusqlite::{Connection, OptionalExtension};

use super::{Key, Report, ReportError, key::window_word};
use crate::{
    claim::{Scope, Unit},
    store::{
        CounterKey,
        sqlite::words::{unit_named, window_named},
    },
    window::{Window, Zone},
};

/// A counter of the file.
#[derive(Clone, Debug)]
pub(super) struct Counted {
    pub(super) id: i64,
    pub(super) family: i64,
    pub(super) key: CounterKey,
}

impl Report {
    /// The counter behind a key, whether or not anybody was counted by it under the key's
    /// label value: for [`Store::counter`](crate::store::Store::counter).
    ///
    /// # Errors
    /// [`ReportError::NotCounted`] with what is counted; [`ReportError::WhichWorkspace`] if
    /// several workspaces count this.
    pub fn counter(&self, key: &Key) -> Result<CounterKey, ReportError> {
        let found = self.look(|db| self.counted_as(db, key))?;
        Ok(found?.key)
    }

    /// All counters of the workspace, or of all workspaces.
    pub(super) fn counted(&self, db: &Connection) -> rusqlite::Result<Vec<Counted>> {
        counted(db, self.only())
    }

    /// The one counter behind a key.
    pub(super) fn counted_as(
        &self,
        db: &Connection,
        key: &Key,
    ) -> rusqlite::Result<Result<Counted, ReportError>> {
        let all = self.counted(db)?;
        let is_it = |counted: &&Counted| {
            let other = &counted.key;
            let label = other.label.as_deref();
            (label, other.unit, other.window) == (key.label(), key.unit, key.window)
        };
        let mut found = all.iter().filter(is_it);
        Ok(match (found.next(), found.next()) {
            (Some(counted), None) => Ok(counted.clone()),
            (Some(_), Some(_)) => {
                let known =
                    all.iter().filter(is_it).map(|counted| counted.key.workspace.to_string());
                Err(ReportError::WhichWorkspace { known: known.collect() })
            }
            (None, _) => {
                let mut known: Vec<_> = all.iter().map(shape).collect();
                known.sort();
                known.dedup();
                let meant = self.meant(db, key)?;
                Err(ReportError::NotCounted { key: Box::new(key.clone()), known, meant })
            }
        })
    }

    /// The number of a value of a label.
    pub(super) fn scope_of(
        &self,
        db: &Connection,
        counted: &Counted,
        key: &Key,
    ) -> rusqlite::Result<Result<i64, ReportError>> {
        let sql = "SELECT id FROM scope WHERE family = ?1 AND value = ?2";
        let mut statement = db.prepare_cached(sql)?;
        let found =
            statement.query_row((counted.family, key.value()), |row| row.get(0)).optional()?;
        if let Some(scope) = found {
            return Ok(Ok(scope));
        }
        // Those next to it in the order of the alphabet are alike, and found without
        // reading them all.
        let mut known = Vec::new();
        for (relation, order) in [("<", "DESC"), (">", "ASC")] {
            let sql = format!(
                "SELECT value FROM scope WHERE family = ?1 AND value {relation} ?2 \
                 ORDER BY value {order} LIMIT 3"
            );
            let mut statement = db.prepare_cached(&sql)?;
            let mut rows = statement.query((counted.family, key.value()))?;
            while let Some(row) = rows.next()? {
                let scope = counted.key.scope(row.get_ref(0)?.as_str().unwrap_or_default());
                known.push(Key { scope, ..key.clone() }.to_string());
            }
        }
        known.sort();
        let meant = self.meant(db, key)?;
        Ok(Err(ReportError::UnknownScope { key: Box::new(key.clone()), known, meant }))
    }

    /// A key of somebody who is known, if its window or `#calls` was part of the value.
    fn meant(&self, db: &Connection, key: &Key) -> rusqlite::Result<Option<Box<Key>>> {
        let Some(label) = key.label() else { return Ok(None) };
        let sql = "SELECT 1 FROM scope JOIN family ON family.id = family \
                   WHERE label = ?1 AND value = ?2 AND (?3 IS NULL OR workspace = ?3)";
        let mut statement = db.prepare_cached(sql)?;
        let (value, window) = (key.value(), window_word(key.window));
        let month = Window::month(Zone::UTC);
        let candidates = [
            (format!("{value}@{window}"), month, key.unit),
            (format!("{value}@{window}#calls"), month, Unit::Cost),
            (format!("{value}#calls"), key.window, Unit::Cost),
        ];
        for (value, window, unit) in candidates {
            if statement.exists((label, &value, self.only()))? {
                let scope = Scope::label(label, value);
                return Ok(Some(Box::new(Key { scope, window, unit })));
            }
        }
        Ok(None)
    }
}

/// The key of a counter without saying for whom: `user=…@day`.
fn shape(counted: &Counted) -> String {
    let CounterKey { unit, window, .. } = counted.key;
    let key = Key { scope: counted.key.scope("…"), window, unit };
    key.to_string().replace("%E2%80%A6", "…")
}

/// All counters of one workspace, or of all.
pub(super) fn counted(db: &Connection, only: Option<&str>) -> rusqlite::Result<Vec<Counted>> {
    let sql = "SELECT counter.id, family.id, workspace, label, unit, window FROM counter \
                   JOIN family ON family.id = counter.family \
                   WHERE ?1 IS NULL OR workspace = ?1 ORDER BY workspace, label, counter.id";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query([only])?;
    let mut list = Vec::new();
    while let Some(row) = rows.next()? {
        let unit = unit_named(row.get_ref(4)?.as_str().unwrap_or_default());
        let window = window_named(row.get_ref(5)?.as_str().unwrap_or_default());
        // A later version may count what this one has no words for.
        let (Some(unit), Some(window)) = (unit, window) else { continue };
        let (workspace, label) = (row.get::<_, String>(2)?, row.get::<_, Option<String>>(3)?);
        let label = label.map(Into::into);
        let key = CounterKey { workspace: workspace.into(), label, unit, window };
        list.push(Counted { id: row.get(0)?, family: row.get(1)?, key });
    }
    Ok(list)
}
