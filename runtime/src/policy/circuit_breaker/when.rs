//! A breaker that is told which errors are failures.

use std::{future::Future, marker::PhantomData};

use super::CircuitBreaker;
use crate::{outcome::Outcome, rejection::FromRejection};

/// A [`CircuitBreaker`] with a predicate for one call; made by [`CircuitBreaker::when`].
#[derive(Debug)]
#[must_use = "nothing is called until `call`"]
pub struct CircuitWhen<'b, E, P> {
    breaker: &'b CircuitBreaker,
    predicate: P,
    error: PhantomData<fn(&E)>,
}

impl<'b, E, P: FnOnce(&E) -> bool> CircuitWhen<'b, E, P> {
    pub(super) fn new(breaker: &'b CircuitBreaker, predicate: P) -> Self {
        Self {
            breaker,
            predicate,
            error: PhantomData,
        }
    }

    /// Makes the call, if the circuit admits it, and counts as failures what the predicate picks.
    ///
    /// # Errors
    /// The call's own, or [`CircuitOpen`](crate::CircuitOpen) in its type.
    pub async fn call<F>(self, future: F) -> F::Output
    where
        F: Future<Output: Outcome<Error = E>>,
        E: FromRejection,
    {
        let Self {
            breaker, predicate, ..
        } = self;
        breaker
            .call_judged(future, |judge| judge.when(predicate))
            .await
    }
}
