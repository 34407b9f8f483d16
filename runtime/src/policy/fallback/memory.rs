//! Earlier answers.

use std::{
    any::{Any, TypeId},
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use quick_cache::{Equivalent, sync::Cache};

use super::settings::Ages;
use crate::clock::Nanos;

/// The key of a remembered answer, taken before the call: the call may consume what it is made of.
#[derive(Debug, Clone)]
pub struct CacheKey(Box<str>);

impl CacheKey {
    pub(super) fn new(key: &(impl fmt::Display + ?Sized)) -> Self {
        Self(key.to_string().into())
    }
}

/// Answers by key and type, bounded in number; the least valuable go first.
pub(super) struct Answers(Cache<Slot, Arc<dyn Any + Send + Sync>>);

/// Values of different types under one key are different answers.
#[derive(PartialEq, Eq, Clone)]
struct Slot {
    of: TypeId,
    key: Box<str>,
}

/// A [`Slot`] to look up, without a copy of the key.
struct Wanted<'k> {
    of: TypeId,
    key: &'k str,
}

impl Hash for Slot {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.of, &*self.key).hash(state);
    }
}

impl Hash for Wanted<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.of, self.key).hash(state);
    }
}

impl Equivalent<Slot> for Wanted<'_> {
    fn equivalent(&self, slot: &Slot) -> bool {
        self.of == slot.of && *self.key == *slot.key
    }
}

struct Remembered<T> {
    value: T,
    at: Nanos,
}

/// An answer from memory.
pub(super) struct Recalled<T> {
    pub(super) value: T,
    pub(super) age: Duration,
    pub(super) fresh: bool,
}

impl Answers {
    pub(super) fn new(max_entries: u32) -> Self {
        Self(Cache::new(
            usize::try_from(max_entries).unwrap_or(usize::MAX),
        ))
    }

    pub(super) fn remember<T: Send + Sync + 'static>(&self, key: &CacheKey, value: T, now: Nanos) {
        let slot = Slot {
            of: TypeId::of::<T>(),
            key: key.0.clone(),
        };
        self.0.insert(slot, Arc::new(Remembered { value, at: now }));
    }

    pub(super) fn recall<T: Clone + Send + Sync + 'static>(
        &self,
        key: &CacheKey,
        ages: Ages,
        now: Nanos,
    ) -> Option<Recalled<T>> {
        let wanted = Wanted {
            of: TypeId::of::<T>(),
            key: &key.0,
        };
        let found = self.0.get(&wanted)?;
        let remembered = found.downcast_ref::<Remembered<T>>()?;
        let age = now.since(remembered.at);
        (age <= ages.stale).then(|| Recalled {
            value: remembered.value.clone(),
            age,
            fresh: age <= ages.fresh,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn clear(&self) {
        self.0.clear();
    }
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The keys are the users' data.
        write!(f, "Answers({})", self.len())
    }
}
