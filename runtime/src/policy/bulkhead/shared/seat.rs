//! What a call holds of a shared bulkhead.

use std::sync::{Arc, Weak};

use super::{lane::Lane, shared::Shared};
use crate::{algorithm::desk::Pass, policy::bulkhead::gate::Owed};

#[derive(Debug)]
pub(super) struct Seat {
    lane: Arc<Lane>,
    pass: Pass,
    /// Which of the bulkhead's seats it sits in, if it is one of those.
    row: Option<(Weak<Shared>, usize)>,
}

impl Seat {
    pub(super) fn new(lane: Arc<Lane>, pass: Pass) -> Self {
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
            Pass::Place { fence, .. } => fence,
            Pass::Alone { .. } => 0,
        }
    }

    fn settle(self: Box<Self>) {
        let Self { lane, pass, row } = *self;
        if let Some((shared, seat)) = row
            && let Some(shared) = shared.upgrade()
        {
            shared.seats().vacate(seat);
        }
        lane.leave(pass);
    }
}
