//! A place in a bulkhead, given back when it is dropped.

use std::{fmt, sync::Arc};

use super::{Bulkhead, gate::Gate};
use crate::{admission::Permit, judge::Judge, outcome::Outcome};

/// A place in a bulkhead: as long as you hold it, it is yours.
///
/// Dropping it gives the place back, to the caller who has waited longest. It may be sent to another
/// thread and be held across an `.await`.
#[must_use = "dropping the permit gives the place back at once"]
pub struct BulkheadPermit {
    bulkhead: Bulkhead,
    /// `None`: the bulkhead's own gate.
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
        self.gate
            .as_deref()
            .unwrap_or_else(|| self.bulkhead.gate())
            .release();
    }
}

impl fmt::Debug for BulkheadPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkheadPermit")
            .field("policy", self.bulkhead.name())
            .finish_non_exhaustive()
    }
}

/// The place of one call of an annotated function: in the bulkhead's own gate, or in that of a key.
#[must_use = "dropping the entry gives the place back at once"]
#[derive(Debug)]
pub struct Entry<G: AsRef<Gate>>(G);

impl<G: AsRef<Gate>> Entry<G> {
    /// For a caller who has entered.
    #[inline(always)]
    pub(super) fn new(gate: G) -> Self {
        Self(gate)
    }
}

/// What the call came to makes no difference to a bulkhead.
impl<G: AsRef<Gate>> Permit for Entry<G> {
    #[inline(always)]
    fn succeed(self) {
        drop(self);
    }

    fn settle<R: Outcome>(self, _: Judge<'_, R>) {
        drop(self);
    }
}

impl<G: AsRef<Gate>> Drop for Entry<G> {
    #[inline(always)]
    fn drop(&mut self) {
        self.0.as_ref().release();
    }
}
