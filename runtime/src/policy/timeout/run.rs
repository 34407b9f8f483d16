//! The future that a timeout makes of the layers inside it.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::time::Sleep;

use super::Timeout;
use crate::{call::Call, clock::Nanos, rejection::Rejection, step::Step, waiter::sleep_until};

pin_project! {
    /// Runs the inner layers until the deadline. A call that ends at its first poll arms no timer.
    #[must_use = "futures do nothing unless polled"]
    pub struct Run<'c, F> {
        timeout: &'c Timeout,
        call: &'c Call,
        // In nanoseconds.
        after: u64,
        // Taken at the first poll.
        deadlines: Deadlines,
        #[pin]
        inner: Option<F>,
        #[pin]
        sleep: Option<Sleep>,
    }
}

/// Whole words, for they live across awaits.
#[derive(Clone, Copy)]
struct Deadlines {
    own: Nanos,
    /// The one in force outside, to be put back.
    outer: Nanos,
}

impl Deadlines {
    /// Before the first poll. The clock's line starts far from zero.
    const NONE: Self = Self {
        own: Nanos(0),
        outer: Nanos(0),
    };

    #[inline]
    fn begin(call: &Call, after: u64) -> Self {
        let own = Nanos(call.now().0.saturating_add(after));
        Self {
            own,
            outer: call.limit(own),
        }
    }
}

impl<'c, F> Run<'c, F> {
    #[inline]
    pub(super) fn new(timeout: &'c Timeout, call: &'c Call, after: u64, inner: F) -> Self {
        Self {
            timeout,
            call,
            after,
            deadlines: Deadlines::NONE,
            inner: Some(inner),
            sleep: None,
        }
    }
}

impl<R, F: Future<Output = Step<R, Rejection>>> Future for Run<'_, F> {
    type Output = Step<R, Rejection>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let call = *this.call;
        if this.deadlines.own == Deadlines::NONE.own {
            *this.deadlines = Deadlines::begin(call, *this.after);
        }
        let deadlines = *this.deadlines;
        let Some(inner) = this.inner.as_mut().as_pin_mut() else {
            // Polled again after it ended: never ready, as a fused future.
            return Poll::Pending;
        };
        if let Poll::Ready(step) = inner.poll(context) {
            call.restore(deadlines.outer);
            return Poll::Ready(step);
        }
        if this.sleep.is_none() {
            // The first poll may have taken its time.
            this.sleep.set(Some(sleep_until(deadlines.own)));
        }
        match this.sleep.as_pin_mut().map(|sleep| sleep.poll(context)) {
            Some(Poll::Ready(())) => {
                call.cut(|| this.inner.set(None));
                call.restore(deadlines.outer);
                Poll::Ready(Step::Rejected(
                    this.timeout.timed_out(Duration::from_nanos(*this.after)),
                ))
            }
            _ => Poll::Pending,
        }
    }
}
