//! The future that a timeout makes of what is inside it.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use crate::{call::Call, clock::Nanos, timer::Timer};

/// The deadline is over; what ran is gone.
#[derive(Debug)]
#[must_use = "the policy makes a rejection of it"]
pub struct Elapsed(());

/// What a timeout can bound: a future that is polled with the call that it belongs to.
pub trait Bounded {
    /// What it comes to.
    type Output;

    /// As of a future.
    fn poll_bounded(
        self: Pin<&mut Self>,
        call: &Call,
        context: &mut Context<'_>,
    ) -> Poll<Self::Output>;
}

pin_project! {
    /// The layers inside a timeout.
    pub struct Layers<F> {
        #[pin]
        layers: F,
    }
}

impl<F> Layers<F> {
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn new(layers: F) -> Self {
        Self { layers }
    }
}

impl<F: Future> Bounded for Layers<F> {
    type Output = F::Output;

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn poll_bounded(self: Pin<&mut Self>, _: &Call, context: &mut Context<'_>) -> Poll<F::Output> {
        self.project().layers.poll(context)
    }
}

pin_project! {
    /// The body itself, where no other layer is inside the timeout: then it needs no future of its own
    /// around it.
    pub struct Bare<F> {
        #[pin]
        body: F,
    }
}

impl<F> Bare<F> {
    /// The body has begun.
    #[inline]
    pub(super) fn new(body: F) -> Self {
        Self { body }
    }
}

impl<F: Future> Bounded for Bare<F> {
    type Output = F::Output;

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn poll_bounded(
        self: Pin<&mut Self>,
        call: &Call,
        context: &mut Context<'_>,
    ) -> Poll<F::Output> {
        call.poll_body(self.project().body, context)
    }
}

pin_project! {
    /// Runs what is inside until the deadline. A call that ends at its first poll arms no timer.
    ///
    /// Once it has [`Elapsed`] it is dropped, and what is inside finds that it was cut off; then the
    /// policy has to be told.
    #[must_use = "futures do nothing unless polled"]
    pub struct Run<'c, B> {
        call: &'c Call,
        // The deadline in force outside, to be put back; `NOT_OURS` where it is the earlier one.
        outer: Nanos,
        timer: Timer,
        #[pin]
        inner: B,
    }
}

/// As good as for ever, and no addition of it to a time overflows.
pub(super) const LONGEST: u64 = 1 << 62;

/// The clock's line starts far from zero.
const NOT_OURS: Nanos = Nanos(0);

impl<'c, B> Run<'c, B> {
    /// `outer` is what [`begin`] gave.
    #[inline]
    pub(super) fn new(call: &'c Call, outer: Nanos, inner: B) -> Self {
        Self {
            call,
            outer,
            timer: Timer::unarmed(),
            inner,
        }
    }
}

/// From now on the deadline is `after` nanoseconds from now, at most [`LONGEST`]. What was in force
/// before, if that was not earlier.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(super) fn begin(call: &Call, after: u64) -> Nanos {
    let own = Nanos(call.now().0.wrapping_add(after));
    let in_force = call.deadline();
    // A timeout further out that ends earlier cuts this one off with all that is in it.
    if own > in_force {
        return NOT_OURS;
    }
    call.set_deadline(own);
    in_force
}

impl<B: Bounded> Future for Run<'_, B> {
    type Output = Result<B::Output, Elapsed>;

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (call, outer) = (*this.call, *this.outer);
        // Only before the first poll it is sure to be this one's own.
        let deadline = call.deadline();
        if let Poll::Ready(output) = this.inner.poll_bounded(call, context) {
            if outer != NOT_OURS {
                call.set_deadline(outer);
            }
            return Poll::Ready(Ok(output));
        }
        match outer {
            NOT_OURS => Poll::Pending,
            outer => wait(call, deadline, outer, this.timer, context).map(Err),
        }
    }
}

#[inline(never)]
fn wait(
    call: &Call,
    deadline: Nanos,
    outer: Nanos,
    timer: &mut Timer,
    context: &mut Context<'_>,
) -> Poll<Elapsed> {
    if !timer.is_armed() {
        // The first poll may have taken its time.
        timer.arm(deadline);
    }
    timer.poll(context).map(|()| {
        call.cut();
        call.set_deadline(outer);
        Elapsed(())
    })
}
