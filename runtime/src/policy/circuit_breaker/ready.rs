//! Waiting until a circuit would admit.

use std::task::Waker;

use super::cell::Cell;
use crate::{
    clock::Nanos,
    queue::Ticket,
    waiter::{Progress, Wait},
};

/// One who waits. It takes no place: those who wait are told together, and then ask like all others.
pub(super) struct Ready<'b> {
    cell: &'b Cell,
    ticket: Option<Ticket>,
}

impl<'b> Ready<'b> {
    pub(super) fn new(cell: &'b Cell) -> Self {
        Self { cell, ticket: None }
    }
}

impl Wait for Ready<'_> {
    type Output = ();

    fn poll(&mut self, waker: &Waker, now: Nanos) -> Progress<()> {
        match self.cell.poll_ready(&mut self.ticket, waker, now) {
            Ok(()) => Progress::Ready(()),
            Err(until) => Progress::Until(until),
        }
    }
}

impl Drop for Ready<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.cell.leave(ticket);
        }
    }
}
