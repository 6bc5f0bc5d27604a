//! The amounts that are at hand: a part of the file in memory, and what is to be
//! written back.
//!
//! It holds what was touched since somebody else wrote to the file, and is emptied when
//! it grows: ten million users in the file do not need ten million users in memory.

use hashbrown::{DefaultHashBuilder, HashMap};
use rusqlite::{Connection, OptionalExtension, params};
use smallvec::SmallVec;
use smol_str::SmolStr;

use super::{
    blob::{counter_of, past_to_bytes},
    fault::Fault,
    words::{from_sql, to_sql},
};
use crate::store::counting::Counter;

/// So many scopes are kept at hand.
const MOST: usize = 32_768;

/// What one counter holds for one scope.
#[derive(Debug, Default)]
pub(super) struct Amount {
    pub(super) counter: i64,
    pub(super) amounts: Counter,
    /// The smallest limit of the last call that had one.
    pub(super) cap: Option<u64>,
    raised: u64,
    raised_until: u64,
    is_dirty: bool,
}

impl Amount {
    /// By how much its limits are raised.
    pub(super) fn raised(&self, now: u64) -> u64 {
        if self.raised_until > now { self.raised } else { 0 }
    }

    /// Until when they are.
    pub(super) fn raised_until(&self) -> u64 {
        self.raised_until
    }

    pub(super) fn raise(&mut self, by: u64, until: u64) {
        (self.raised, self.raised_until) = (by, until);
    }
}

#[derive(Debug, Default)]
struct Scope {
    amounts: SmallVec<[Amount; 4]>,
    is_dirty: bool,
}

type Map<K, V> = HashMap<K, V, DefaultHashBuilder>;

/// Scopes at hand.
#[derive(Debug, Default)]
pub(super) struct Scopes {
    /// By family and value; nothing where the file has no such scope.
    names: Map<(i64, SmolStr), Option<i64>>,
    loaded: Map<i64, Scope>,
    dirty: Vec<i64>,
    created: Vec<(i64, SmolStr)>,
    /// How often a scope was read from the file.
    #[cfg(test)]
    pub(super) reads: usize,
}

impl Scopes {
    /// The number of a value's scope, if it has one.
    pub(super) fn find(
        &mut self,
        family: i64,
        value: &SmolStr,
        conn: &Connection,
    ) -> Result<Option<i64>, Fault> {
        if let Some(known) = self.names.get(&(family, value.clone())) {
            return Ok(*known);
        }
        let mut statement =
            conn.prepare_cached("SELECT id FROM scope WHERE family = ?1 AND value = ?2")?;
        let found =
            statement.query_row(params![family, value.as_str()], |row| row.get(0)).optional()?;
        self.names.insert((family, value.clone()), found);
        Ok(found)
    }

    /// The number of a value's scope, which is made if there is none.
    pub(super) fn enter(
        &mut self,
        family: i64,
        value: &SmolStr,
        conn: &Connection,
    ) -> Result<i64, Fault> {
        if let Some(known) = self.find(family, value, conn)? {
            return Ok(known);
        }
        let mut statement =
            conn.prepare_cached("INSERT INTO scope (family, value) VALUES (?1, ?2)")?;
        let scope = statement.insert(params![family, value.as_str()])?;
        self.names.insert((family, value.clone()), Some(scope));
        self.created.push((family, value.clone()));
        self.loaded.insert(scope, Scope::default());
        Ok(scope)
    }

    /// Reads the amounts of a scope, if they are not at hand.
    pub(super) fn load(&mut self, scope: i64, conn: &Connection) -> Result<(), Fault> {
        if self.loaded.contains_key(&scope) {
            return Ok(());
        }
        let mut statement = conn.prepare_cached(
            "SELECT counter, used, open, until, past, cap, raised, raised_until \
             FROM amount WHERE scope = ?1",
        )?;
        let mut rows = statement.query([scope])?;
        let mut amounts = SmallVec::new();
        while let Some(row) = rows.next()? {
            let number = |column| row.get::<_, i64>(column).map(from_sql);
            let past = row.get_ref(4)?.as_blob_or_null().map_err(rusqlite::Error::from)?;
            let counter = counter_of(number(3)?, number(1)?, number(2)?, past);
            amounts.push(Amount {
                counter: row.get(0)?,
                amounts: counter.ok_or(Fault::Damaged("an amount that cannot be"))?,
                cap: row.get::<_, Option<i64>>(5)?.map(from_sql),
                raised: number(6)?,
                raised_until: number(7)?,
                is_dirty: false,
            });
        }
        #[cfg(test)]
        {
            self.reads += 1;
        }
        self.loaded.insert(scope, Scope { amounts, is_dirty: false });
        Ok(())
    }

    /// What a loaded scope has on a counter.
    pub(super) fn amount(&mut self, scope: i64, counter: i64) -> Option<&mut Amount> {
        let scope = self.loaded.get_mut(&scope)?;
        scope.amounts.iter_mut().find(|amount| amount.counter == counter)
    }

    /// The same, to be changed: it will be written.
    pub(super) fn change(&mut self, scope: i64, counter: i64) -> &mut Amount {
        let loaded = self.loaded.entry(scope).or_default();
        if !loaded.is_dirty {
            loaded.is_dirty = true;
            self.dirty.push(scope);
        }
        let place = loaded.amounts.iter().position(|amount| amount.counter == counter);
        let place = place.unwrap_or_else(|| {
            loaded.amounts.push(Amount { counter, ..Amount::default() });
            loaded.amounts.len() - 1
        });
        let amount = &mut loaded.amounts[place];
        amount.is_dirty = true;
        amount
    }

    /// Writes what was changed, and shows the scopes it was changed in.
    pub(super) fn write(&mut self, conn: &Connection) -> Result<(), Fault> {
        if self.dirty.is_empty() {
            return Ok(());
        }
        let mut statement = conn.prepare_cached(
            "INSERT OR REPLACE INTO amount \
             (scope, counter, used, open, until, past, cap, raised, raised_until) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?;
        for scope in &self.dirty {
            let Some(loaded) = self.loaded.get_mut(scope) else { continue };
            for amount in loaded.amounts.iter_mut().filter(|amount| amount.is_dirty) {
                let (totals, mut past) = amount.amounts.kept();
                statement.execute(params![
                    scope,
                    amount.counter,
                    to_sql(totals.used),
                    to_sql(totals.open),
                    to_sql(totals.until),
                    past_to_bytes(&mut past),
                    amount.cap.map(to_sql),
                    to_sql(amount.raised),
                    to_sql(amount.raised_until),
                ])?;
                amount.is_dirty = false;
            }
            loaded.is_dirty = false;
        }
        Ok(())
    }

    /// The scopes that were written, once the transaction has happened.
    pub(super) fn take_written(&mut self) -> Vec<i64> {
        std::mem::take(&mut self.dirty)
    }

    /// The scopes that were made, by family and value.
    pub(super) fn take_created(&mut self) -> Vec<(i64, SmolStr)> {
        std::mem::take(&mut self.created)
    }

    /// Keeps nothing at hand, if it is much.
    pub(super) fn forget_much(&mut self) {
        if self.loaded.len() > MOST || self.names.len() > MOST {
            self.forget();
        }
    }

    /// Keeps nothing at hand.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}
