//! What a call holds of a shared bulkhead.

use std::sync::{Arc, Weak};

use super::{lane::Lane, shared::Shared};
use crate::{algorithm::desk::Pass, policy::bulkhead::line::Owed};

#[derive(Debug)]
pub(super) struct Seat {
    lane: Arc<Lane>,
    /// Nothing where the bulkhead was not there when the call came.
    pass: Option<Pass>,
    /// Which of the bulkhead's seats it sits in, if it is one of those.
    row: Option<(Weak<Shared>, usize)>,
}

impl Seat {
    pub(super) fn new(lane: Arc<Lane>, pass: Option<Pass>) -> Self {
        Self {
            lane,
            pass,
            row: None,
        }
    }

    pub(super) fn in_row(mut self, shared: Weak<Shared>, seat: usize) -> Self {
        self.row = Some((shared, seat));
        self
    }
}

impl Owed for Seat {
    fn fence(&self) -> u64 {
        match self.pass {
            Some(Pass::Place { fence, .. }) => fence,
            Some(Pass::Alone { .. }) | None => 0,
        }
    }

    fn settle(self: Box<Self>) {
        let Self { lane, pass, row } = *self;
        if let Some((shared, seat)) = row
            && let Some(shared) = shared.upgrade()
        {
            shared.seats().vacate(seat);
        }
        if let Some(pass) = pass {
            lane.leave(pass);
        }
    }
}
