//! The future that a timeout makes of what is inside it.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use crate::{call::Call, clock::Nanos, timer::Timer};

/// The deadline is over, so many nanoseconds after it was set; what ran is gone.
#[derive(Debug)]
#[must_use = "the policy makes a rejection of it"]
pub struct Elapsed(pub(super) u64);

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
    pub struct Run<'c, O, B> {
        call: &'c Call,
        outer: O,
        after: u64,
        timer: Timer,
        #[pin]
        inner: B,
    }
}

/// As good as for ever, and no addition of it to a time overflows.
pub(super) const LONGEST: u64 = 1 << 62;

/// What has to be put back when a timeout ends: the deadline in force outside.
pub trait Outer: Copy {
    /// From now on the deadline is `after` nanoseconds from now, at most [`LONGEST`].
    #[doc(hidden)]
    fn begin(call: &Call, after: u64) -> Self;

    /// In nanoseconds. `None`: it ends earlier than this timeout's own, and cuts this one off with all that is in it.
    #[doc(hidden)]
    fn deadline(self) -> Option<u64>;
}

/// There is no timeout further out: nothing has to be kept.
#[derive(Clone, Copy, Debug)]
pub struct Outermost;

impl Outer for Outermost {
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn begin(call: &Call, after: u64) -> Self {
        call.set_deadline(Nanos(call.now().0.wrapping_add(after)));
        Self
    }

    #[inline]
    fn deadline(self) -> Option<u64> {
        Some(Nanos::NEVER.0)
    }
}

/// There is one.
#[derive(Clone, Copy, Debug)]
pub struct Within(u64);

impl Within {
    /// The clock's line starts far from zero.
    const EARLIER: u64 = 0;
}

impl Outer for Within {
    fn begin(call: &Call, after: u64) -> Self {
        let own = Nanos(call.now().0.wrapping_add(after));
        let in_force = call.deadline();
        if own > in_force {
            return Self(Self::EARLIER);
        }
        call.set_deadline(own);
        Self(in_force.0)
    }

    #[inline]
    fn deadline(self) -> Option<u64> {
        (self.0 != Self::EARLIER).then_some(self.0)
    }
}

impl<'c, O: Outer, B> Run<'c, O, B> {
    /// With so many nanoseconds from now, at most [`LONGEST`].
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn new(call: &'c Call, after: u64, inner: B) -> Self {
        Self {
            call,
            outer: O::begin(call, after),
            after,
            timer: Timer::unarmed(),
            inner,
        }
    }
}

impl<O: Outer, B: Bounded> Future for Run<'_, O, B> {
    type Output = Result<B::Output, Elapsed>;

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (call, outer) = (*this.call, this.outer.deadline());
        // Only before the first poll it is sure to be this one's own.
        let deadline = call.deadline();
        if let Poll::Ready(output) = this.inner.poll_bounded(call, context) {
            if let Some(outer) = outer {
                call.set_deadline(Nanos(outer));
            }
            return Poll::Ready(Ok(output));
        }
        match outer {
            Some(outer) => wait(call, deadline, Nanos(outer), this.timer, context)
                .map(|()| Err(Elapsed(*this.after))),
            None => Poll::Pending,
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
) -> Poll<()> {
    if !timer.is_armed() {
        // The first poll may have taken its time.
        timer.arm(deadline);
    }
    timer.poll(context).map(|()| {
        call.cut();
        call.set_deadline(outer);
    })
}
