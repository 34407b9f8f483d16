//! What an earlier reading than the last one means.

use std::time::Duration;

use crate::clock::Nanos;

/// The clocks of two cores differ by less, and so do a paused clock and a thread that waits in real
/// time beside it.
const TOLERATED: Duration = Duration::from_secs(1);

/// Whether `now`, read after `newest`, says that the clock was set back. A smaller difference is
/// skew: the newer reading stands, so that nobody gains by hopping between cores.
pub(crate) fn stepped_back(now: Nanos, newest: Nanos) -> bool {
    newest.since(now) > TOLERATED
}

/// [`stepped_back`]'s bound, for those who count in other units.
pub(crate) const fn tolerated() -> Duration {
    TOLERATED
}
