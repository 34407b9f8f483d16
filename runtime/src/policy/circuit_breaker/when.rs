//! A breaker that is told which errors are failures.

use std::future::Future;

use super::CircuitBreaker;
use crate::{outcome::Outcome, rejection::FromRejection};

/// A [`CircuitBreaker`] that looks at the error first: see [`CircuitBreaker::when`].
#[derive(Debug, Clone, Copy)]
#[must_use = "it does nothing until `call`"]
pub struct CircuitWhen<'b, P> {
    breaker: &'b CircuitBreaker,
    predicate: P,
}

impl<'b, P> CircuitWhen<'b, P> {
    pub(super) fn new(breaker: &'b CircuitBreaker, predicate: P) -> Self {
        Self { breaker, predicate }
    }

    /// Makes the call, if the circuit admits it, and counts as failures what the predicate picks.
    ///
    /// # Errors
    /// The call's own, or [`CircuitOpen`](crate::CircuitOpen) in its type.
    ///
    /// # Cancellation
    /// As [`CircuitBreaker::call`].
    pub async fn call<F>(self, future: F) -> F::Output
    where
        F: Future<Output: Outcome<Error: FromRejection>>,
        P: Fn(&<F::Output as Outcome>::Error) -> bool,
    {
        let Self { breaker, predicate } = self;
        breaker
            .call_judged(future, |judge| judge.when(predicate))
            .await
    }
}
