//! What cannot be done without.

use std::{
    hint::black_box,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use quanta::Clock;

use crate::subjects::{Answer, bare};

pub(crate) struct Floor {
    clock: Clock,
    cells: [Line; 3],
}

/// On cache lines of its own.
#[repr(align(128))]
struct Line(AtomicU64);

impl Floor {
    pub(crate) fn new() -> Self {
        Self {
            clock: Clock::new(),
            cells: [const { Line(AtomicU64::new(0)) }; 3],
        }
    }

    /// A stack's: three uncontended atomics and two readings of a cheap clock.
    pub(crate) async fn stack(&self, x: u32) -> Answer {
        let start = self.clock.raw();
        for Line(cell) in &self.cells {
            cell.fetch_add(1, Relaxed);
        }
        let answer = bare(x).await;
        black_box(self.clock.raw().wrapping_sub(start));
        answer
    }

    /// One reading of a cheap clock.
    pub(crate) async fn reading(&self, x: u32) -> Answer {
        black_box(self.clock.raw());
        bare(x).await
    }
}
