//! The permit that a caller holds who makes the call by hand.

use std::sync::Arc;

use super::{cell::Cell, core::Core, stopwatch::Stopwatch};
use crate::algorithm::circuit::{Pass, Verdict};

/// Lets one call through a [`CircuitBreaker`](super::CircuitBreaker), for callers that cannot hand over a
/// future. Tell it how the call ended.
///
/// ```
/// # fn fetch() -> std::io::Result<u32> { Ok(7) }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let breaker = steadfast::CircuitBreaker::builder("quotes").build()?;
/// let permit = breaker.try_acquire()?;
/// match fetch() {
///     Ok(_) => permit.success(),
///     Err(_) => permit.failure(),
/// }
/// assert_eq!(breaker.metrics().calls, 1);
/// # Ok(())
/// # }
/// ```
///
/// # Cancellation
/// Dropped without a report, it counts as a call that its caller dropped: neither success nor failure,
/// unless `cancelled` says otherwise. The place of a probe comes back in any case.
#[derive(Debug)]
#[must_use = "a permit that is dropped at once counts as a cancelled call"]
pub struct Permit {
    /// `None` once it is settled.
    core: Option<Arc<Core>>,
    keyed: Option<Arc<Cell>>,
    pass: Pass,
    stopwatch: Stopwatch,
}

impl Permit {
    pub(super) fn new(
        core: Arc<Core>,
        keyed: Option<Arc<Cell>>,
        (pass, stopwatch): (Pass, Stopwatch),
    ) -> Self {
        Self {
            core: Some(core),
            keyed,
            pass,
            stopwatch,
        }
    }

    /// The call succeeded. It is still counted as slow if it was.
    pub fn success(mut self) {
        self.end(Verdict::Success);
    }

    /// The call failed.
    pub fn failure(mut self) {
        self.end(Verdict::Failure);
    }

    fn end(&mut self, verdict: Verdict) {
        if let Some(core) = self.core.take() {
            let cell = self.keyed.as_deref().unwrap_or(&core.cell);
            core.ended(cell, self.pass, verdict, self.stopwatch, None);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.end(self.stopwatch.verdict_of_dropped());
    }
}
