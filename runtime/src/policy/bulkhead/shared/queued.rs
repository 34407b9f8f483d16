//! A caller who waits for the store's answer, or for a place.

use std::{sync::Arc, task::Waker};

use super::{home::Home, lane::Lane};
use crate::{
    algorithm::desk::{Look, Turn},
    clock::Nanos,
    waiter::{Progress, Wait},
};

/// Dropped, it gives its place in the line to the next; and what it was given and never took, too.
#[derive(Debug)]
pub(super) struct Queued {
    lane: Arc<Lane>,
    home: Arc<Home>,
    ticket: Option<u64>,
    came: Nanos,
    /// When it has waited long enough whatever the store says and whatever is in force.
    deadline: Nanos,
}

impl Queued {
    pub(super) fn new(
        home: Arc<Home>,
        lane: Arc<Lane>,
        ticket: u64,
        came: Nanos,
        deadline: Nanos,
    ) -> Self {
        Self {
            lane,
            home,
            ticket: Some(ticket),
            came,
            deadline,
        }
    }

    fn ready(&mut self, turn: Turn) -> Progress<Option<Turn>> {
        self.ticket = None;
        Progress::Ready(Some(turn))
    }

    /// The bulkhead is not there any more: whatever it would have been given goes on.
    fn go_by(&mut self, ticket: u64) -> Progress<Option<Turn>> {
        self.ticket = None;
        self.lane.cancel(ticket);
        Progress::Ready(None)
    }

    /// When it has waited long enough, once the store has said that there is no place.
    fn give_up(&self) -> Nanos {
        let max_wait = self.home.in_force().limits.max_wait;
        self.came.after(max_wait.unwrap_or_default())
    }
}

impl Wait for Queued {
    /// `None`: it needs no turn.
    type Output = Option<Turn>;

    fn poll(&mut self, waker: &Waker, now: Nanos) -> Progress<Option<Turn>> {
        let Some(ticket) = self.ticket else {
            return Progress::Until(Nanos::NEVER);
        };
        let mut has_nudged = false;
        loop {
            let (denied, at) = match self.lane.look(ticket, waker) {
                Look::Turn(turn) => return self.ready(turn),
                Look::Line { .. } if self.home.in_force().is_off() => return self.go_by(ticket),
                Look::Line { denied, at } => (denied, at),
            };
            let end = match denied {
                true => self.give_up().min(self.deadline),
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
