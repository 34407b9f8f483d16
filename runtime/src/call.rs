//! What the layers of one call tell each other.

use std::{
    cell::Cell,
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
    /// The time spent waiting, in nanoseconds, above the flags below: the future keeps every word.
    state: AtomicU64,
}

/// A body has begun: whatever was taken for it was used.
const BEGUN: u64 = 1;
/// Permits are being dropped without a report, and not by the caller: by a timeout further out.
const CUT: u64 = 2;
/// Or by a panic in the body's own poll.
const PANICKED: u64 = 4;
/// The body reads the fencing numbers of its shared permits.
const FENCED: u64 = 8;
const FLAGS: u32 = 4;

thread_local! {
    /// The clock, where a policy of this thread's call has read it since foreign code last ran; else
    /// zero. Not in the call, for it is of use within one poll only.
    static READING: Cell<u64> = const { Cell::new(0) };
}

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
    pub fn new() -> Self {
        READING.set(0);
        Self {
            deadline: AtomicU64::new(Nanos::NEVER.0),
            state: AtomicU64::new(0),
        }
    }

    /// The present time. The policies on the way in, which follow each other at once, share one reading.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn now(&self) -> Nanos {
        match READING.get() {
            0 => read_clock(),
            reading => Nanos(reading),
        }
    }

    /// Something else has run, or will before the next policy asks: the reading no longer tells the time.
    #[inline]
    pub fn time_passes(&self) {
        READING.set(0);
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
        self.state.load(Relaxed) >> FLAGS
    }

    #[cfg(all(test, not(steadfast_loom), feature = "test-util"))]
    pub(crate) fn waited(&self) -> Duration {
        Duration::from_nanos(self.waited_nanos())
    }

    pub(crate) fn add_waited(&self, time: Duration) {
        self.time_passes();
        let waited = self.waited_nanos().saturating_add(nanos(time));
        let flags = self.flags();
        // Seventy years are as good as for ever.
        let waited = waited.min(u64::MAX >> FLAGS);
        self.state.store(waited << FLAGS | flags, Relaxed);
    }

    /// The body reads the fencing number of a shared permit: each call needs one of its own.
    #[inline]
    pub fn wants_fence(&self) {
        self.set(FENCED);
    }

    pub(crate) fn is_fenced(&self) -> bool {
        self.flags() & FENCED != 0
    }

    fn flags(&self) -> u64 {
        self.state.load(Relaxed) & ((1 << FLAGS) - 1)
    }

    fn set(&self, flag: u64) {
        self.state.store(self.state.load(Relaxed) | flag, Relaxed);
    }

    fn clear(&self, flag: u64) {
        self.state.store(self.state.load(Relaxed) & !flag, Relaxed);
    }

    /// Whether a body has begun, in this attempt of the innermost retry that is under way.
    #[inline]
    pub(crate) fn has_begun(&self) -> bool {
        self.flags() & BEGUN != 0
    }

    /// A body begins.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn begin_body(&self) {
        READING.set(0);
        self.set(BEGUN);
    }

    /// Another attempt begins: nothing of it has run yet.
    pub(crate) fn begin_anew(&self) {
        self.clear(BEGUN);
    }

    /// An earlier attempt has run a body, whatever became of the last one.
    pub(crate) fn has_run_before(&self) {
        self.set(BEGUN);
    }

    /// What is dropped from now on was cut off by a timeout.
    pub(crate) fn cut(&self) {
        self.set(CUT);
    }

    /// The timeout has done so.
    pub(crate) fn has_been_cut(&self) {
        self.clear(CUT);
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

#[inline(never)]
fn read_clock() -> Nanos {
    match clock::glance() {
        Some(now) => keep(now),
        None => ask_clock(),
    }
}

#[cfg_attr(not(debug_assertions), inline(always))]
fn keep(now: Nanos) -> Nanos {
    READING.set(now.0);
    now
}

// Apart, as the last words of the above: so nothing has to be kept in case of it.
#[cold]
#[inline(never)]
fn ask_clock() -> Nanos {
    keep(clock::now())
}

/// Goes off only while a panic unwinds through it; costs nothing otherwise.
struct Alarm<'c>(&'c Call);

impl Drop for Alarm<'_> {
    #[cold]
    fn drop(&mut self) {
        self.0.set(BEGUN | PANICKED);
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
