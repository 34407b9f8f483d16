//! What an earlier reading than the last one means.

use std::time::Duration;

use crate::clock::Nanos;

/// The clocks of two cores, or two readings that met their lock in the other order, differ by less.
const TOLERATED: Duration = Duration::from_millis(10);

/// Whether `now`, read after `newest`, says that the clock was set back. A smaller difference is
/// skew: the newer reading stands, so that nobody gains by hopping between cores.
pub(crate) fn stepped_back(now: Nanos, newest: Nanos) -> bool {
    newest.since(now) > TOLERATED
}

/// [`stepped_back`]'s bound, for those who count in other units.
pub(crate) const fn tolerated() -> Duration {
    TOLERATED
}
