//! A caller who waits for the store's answer, or for a place.

use std::{sync::Arc, task::Waker};

use super::lane::Lane;
use crate::{
    algorithm::desk::{Look, Turn},
    clock::Nanos,
    waiter::{Progress, Wait},
};

/// Dropped, it gives its place in the line to the next; and what it was given and never took, too.
#[derive(Debug)]
pub(super) struct Queued {
    lane: Arc<Lane>,
    ticket: Option<u64>,
    /// When it has waited long enough, once the store has said that there is no place.
    give_up: Nanos,
    /// When it has in any case.
    deadline: Nanos,
}

impl Queued {
    pub(super) fn new(lane: Arc<Lane>, ticket: u64, give_up: Nanos, deadline: Nanos) -> Self {
        Self {
            lane,
            ticket: Some(ticket),
            give_up,
            deadline,
        }
    }

    fn ready(&mut self, turn: Turn) -> Progress<Turn> {
        self.ticket = None;
        Progress::Ready(turn)
    }
}

impl Wait for Queued {
    type Output = Turn;

    fn poll(&mut self, waker: &Waker, now: Nanos) -> Progress<Turn> {
        let Some(ticket) = self.ticket else {
            return Progress::Until(Nanos::NEVER);
        };
        let mut has_nudged = false;
        loop {
            let (denied, at) = match self.lane.look(ticket, waker) {
                Look::Turn(turn) => return self.ready(turn),
                Look::Line { denied, at } => (denied, at),
            };
            let end = match denied {
                true => self.give_up.min(self.deadline),
                false => self.deadline,
            };
            if now >= end {
                let turn = self.lane.give_up(ticket);
                return self.ready(turn);
            }
            // The lane's time is the store's, which may differ from the caller's by anything.
            let after = at.map(|at| at.since(self.lane.now()));
            match after {
                Some(after) if !after.is_zero() => {
                    return Progress::Until(end.min(now.after(after)));
                }
                Some(_) if !has_nudged => {
                    has_nudged = true;
                    self.lane.nudge();
                }
                _ => return Progress::Until(end),
            }
        }
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.lane.cancel(ticket);
        }
    }
}
