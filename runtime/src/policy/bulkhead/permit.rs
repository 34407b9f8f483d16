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
    /// `None`: the bulkhead's own places. Of a shared bulkhead it is a seat.
    gate: Option<Arc<Gate>>,
}

impl BulkheadPermit {
    /// For a caller who has entered.
    pub(super) fn new(bulkhead: Bulkhead, gate: Option<Arc<Gate>>) -> Self {
        Self { bulkhead, gate }
    }

    /// The fencing number of a shared place: higher than that of every place that the store gave before,
    /// so that a database can tell a caller who lost its place (its process stood still for longer than
    /// the lease) from the one who has it now. Send it along, and have lower ones refused.
    ///
    /// `None` where there is none: the bulkhead is not `shared`, or its store is away and
    /// `on_store_error` let the call through.
    ///
    /// ```
    /// use steadfast::Bulkhead;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let local = Bulkhead::builder("local").build()?;
    /// assert_eq!(local.try_acquire()?.fence(), None);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn fence(&self) -> Option<u64> {
        let fence = self.gate.as_ref().map_or(0, |gate| gate.fence());
        (fence > 0).then_some(fence)
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

/// The call's own only if it said so before it was admitted:
/// [`Call::wants_fence`](crate::call::Call::wants_fence).
impl<P: Deref<Target: Places>> Fenced for Entry<P> {
    fn fence(&self) -> u64 {
        self.0.gate().fence()
    }
}

impl<P: Deref<Target: Places>> Drop for Entry<P> {
    #[inline]
    fn drop(&mut self) {
        self.0.release();
    }
}
