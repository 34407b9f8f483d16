//! What is run in the store.
//!
//! The first key is a hash of field to JSON, the second a sorted set of the same fields by the time, in
//! microseconds, at which each was written. Both have the same fields, always.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use crate::store::{Arg, Records, Script, StoreError, Value, bytes, int};

/// Field, JSON, stale age, most fields. Gives the number of fields.
///
/// It makes room first: fields that are too old, and the oldest beyond the bound. A write adds at most one
/// and so drops at most one, but for those left over from a larger bound: at most [`BOUND`] of each kind
/// go with one write.
pub(super) static REMEMBER: Script = Script {
    name: "remember",
    lua: include_str!("remember.lua"),
    twin: remember,
};

/// Field, stale age, the age that it must be under, or -1. Gives nothing; the age where it is not under
/// that; or the age and the JSON.
pub(super) static RECALL: Script = Script {
    name: "recall",
    lua: include_str!("recall.lua"),
    twin: recall,
};

/// A field, or empty for all.
pub(super) static FORGET: Script = Script {
    name: "forget",
    lua: include_str!("forget.lua"),
    twin: forget,
};

/// So far ahead of the store's clock may an answer be written, as by another master's: it counts as just
/// written. Further ahead, its age is not known, and it is none.
const AHEAD: i64 = 1_000_000;

/// How many fields of a kind one write drops.
const BOUND: usize = 16;

/// Ages are clamped to this, a hundred years, to stay under 2^53 with any clock.
const LONGEST: i64 = 3_155_760_000_000_000;

/// An age for the store, in microseconds.
pub(super) fn micros(age: Duration) -> i64 {
    i64::try_from(age.as_micros()).map_or(LONGEST, |age| age.min(LONGEST))
}

type Answers = HashMap<Vec<u8>, Vec<u8>>;

#[derive(Default)]
struct Ages {
    written: HashMap<Vec<u8>, i64>,
    in_order: BTreeSet<(i64, Vec<u8>)>,
}

impl Ages {
    fn put(&mut self, field: &[u8], at: i64) {
        self.drop(field);
        self.written.insert(field.to_vec(), at);
        self.in_order.insert((at, field.to_vec()));
    }

    fn drop(&mut self, field: &[u8]) {
        if let Some(at) = self.written.remove(field) {
            self.in_order.remove(&(at, field.to_vec()));
        }
    }

    fn after(&self, at: i64) -> Vec<Vec<u8>> {
        let ahead = self.in_order.iter().filter(|(other, _)| *other > at);
        ahead.take(BOUND).map(|(_, field)| field.clone()).collect()
    }
}

fn remember(records: &mut Records<'_>, args: &[Arg]) -> Result<Vec<Value>, StoreError> {
    let (field, json) = (bytes(args, 0)?, bytes(args, 1)?);
    let (stale, most, now) = (int(args, 2)?, int(args, 3)?, records.now());
    let fields = records
        .get::<Answers>(0)?
        .map_or(0, |answers| answers.len());
    let are_even = fields == records.get::<Ages>(1)?.map_or(0, |ages| ages.written.len());
    let (mut answers, mut ages) = (Answers::new(), Ages::default());
    if let (true, Some(there)) = (are_even, records.get(0)?) {
        answers = std::mem::take(there);
    }
    if let (true, Some(there)) = (are_even, records.get(1)?) {
        ages = std::mem::take(there);
    }
    let drop = |answers: &mut Answers, ages: &mut Ages, fields: Vec<Vec<u8>>| {
        for field in fields {
            answers.remove(&field);
            ages.drop(&field);
        }
    };

    let ahead = ages.after(now + AHEAD);
    drop(&mut answers, &mut ages, ahead);

    let is_new = !ages.written.contains_key(field);
    let over = count(ages.written.len()) + i64::from(is_new) - most;
    let mut gone: Vec<Vec<u8>> = Vec::new();
    for (at, other) in ages.in_order.iter().take(BOUND + 1) {
        let is_gone = count(gone.len()) < over || *at < now - stale;
        if is_gone && other != field && gone.len() < BOUND {
            gone.push(other.clone());
        }
    }
    drop(&mut answers, &mut ages, gone);

    answers.insert(field.to_vec(), json.to_vec());
    ages.put(field, now);
    let number = count(ages.written.len());
    let ttl = (stale / 1_000 + 1) * 1_000;
    records.put(0, answers, ttl);
    records.put(1, ages, ttl);
    Ok(vec![Value::Int(number)])
}

fn recall(records: &mut Records<'_>, args: &[Arg]) -> Result<Vec<Value>, StoreError> {
    let field = bytes(args, 0)?;
    let (stale, known, now) = (int(args, 1)?, int(args, 2)?, records.now());
    let written = records.get::<Ages>(1)?;
    let Some(&written) = written.and_then(|ages| ages.written.get(field)) else {
        return Ok(Vec::new());
    };
    let age = now - written;
    if age > stale || age < -AHEAD {
        return Ok(Vec::new());
    }
    let age = age.max(0);
    if known >= 0 && age >= known {
        return Ok(vec![Value::Int(age)]);
    }
    let json = records.get::<Answers>(0)?;
    Ok(match json.and_then(|answers| answers.get(field)) {
        Some(json) => vec![Value::Int(age), Value::Bytes(json.clone())],
        None => Vec::new(),
    })
}

fn forget(records: &mut Records<'_>, args: &[Arg]) -> Result<Vec<Value>, StoreError> {
    let field = bytes(args, 0)?;
    if field.is_empty() {
        records.remove(0);
        records.remove(1);
    } else {
        if let Some(answers) = records.get::<Answers>(0)? {
            answers.remove(field);
        }
        if let Some(ages) = records.get::<Ages>(1)? {
            ages.drop(field);
        }
    }
    Ok(vec![Value::Int(1)])
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
