//! A place in a bulkhead, given back when it is dropped.

use std::{fmt, ops::Deref, sync::Arc};

use super::{Bulkhead, gate::Gate, places::Places};
use crate::{
    admission::{Fenced, Permit},
    judge::Judge,
    outcome::Outcome,
};

/// A place in a bulkhead: as long as you hold it, it is yours.
///
/// Dropping it gives the place back, to the caller who has waited longest. It may be sent to another
/// thread and be held across an `.await`.
#[must_use = "dropping the permit gives the place back at once"]
pub struct BulkheadPermit {
    bulkhead: Bulkhead,
    /// `None`: the bulkhead's own places.
    gate: Option<Arc<Gate>>,
}

impl BulkheadPermit {
    /// For a caller who has entered.
    pub(super) fn new(bulkhead: Bulkhead, gate: Option<Arc<Gate>>) -> Self {
        Self { bulkhead, gate }
    }
}

impl Drop for BulkheadPermit {
    fn drop(&mut self) {
        match &self.gate {
            Some(gate) => gate.release(),
            None => self.bulkhead.places().release(),
        }
    }
}

impl fmt::Debug for BulkheadPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkheadPermit")
            .field("policy", self.bulkhead.name())
            .finish_non_exhaustive()
    }
}

/// The place of one call of an annotated function: of the bulkhead's own, or of those of a key.
#[must_use = "dropping the entry gives the place back at once"]
#[derive(Debug)]
pub struct Entry<P: Deref<Target: Places>>(P);

impl<P: Deref<Target: Places>> Entry<P> {
    /// For a caller who has entered.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn new(places: P) -> Self {
        Self(places)
    }
}

/// What the call came to makes no difference to a bulkhead.
impl<P: Deref<Target: Places>> Permit for Entry<P> {
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn succeed(self) {
        drop(self);
    }

    fn settle<R: Outcome>(self, _: Judge<'_, R>) {
        drop(self);
    }
}

impl<P: Deref<Target: Places>> Fenced for Entry<P> {
    fn fence(&self) -> u64 {
        0
    }
}

impl<P: Deref<Target: Places>> Drop for Entry<P> {
    #[inline]
    fn drop(&mut self) {
        self.0.release();
    }
}
