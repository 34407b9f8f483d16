//! How many instances share a policy, so that each knows its share when the store is away.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
};

use super::{Arg, Job, Link, Member, Records, Script, StoreError, Value, bytes, int};

/// Counts the instances of one policy by their signs of life.
#[derive(Debug)]
pub(crate) struct Census {
    link: Link,
    seen: AtomicU32,
    ticks: AtomicU64,
}

/// A sign of life every so many ticks: every two seconds.
const EVERY: u64 = 20;
/// An instance that has given none for this long, in microseconds, is gone.
const GONE: i64 = 7_000_000;

pub(crate) static SCRIPT: Script = Script {
    name: "census",
    lua: include_str!("census.lua"),
    twin: count,
};

impl Census {
    pub(crate) fn new(link: Link) -> Arc<Self> {
        Arc::new(Self {
            link,
            seen: AtomicU32::new(1),
            ticks: AtomicU64::new(0),
        })
    }

    /// Begins to count, once the store is known.
    ///
    /// # Errors
    /// It is not set.
    pub(crate) fn begin(self: &Arc<Self>) -> Result<(), StoreError> {
        let this = Arc::downgrade(self);
        self.link.attach(this)
    }

    /// Instances last seen, this one included.
    pub(crate) fn seen(&self) -> u32 {
        self.seen.load(Relaxed).max(1)
    }

    fn give_sign(self: Arc<Self>) {
        let Ok(store) = self.link.store() else { return };
        let store = Arc::clone(store);
        let keys = vec![self.link.key("instances")];
        let args = vec![self.link.instance().into(), Arg::Int(GONE)];
        store.run(Job::new(&SCRIPT, keys, args, move |outcome| {
            // While the store is away, what was last seen stands.
            if let Ok(seen) = outcome.and_then(|reply| reply.int(0)) {
                self.seen
                    .store(u32::try_from(seen).unwrap_or(u32::MAX), Relaxed);
            }
        }));
    }
}

impl Member for Census {
    fn tick(self: Arc<Self>) {
        if self.ticks.fetch_add(1, Relaxed).is_multiple_of(EVERY) {
            self.give_sign();
        }
    }
}

fn count(records: &mut Records<'_>, args: &[Arg]) -> Result<Vec<Value>, StoreError> {
    let (instance, gone, now) = (bytes(args, 0)?, int(args, 1)?, records.now());
    let mut seen = records
        .get::<HashMap<Vec<u8>, i64>>(0)?
        .cloned()
        .unwrap_or_default();
    seen.retain(|_, at| *at > now - gone);
    seen.insert(instance.to_vec(), now);
    let number = seen.len();
    records.put(0, seen, gone);
    Ok(vec![Value::Int(i64::try_from(number).unwrap_or(i64::MAX))])
}
