//! The one clock: nanoseconds on a monotonic line.

#[cfg(not(any(feature = "test-util", steadfast_loom)))]
mod processor;
#[cfg(all(test, not(any(feature = "test-util", steadfast_loom))))]
pub(crate) mod simulated;
#[cfg(any(test, not(any(feature = "test-util", steadfast_loom))))]
#[cfg_attr(any(feature = "test-util", steadfast_loom), allow(dead_code))]
mod ticks;

use std::{
    sync::OnceLock,
    time::{Duration, Instant, SystemTime},
};

/// Where the line starts. Far from zero, so that a reading taken before the anchor (a runtime paused
/// earlier, another core) and "an hour ago" are ordinary numbers.
const BASE: u64 = 1 << 60;

/// A point in time, in nanoseconds on the process's monotonic line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Nanos(pub(crate) u64);

impl Nanos {
    /// Later than every reading: "no deadline".
    pub(crate) const NEVER: Self = Self(u64::MAX);

    /// The time since `earlier`, zero where `earlier` is later.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This point moved forward, at most to [`Nanos::NEVER`].
    #[inline]
    pub(crate) fn after(self, by: Duration) -> Self {
        Self(self.0.saturating_add(nanos(by)))
    }

    /// This point moved back, at most to zero.
    pub(crate) fn before(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(by)))
    }
}

/// A duration in whole nanoseconds, saturating.
pub(crate) const fn nanos(duration: Duration) -> u64 {
    let nanos = duration.as_nanos();
    if nanos > u64::MAX as u128 {
        u64::MAX
    } else {
        nanos as u64
    }
}

struct Anchor {
    instant: Instant,
    /// Nanoseconds from the Unix epoch to the line's zero; fixed windows are aligned by it.
    epoch_offset: i128,
}

fn anchor() -> &'static Anchor {
    static ANCHOR: OnceLock<Anchor> = OnceLock::new();
    ANCHOR.get_or_init(|| {
        let wall = match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => i128::try_from(since.as_nanos()).unwrap_or(i128::MAX),
            Err(before) => -i128::try_from(before.duration().as_nanos()).unwrap_or(i128::MAX),
        };
        Anchor {
            instant: Instant::now(),
            epoch_offset: wall.saturating_sub(i128::from(BASE)),
        }
    })
}

fn from_instant(instant: Instant) -> Nanos {
    let anchor = anchor().instant;
    match instant.checked_duration_since(anchor) {
        Some(after) => Nanos(BASE.saturating_add(nanos(after))),
        None => Nanos(BASE.saturating_sub(nanos(anchor.saturating_duration_since(instant)))),
    }
}

/// The present time, where that takes no system call.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn glance() -> Option<Nanos> {
    #[cfg(any(feature = "test-util", steadfast_loom))]
    {
        None
    }
    #[cfg(not(any(feature = "test-util", steadfast_loom)))]
    {
        processor::glance()
    }
}

/// The present time: the runtime's virtual time where a test has paused it, the real one elsewhere.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn now() -> Nanos {
    #[cfg(feature = "test-util")]
    {
        from_instant(tokio::time::Instant::now().into_std())
    }
    #[cfg(all(steadfast_loom, not(feature = "test-util")))]
    {
        from_instant(Instant::now())
    }
    #[cfg(all(test, not(any(feature = "test-util", steadfast_loom))))]
    if let Some(now) = simulated::now() {
        return now;
    }
    #[cfg(not(any(feature = "test-util", steadfast_loom)))]
    {
        processor::now()
    }
}

/// The present time for what a store is timed by.
pub(crate) fn now_for(in_real_time: bool) -> Nanos {
    match in_real_time {
        true => from_instant(Instant::now()),
        false => now(),
    }
}

/// Nanoseconds since the Unix epoch at `now`: the wall clock at the start plus what passed, so that a
/// step of the wall clock moves nothing.
pub(crate) fn since_epoch(now: Nanos) -> u128 {
    u128::try_from(anchor().epoch_offset.saturating_add(i128::from(now.0))).unwrap_or(0)
}
