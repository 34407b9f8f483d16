//! Earlier answers.

use std::{
    any::{Any, TypeId},
    fmt,
    hash::{Hash, Hasher},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

#[cfg(feature = "redis")]
use quick_cache::sync::{EntryAction, EntryResult};
use quick_cache::{DefaultHashBuilder, Equivalent, Lifecycle, UnitWeighter, sync::Cache};

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

/// An answer of any type.
type Answer = Arc<dyn Any + Send + Sync>;

/// Answers by key and type, bounded in number; the least valuable go first.
pub(super) struct Answers {
    cache: Cache<Slot, Answer, UnitWeighter, DefaultHashBuilder, Outside>,
    /// A bound that is less than one for each shard of the cache, which it therefore does not keep by
    /// itself; or all there can be.
    tight: AtomicUsize,
    /// The bound that it was made with, and what the cache made of it.
    #[cfg_attr(not(feature = "config"), allow(dead_code))] // nobody changes it
    first: (u32, u64),
}

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

/// Answers are the user's, and so is what happens when they are dropped: it may come back in here, and does
/// so when no lock is held.
#[derive(Clone)]
struct Outside;

/// What has to go once the locks are gone.
#[derive(Default)]
struct Gone(Vec<(Slot, Answer)>);

impl Lifecycle<Slot, Answer> for Outside {
    type RequestState = Gone;

    fn on_evict(&self, gone: &mut Gone, slot: Slot, answer: Answer) {
        gone.0.push((slot, answer));
    }
}

/// If one of them panics, that must neither keep the others nor hurt whoever only took their place: it goes
/// no further than the panic hook.
impl Drop for Gone {
    fn drop(&mut self) {
        for answer in self.0.drain(..) {
            drop(catch_unwind(AssertUnwindSafe(|| drop(answer))));
        }
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
        let cache = Cache::with(
            usize::try_from(max_entries).unwrap_or(usize::MAX),
            max_entries.into(),
            UnitWeighter,
            DefaultHashBuilder::default(),
            Outside,
        );
        Self {
            first: (max_entries, cache.capacity()),
            cache,
            tight: AtomicUsize::new(usize::MAX),
        }
    }

    /// Changes the bound. Of more answers than that, the least valuable are forgotten.
    #[cfg_attr(not(feature = "config"), allow(dead_code))] // nobody changes it
    pub(super) fn set_max_entries(&self, max_entries: u32) {
        let shards = self.cache.num_shards();
        let most = usize::try_from(max_entries).unwrap_or(usize::MAX);
        // Rounded down, since each shard keeps its part of the bound.
        let each = (most / shards).max(1);
        let (capacity, tight) = match self.first {
            (first, capacity) if first == max_entries => (capacity, usize::MAX),
            _ if most < shards => (each.saturating_mul(shards) as u64, most),
            _ => (each.saturating_mul(shards) as u64, usize::MAX),
        };
        self.tight.store(tight, Relaxed);
        if self.cache.capacity() != capacity {
            self.cache.set_capacity(capacity);
        }
        self.trim(None);
    }

    /// Keeps a tight bound; the answer that has just come goes last.
    fn trim(&self, new: Option<&Slot>) {
        let most = self.tight.load(Relaxed);
        if most == usize::MAX {
            return;
        }
        while self.cache.len() > most {
            let mut others = self.cache.iter().map(|(slot, _)| slot);
            let other = others.find(|slot| Some(slot) != new);
            match other {
                Some(slot) => drop(Gone(self.cache.remove(&slot).into_iter().collect())),
                None => return,
            }
        }
    }

    pub(super) fn remember<T: Send + Sync + 'static>(&self, key: &CacheKey, value: T, now: Nanos) {
        let slot = Slot::of::<T>(key);
        let answer = Arc::new(Remembered { value, at: now });
        self.cache.insert(slot, answer);
        self.keep_bound::<T>(key);
    }

    fn keep_bound<T: 'static>(&self, key: &CacheKey) {
        if self.tight.load(Relaxed) != usize::MAX {
            self.trim(Some(&Slot::of::<T>(key)));
        }
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
        let entry = self.cache.entry(&Slot::of::<T>(key), None, |_, here| {
            let before = here.downcast_ref::<Remembered<T>>();
            if before.is_none_or(|before| before.at < at) {
                replaced = Some(std::mem::replace(here, Arc::clone(&answer)));
            }
            EntryAction::Retain(())
        });
        if let EntryResult::Vacant(place) = entry {
            // If somebody has come in between, theirs is younger.
            drop(place.insert(answer));
            self.keep_bound::<T>(key);
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
        self.cache.get(&wanted)?.downcast().ok()
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
        self.cache.len()
    }

    /// Forgets all that there is now.
    pub(super) fn clear(&self) {
        drop(Gone(self.cache.drain().collect()));
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
