//! Totals that many threads add to at once.

use crate::{
    per_thread::PerThread,
    sync::{AtomicU64, Ordering::Relaxed},
};

/// `N` totals, each the sum of one cell per thread. A thread adds to cells of its own, which nobody else
/// writes: a load and a store, where a shared one would cost a locked instruction, and the line stays
/// in this core's cache. Sums are exact when nobody adds.
#[derive(Debug)]
pub(crate) struct Counters<const N: usize> {
    cells: PerThread<Cells<N>>,
    /// What the sums were at the last reset: the cells are not ours to write.
    before: [AtomicU64; N],
}

/// `N` counts that belong to one thread, or to all that have none of their own.
#[derive(Debug)]
pub(crate) struct Cells<const N: usize>([AtomicU64; N]);

impl<const N: usize> Cells<N> {
    pub(crate) fn new() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }

    /// For the only thread that writes here.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn add(&self, counter: usize, amount: u64) {
        let cell = &self.0[counter];
        cell.store(cell.load(Relaxed).wrapping_add(amount), Relaxed);
    }

    /// For all others.
    pub(crate) fn add_shared(&self, counter: usize, amount: u64) {
        self.0[counter].fetch_add(amount, Relaxed);
    }

    pub(crate) fn count(&self, counter: usize) -> u64 {
        self.0[counter].load(Relaxed)
    }
}

impl<const N: usize> Counters<N> {
    pub(crate) fn new() -> Self {
        Self {
            cells: PerThread::new(Cells::new),
            before: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn add(&self, counter: usize, amount: u64) {
        match self.cells.own() {
            Some(cells) => cells.add(counter, amount),
            None => self.add_elsewhere(counter, amount),
        }
    }

    #[cold]
    fn add_elsewhere(&self, counter: usize, amount: u64) {
        match self.cells.find() {
            Ok(own) => own.add(counter, amount),
            Err(shared) => shared.add_shared(counter, amount),
        }
    }

    pub(crate) fn sum(&self, counter: usize) -> u64 {
        let before = self.before[counter].load(Relaxed);
        self.total(counter).wrapping_sub(before)
    }

    /// Since it was made, whatever was reset.
    pub(crate) fn ever(&self, counter: usize) -> u64 {
        self.total(counter)
    }

    pub(crate) fn reset(&self) {
        for (counter, before) in self.before.iter().enumerate() {
            before.store(self.total(counter), Relaxed);
        }
    }

    fn total(&self, counter: usize) -> u64 {
        let counts = self.cells.iter().map(|cells| cells.count(counter));
        counts.fold(0, u64::wrapping_add)
    }
}

#[cfg(all(test, not(steadfast_loom)))]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    #[test]
    fn nothing_is_lost_between_threads() {
        let counters = Counters::<2>::new();
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| (0..1_000).for_each(|_| counters.add(1, 3)));
            }
        });
        assert_eq!((counters.sum(0), counters.sum(1)), (0, 48_000));
        counters.reset();
        assert_eq!(counters.sum(1), 0);
        counters.add(1, 1);
        assert_eq!(counters.sum(1), 1);
    }

    #[test]
    fn more_threads_than_lanes_lose_nothing() {
        let counters = Counters::<1>::new();
        let barrier = std::sync::Barrier::new(200);
        std::thread::scope(|scope| {
            for _ in 0..200 {
                scope.spawn(|| {
                    counters.add(0, 1);
                    barrier.wait();
                    (0..100).for_each(|_| counters.add(0, 1));
                });
            }
        });
        assert_eq!(counters.sum(0), 200 * 101);
    }

    #[test]
    fn a_lane_goes_from_thread_to_thread_with_its_totals() {
        let counters = Counters::<1>::new();
        for _ in 0..200 {
            std::thread::scope(|scope| {
                scope.spawn(|| counters.add(0, 1));
            });
        }
        assert_eq!(counters.sum(0), 200);
    }

    #[test]
    fn what_the_destructors_of_a_thread_count_is_not_lost() {
        static COUNTERS: LazyLock<Counters<1>> = LazyLock::new(Counters::new);
        struct Late;
        impl Drop for Late {
            fn drop(&mut self) {
                COUNTERS.add(0, 1);
            }
        }
        thread_local!(static LATE: Late = const { Late });
        std::thread::scope(|scope| {
            scope.spawn(|| {
                LATE.with(|_| COUNTERS.add(0, 1));
            });
            scope.spawn(|| {
                COUNTERS.add(0, 1);
                LATE.with(|_| ());
            });
        });
        // A scope waits for the closures, not for the destructors after them.
        while COUNTERS.sum(0) < 4 {
            std::thread::yield_now();
        }
    }
}
