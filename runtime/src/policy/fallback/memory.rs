//! Earlier answers.

use std::{
    any::{Any, TypeId},
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
    time::Duration,
};

#[cfg(feature = "redis")]
use quick_cache::sync::{EntryAction, EntryResult};
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

#[cfg(feature = "redis")]
impl CacheKey {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Answers by key and type, bounded in number; the least valuable go first.
pub(super) struct Answers(Cache<Slot, Arc<dyn Any + Send + Sync>>);

/// Values of different types under one key are different answers.
#[derive(PartialEq, Eq, Clone)]
pub(super) struct Slot {
    of: TypeId,
    key: Box<str>,
}

/// A [`Slot`] to look up, without a copy of the key.
struct Wanted<'k> {
    of: TypeId,
    key: &'k str,
}

impl Slot {
    pub(super) fn of<T: 'static>(key: &CacheKey) -> Self {
        Self {
            of: TypeId::of::<T>(),
            key: key.0.clone(),
        }
    }
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

/// An answer, and when it was got.
pub(super) struct Remembered<T> {
    pub(super) value: T,
    pub(super) at: Nanos,
}

impl<T: Clone> Remembered<T> {
    /// A copy, unless it is too old.
    pub(super) fn recalled(&self, ages: Ages, now: Nanos) -> Option<Recalled<T>> {
        let age = now.since(self.at);
        (age <= ages.stale).then(|| Recalled {
            value: self.value.clone(),
            age,
            fresh: age <= ages.fresh,
        })
    }
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
        let slot = Slot::of::<T>(key);
        self.0.insert(slot, Arc::new(Remembered { value, at: now }));
    }

    /// Remembers what was got elsewhere, unless what is here is younger.
    #[cfg(feature = "redis")]
    pub(super) fn adopt<T: Send + Sync + 'static>(
        &self,
        key: &CacheKey,
        answer: Arc<Remembered<T>>,
    ) {
        let at = answer.at;
        let answer: Arc<dyn Any + Send + Sync> = answer;
        // What is replaced is dropped outside the lock: that is the user's code.
        let mut replaced = None;
        let entry = self.0.entry(&Slot::of::<T>(key), None, |_, here| {
            let before = here.downcast_ref::<Remembered<T>>();
            if before.is_none_or(|before| before.at < at) {
                replaced = Some(std::mem::replace(here, Arc::clone(&answer)));
            }
            EntryAction::Retain(())
        });
        if let EntryResult::Vacant(place) = entry {
            // If somebody has come in between, theirs is younger.
            drop(place.insert(answer));
        }
    }

    pub(super) fn find<T: Send + Sync + 'static>(
        &self,
        key: &CacheKey,
    ) -> Option<Arc<Remembered<T>>> {
        let wanted = Wanted {
            of: TypeId::of::<T>(),
            key: &key.0,
        };
        self.0.get(&wanted)?.downcast().ok()
    }

    pub(super) fn recall<T: Clone + Send + Sync + 'static>(
        &self,
        key: &CacheKey,
        ages: Ages,
        now: Nanos,
    ) -> Option<Recalled<T>> {
        self.find(key)?.recalled(ages, now)
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

#[cfg(all(test, feature = "redis", not(steadfast_loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_is_got_elsewhere_never_takes_the_place_of_what_is_younger() {
        let (answers, key) = (Answers::new(10), CacheKey::new("a"));
        let at = |value: u64| Nanos((1 << 60) + value);
        let adopt = |value| {
            let at = at(value);
            answers.adopt(&key, Arc::new(Remembered { value, at }));
            answers.find::<u64>(&key).map(|answer| answer.value)
        };
        assert_eq!(adopt(5), Some(5));
        assert_eq!(adopt(4), Some(5));
        assert_eq!(adopt(6), Some(6));
        answers.remember(&key, 9_u64, at(9));
        assert_eq!(adopt(8), Some(9));
        assert_eq!(answers.len(), 1);
    }
}
