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
use crate::{
    call::Call,
    clock::{self, Nanos},
    rejection::Rejection,
    step::Step,
};

pin_project! {
    /// Runs the inner layers until the deadline. A call that ends at its first poll arms no timer.
    #[must_use = "futures do nothing unless polled"]
    pub struct Run<'c, F> {
        timeout: &'c Timeout,
        call: &'c Call,
        after: Duration,
        // The deadline that was in force outside, once the inner layers run.
        outer: Option<Nanos>,
        #[pin]
        inner: Option<F>,
        #[pin]
        sleep: Option<Sleep>,
    }
}

impl<'c, F> Run<'c, F> {
    pub(super) fn new(timeout: &'c Timeout, call: &'c Call, after: Duration, inner: F) -> Self {
        Self {
            timeout,
            call,
            after,
            outer: None,
            inner: Some(inner),
            sleep: None,
        }
    }
}

impl<R, F: Future<Output = Step<R, Rejection>>> Future for Run<'_, F> {
    type Output = Step<R, Rejection>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let call = *this.call;
        let outer = *this
            .outer
            .get_or_insert_with(|| call.limit(clock::now().after(*this.after)));
        let Some(inner) = this.inner.as_mut().as_pin_mut() else {
            // Polled again after it ended: never ready, as a fused future.
            return Poll::Pending;
        };
        if let Poll::Ready(step) = inner.poll(context) {
            call.restore(outer);
            return Poll::Ready(step);
        }
        if this.sleep.is_none() {
            this.sleep.set(Some(tokio::time::sleep(*this.after)));
        }
        match this.sleep.as_pin_mut().map(|sleep| sleep.poll(context)) {
            Some(Poll::Ready(())) => {
                call.cut(|| this.inner.set(None));
                call.restore(outer);
                Poll::Ready(Step::Rejected(this.timeout.timed_out(*this.after)))
            }
            _ => Poll::Pending,
        }
    }
}
