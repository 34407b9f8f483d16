//! A caller whose question is under way, or in line.

use std::{sync::Arc, task::Waker};

use super::{
    core::Core,
    lane::{Lane, Look, Outcome},
};
use crate::{
    clock::{self, Nanos},
    queue::Ticket,
    waiter::{Progress, Wait},
};

/// A place at a lane. Dropped, it is given back; what the store takes for it after that is handed to the
/// next one who wants as much, and else lost.
#[derive(Debug)]
pub(in super::super) struct Turn {
    core: Arc<Core>,
    pub(super) lane: Arc<Lane>,
    ticket: Option<Ticket>,
}

impl Turn {
    pub(super) fn new(core: Arc<Core>, lane: Arc<Lane>, ticket: Ticket) -> Self {
        Self {
            core,
            lane,
            ticket: Some(ticket),
        }
    }

    /// The answer, if it is there.
    pub(super) fn peek(&mut self, now: Nanos) -> Option<Outcome> {
        match self.poll(Waker::noop(), now) {
            Progress::Ready(outcome) => Some(outcome),
            Progress::Until(_) => None,
        }
    }
}

impl Wait for Turn {
    type Output = Outcome;

    fn poll(&mut self, waker: &Waker, now: Nanos) -> Progress<Outcome> {
        let Some(ticket) = self.ticket else {
            return Progress::Until(Nanos::NEVER);
        };
        // Twice at most: once it is sent, the question is under way or answered.
        for _ in 0..2 {
            let (look, wakes) = {
                let mut books = self.lane.books();
                let Some(rules) = self.core.rules(books.edition) else {
                    return Progress::Until(Nanos::NEVER);
                };
                books.look(&rules, ticket, waker, now)
            };
            wakes.run();
            match look {
                Look::Ready(outcome) => {
                    self.ticket = None;
                    return Progress::Ready(outcome);
                }
                Look::Until(until) => return Progress::Until(until),
                Look::Send => self.core.pump(&self.lane, now, false),
            }
        }
        Progress::Until(Nanos::NEVER)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.lane.books().leave(ticket).run();
            // Those behind may be the first now.
            self.core.pump(&self.lane, clock::now(), false);
        }
    }
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Never the key.
        f.debug_struct("Lane").finish_non_exhaustive()
    }
}
