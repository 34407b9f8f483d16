//! Successes that a time window has yet to be told of.

#[cfg(all(test, steadfast_loom))]
mod models;
#[cfg(all(test, not(steadfast_loom)))]
#[allow(clippy::unwrap_used)] // clippy does not see that this module is for tests
mod tests;

use std::ops::Range;

use crate::{
    algorithm::circuit::{Circuit, Pass},
    clock::Nanos,
    per_thread::PerThread,
    sync::{AtomicU64, Ordering::Relaxed},
};

/// A lane for each thread, where it counts its quick successes as long as to be counted is all they do:
/// while the circuit's window holds nothing else, and in the piece of time of the newest of them.
///
/// A lane is opened by its own thread and closed by whoever is about to ask or change the circuit, both
/// under the circuit's lock; whoever closes it takes what it holds. So a success that is counted here was
/// counted before it was closed, and is told to the circuit before anything else is: nothing is lost or
/// counted twice, and while a lane is open, the circuit is as it was when it was opened.
#[derive(Debug)]
pub(super) struct Pending {
    lanes: PerThread<Lane>,
}

/// Nobody but its own thread opens it or adds to it, so whatever else happens to it closes it.
///
/// All loads and stores are relaxed: nothing else is read by what they say, the lock orders opening and
/// closing, and each thread its own.
#[derive(Debug)]
pub(super) struct Lane {
    /// Zero while it is closed, else one more than the successes in it.
    word: AtomicU64,
    /// What is counted while it is open: ends of calls with this pass, from then on, until then. For the
    /// lane's own thread only.
    pass: AtomicU64,
    from: AtomicU64,
    to: AtomicU64,
}

const CLOSED: u64 = 0;
const EMPTY: u64 = 1;

impl Pending {
    pub(super) fn new() -> Self {
        Self {
            lanes: PerThread::new(Lane::new),
        }
    }

    /// Counts a quick success on this thread's lane; false where that is not open for it.
    #[inline]
    pub(super) fn add(&self, pass: Pass, now: Nanos) -> bool {
        self.lanes.own().is_some_and(|lane| lane.add(pass, now))
    }

    /// This thread's lane; threads that share one have none.
    pub(super) fn lane(&self) -> Option<&Lane> {
        self.lanes.own().or_else(|| self.lanes.find().ok())
    }

    #[cfg(test)]
    pub(super) fn nth(&self, lane: usize) -> &Lane {
        self.lanes.iter().nth(lane).unwrap()
    }

    /// Under the lock: closes every lane, and tells the circuit what they held. They are closed as it is
    /// where they could not be opened.
    pub(super) fn settle(&self, circuit: &mut Circuit) {
        if circuit.calm_time().is_none() {
            return;
        }
        circuit.count_successes(self.lanes.iter().map(Lane::close).sum());
    }
}

impl Lane {
    fn new() -> Self {
        let word = || AtomicU64::new(0);
        Self {
            word: word(),
            pass: word(),
            from: word(),
            to: word(),
        }
    }

    /// Counts the quick success of a call with this pass that ended now; false where it did not.
    #[inline]
    pub(super) fn add(&self, pass: Pass, now: Nanos) -> bool {
        let held = self.word.load(Relaxed);
        let piece = Nanos(self.from.load(Relaxed))..Nanos(self.to.load(Relaxed));
        held != CLOSED
            && self.pass.load(Relaxed) == pass.word()
            && piece.contains(&now)
            && self
                .word
                .compare_exchange(held, held + 1, Relaxed, Relaxed)
                .is_ok()
    }

    /// Under the lock, by its own thread: begins to count.
    pub(super) fn open(&self, pass: Pass, piece: Range<Nanos>) {
        if self.word.load(Relaxed) == CLOSED {
            self.pass.store(pass.word(), Relaxed);
            self.from.store(piece.start.0, Relaxed);
            self.to.store(piece.end.0, Relaxed);
            self.word.store(EMPTY, Relaxed);
        }
    }

    /// Under the lock: ends the counting, and takes the count.
    fn close(&self) -> u64 {
        // Those that are closed stay so: there may be many, and each is a line of another thread.
        match self.word.load(Relaxed) {
            CLOSED => 0,
            _ => self.word.swap(CLOSED, Relaxed).saturating_sub(EMPTY),
        }
    }
}
