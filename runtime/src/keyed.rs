//! State per key: bounded, sharded, and not to be exhausted by a flood of new keys.

use std::{
    fmt,
    hash::{BuildHasher, Hasher as _},
};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::sync::{AtomicU64, Mutex, Ordering, lock};

const MAX_SHARDS: u64 = 64;
/// A shard is worth its cache lines from this many keys on.
const KEYS_PER_SHARD: u64 = 128;
/// Shared states per shard for keys that found no room.
const OVERFLOWS: u64 = 4;
/// Entries that one new key may look at in search of an unused one, in the long run.
const LOOKS: usize = 32;
/// Other shards that one new key may ask for room, in the long run.
const VISITS: u64 = 4;

/// Names a state for as long as it may not be dropped (it is in use), without a copy of the key: by its
/// hash, which leaves [`SHARED`] free. One word: places are moved about with permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(u64);

/// A bit that neither the tables, nor the choice of the shard or of a shared state ask for.
const SHARED: u64 = 1 << 56;

impl Place {
    /// Of the key with that hash, which has its own.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) const fn own(hash: u64) -> Self {
        Self(hash)
    }

    const fn shared(hash: u64) -> Self {
        Self(hash | SHARED)
    }

    pub(crate) const fn hash(self) -> u64 {
        self.0 & !SHARED
    }

    pub(crate) const fn room(self) -> Room {
        match self.0 & SHARED {
            0 => Room::Own,
            _ => Room::Shared,
        }
    }
}

/// Whose state a key was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// Its own.
    Own,
    /// One that it shares with other late comers, because all others were in use.
    Shared,
}

/// A map from key to state, of at most `max_keys` entries.
///
/// A known key is found by `&str` under the lock of its shard, without allocation. For a new one there
/// is room, or an unused entry leaves, or it is given one of a few shared states: so a flood of keys
/// neither grows the map, nor drops a state that matters, nor gets anything that one key would not.
///
/// What all states of a shard go by can be kept beside them (`C`): it is read and
/// [changed](Self::change) under the lock that they are under, so that none is ever judged by another.
pub(crate) struct Keyed<V, C = ()> {
    shards: Box<[Shard<V, C>]>,
    hasher: RandomState,
    max_keys: AtomicU64,
    /// Entries, and those about to be inserted: what is compared with the bound.
    taken: AtomicU64,
    /// The shard that is asked for room next.
    hand: AtomicU64,
    /// How many shards may be asked now; as with [`Table::looks`].
    visits: AtomicU64,
}

/// On its own cache lines (two: the prefetcher takes them in pairs).
#[repr(align(128))]
struct Shard<V, C>(Mutex<Table<V, C>>);

struct Table<V, C> {
    /// What they go by.
    common: C,
    entries: HashTable<Entry<V>>,
    overflow: Vec<Option<V>>,
    /// Where the search for an unused entry goes on.
    hand: usize,
    /// How many entries may be looked at now. Each new key adds a few: a full round is affordable
    /// once in a while, a full round for every key of a flood is not.
    looks: usize,
}

struct Entry<V> {
    key: Key,
    value: V,
}

/// Short keys lie in the table itself: comparing one that lies elsewhere is a cache miss, which costs
/// as much as all the rest of a lookup.
enum Key {
    Short { len: u8, bytes: [u8; SHORT_KEY] },
    Long(Box<[u8]>),
}

/// What fits beside the tag without making the key larger than three words.
const SHORT_KEY: usize = 22;

impl Key {
    fn new(key: &[u8]) -> Self {
        let mut bytes = [0; SHORT_KEY];
        match bytes.get_mut(..key.len()) {
            None => Self::Long(key.into()),
            Some(room) => {
                room.copy_from_slice(key);
                let len = key.len() as u8;
                Self::Short { len, bytes }
            }
        }
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn is(&self, key: &[u8]) -> bool {
        match self {
            Self::Short { len, bytes } => usize::from(*len) == key.len() && is_same(bytes, key),
            Self::Long(own) => **own == *key,
        }
    }

    #[inline]
    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Short { len, bytes } => &bytes[..usize::from(*len)],
            Self::Long(key) => key,
        }
    }
}

/// Whether `bytes` begin with `key`: in overlapping words, a call of `memcmp` costs more than they do.
#[cfg_attr(not(debug_assertions), inline(always))]
fn is_same(bytes: &[u8; SHORT_KEY], key: &[u8]) -> bool {
    let len = key.len();
    let word = |at: usize| bytes.get(at..at + 8) == key.get(at..at + 8);
    let half = |at: usize| bytes.get(at..at + 4) == key.get(at..at + 4);
    match len {
        16.. => word(0) && word(8) && word(len - 8),
        8..=15 => word(0) && word(len - 8),
        4..=7 => half(0) && half(len - 4),
        _ => bytes.get(..len) == Some(key),
    }
}

/// Of the bytes alone: `hash_one` would add their number, which counts already.
#[cfg_attr(not(debug_assertions), inline(always))]
fn hash_of(hasher: &RandomState, key: &[u8]) -> u64 {
    let mut hasher = hasher.build_hasher();
    hasher.write(key);
    hasher.finish() & !SHARED
}

impl<V> Keyed<V> {
    pub(crate) fn new(max_keys: u32) -> Self {
        Self::under(max_keys, ())
    }

    /// Runs `act` on the state of `key`, under the lock of its shard: it should be short, and must not
    /// come back in. A new key's state is made by `create`; `unused` says which states are as if
    /// never used and may leave.
    #[inline]
    pub(crate) fn with<R>(
        &self,
        key: &[u8],
        create: impl Fn() -> V,
        unused: impl Fn(&V) -> bool,
        act: impl FnOnce(&mut V, Place) -> R,
    ) -> R {
        self.with_common(
            key,
            |()| create(),
            |value, ()| unused(value),
            |value, place, ()| act(value, place),
        )
    }

    /// Runs `act` on the state of a known place, if it is still there.
    #[cfg(test)]
    pub(crate) fn at<R>(&self, place: Place, act: impl FnOnce(&mut V) -> R) -> Option<R> {
        self.at_common(place, |value, ()| act(value))
    }

    /// Forgets every state for which `keep` says no.
    pub(crate) fn retain(&self, mut keep: impl FnMut(&mut V) -> bool) {
        self.retain_common(|value, ()| keep(value));
    }
}

impl<V, C: Copy> Keyed<V, C> {
    /// Whose states go by `common`.
    pub(crate) fn under(max_keys: u32, common: C) -> Self {
        let max_keys = u64::from(max_keys).max(1);
        let shards = (max_keys / KEYS_PER_SHARD)
            .next_power_of_two()
            .clamp(1, MAX_SHARDS);
        Self {
            shards: (0..shards).map(|_| Shard::new(common)).collect(),
            hasher: RandomState::default(),
            max_keys: AtomicU64::new(max_keys),
            taken: AtomicU64::new(0),
            hand: AtomicU64::new(0),
            visits: AtomicU64::new(shards),
        }
    }

    /// Changes the bound. A lower one is reached as unused entries leave.
    #[cfg_attr(not(feature = "config"), allow(dead_code))] // nobody has others
    pub(crate) fn set_max_keys(&self, max_keys: u32) {
        self.max_keys
            .store(u64::from(max_keys).max(1), Ordering::Relaxed);
    }

    /// How many keys are remembered.
    pub(crate) fn len(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Runs `act` on the state of a known key, as [`with`](Self::with) does, and returns it with the key's
    /// hash, for a [`Place::own`].
    #[inline]
    pub(crate) fn known<R>(
        &self,
        key: &[u8],
        act: impl FnOnce(&mut V, C) -> Option<R>,
    ) -> (u64, Option<R>) {
        let hash = self.hash(key);
        let mut table = self.shard(hash).lock();
        let common = table.common;
        let known = table.find(hash, key);
        (hash, known.and_then(|value| act(value, common)))
    }

    /// [`with`](Keyed::with), told what they go by.
    #[inline]
    pub(crate) fn with_common<R>(
        &self,
        key: &[u8],
        create: impl Fn(C) -> V,
        unused: impl Fn(&V, C) -> bool,
        act: impl FnOnce(&mut V, Place, C) -> R,
    ) -> R {
        let hash = self.hash(key);
        let own = Place::own(hash);
        {
            let mut table = self.shard(hash).lock();
            let common = table.common;
            if let Some(value) = table.find(hash, key) {
                return act(value, own, common);
            }
        }
        self.with_new(hash, key, create, unused, act)
    }

    /// The same for a key that was not there a moment ago.
    #[cold]
    #[inline(never)]
    fn with_new<R>(
        &self,
        hash: u64,
        key: &[u8],
        create: impl Fn(C) -> V,
        unused: impl Fn(&V, C) -> bool,
        act: impl FnOnce(&mut V, Place, C) -> R,
    ) -> R {
        let shard = self.shard(hash);
        let own = Place::own(hash);
        {
            let mut table = shard.lock();
            let common = table.common;
            // Whoever held the lock meanwhile may have brought the same key.
            if let Some(value) = table.find(hash, key) {
                return act(value, own, common);
            }
            if self.take_room() || self.vacate(&mut table, &unused) {
                let value = table.insert(hash, key, create(common), &self.hasher);
                return act(value, own, common);
            }
        }
        let vacated = self.vacate_elsewhere(hash, &unused);
        let mut table = shard.lock();
        let common = table.common;
        // So it may once more.
        if let Some(value) = table.find(hash, key) {
            if vacated {
                self.give_room();
            }
            return act(value, own, common);
        }
        if vacated {
            let value = table.insert(hash, key, create(common), &self.hasher);
            return act(value, own, common);
        }
        let shared = table.overflow(hash).get_or_insert_with(|| create(common));
        act(shared, Place::shared(hash), common)
    }

    /// Runs `act` on the state of a known place, if it is still there, told what it goes by.
    pub(crate) fn at_common<R>(&self, place: Place, act: impl FnOnce(&mut V, C) -> R) -> Option<R> {
        let hash = place.hash();
        let mut table = self.shard(hash).lock();
        let common = table.common;
        let value = match place.room() {
            Room::Shared => table.overflow(hash).as_mut(),
            Room::Own => {
                let same = |entry: &Entry<V>| self.hash(entry.key.as_bytes()) == hash;
                let found = table.entries.find_mut(hash, same);
                found.map(|entry| &mut entry.value)
            }
        };
        value.map(|value| act(value, common))
    }

    /// Runs `act` on every state, shared ones included, one shard at a time.
    pub(crate) fn for_each(&self, mut act: impl FnMut(&mut V)) {
        for shard in &self.shards {
            let mut table = shard.lock();
            table.values().for_each(&mut act);
        }
    }

    /// Makes states go by something else, one shard at a time: `next` says by what, and `act` changes
    /// each, told what it went by and what it goes by.
    #[cfg_attr(not(feature = "config"), allow(dead_code))] // nobody has others
    pub(crate) fn change<N>(
        &self,
        mut next: impl FnMut(C) -> (C, N),
        mut act: impl FnMut(&mut V, C, &N),
    ) {
        for shard in &self.shards {
            let mut table = shard.lock();
            let former = table.common;
            let (common, news) = next(former);
            table.common = common;
            table.values().for_each(|value| act(value, former, &news));
        }
    }

    /// [`retain`](Keyed::retain), told what they go by.
    pub(crate) fn retain_common(&self, mut keep: impl FnMut(&mut V, C) -> bool) {
        for shard in &self.shards {
            let mut table = shard.lock();
            let common = table.common;
            let before = table.entries.len();
            table.entries.retain(|entry| keep(&mut entry.value, common));
            let gone = before - table.entries.len();
            self.taken.fetch_sub(gone as u64, Ordering::Relaxed);
            for shared in &mut table.overflow {
                shared.take_if(|value| !keep(value, common));
            }
        }
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn hash(&self, key: &[u8]) -> u64 {
        hash_of(&self.hasher, key)
    }

    #[inline]
    fn shard(&self, hash: u64) -> &Shard<V, C> {
        // The table inside takes the lowest and the highest bits.
        let index = (hash >> 40) & (self.shards.len() as u64 - 1);
        &self.shards[index as usize]
    }

    fn take_room(&self) -> bool {
        let max_keys = self.max_keys.load(Ordering::Relaxed);
        let mut taken = self.taken.load(Ordering::Relaxed);
        while taken < max_keys {
            match self.taken.compare_exchange_weak(
                taken,
                taken + 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => taken = now,
            }
        }
        false
    }

    fn give_room(&self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }

    /// Makes room in this table. Under a lowered bound, entries leave without a successor.
    fn vacate(&self, table: &mut Table<V, C>, unused: &impl Fn(&V, C) -> bool) -> bool {
        while table.drop_unused(unused) {
            if self.taken.load(Ordering::Relaxed) <= self.max_keys.load(Ordering::Relaxed) {
                return true;
            }
            self.give_room();
        }
        false
    }

    /// Makes room in other tables, taking their locks one at a time and none besides.
    fn vacate_elsewhere(&self, hash: u64, unused: &impl Fn(&V, C) -> bool) -> bool {
        let shards = self.shards.len() as u64;
        // Threads that lose each other's updates here only look a little more, or less.
        let mut visits = (self.visits.load(Ordering::Relaxed) + VISITS).min(shards);
        let mut vacated = false;
        while visits > 0 && !vacated {
            visits -= 1;
            let index = self.hand.fetch_add(1, Ordering::Relaxed) & (shards - 1);
            let shard = &self.shards[index as usize];
            vacated =
                !std::ptr::eq(shard, self.shard(hash)) && self.vacate(&mut shard.lock(), unused);
        }
        self.visits.store(visits, Ordering::Relaxed);
        vacated
    }
}

impl<V, C> Shard<V, C> {
    fn new(common: C) -> Self {
        Self(Mutex::new(Table {
            common,
            entries: HashTable::new(),
            overflow: Vec::new(),
            hand: 0,
            looks: usize::MAX - LOOKS,
        }))
    }

    #[inline]
    fn lock(&self) -> crate::sync::MutexGuard<'_, Table<V, C>> {
        lock(&self.0)
    }
}

impl<V, C: Copy> Table<V, C> {
    #[inline]
    fn find(&mut self, hash: u64, key: &[u8]) -> Option<&mut V> {
        // Not `find_mut`: that compares by a call through a pointer.
        let found = self.entries.iter_hash_mut(hash);
        let mut found = found.filter(|entry| entry.key.is(key));
        found.next().map(|entry| &mut entry.value)
    }

    fn insert(&mut self, hash: u64, key: &[u8], value: V, hasher: &RandomState) -> &mut V {
        let entry = Entry {
            key: Key::new(key),
            value,
        };
        let rehash = |entry: &Entry<V>| hash_of(hasher, entry.key.as_bytes());
        let inserted = self.entries.insert_unique(hash, entry, rehash);
        &mut inserted.into_mut().value
    }

    fn overflow(&mut self, hash: u64) -> &mut Option<V> {
        if self.overflow.is_empty() {
            self.overflow.resize_with(OVERFLOWS as usize, || None);
        }
        &mut self.overflow[((hash >> 32) % OVERFLOWS) as usize]
    }

    /// Drops one unused entry, looking on from where the last search ended.
    fn drop_unused(&mut self, unused: &impl Fn(&V, C) -> bool) -> bool {
        let buckets = self.entries.num_buckets();
        self.looks = (self.looks + LOOKS).min(buckets);
        while self.looks > 0 {
            self.looks -= 1;
            self.hand = if self.hand + 1 < buckets {
                self.hand + 1
            } else {
                0
            };
            if let Ok(entry) = self.entries.get_bucket_entry(self.hand)
                && unused(&entry.get().value, self.common)
            {
                entry.remove();
                return true;
            }
        }
        false
    }

    fn values(&mut self) -> impl Iterator<Item = &mut V> {
        let own = self.entries.iter_mut().map(|entry| &mut entry.value);
        own.chain(self.overflow.iter_mut().flatten())
    }
}

impl<V, C: Copy> fmt::Debug for Keyed<V, C> {
    /// Without the keys: they may be somebody's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyed")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(steadfast_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{cell::Cell, collections::HashMap, fmt::Display};

    use crate::key::{Shown, with_bytes};

    fn with_text<R>(key: &impl Display, act: impl FnOnce(&[u8]) -> R) -> R {
        with_bytes(Shown::from(key), act)
    }

    fn add(map: &Keyed<u32>, key: impl AsRef<[u8]>, by: u32) -> (u32, Room) {
        map.with(
            key.as_ref(),
            || 0,
            |&v| v == 0,
            |value, place| {
                *value += by;
                (*value, place.room())
            },
        )
    }

    #[test]
    fn each_key_has_its_own_state() {
        let map = Keyed::new(10);
        assert_eq!(add(&map, "a", 1), (1, Room::Own));
        assert_eq!(add(&map, "b", 5), (5, Room::Own));
        assert_eq!(add(&map, "a", 1), (2, Room::Own));
        assert_eq!(map.len(), 2);
    }

    #[test]
    fn only_unused_states_leave() {
        let map = Keyed::new(3);
        for key in ["a", "b", "c"] {
            add(&map, key, 1);
        }
        assert_eq!(add(&map, "late", 7).1, Room::Shared);
        map.with(b"b", || 0, |_| false, |value, _| *value = 0);
        assert_eq!(add(&map, "late", 1), (1, Room::Own), "takes the place of b");
        assert_eq!(add(&map, "b", 1).1, Room::Shared);
        assert_eq!((add(&map, "a", 0).0, add(&map, "c", 0).0), (1, 1));
        assert_eq!(map.len(), 3);
    }

    #[test]
    fn room_is_found_in_another_shard() {
        let map = Keyed::new(1024);
        for n in 0..1024 {
            assert_eq!(
                add(&map, n.to_string(), 1).1,
                Room::Own,
                "the bound is exact"
            );
        }
        assert_eq!(add(&map, "late", 1).1, Room::Shared);
        map.for_each(|value| *value = 0);
        assert_eq!(add(&map, "late", 1).1, Room::Own);
        assert_eq!(map.len(), 1024);
    }

    #[test]
    fn a_place_leads_back_to_its_state() {
        let map = Keyed::new(1);
        let own = map.with(b"a", || 1, |_| false, |_, place| place);
        let shared = map.with(b"b", || 2, |_| false, |_, place| place);
        assert_eq!(map.at(own, |v| std::mem::replace(v, 10)), Some(1));
        assert_eq!(map.at(shared, |v| std::mem::replace(v, 20)), Some(2));
        assert_eq!(
            (map.at(own, |v| *v), map.at(shared, |v| *v)),
            (Some(10), Some(20))
        );
        map.retain(|value| *value != 10);
        assert_eq!(
            (map.at(own, |v| *v), map.at(shared, |v| *v)),
            (None, Some(20))
        );
        assert_eq!(map.len(), 0);
    }

    #[test]
    fn a_lowered_bound_is_reached_as_unused_entries_leave() {
        let map = Keyed::new(100);
        for n in 0..100 {
            add(&map, n.to_string(), 1);
        }
        map.set_max_keys(10);
        map.for_each(|value| *value = 0);
        for n in 0..200 {
            add(&map, format!("new {n}"), 1);
        }
        assert_eq!(map.len(), 10);
    }

    #[test]
    fn a_flood_of_new_keys_neither_grows_the_map_nor_drops_what_is_in_use() {
        let map = Keyed::new(10_000);
        for n in 0..10_000 {
            add(&map, format!("legit {n}"), 1);
        }
        let looks = Cell::new(0u64);
        for n in 0..1_000_000 {
            let unused = |&v: &u32| {
                looks.set(looks.get() + 1);
                v == 0
            };
            let room = with_text(&format_args!("flood {n}"), |key| {
                map.with(
                    key,
                    || 0,
                    unused,
                    |value, place| {
                        *value += 1;
                        place.room()
                    },
                )
            });
            assert_eq!(room, Room::Shared);
        }
        assert_eq!(map.len(), 10_000);
        assert!(
            looks.get() <= 1_000_000 * 5 * LOOKS as u64,
            "{}",
            looks.get()
        );
        let mut states = 0;
        map.for_each(|_| states += 1);
        assert!(states <= 10_000 + (MAX_SHARDS * OVERFLOWS) as usize);
        for n in 0..10_000 {
            assert_eq!(add(&map, format!("legit {n}"), 0), (1, Room::Own));
        }
    }

    #[test]
    fn a_flood_over_unused_states_replaces_them_one_for_one() {
        let map = Keyed::new(1_000);
        for n in 0..1_000_000u32 {
            let (_, room) = with_text(&n, |key| add(&map, key, 0));
            assert_eq!(room, Room::Own);
        }
        assert_eq!(map.len(), 1_000);
    }

    #[test]
    fn threads_do_not_exceed_the_bound() {
        let map = Keyed::new(500);
        std::thread::scope(|scope| {
            for thread in 0..4u32 {
                let map = &map;
                scope.spawn(move || {
                    for n in 0..20_000u32 {
                        add(map, (n * 4 + thread).to_string(), n % 2);
                        assert!(map.len() <= 500);
                    }
                });
            }
        });
        let mut states = 0;
        map.for_each(|_| states += 1);
        assert!(states <= 500 + (MAX_SHARDS * OVERFLOWS) as usize);
    }

    #[test]
    fn a_panic_under_the_lock_does_not_close_the_shard() {
        let map = Keyed::new(10);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            map.with(b"a", || 0u32, |_| false, |_, _| panic!("user's"))
        }));
        assert!(panicked.is_err());
        assert_eq!(add(&map, "a", 1), (1, Room::Own));
    }

    #[test]
    fn memory_per_key_is_small() {
        assert!(size_of::<Entry<[u64; 2]>>() <= 40);
        let map = Keyed::new(100_000);
        for n in 0..100_000u32 {
            with_text(&n, |key| {
                map.with(key.as_ref(), || [1u64; 2], |_| false, |_, _| ())
            });
        }
        let bytes: usize = map
            .shards
            .iter()
            .map(|shard| shard.lock().entries.allocation_size())
            .sum();
        assert!(bytes / 100_000 <= 100, "{} bytes per key", bytes / 100_000);
    }

    #[test]
    fn keys_of_any_length_are_told_apart() {
        let map = Keyed::new(1_000);
        let keys: Vec<_> = (0..100).map(|len| "k".repeat(len)).collect();
        for (n, key) in (1..).zip(&keys) {
            assert_eq!(add(&map, key, n), (n, Room::Own));
        }
        for (n, key) in (1..).zip(&keys) {
            assert_eq!(add(&map, key, 0), (n, Room::Own));
            assert_eq!(
                map.at(
                    map.with(key.as_ref(), || 0, |_| false, |_, place| place),
                    |v| *v
                ),
                Some(n)
            );
        }
    }

    proptest! {
        #[test]
        fn a_key_is_itself_and_no_other(key in "[ab]{0,40}", other in "[ab]{0,3}", at: prop::sample::Index) {
            prop_assert!(Key::new(key.as_bytes()).is(key.as_bytes()));
            prop_assert_eq!(Key::new(key.as_bytes()).is(other.as_bytes()), key == other);
            let mut near = key.clone().into_bytes();
            if let Some(byte) = near.get_mut(at.index(key.len().max(1))) {
                *byte ^= 1;
                prop_assert!(!Key::new(key.as_bytes()).is(&near));
            }
        }

        #[test]
        fn a_known_key_is_found_as_in_a_plain_map(
            steps in prop::collection::vec((0usize..40, 0u32..3, any::<bool>()), 0..300),
        ) {
            let map = Keyed::new(1_000);
            let mut model: HashMap<String, u32> = HashMap::new();
            for (key, by, only_known) in steps {
                // Of any length, alike but for the last.
                let key = format!("{}{key}", "k".repeat(key));
                if only_known {
                    let found = map.known(key.as_bytes(), |value, ()| {
                        *value += by;
                        Some(*value)
                    });
                    let expected = model.get_mut(&key).map(|value| {
                        *value += by;
                        *value
                    });
                    prop_assert_eq!(found.1, expected);
                    prop_assert_eq!(map.at(Place::own(found.0), |value| *value), expected);
                } else {
                    let expected = model.entry(key.clone()).or_insert(0);
                    *expected += by;
                    prop_assert_eq!(add(&map, &key, by), (*expected, Room::Own));
                }
                prop_assert_eq!(map.len(), model.len() as u64);
            }
        }

        #[test]
        fn behaves_like_a_plain_map(
            max in 1u32..40,
            steps in prop::collection::vec((0u8..50, 0u32..3, any::<bool>()), 0..300),
        ) {
            let map = Keyed::new(max);
            let mut model: HashMap<String, u32> = HashMap::new();
            for (key, by, clear) in steps {
                let key = key.to_string();
                let (value, room) = map.with(key.as_bytes(), || 0, |&v| v == 0, |value, place| {
                    *value = if clear && place.room() == Room::Own { 0 } else { *value + by };
                    (*value, place.room())
                });
                match room {
                    Room::Own => {
                        let expected = model.entry(key).or_insert(0);
                        *expected = if clear { 0 } else { *expected + by };
                        prop_assert_eq!(value, *expected);
                    }
                    Room::Shared => {
                        prop_assert_eq!(model.get(&key).copied().unwrap_or(0), 0, "lost a state in use");
                        prop_assert!(map.len() == u64::from(max));
                    }
                }
                let in_use = model.values().filter(|&&value| value > 0).count() as u64;
                prop_assert!(in_use <= map.len() && map.len() <= u64::from(max));
            }
        }
    }
}

#[cfg(all(test, steadfast_loom))]
mod models {
    use super::*;
    use crate::sync::Arc;

    /// One state is all there is room for; whoever comes first uses it, or gives it up again.
    fn come(map: &Keyed<u32>, key: &str, by: u32) -> Room {
        map.with(
            key.as_bytes(),
            || 0,
            |&value| value == 0,
            |value, place| {
                *value += by;
                place.room()
            },
        )
    }

    #[test]
    fn two_new_keys_never_exceed_the_bound() {
        loom::model(|| {
            let map = Arc::new(Keyed::new(1));
            let other = Arc::clone(&map);
            let thread = loom::thread::spawn(move || come(&other, "b", 1));
            let here = come(&map, "a", 1);
            let there = thread.join().unwrap();
            assert_ne!(here, there, "one has its own, the other shares");
            assert_eq!(map.len(), 1);
        });
    }

    /// What is taken at a known key that a newcomer wants to see go is not lost: either it stays, being
    /// in use, or it had gone before.
    #[test]
    fn what_is_taken_at_a_known_key_never_goes_with_it() {
        loom::model(|| {
            let map = Arc::new(Keyed::new(1));
            come(&map, "a", 0);
            let other = Arc::clone(&map);
            let thread = loom::thread::spawn(move || come(&other, "b", 1));
            let known = map.known(b"a", |value, ()| {
                *value += 1;
                Some(())
            });
            let there = thread.join().unwrap();
            let expected = match known.1 {
                Some(()) => Room::Shared,
                None => Room::Own,
            };
            assert_eq!(there, expected);
            let mut sum = 0;
            map.for_each(|value| sum += *value);
            assert_eq!(sum, 1 + u32::from(known.1.is_some()));
            assert_eq!(map.len(), 1);
        });
    }

    #[test]
    fn an_unused_state_makes_room_and_is_not_counted_twice() {
        loom::model(|| {
            let map = Arc::new(Keyed::new(1));
            come(&map, "idle", 0);
            let other = Arc::clone(&map);
            let thread = loom::thread::spawn(move || come(&other, "b", 1));
            let here = come(&map, "a", 1);
            let there = thread.join().unwrap();
            assert_ne!(here, there);
            assert_eq!(map.len(), 1);
            map.retain(|_| false);
            assert_eq!(map.len(), 0);
        });
    }
}
