//! How a caller waits for a store, async or blocking.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
};

use super::{Job, Reply, Store, StoreError};
use crate::{
    clock::Nanos,
    lock::lock,
    waiter::{self, Progress, Wait},
};

/// The place where a job's outcome is put.
#[derive(Debug, Default)]
struct Cell(Mutex<State>);

#[derive(Debug, Default)]
enum State {
    #[default]
    Empty,
    Awaited(Waker),
    There(Result<Reply, StoreError>),
    Taken,
}

impl Cell {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }

    fn put(&self, outcome: Result<Reply, StoreError>) {
        let before = std::mem::replace(&mut *self.lock(), State::There(outcome));
        if let State::Awaited(waker) = before {
            waiter::wake(waker);
        }
    }

    fn take(&self, waker: &Waker) -> Option<Result<Reply, StoreError>> {
        let mut state = self.lock();
        match std::mem::replace(&mut *state, State::Taken) {
            State::There(outcome) => Some(outcome),
            State::Taken => None,
            State::Empty | State::Awaited(_) => {
                *state = State::Awaited(waker.clone());
                None
            }
        }
    }
}

/// A job that is under way. Dropping it leaves the job to itself: it may be done all the same.
#[must_use = "futures do nothing unless awaited"]
#[derive(Debug)]
pub(crate) struct Answer(Arc<Cell>);

/// Gives a job to the store. The store ends it by its deadline, on its own clock: nothing here depends on
/// the caller's runtime.
pub(crate) fn ask(
    store: &dyn Store,
    job: impl FnOnce(Box<dyn FnOnce(Result<Reply, StoreError>) + Send>) -> Job,
) -> Answer {
    let cell = Arc::new(Cell::default());
    let there = Arc::clone(&cell);
    store.run(job(Box::new(move |outcome| there.put(outcome))));
    Answer(cell)
}

impl Wait for Answer {
    type Output = Result<Reply, StoreError>;

    fn poll(&mut self, waker: &Waker, _: Nanos) -> Progress<Self::Output> {
        match self.0.take(waker) {
            Some(outcome) => Progress::Ready(outcome),
            None => Progress::Until(Nanos::NEVER),
        }
    }
}

impl Future for Answer {
    type Output = Result<Reply, StoreError>;

    fn poll(self: std::pin::Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.0.take(context.waker()) {
            Some(outcome) => Poll::Ready(outcome),
            None => Poll::Pending,
        }
    }
}
