//! Totals that many threads add to at once.

use std::cell::Cell;

use crate::sync::{AtomicU64, Ordering::Relaxed};

const LANES: usize = 8;

/// `N` totals, each the sum of one cell per lane. A thread adds to its own lane, so that threads do not
/// fight over a cache line; sums are exact when nobody adds.
#[derive(Debug)]
pub(crate) struct Counters<const N: usize> {
    lanes: [Lane<N>; LANES],
}

// Two lines: the prefetcher pulls them in pairs.
#[derive(Debug)]
#[repr(align(128))]
struct Lane<const N: usize>([AtomicU64; N]);

impl<const N: usize> Counters<N> {
    pub(crate) fn new() -> Self {
        Self {
            lanes: std::array::from_fn(|_| Lane(std::array::from_fn(|_| AtomicU64::new(0)))),
        }
    }

    pub(crate) fn add(&self, counter: usize, amount: u64) {
        self.lanes[lane()].0[counter].fetch_add(amount, Relaxed);
    }

    pub(crate) fn sum(&self, counter: usize) -> u64 {
        let cells = self.lanes.iter().map(|lane| lane.0[counter].load(Relaxed));
        cells.fold(0, u64::wrapping_add)
    }

    pub(crate) fn reset(&self) {
        for cell in self.lanes.iter().flat_map(|lane| &lane.0) {
            cell.store(0, Relaxed);
        }
    }
}

/// This thread's lane, handed out in turn.
fn lane() -> usize {
    // Not through the loom shim's constructor: a static must be const, and no model depends on it.
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    thread_local! {
        static LANE: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    LANE.with(|lane| {
        if lane.get() == usize::MAX {
            lane.set(NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % LANES);
        }
        lane.get()
    })
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
    }
}
