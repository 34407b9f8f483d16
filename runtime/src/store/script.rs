//! What runs in a store: one decision, all or nothing, on the store's own clock.

use std::{any::Any, collections::HashMap, fmt};

use super::{Arg, StoreError, Value};

/// A decision in the two languages of stores.
///
/// Both read all, decide, and only then write; a refusal writes nothing that has to be taken back. They
/// take the same keys and arguments, give the same integers, and are held to that by one suite of tests.
#[derive(Debug)]
pub(crate) struct Script {
    /// For messages.
    pub(crate) name: &'static str,
    /// For Redis. [`PRELUDE`] comes before it: `now` is the time in whole microseconds, `arg` the
    /// arguments from 1 on.
    #[cfg_attr(not(feature = "redis"), allow(dead_code))] // no store that runs it
    pub(crate) lua: &'static str,
    /// For memory.
    pub(crate) twin: Twin,
}

/// The same in Rust, on the records of the keys.
pub(crate) type Twin = fn(&mut Records<'_>, &[Arg]) -> Result<Vec<Value>, StoreError>;

/// What every script for Redis begins with. The first argument is the time, for tests only: empty, it
/// is the server's.
#[cfg(any(test, feature = "redis"))]
pub(crate) const PRELUDE: &str = "\
local now
if ARGV[1] == '' then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
else
  now = tonumber(ARGV[1])
end
local function arg(i) return ARGV[i + 1] end
local function int(i) return tonumber(ARGV[i + 1]) end
";

/// The records of a job's keys, by their places among them.
pub(crate) struct Records<'t> {
    table: &'t mut Table,
    keys: &'t [Vec<u8>],
    now: i64,
}

/// All that a store in memory holds.
#[derive(Default)]
pub(crate) struct Table {
    records: HashMap<Vec<u8>, Record>,
    writes: u32,
}

struct Record {
    value: Box<dyn Any + Send>,
    /// In microseconds.
    expires: i64,
}

impl Table {
    /// The records of these keys, at this time in microseconds.
    pub(crate) fn records<'t>(&'t mut self, keys: &'t [Vec<u8>], now: i64) -> Records<'t> {
        for key in keys {
            if self.records.get(key).is_some_and(|r| r.expires <= now) {
                self.records.remove(key);
            }
        }
        Records {
            table: self,
            keys,
            now,
        }
    }

    /// The number of records, those included that have expired and were not looked at since.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    pub(crate) fn clear(&mut self) {
        self.records.clear();
    }

    /// Drops what has expired, now and then.
    fn sweep(&mut self, now: i64) {
        self.writes += 1;
        if self.writes as usize > self.records.len().max(1_000) {
            self.writes = 0;
            self.records.retain(|_, record| record.expires > now);
        }
    }
}

impl Records<'_> {
    /// The time in microseconds.
    pub(crate) fn now(&self) -> i64 {
        self.now
    }

    /// The record of the `nth` key, unless there is none or it has expired.
    ///
    /// # Errors
    /// The key holds something else.
    pub(crate) fn get<T: Any>(&mut self, nth: usize) -> Result<Option<&mut T>, StoreError> {
        let record = self
            .keys
            .get(nth)
            .and_then(|k| self.table.records.get_mut(k));
        match record {
            None => Ok(None),
            Some(record) => match record.value.downcast_mut() {
                None => Err(StoreError::WrongType),
                some => Ok(some),
            },
        }
    }

    /// Writes the record of the `nth` key, for so many microseconds.
    pub(crate) fn put<T: Any + Send>(&mut self, nth: usize, value: T, ttl: i64) {
        let expires = self.now.saturating_add(ttl);
        if let Some(key) = self.keys.get(nth) {
            let value = Box::new(value);
            self.table
                .records
                .insert(key.clone(), Record { value, expires });
            self.table.sweep(self.now);
        }
    }

    /// Removes the record of the `nth` key.
    pub(crate) fn remove(&mut self, nth: usize) {
        if let Some(key) = self.keys.get(nth) {
            self.table.records.remove(key);
        }
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
