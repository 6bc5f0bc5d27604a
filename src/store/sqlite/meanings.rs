//! Which counters there are: the program's numbers, and the file's.

use hashbrown::{DefaultHashBuilder, HashMap};
use rusqlite::{Connection, OptionalExtension, params};
use smol_str::SmolStr;

use super::{
    fault::Fault,
    shared::Registry,
    words::{unit_name, unit_named, window_name, window_named},
};
use crate::{
    claim::Unit,
    store::{
        contract::{CounterId, CounterKey},
        counting::{Counter, Horizon, Times},
    },
};

/// What the writer needs to know of a counter.
#[derive(Debug)]
pub(super) struct Meaning {
    pub(super) key: CounterKey,
    pub(super) is_cost: bool,
    pub(super) horizon: Horizon,
    pub(super) times: Times,
    /// Its numbers in the file, once they are known.
    row: Option<Row>,
}

/// The file's numbers of a counter and of what it counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) family: i64,
}

/// The file's number of a workspace, or of one of its labels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Family {
    pub(super) id: i64,
    pub(super) is_label: bool,
}

impl Meaning {
    fn new(key: CounterKey) -> Self {
        let horizon = Horizon::new(key.window);
        let is_cost = key.unit == Unit::Cost;
        let times = Times::new(!is_cost, &horizon);
        Self { key, is_cost, horizon, times, row: None }
    }

    /// Until when an amount booked at `now` counts.
    pub(super) fn until(&mut self, now: u64, counter: &Counter) -> u64 {
        self.times.until(&mut self.horizon, now, counter)
    }
}

/// All counters, by the program's numbers.
#[derive(Debug, Default)]
pub(super) struct Meanings {
    list: Vec<Meaning>,
    by_row: HashMap<i64, usize, DefaultHashBuilder>,
}

impl Meanings {
    /// What the program's number means, if it was given out.
    pub(super) fn find(&mut self, id: CounterId, registry: &Registry) -> Option<&mut Meaning> {
        let place = id.0 as usize;
        if place >= self.list.len() {
            self.list.extend(registry.from(self.list.len()).into_iter().map(Meaning::new));
        }
        self.list.get_mut(place)
    }

    /// What was found before.
    pub(super) fn at(&mut self, id: CounterId) -> Option<&mut Meaning> {
        self.list.get_mut(id.0 as usize)
    }

    /// Whether the file has this counter.
    pub(super) fn is_in_file(&self, id: CounterId, conn: &Connection) -> Result<bool, Fault> {
        let Some(Meaning { key, row, .. }) = self.list.get(id.0 as usize) else { return Ok(false) };
        if row.is_some() {
            return Ok(true);
        }
        let family = family(conn, &key.workspace, key.label.as_deref())?;
        Ok(counter(conn, family, key)?.is_some())
    }

    /// The file's numbers of a counter, which gets some if it has none.
    pub(super) fn row(&mut self, id: CounterId, conn: &Connection) -> Result<Row, Fault> {
        let unknown = Fault::Damaged("a counter without a number");
        let place = id.0 as usize;
        let Some(meaning) = self.list.get_mut(place) else { return Err(unknown) };
        if let Some(row) = meaning.row {
            return Ok(row);
        }
        let key = &meaning.key;
        let family = match family(conn, &key.workspace, key.label.as_deref())? {
            Some(known) => known,
            None => {
                let sql = "INSERT INTO family (workspace, label) VALUES (?1, ?2)";
                conn.execute(sql, params![key.workspace.as_str(), key.label.as_deref()])?;
                conn.last_insert_rowid()
            }
        };
        let id = match counter(conn, Some(family), key)? {
            Some(id) => id,
            None => {
                let (unit, window) = (unit_name(key.unit), window_name(key.window));
                let sql = "INSERT INTO counter (family, unit, window) VALUES (?1, ?2, ?3)";
                conn.execute(sql, params![family, unit, window])?;
                conn.last_insert_rowid()
            }
        };
        let row = Row { id, family };
        meaning.row = Some(row);
        self.by_row.insert(id, place);
        Ok(row)
    }

    /// What the file's number means, if this program can tell.
    pub(super) fn of_row(
        &mut self,
        id: i64,
        conn: &Connection,
        registry: &Registry,
    ) -> Result<&mut Meaning, Fault> {
        let place = match self.by_row.get(&id) {
            Some(place) => *place,
            None => {
                let key = keys(conn, Some(id))?.pop();
                let key = key.ok_or(Fault::Damaged("an amount of no counter"))?;
                let number = registry.number(&key);
                self.find(number, registry);
                self.row(number, conn)?;
                number.0 as usize
            }
        };
        self.list.get_mut(place).ok_or(Fault::Damaged("a counter without a number"))
    }

    /// What is counted by a counter of the file that was found before.
    pub(super) fn family_of(&self, id: i64) -> Result<Family, Fault> {
        let meaning = self.by_row.get(&id).and_then(|place| self.list.get(*place));
        let family = meaning.and_then(|meaning| {
            Some(Family { id: meaning.row?.family, is_label: meaning.key.label.is_some() })
        });
        family.ok_or(Fault::Damaged("an amount of no counter"))
    }

    /// Forgets what a transaction that did not happen may have put into the file.
    pub(super) fn forget_rows(&mut self) {
        self.list.iter_mut().for_each(|meaning| meaning.row = None);
        self.by_row.clear();
    }
}

/// The number of a counter of a family, if it has one.
fn counter(conn: &Connection, family: Option<i64>, key: &CounterKey) -> Result<Option<i64>, Fault> {
    let (unit, window) = (unit_name(key.unit), window_name(key.window));
    let sql = "SELECT id FROM counter WHERE family = ?1 AND unit = ?2 AND window = ?3";
    Ok(conn.query_row(sql, params![family, unit, window], |row| row.get(0)).optional()?)
}

/// The number of a workspace or of one of its labels.
fn family(conn: &Connection, workspace: &str, label: Option<&str>) -> Result<Option<i64>, Fault> {
    let sql = "SELECT id FROM family WHERE workspace = ?1 AND label IS ?2";
    Ok(conn.query_row(sql, params![workspace, label], |row| row.get(0)).optional()?)
}

/// The counters in the file, or the one with this number. Those that this program has
/// no words for are left out.
pub(crate) fn keys(conn: &Connection, only: Option<i64>) -> Result<Vec<CounterKey>, Fault> {
    let sql = "SELECT workspace, label, unit, window FROM counter JOIN family \
               ON family.id = counter.family WHERE ?1 IS NULL OR counter.id = ?1 \
               ORDER BY counter.id";
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query([only])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let unit = unit_named(&row.get::<_, String>(2)?);
        let window = window_named(&row.get::<_, String>(3)?);
        if let (Some(unit), Some(window)) = (unit, window) {
            let label = row.get::<_, Option<String>>(1)?.map(SmolStr::from);
            let workspace = SmolStr::from(row.get::<_, String>(0)?);
            found.push(CounterKey { workspace, label, unit, window });
        }
    }
    Ok(found)
}
