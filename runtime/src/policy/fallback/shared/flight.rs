//! One question to the store for all who ask the same at the same time.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
    time::Duration,
};

use crate::{
    clock::Nanos,
    lock::lock,
    policy::fallback::memory::Slot,
    store::{Reply, StoreError, Value},
    waiter::{self, Progress, Wait},
};

/// The questions under way, by what they ask for.
#[derive(Default)]
pub(super) struct Flights(Mutex<HashMap<Slot, Arc<Flight>>>);

/// A question to the store, and its answer once it is there. It belongs to nobody: whoever asked may
/// leave, and the others get their answer all the same.
pub(in crate::policy::fallback) struct Flight {
    /// When it was asked.
    pub(super) sent: Nanos,
    /// The resets before it was asked.
    pub(super) epoch: u64,
    /// From when the answer is that the store was asked to better.
    known: Option<Nanos>,
    /// How old the answer may be.
    stale: Duration,
    state: Mutex<State>,
}

enum State {
    UnderWay { waiters: Waiters },
    Landed(Arc<Said>),
}

/// What the store says of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It has none, none younger, or is away.
    Nothing,
    /// Of this age when it was asked, or later.
    Answer { age: Duration, json: Vec<u8> },
}

/// Those who wait for a flight, by numbers.
#[derive(Default)]
struct Waiters {
    next: u64,
    list: Vec<(u64, Waker)>,
}

/// A place among those who wait for a flight.
#[must_use = "futures do nothing unless awaited"]
pub(in crate::policy::fallback) struct Asked {
    flight: Arc<Flight>,
    number: Option<u64>,
}

impl Flights {
    /// Joins the flight of that slot. Where there is none, or one that knows a younger answer than this
    /// caller and may come back without any, or one that asks for answers of another age, `new` takes its
    /// place, and is to be begun.
    pub(super) fn join(&self, slot: &Slot, new: Flight) -> (Asked, bool) {
        let mut flights = self.lock();
        let serves = |there: &&Arc<Flight>| there.known <= new.known && there.stale == new.stale;
        let there = flights.get(slot).filter(serves);
        let (flight, is_new) = match there {
            Some(flight) => (Arc::clone(flight), false),
            None => {
                let flight = Arc::new(new);
                flights.insert(slot.clone(), Arc::clone(&flight));
                (flight, true)
            }
        };
        let number = None;
        (Asked { flight, number }, is_new)
    }

    /// The store has answered.
    pub(super) fn land(&self, slot: &Slot, flight: &Arc<Flight>, said: Said) {
        // Taken away first: who comes now asks anew.
        let mut flights = self.lock();
        if flights.get(slot).is_some_and(|f| Arc::ptr_eq(f, flight)) {
            flights.remove(slot);
        }
        drop(flights);
        flight.land(said);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Slot, Arc<Flight>>> {
        lock(&self.0)
    }
}

impl Flight {
    pub(super) fn new(sent: Nanos, epoch: u64, known: Option<Nanos>, stale: Duration) -> Self {
        let waiters = Waiters::default();
        Self {
            sent,
            epoch,
            known,
            stale,
            state: Mutex::new(State::UnderWay { waiters }),
        }
    }

    /// What the store said. Nothing as long as it is asked.
    pub(super) fn said(&self) -> Arc<Said> {
        match &*self.lock() {
            State::Landed(said) => Arc::clone(said),
            State::UnderWay { .. } => Arc::new(Said::Nothing),
        }
    }

    fn land(&self, said: Said) {
        let before = std::mem::replace(&mut *self.lock(), State::Landed(Arc::new(said)));
        if let State::UnderWay { waiters } = before {
            waiters.list.into_iter().for_each(|(_, w)| waiter::wake(w));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Asked {
    pub(super) fn flight(&self) -> Arc<Flight> {
        Arc::clone(&self.flight)
    }

    fn is_landed(&mut self, waker: &Waker) -> bool {
        match &mut *self.flight.lock() {
            State::Landed(_) => true,
            State::UnderWay { waiters } => {
                self.number = Some(waiters.wait(self.number, waker));
                false
            }
        }
    }
}

impl Waiters {
    fn wait(&mut self, number: Option<u64>, waker: &Waker) -> u64 {
        let own = self.list.iter_mut().find(|(n, _)| Some(*n) == number);
        if let Some((number, known)) = own {
            known.clone_from(waker);
            return *number;
        }
        let number = self.next;
        self.next += 1;
        self.list.push((number, waker.clone()));
        number
    }

    fn leave(&mut self, number: u64) -> Option<Waker> {
        let place = self.list.iter().position(|(n, _)| *n == number)?;
        Some(self.list.swap_remove(place).1)
    }
}

impl Future for Asked {
    type Output = Arc<Flight>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Arc<Flight>> {
        match self.is_landed(context.waker()) {
            true => Poll::Ready(Arc::clone(&self.flight)),
            false => Poll::Pending,
        }
    }
}

impl Wait for Asked {
    type Output = Arc<Flight>;

    fn poll(&mut self, waker: &Waker, _: Nanos) -> Progress<Arc<Flight>> {
        match self.is_landed(waker) {
            true => Progress::Ready(Arc::clone(&self.flight)),
            false => Progress::Until(Nanos::NEVER),
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let left = match &mut *self.flight.lock() {
            State::UnderWay { waiters } => waiters.leave(number),
            State::Landed(_) => None,
        };
        // Outside the lock: it is somebody else's code.
        drop(left);
    }
}

impl From<Result<Reply, StoreError>> for Said {
    fn from(outcome: Result<Reply, StoreError>) -> Self {
        let Ok(reply) = outcome else {
            return Self::Nothing;
        };
        let age = reply.int(0).ok().and_then(|age| u64::try_from(age).ok());
        match (age, reply.0.into_iter().nth(1)) {
            (Some(age), Some(Value::Bytes(json))) => Self::Answer {
                age: Duration::from_micros(age),
                json,
            },
            _ => Self::Nothing,
        }
    }
}

impl fmt::Debug for Flights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The keys are the users' data.
        write!(f, "Flights({})", self.lock().len())
    }
}
