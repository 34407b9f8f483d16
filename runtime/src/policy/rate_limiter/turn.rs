//! A caller in the line of a limit.

use std::task::Waker;

use super::{
    RateLimiter,
    gate::Gate,
    lane::{Aftermath, Lane},
    rules::Rules,
    shared::Shared,
};
use crate::{
    algorithm::decision::Decision,
    clock::{self, Nanos},
    keyed::Place,
    queue::Ticket,
    waiter::{Progress, Wait},
};

/// Where a lane is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Spot<'p> {
    Gate(&'p Gate),
    Key(&'p RateLimiter, Place),
    /// In the store, of a key or of all.
    Fleet(&'p Shared, Option<Place>),
}

impl<'p> Spot<'p> {
    /// Runs `act` on the lane, if it is still there, and under the rules that it goes by.
    pub(super) fn with<R>(&self, act: impl FnOnce(&mut Lane, &'p Rules) -> R) -> Option<R> {
        match *self {
            Self::Gate(gate) => Some(gate.with(act)),
            Self::Key(limiter, place) => limiter.at_key(place, act),
            // Nothing of it is here.
            Self::Fleet(..) => None,
        }
    }

    /// The same where something is left to do after the lock.
    pub(super) fn change(&self, act: impl FnOnce(&mut Lane, &'p Rules) -> Aftermath) {
        if let Some(aftermath) = self.with(act) {
            aftermath.run();
        }
    }

    /// Whether outcomes move the limit.
    pub(super) fn is_adaptive(&self) -> bool {
        match self {
            Self::Gate(gate) => gate.terms.get().rules.is_adaptive(),
            Self::Key(limiter, _) => limiter.rules().is_adaptive(),
            Self::Fleet(shared, _) => shared.is_adaptive(),
        }
    }
}

/// A place in the line. Dropped, it is given back, and the next moves up.
#[derive(Debug)]
pub(super) struct Turn<'p> {
    pub(super) spot: Spot<'p>,
    ticket: Option<Ticket>,
    give_up: Nanos,
}

impl<'p> Turn<'p> {
    pub(super) fn new(spot: Spot<'p>, ticket: Ticket, give_up: Nanos) -> Self {
        Self {
            spot,
            ticket: Some(ticket),
            give_up,
        }
    }
}

impl<'p> Wait for Turn<'p> {
    /// With the rules that it was made by.
    type Output = (Decision, &'p Rules);

    fn poll(&mut self, waker: &Waker, now: Nanos) -> Progress<Self::Output> {
        let Some(ticket) = self.ticket else {
            return Progress::Until(Nanos::NEVER);
        };
        // Read under the lock, so that no state is from a later time; a caller who blocks its thread
        // under a paused clock brings the time along.
        let look = |lane: &mut Lane, rules: &'p Rules| {
            let looked = lane.look(rules, now.max(clock::now()), ticket, waker);
            (looked, rules)
        };
        let Some(((look, aftermath), rules)) = self.spot.with(look) else {
            return Progress::Until(self.give_up);
        };
        if matches!(look, Progress::Ready(_)) {
            self.ticket = None;
        }
        aftermath.run();
        match look {
            Progress::Ready(decision) => Progress::Ready((decision, rules)),
            Progress::Until(until) => Progress::Until(until),
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.spot
                .change(|lane, rules| lane.leave(rules, clock::now(), ticket));
        }
    }
}
