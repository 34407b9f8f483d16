//! What the layers of one call tell each other.

use std::{
    future::Future,
    pin::Pin,
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    task::{Context, Poll},
    time::Duration,
};

use pin_project_lite::pin_project;

use crate::clock::{self, Nanos, nanos};

/// One call of a protected function: the deadline that waits must respect, the time spent waiting, and
/// what permits need to know when they are dropped without a report.
///
/// Only the thread that polls the call writes it; the fields are atomics (relaxed, so plain loads and
/// stores) because permits hold a reference to it across awaits and the future must stay `Send`.
#[derive(Debug)]
pub struct Call {
    deadline: AtomicU64,
    /// The clock, where it has been read since foreign code last ran; else zero.
    reading: AtomicU64,
    waited: AtomicU64,
    bodies: AtomicU32,
    fate: AtomicU32,
}

/// Why permits may be dropped without a report: by the caller, unless one of these is set.
const CUT: u32 = 1;
const PANICKED: u32 = 2;

/// How a permit that was not reported came to be dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The caller dropped the call.
    Cancelled,
    /// A timeout further out dropped it.
    Cut,
    /// It panicked in its own poll.
    Panicked,
}

impl Call {
    /// A call that begins now and has no deadline.
    #[must_use]
    #[inline]
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self {
            deadline: AtomicU64::new(Nanos::NEVER.0),
            reading: AtomicU64::new(0),
            waited: AtomicU64::new(0),
            bodies: AtomicU32::new(0),
            fate: AtomicU32::new(0),
        }
    }

    /// The present time. The policies on the way in, which follow each other at once, share one reading.
    #[inline]
    pub(crate) fn now(&self) -> Nanos {
        match self.reading.load(Relaxed) {
            0 => self.read_clock(),
            reading => Nanos(reading),
        }
    }

    #[inline(never)]
    fn read_clock(&self) -> Nanos {
        let now = clock::now();
        self.reading.store(now.0, Relaxed);
        now
    }

    /// Something else has run, or will before the next policy asks: the reading no longer tells the time.
    #[inline]
    pub fn time_passes(&self) {
        self.reading.store(0, Relaxed);
    }

    /// The time by which every wait and delay below must have ended.
    #[inline]
    pub(crate) fn deadline(&self) -> Nanos {
        Nanos(self.deadline.load(Relaxed))
    }

    /// Brings the deadline forward, and returns the one before, to be put back with
    /// [`restore`](Self::restore).
    #[inline]
    pub(crate) fn limit(&self, deadline: Nanos) -> Nanos {
        let before = self.deadline();
        self.deadline.store(before.min(deadline).0, Relaxed);
        before
    }

    #[inline]
    pub(crate) fn restore(&self, deadline: Nanos) {
        self.deadline.store(deadline.0, Relaxed);
    }

    /// Nanoseconds spent so far in waits and delays of the policies: no part of a slow call.
    #[inline]
    pub(crate) fn waited_nanos(&self) -> u64 {
        self.waited.load(Relaxed)
    }

    #[cfg(all(test, not(steadfast_loom), feature = "test-util"))]
    pub(crate) fn waited(&self) -> Duration {
        Duration::from_nanos(self.waited_nanos())
    }

    pub(crate) fn add_waited(&self, time: Duration) {
        self.time_passes();
        let waited = self.waited.load(Relaxed).saturating_add(nanos(time));
        self.waited.store(waited, Relaxed);
    }

    /// How many bodies have begun: a permit compares it with the number when it was taken.
    #[inline]
    pub(crate) fn bodies(&self) -> u32 {
        self.bodies.load(Relaxed)
    }

    #[inline]
    fn begin_body(&self) {
        self.time_passes();
        self.bodies.store(self.bodies().wrapping_add(1), Relaxed);
    }

    /// Runs `drop_inner`, and lets the permits dropped in it know that a timeout did it.
    pub(crate) fn cut(&self, drop_inner: impl FnOnce()) {
        self.fate.store(CUT, Relaxed);
        drop_inner();
        self.fate.store(0, Relaxed);
    }

    pub(crate) fn fate(&self) -> Fate {
        match self.fate.load(Relaxed) {
            CUT => Fate::Cut,
            PANICKED => Fate::Panicked,
            _ => Fate::Cancelled,
        }
    }

    /// Runs the body of a synchronous function.
    #[inline]
    pub fn body<R>(&self, body: impl FnOnce() -> R) -> R {
        self.begin_body();
        let alarm = Alarm(self);
        let outcome = body();
        std::mem::forget(alarm);
        outcome
    }
}

/// Goes off only while a panic unwinds through it; costs nothing otherwise.
struct Alarm<'c>(&'c Call);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        self.0.fate.store(PANICKED, Relaxed);
    }
}

pin_project! {
    /// The body of an asynchronous function. A panic in its own poll is told apart from being dropped
    /// while something else unwinds: only the former passes through [`Alarm`].
    #[must_use = "futures do nothing unless polled"]
    pub struct Body<'c, F> {
        call: &'c Call,
        #[pin]
        body: F,
    }
}

impl<'c, F: Future> Body<'c, F> {
    /// The body begins when this is made.
    #[inline]
    pub fn new(call: &'c Call, body: F) -> Self {
        call.begin_body();
        Self { call, body }
    }
}

impl<F: Future> Future for Body<'_, F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let alarm = Alarm(this.call);
        let polled = this.body.poll(context);
        std::mem::forget(alarm);
        polled
    }
}
