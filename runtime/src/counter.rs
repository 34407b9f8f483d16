//! Totals that many threads add to at once.

use std::{
    cell::Cell,
    sync::{LazyLock, Mutex, PoisonError},
    thread::available_parallelism,
};

use crate::sync::{AtomicU64, Ordering::Relaxed};

/// The lane of the threads that have none of their own.
const SHARED: usize = 0;

/// `N` totals, each the sum of one cell per lane. A thread adds to a lane of its own, which nobody else
/// writes: a load and a store, where a shared one would cost a locked instruction, and the line stays
/// in this core's cache. There are lanes for about as many threads as can run at once; the threads that
/// come later share one. Sums are exact when nobody adds.
#[derive(Debug)]
pub(crate) struct Counters<const N: usize> {
    lanes: Box<[Lane<N>]>,
    /// What the sums were at the last reset: the lanes are not ours to write.
    before: [AtomicU64; N],
}

// Two lines: the prefetcher pulls them in pairs.
#[derive(Debug)]
#[repr(align(128))]
struct Lane<const N: usize>([AtomicU64; N]);

impl<const N: usize> Counters<N> {
    pub(crate) fn new() -> Self {
        let zeros = || std::array::from_fn(|_| AtomicU64::new(0));
        Self {
            lanes: (0..=LEASES.number).map(|_| Lane(zeros())).collect(),
            before: zeros(),
        }
    }

    #[inline]
    pub(crate) fn add(&self, counter: usize, amount: u64) {
        let lane = lane();
        match self.lanes.get(lane) {
            Some(Lane(cells)) if lane != SHARED => {
                let cell = &cells[counter];
                cell.store(cell.load(Relaxed).wrapping_add(amount), Relaxed);
            }
            _ => self.add_shared(counter, amount),
        }
    }

    #[inline(never)]
    fn add_shared(&self, counter: usize, amount: u64) {
        self.lanes[SHARED].0[counter].fetch_add(amount, Relaxed);
    }

    pub(crate) fn sum(&self, counter: usize) -> u64 {
        let before = self.before[counter].load(Relaxed);
        self.total(counter).wrapping_sub(before)
    }

    pub(crate) fn reset(&self) {
        for (counter, before) in self.before.iter().enumerate() {
            before.store(self.total(counter), Relaxed);
        }
    }

    fn total(&self, counter: usize) -> u64 {
        let cells = self.lanes.iter().map(|lane| lane.0[counter].load(Relaxed));
        cells.fold(0, u64::wrapping_add)
    }
}

/// The lanes that threads can have for themselves, 1 and up.
struct Leases {
    number: usize,
    free: Mutex<Vec<usize>>,
}

static LEASES: LazyLock<Leases> = LazyLock::new(|| {
    let cores = available_parallelism().map_or(4, usize::from);
    let number = (cores * 2).clamp(8, 64);
    Leases {
        number,
        free: Mutex::new((1..=number).rev().collect()),
    }
});

/// A lane that belongs to this thread, until it ends. The lock that it changes hands under orders the
/// stores of one owner before the loads of the next.
struct Lease(usize);

impl Lease {
    fn new() -> Self {
        let mut free = LEASES.free.lock().unwrap_or_else(PoisonError::into_inner);
        Self(free.pop().unwrap_or(SHARED))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // What other destructors of this thread still count goes to the shared lane.
        LANE.set(SHARED);
        if self.0 != SHARED {
            let mut free = LEASES.free.lock().unwrap_or_else(PoisonError::into_inner);
            free.push(self.0);
        }
    }
}

const UNKNOWN: usize = usize::MAX;

thread_local! {
    // Apart from the lease: a thread-local without a destructor is a plain load.
    static LANE: Cell<usize> = const { Cell::new(UNKNOWN) };
    static LEASE: Lease = Lease::new();
}

/// This thread's lane.
#[inline]
fn lane() -> usize {
    match LANE.get() {
        UNKNOWN => find_lane(),
        lane => lane,
    }
}

#[cold]
fn find_lane() -> usize {
    // Loom's threads are one thread to `thread_local!`.
    let lane = match cfg!(steadfast_loom) {
        true => SHARED,
        false => LEASE.try_with(|lease| lease.0).unwrap_or(SHARED),
    };
    LANE.set(lane);
    lane
}

#[cfg(all(test, not(steadfast_loom)))]
mod tests {
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
