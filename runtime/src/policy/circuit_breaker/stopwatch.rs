//! How long a call took, without the time it spent waiting in the policies below.

use crate::{call::Call, clock::Nanos};

/// The start, moved back by what the call had waited until then: one word to keep across awaits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopwatch(u64);

impl Stopwatch {
    /// For breakers that have no slow calls: no clock is read.
    pub(super) const OFF: Self = Self(0);

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn start(now: Nanos, call: Option<&Call>) -> Self {
        Self(now.0.wrapping_sub(waited(call)))
    }

    /// Whether it took longer than so many nanoseconds. A clock that has fallen back says that it did
    /// not.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn exceeds(self, limit: i64, now: Nanos, call: Option<&Call>) -> bool {
        let end = now.0.wrapping_sub(waited(call));
        end.wrapping_sub(self.0).cast_signed() > limit
    }
}

#[cfg_attr(not(debug_assertions), inline(always))]
fn waited(call: Option<&Call>) -> u64 {
    call.map_or(0, Call::waited_nanos)
}
