//! The limits that this instance has asked for lately.

use std::{
    fmt,
    hash::BuildHasher,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::{core::InForce, lane::Lane};
use crate::{
    keyed::Place,
    policy::reloadable::Edition,
    sync::{Mutex, lock},
};

/// A lane for each key: those that somebody is at, and of the others as many as are worth remembering for
/// what the store has refused.
///
/// Nothing is decided here: a forgotten key is asked for anew, so that a flood of keys costs the network
/// and no memory.
pub(super) struct Lanes {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    /// In a shard; those that somebody is at do not count.
    most: AtomicUsize,
}

#[derive(Default)]
struct Shard {
    lanes: HashTable<Arc<Lane>>,
    /// At how many it is swept next.
    full: usize,
}

/// Keys that are remembered though nobody is at them.
const REMEMBERED: usize = 10_000;
const SHARDS: usize = 16;

impl Lanes {
    pub(super) fn new(max_keys: u32) -> Self {
        let keys = REMEMBERED.min(max_keys as usize).max(1);
        let shards = if keys < REMEMBERED { 1 } else { SHARDS };
        Self {
            shards: (0..shards).map(|_| Mutex::new(Shard::default())).collect(),
            hasher: RandomState::default(),
            most: AtomicUsize::new(keys.div_ceil(shards)),
        }
    }

    /// Changes how many keys are remembered. Fewer are reached as new ones come.
    pub(super) fn set_max_keys(&self, max_keys: u32) {
        let keys = REMEMBERED.min(max_keys as usize).max(1);
        self.most.store(keys.div_ceil(self.shards.len()), Relaxed);
    }

    /// Looks at a key's lane, made if need be, under the lock of its shard. Whoever keeps the lane clones
    /// it there. A new one is under what `edition` says.
    #[inline]
    pub(super) fn with<R>(
        &self,
        key: &[u8],
        edition: impl FnOnce() -> Edition<InForce>,
        act: impl FnOnce(&Arc<Lane>) -> R,
    ) -> R {
        // As permits keep it.
        let hash = Place::own(self.hasher.hash_one(key)).hash();
        let mut shard = lock(self.shard(hash));
        if let Some(lane) = shard.lanes.find(hash, |lane| lane.is(hash, key)) {
            lane.used.store(true, Relaxed);
            return act(lane);
        }
        // Under the lock: who changes the rules of all lanes comes after it, or has put others in force.
        let lane = Lane::of_key(hash, key, edition());
        act(shard.insert(lane, self.most.load(Relaxed)))
    }

    /// The lane with that hash, if it is there.
    pub(super) fn at(&self, hash: u64) -> Option<Arc<Lane>> {
        let shard = lock(self.shard(hash));
        shard.lanes.find(hash, |lane| lane.hash == hash).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<Lane>> {
        let mut all = Vec::new();
        for shard in &self.shards {
            all.extend(lock(shard).lanes.iter().cloned());
        }
        all
    }

    pub(super) fn len(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| lock(shard).lanes.len())
            .sum()
    }

    fn shard(&self, hash: u64) -> &Mutex<Shard> {
        // The table goes by the other end of the hash.
        &self.shards[(hash >> 32) as usize % self.shards.len()]
    }
}

impl Shard {
    #[cold]
    fn insert(&mut self, lane: Lane, most: usize) -> &Arc<Lane> {
        if self.lanes.len() >= self.full.max(most) {
            self.sweep(most);
            // Where everybody is busy, the next look is worth it only when there are many more.
            self.full = self.lanes.len() * 2;
        }
        let (hash, lane) = (lane.hash, Arc::new(lane));
        self.lanes
            .insert_unique(hash, lane, |lane| lane.hash)
            .into_mut()
    }

    /// Forgets at least half of those that nobody is at, and first those that nobody has come to since
    /// the last time.
    fn sweep(&mut self, most: usize) {
        let mut kept = 0;
        self.lanes.retain(|lane| {
            // Only under the shard's lock does anybody come to a lane that nobody is at.
            let busy = Arc::strong_count(lane) > 1;
            let again = lane.used.swap(false, Relaxed) && kept < most / 2;
            kept += usize::from(again && !busy);
            busy || again
        });
        let room = self.lanes.len().max(most);
        self.lanes.shrink_to(room, |lane| lane.hash);
    }
}

impl fmt::Debug for Lanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the keys.
        f.debug_struct("Lanes")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
