//! What a limiter has for each thread.

use std::cell::Cell;

use super::lease::Lease;
use crate::{
    counter::Cells,
    per_thread::PerThread,
    sync::{AtomicU64, Ordering::Relaxed},
};

/// A thread's lease and its counts, which it finds in one step.
#[derive(Debug)]
pub(super) struct Till {
    pub(super) lease: Lease,
    counts: Cells<3>,
    /// Which it is. The threads that have none of their own share the last.
    pub(super) lane: u32,
    /// What tells its threads from others.
    pub(super) tag: u64,
}

/// The tills of all threads.
#[derive(Debug)]
pub(super) struct Tills {
    tills: PerThread<Till>,
    /// What the sums were at the last reset: the tills are not ours to write.
    before: [AtomicU64; 3],
}

impl Tills {
    pub(super) fn new() -> Self {
        let lanes = Cell::new(0);
        let till = || {
            let lane = lanes.replace(lanes.get() + 1);
            Till {
                lease: Lease::new(),
                counts: Cells::new(),
                lane,
                tag: u64::from(lane) + 1,
            }
        };
        Self {
            tills: PerThread::new(till),
            before: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// This thread's till, if it has one of its own and has asked for it.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn own(&self) -> Option<&Till> {
        self.tills.own()
    }

    /// This thread's till as [`own`](Self::own) should have found it; else the shared one.
    #[cold]
    pub(super) fn find(&self) -> Result<&Till, &Till> {
        self.tills.find()
    }

    pub(super) fn at(&self, lane: u32) -> Option<&Till> {
        self.tills.iter().nth(lane as usize)
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn add(&self, counter: usize, amount: u64) {
        match self.own() {
            Some(till) => till.add(counter, amount),
            None => self.add_elsewhere(counter, amount),
        }
    }

    #[cold]
    pub(super) fn add_elsewhere(&self, counter: usize, amount: u64) {
        match self.tills.find() {
            Ok(own) => own.add(counter, amount),
            Err(shared) => shared.counts.add_shared(counter, amount),
        }
    }

    pub(super) fn sum(&self, counter: usize) -> u64 {
        let before = self.before[counter].load(Relaxed);
        self.total(counter).wrapping_sub(before)
    }

    /// Since it was made, whatever was reset.
    #[cfg(feature = "metrics")]
    pub(super) fn ever(&self, counter: usize) -> u64 {
        self.total(counter)
    }

    /// Counts from zero again.
    pub(super) fn reset(&self) {
        for (counter, before) in self.before.iter().enumerate() {
            before.store(self.total(counter), Relaxed);
        }
    }

    fn total(&self, counter: usize) -> u64 {
        let counts = self.tills.iter().map(|till| till.counts.count(counter));
        counts.fold(0, u64::wrapping_add)
    }
}

impl Till {
    /// For its owner.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn add(&self, counter: usize, amount: u64) {
        self.counts.add(counter, amount);
    }
}
