//! What a caller finds at a policy that may let it wait.

use std::{
    future::{Future, IntoFuture},
    pin::Pin,
    task::{Context, Poll},
};

use crate::rejection::Rejection;

/// The answer at once, or a wait for it. Told apart so that a call which need not wait builds no future
/// and keeps no room for one.
#[must_use = "whoever does not look at it neither enters nor waits"]
pub enum Entered<'c, T> {
    /// It holds what it needs.
    In(T),
    /// Refused.
    Out(Rejection),
    /// Somebody has to wait: no happy path, so it may allocate.
    Wait(Pin<Box<dyn Future<Output = Result<T, Rejection>> + Send + 'c>>),
}

impl<T> From<Result<T, Rejection>> for Entered<'_, T> {
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn from(entered: Result<T, Rejection>) -> Self {
        match entered {
            Ok(permit) => Self::In(permit),
            Err(rejection) => Self::Out(rejection),
        }
    }
}

impl<'c, T> Entered<'c, T> {
    pub(crate) fn wait(wait: impl Future<Output = Result<T, Rejection>> + Send + 'c) -> Self {
        Self::Wait(Box::pin(wait))
    }

    /// The same, taken apart and put together again: what a function returns lies in memory, and would be
    /// the place for what is put together without that function, too, stored narrow and copied wide.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn apart(self) -> Self {
        match self {
            Self::In(permit) => Self::In(permit),
            Self::Out(rejection) => Self::Out(rejection),
            Self::Wait(wait) => Self::Wait(wait),
        }
    }
}

/// [`Entered`] as one future, for those who do not look.
#[must_use = "futures do nothing unless awaited"]
pub struct AtLast<'c, T>(Option<Entered<'c, T>>);

impl<'c, T> IntoFuture for Entered<'c, T> {
    type Output = Result<T, Rejection>;
    type IntoFuture = AtLast<'c, T>;

    fn into_future(self) -> AtLast<'c, T> {
        AtLast(Some(self))
    }
}

// What it holds is moved out, never pinned.
impl<T> Unpin for AtLast<'_, T> {}

impl<T> Future for AtLast<'_, T> {
    type Output = Result<T, Rejection>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Some(Entered::Wait(wait)) => wait.as_mut().poll(context),
            now => match now.take() {
                Some(Entered::In(permit)) => Poll::Ready(Ok(permit)),
                Some(Entered::Out(rejection)) => Poll::Ready(Err(rejection)),
                // Polled again after it ended: never ready, as a fused future.
                _ => Poll::Pending,
            },
        }
    }
}
