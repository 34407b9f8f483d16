//! What happens during a run, counted as it happens.

use crate::client::Quotes;
use crate::report::Call;
use std::mem;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use steadfast::{CircuitState, Event, Subscription};

#[derive(Default)]
pub(crate) struct Log {
    started: AtomicU32,
    retries: AtomicU32,
    refused: AtomicU32,
    calls: Mutex<Vec<Call>>,
    states: Mutex<Vec<CircuitState>>,
}

/// The counts at one moment.
#[derive(Clone, Copy, Default)]
pub(crate) struct Totals {
    pub(crate) started: u32,
    pub(crate) finished: u32,
    pub(crate) sent: u32,
    pub(crate) retries: u32,
    pub(crate) refused: u32,
}

impl Log {
    /// Counts what the policies tell, until the subscription is dropped.
    pub(crate) fn listen(self: &Arc<Self>) -> Subscription {
        let log = Arc::clone(self);
        steadfast::registry().subscribe(move |event| log.hear(event))
    }

    fn hear(&self, event: &Event) {
        match event {
            Event::Retry(_) => increment(&self.retries),
            Event::Refused(_) => increment(&self.refused),
            Event::StateChanged(change) => locked(&self.states).push(change.to),
            _ => {}
        }
    }

    pub(crate) fn call_started(&self) {
        increment(&self.started);
    }

    pub(crate) fn call_finished(&self, call: Call) {
        locked(&self.calls).push(call);
    }

    pub(crate) fn totals(&self, quotes: &Quotes) -> Totals {
        let read = |counter: &AtomicU32| counter.load(Ordering::Relaxed);
        Totals {
            started: read(&self.started),
            finished: locked(&self.calls).len() as u32,
            sent: quotes.requests_sent().len() as u32,
            retries: read(&self.retries),
            refused: read(&self.refused),
        }
    }

    /// Looks at the calls that have finished, without those that had before.
    pub(crate) fn finished_since<T>(&self, before: u32, look: impl Fn(&Call) -> T) -> Vec<T> {
        locked(&self.calls)
            .iter()
            .skip(before as usize)
            .map(look)
            .collect()
    }

    /// The states that the breaker has gone through since this was last asked, the present included.
    pub(crate) fn breaker_states(&self) -> Vec<CircuitState> {
        let mut states = mem::take(&mut *locked(&self.states));
        if let Some(breaker) = steadfast::registry().circuit_breaker("quotes") {
            states.push(breaker.state());
        }
        states
    }

    pub(crate) fn take_calls(&self) -> Vec<Call> {
        mem::take(&mut *locked(&self.calls))
    }
}

impl Totals {
    /// Calls that have begun and not ended.
    pub(crate) fn waiting(&self) -> u32 {
        self.started - self.finished
    }
}

fn increment(counter: &AtomicU32) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
