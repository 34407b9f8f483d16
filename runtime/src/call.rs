//! What the layers of one call tell each other.

use std::{
    future::Future,
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
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
    waited: AtomicU64,
    /// Before the body begins, the clock, where it has been read since foreign code last ran; else zero.
    /// From then on the flags below, which no reading is as small as.
    moment: AtomicU64,
}

/// A body has begun: whatever was taken for it was used.
const BEGUN: u64 = 1;
/// Permits are being dropped without a report, and not by the caller: by a timeout further out.
const CUT: u64 = 2;
/// Or by a panic in the body's own poll.
const PANICKED: u64 = 4;
const FLAGS: u64 = BEGUN | CUT | PANICKED;

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
    #[cfg_attr(not(debug_assertions), inline(always))]
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self {
            deadline: AtomicU64::new(Nanos::NEVER.0),
            waited: AtomicU64::new(0),
            moment: AtomicU64::new(0),
        }
    }

    /// The present time. The policies on the way in, which follow each other at once, share one reading.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn now(&self) -> Nanos {
        match self.moment.load(Relaxed) {
            0..=FLAGS => self.read_clock(),
            reading => Nanos(reading),
        }
    }

    #[inline(never)]
    fn read_clock(&self) -> Nanos {
        match clock::glance() {
            Some(now) => self.keep(now),
            None => self.ask_clock(),
        }
    }

    // Apart, as the last words of the above: so nothing has to be kept in case of it.
    #[cold]
    #[inline(never)]
    fn ask_clock(&self) -> Nanos {
        self.keep(clock::now())
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn keep(&self, now: Nanos) -> Nanos {
        if self.moment.load(Relaxed) == 0 {
            self.moment.store(now.0, Relaxed);
        }
        now
    }

    /// Something else has run, or will before the next policy asks: the reading no longer tells the time.
    #[inline]
    pub fn time_passes(&self) {
        self.moment.store(self.flags(), Relaxed);
    }

    fn flags(&self) -> u64 {
        match self.moment.load(Relaxed) {
            flags @ 0..=FLAGS => flags,
            _ => 0,
        }
    }

    /// The time by which every wait and delay below must have ended.
    #[inline]
    pub(crate) fn deadline(&self) -> Nanos {
        Nanos(self.deadline.load(Relaxed))
    }

    #[inline]
    pub(crate) fn set_deadline(&self, deadline: Nanos) {
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

    /// Whether a body has begun, in this attempt of the innermost retry that is under way.
    #[inline]
    pub(crate) fn has_begun(&self) -> bool {
        self.flags() & BEGUN != 0
    }

    /// A body begins.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn begin_body(&self) {
        self.moment.store(BEGUN, Relaxed);
    }

    /// Another attempt begins: nothing of it has run yet.
    pub(crate) fn begin_anew(&self) {
        self.moment.store(0, Relaxed);
    }

    /// An earlier attempt has run a body, whatever became of the last one.
    pub(crate) fn has_run_before(&self) {
        self.moment.store(self.flags() | BEGUN, Relaxed);
    }

    /// What is dropped from now on was cut off by a timeout.
    pub(crate) fn cut(&self) {
        self.moment.store(self.flags() | CUT, Relaxed);
    }

    /// The timeout has done so.
    pub(crate) fn has_been_cut(&self) {
        self.moment.store(self.flags() & !CUT, Relaxed);
    }

    pub(crate) fn fate(&self) -> Fate {
        match self.flags() {
            flags if flags & PANICKED != 0 => Fate::Panicked,
            flags if flags & CUT != 0 => Fate::Cut,
            _ => Fate::Cancelled,
        }
    }

    /// Runs the body of a synchronous function.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn body<R>(&self, body: impl FnOnce() -> R) -> R {
        self.begin_body();
        let alarm = Alarm(self);
        let outcome = body();
        std::mem::forget(alarm);
        outcome
    }

    /// Polls a body that has begun.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn poll_body<F: Future>(
        &self,
        body: Pin<&mut F>,
        context: &mut Context<'_>,
    ) -> Poll<F::Output> {
        let alarm = Alarm(self);
        let polled = body.poll(context);
        std::mem::forget(alarm);
        polled
    }
}

/// Goes off only while a panic unwinds through it; costs nothing otherwise.
struct Alarm<'c>(&'c Call);

impl Drop for Alarm<'_> {
    #[cold]
    fn drop(&mut self) {
        self.0.moment.store(BEGUN | PANICKED, Relaxed);
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
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub fn new(call: &'c Call, body: F) -> Self {
        call.begin_body();
        Self { call, body }
    }
}

impl<F: Future> Future for Body<'_, F> {
    type Output = F::Output;

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        this.call.poll_body(this.body, context)
    }
}
