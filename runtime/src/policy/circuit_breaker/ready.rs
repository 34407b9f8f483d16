//! Waiting until a circuit would admit.

use std::task::Waker;

use super::core::Core;
use crate::{
    clock::Nanos,
    queue::Ticket,
    waiter::{Progress, Wait},
};

/// One who waits. It takes no place: those who wait are told together, and then ask like all others.
pub(super) struct Ready<'b> {
    core: &'b Core,
    ticket: Option<Ticket>,
}

impl<'b> Ready<'b> {
    pub(super) fn new(core: &'b Core) -> Self {
        Self { core, ticket: None }
    }
}

impl Wait for Ready<'_> {
    type Output = ();

    fn poll(&mut self, waker: &Waker, now: Nanos) -> Progress<()> {
        match self.core.cell.poll_ready(&mut self.ticket, waker, now) {
            Ok(()) => Progress::Ready(()),
            // Asked after the place was taken: those who put other terms in force wake whoever has one.
            Err(_) if self.core.terms().admits_all() => Progress::Ready(()),
            Err(until) => Progress::Until(until),
        }
    }
}

impl Drop for Ready<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.core.cell.leave(ticket);
        }
    }
}
