//! A caller in the line of a limit.

use std::task::Waker;

use super::{
    gate::Gate,
    key_lane::KeyLane,
    lane::{Aftermath, Lane},
    rules::Rules,
    shared::Shared,
};
use crate::{
    algorithm::decision::Decision,
    clock::{self, Nanos},
    keyed::{Keyed, Place},
    queue::Ticket,
    waiter::{Progress, Wait},
};

/// Where a lane is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Spot<'p> {
    Gate(&'p Gate),
    Key(&'p Keyed<KeyLane>, Place),
    /// In the store, of a key or of all.
    Fleet(&'p Shared, Option<Place>),
}

impl Spot<'_> {
    /// Runs `act` on the lane, if it is still there.
    pub(super) fn with<R>(&self, act: impl FnOnce(&mut Lane) -> R) -> Option<R> {
        match self {
            Self::Gate(gate) => Some(gate.with(act)),
            Self::Key(keys, place) => keys.at(*place, |key| act(key.lane())),
            // Nothing of it is here.
            Self::Fleet(..) => None,
        }
    }

    /// The same where something is left to do after the lock.
    pub(super) fn change(&self, act: impl FnOnce(&mut Lane) -> Aftermath) {
        if let Some(aftermath) = self.with(act) {
            aftermath.run();
        }
    }
}

/// A place in the line. Dropped, it is given back, and the next moves up.
#[derive(Debug)]
pub(super) struct Turn<'p> {
    pub(super) rules: &'p Rules,
    pub(super) spot: Spot<'p>,
    ticket: Option<Ticket>,
    give_up: Nanos,
}

impl<'p> Turn<'p> {
    pub(super) fn new(rules: &'p Rules, spot: Spot<'p>, ticket: Ticket, give_up: Nanos) -> Self {
        Self {
            rules,
            spot,
            ticket: Some(ticket),
            give_up,
        }
    }
}

impl Wait for Turn<'_> {
    type Output = Decision;

    fn poll(&mut self, waker: &Waker, now: Nanos) -> Progress<Self::Output> {
        let Some(ticket) = self.ticket else {
            return Progress::Until(Nanos::NEVER);
        };
        let (rules, give_up) = (self.rules, self.give_up);
        // Read under the lock, so that no state is from a later time; a caller who blocks its thread
        // under a paused clock brings the time along.
        let look =
            |lane: &mut Lane| lane.look(rules, now.max(clock::now()), ticket, give_up, waker);
        let Some((look, aftermath)) = self.spot.with(look) else {
            return Progress::Until(give_up);
        };
        if matches!(look, Progress::Ready(_)) {
            self.ticket = None;
        }
        aftermath.run();
        look
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.spot
                .change(|lane| lane.leave(self.rules, clock::now(), ticket));
        }
    }
}
