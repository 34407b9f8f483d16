//! How often answers are written to the store.

use std::{
    collections::HashSet,
    fmt,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use quick_cache::sync::Cache;

use crate::{clock::Nanos, lock::lock, policy::fallback::memory::Slot};

/// Per key, one write at a time, and no more than one in an interval; in all, so many bytes under way.
pub(super) struct Pace {
    /// When a key's next answer may be written. Forgotten keys are written anew.
    next: Cache<Slot, Nanos>,
    under_way: Mutex<UnderWay>,
}

#[derive(Default)]
struct UnderWay {
    slots: HashSet<Slot>,
    bytes: usize,
}

/// The least time between two writes of one key, and between a failed write and the next.
const LEAST: Duration = Duration::from_secs(1);
/// The most.
const MOST: Duration = Duration::from_secs(60);
/// How many writes may be under way, and how large they may be in all: they must take neither this
/// process's memory where the store is slow, nor the connection from policies that wait for an answer.
const WRITES: usize = 1_024;
const BYTES: usize = 2 << 20;

impl Pace {
    pub(super) fn new(max_entries: u32) -> Self {
        Self {
            next: Cache::new(usize::try_from(max_entries).unwrap_or(usize::MAX)),
            under_way: Mutex::default(),
        }
    }

    /// How many keys are remembered.
    #[cfg_attr(not(feature = "config"), allow(dead_code))] // nobody changes it
    pub(super) fn set_max_entries(&self, max_entries: u32) {
        self.next.set_capacity(u64::from(max_entries));
    }

    /// Whether this key's answer, which is fresh for so long, may be written now; then it is to be given
    /// back by [`ended`](Self::ended).
    pub(super) fn begin(&self, slot: &Slot, now: Nanos, fresh: Duration) -> bool {
        let interval = interval(fresh);
        if !self.is_due(slot, now, interval) {
            return false;
        }
        let mut under_way = self.under_way();
        // Asked again: who looked a moment ago may come after a whole write of somebody else's.
        let may = under_way.slots.len() < WRITES
            && !under_way.slots.contains(slot)
            && self.is_due(slot, now, interval);
        if may {
            under_way.slots.insert(slot.clone());
            self.next.insert(slot.clone(), now.after(interval));
        }
        may
    }

    /// Whether there is room for so many bytes; then they are to be given back, too.
    pub(super) fn load(&self, bytes: usize) -> bool {
        let mut under_way = self.under_way();
        let loaded = under_way.bytes.saturating_add(bytes);
        let fits = loaded <= BYTES;
        if fits {
            under_way.bytes = loaded;
        }
        fits
    }

    /// The write that began at `begun` has come to its end.
    pub(super) fn ended(&self, slot: &Slot, bytes: usize, begun: Nanos, is_done: bool) {
        let mut under_way = self.under_way();
        under_way.slots.remove(slot);
        under_way.bytes = under_way.bytes.saturating_sub(bytes);
        if !is_done {
            self.next.insert(slot.clone(), begun.after(LEAST));
        }
    }

    /// Every key may be written at once: the store may have lost what it had.
    pub(super) fn forget(&self) {
        self.next.clear();
    }

    fn is_due(&self, slot: &Slot, now: Nanos, interval: Duration) -> bool {
        match self.next.get(slot) {
            None => true,
            // Never further ahead than it can be: a clock that stepped back holds nothing up.
            Some(next) => next <= now || next.since(now) > interval,
        }
    }

    fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        lock(&self.under_way)
    }
}

/// A tenth of `fresh` between two writes of a key, between 1 s and 60 s: so much older is what others find
/// than what is remembered here.
fn interval(fresh: Duration) -> Duration {
    (fresh / 10).clamp(LEAST, MOST)
}

impl fmt::Debug for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The keys are the users' data.
        f.debug_struct("Pace").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::fallback::memory::CacheKey;

    const START: Nanos = Nanos(1 << 60);
    const SECOND: Duration = Duration::from_secs(1);

    fn slot(key: &str) -> Slot {
        Slot::of::<u32>(&CacheKey::new(key))
    }

    /// With what is fresh for so long.
    struct Fresh(Pace, Duration);

    impl Fresh {
        fn begin(&self, slot: &Slot, now: Nanos) -> bool {
            self.0.begin(slot, now, self.1)
        }
    }

    impl std::ops::Deref for Fresh {
        type Target = Pace;

        fn deref(&self) -> &Pace {
            &self.0
        }
    }

    fn pace(fresh: Duration) -> Fresh {
        Fresh(Pace::new(100), fresh)
    }

    #[test]
    fn a_key_is_written_once_in_a_tenth_of_fresh_within_bounds() {
        assert_eq!(interval(SECOND), SECOND);
        assert_eq!(interval(300 * SECOND), 30 * SECOND);
        assert_eq!(interval(Duration::MAX), 60 * SECOND);
    }

    #[test]
    fn one_write_of_a_key_is_under_way_at_a_time_whatever_the_others_do() {
        let pace = pace(SECOND);
        assert!(pace.begin(&slot("a"), START));
        assert!(pace.begin(&slot("b"), START));
        let later = START.after(5 * SECOND);
        assert!(!pace.begin(&slot("a"), later), "it has not ended");
        pace.forget();
        assert!(!pace.begin(&slot("a"), later), "nor is it forgotten");
        pace.ended(&slot("a"), 0, START, true);
        assert!(pace.begin(&slot("a"), later));
    }

    #[test]
    fn the_next_write_waits_for_its_interval_and_after_a_failure_for_a_second() {
        let pace = pace(100 * SECOND);
        let a = slot("a");
        assert!(pace.begin(&a, START));
        pace.ended(&a, 0, START, true);
        let just_before = START.after(9 * SECOND);
        assert!(!pace.begin(&a, just_before));
        let due = START.after(10 * SECOND);
        assert!(pace.begin(&a, due));
        pace.ended(&a, 0, due, false);
        assert!(!pace.begin(&a, due));
        assert!(pace.begin(&a, due.after(SECOND)));
    }

    #[test]
    fn a_clock_that_steps_back_holds_nothing_up() {
        let pace = pace(SECOND);
        let a = slot("a");
        assert!(pace.begin(&a, START));
        pace.ended(&a, 0, START, true);
        assert!(pace.begin(&a, START.before(3_600 * SECOND)));
    }

    #[test]
    fn what_is_under_way_is_bounded() {
        let pace = Fresh(Pace::new(10_000), SECOND);
        let begun = (0..2_000).filter(|n| pace.begin(&slot(&n.to_string()), START));
        assert_eq!(begun.count(), WRITES);
        assert!(pace.load(BYTES) && !pace.load(1));
        pace.ended(&slot("0"), BYTES, START, true);
        assert!(pace.load(1) && pace.begin(&slot("new"), START));
    }
}
