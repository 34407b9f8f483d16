//! A piece of something for each thread, so that threads do not meet at it.

use std::{
    cell::Cell,
    sync::{LazyLock, Mutex},
    thread::available_parallelism,
};

use crate::lock::lock;

/// One `T` for each of about as many threads as can run at once, and one that all others share.
///
/// A thread has its piece to itself, as the only one who writes there, until it ends; then the piece
/// goes to another thread with what is in it. Each lies on cache lines of its own.
#[derive(Debug)]
pub(crate) struct PerThread<T> {
    own: Box<[Apart<T>]>,
    shared: Apart<T>,
}

/// On cache lines of its own. Two: the prefetcher pulls them in pairs.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Apart<T>(pub(crate) T);

impl<T> PerThread<T> {
    pub(crate) fn new(make: impl Fn() -> T) -> Self {
        Self {
            own: (0..LEASES.number).map(|_| Apart(make())).collect(),
            shared: Apart(make()),
        }
    }

    /// This thread's piece. `None` where it has none of its own, and
    /// [`find`](Self::find) has to be asked.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn own(&self) -> Option<&T> {
        self.own.get(LANE.get()).map(|Apart(piece)| piece)
    }

    /// This thread's piece as [`own`](Self::own) should have found it; else the shared one.
    #[cold]
    pub(crate) fn find(&self) -> Result<&T, &T> {
        if LANE.get() == UNKNOWN {
            LANE.set(LEASE.try_with(|lease| lease.0).unwrap_or(SHARED));
        }
        self.own().ok_or(&self.shared.0)
    }

    /// How many threads can have a piece of their own.
    pub(crate) fn lanes(&self) -> usize {
        self.own.len()
    }

    /// All pieces.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        let own = self.own.iter().chain([&self.shared]);
        own.map(|Apart(piece)| piece)
    }
}

/// The lane of the threads that have none of their own. Both numbers are larger than any lane's.
const SHARED: usize = usize::MAX - 1;
/// Of a thread that has not asked yet.
const UNKNOWN: usize = usize::MAX;

/// The lanes that threads can have for themselves.
struct Leases {
    number: usize,
    free: Mutex<Vec<usize>>,
}

static LEASES: LazyLock<Leases> = LazyLock::new(|| {
    let cores = available_parallelism().map_or(4, usize::from);
    // Few for loom, which tries every order in which they can be visited.
    let number = if cfg!(steadfast_loom) {
        2
    } else {
        (cores * 2).clamp(8, 64)
    };
    Leases {
        number,
        free: Mutex::new((0..number).rev().collect()),
    }
});

/// A lane that belongs to this thread, until it ends. The lock that it changes hands under orders the
/// stores of one owner before the loads of the next.
struct Lease(usize);

impl Lease {
    fn new() -> Self {
        // Loom's threads are one thread to `thread_local!`.
        if cfg!(steadfast_loom) {
            return Self(SHARED);
        }
        let mut free = lock(&LEASES.free);
        Self(free.pop().unwrap_or(SHARED))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // What other destructors of this thread still do goes to the shared lane.
        LANE.set(SHARED);
        if self.0 != SHARED {
            let mut free = lock(&LEASES.free);
            free.push(self.0);
        }
    }
}

thread_local! {
    // Apart from the lease: a thread-local without a destructor is a plain load.
    static LANE: Cell<usize> = const { Cell::new(UNKNOWN) };
    static LEASE: Lease = Lease::new();
}
