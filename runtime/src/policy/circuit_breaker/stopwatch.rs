//! How long a call took, without the time it spent waiting in the policies below.

use crate::{call::Call, clock::Nanos};

/// The start, moved back by what the call had waited until then: one word to keep across awaits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopwatch(Nanos);

impl Stopwatch {
    /// For breakers that have no slow calls: no clock is read.
    pub(super) const OFF: Self = Self(Nanos::NEVER);

    #[inline]
    pub(super) fn start(now: Nanos, call: Option<&Call>) -> Self {
        Self(Nanos(now.0.saturating_sub(waited(call))))
    }

    #[inline]
    /// In nanoseconds.
    pub(super) fn elapsed(self, now: Nanos, call: Option<&Call>) -> u64 {
        Nanos(now.0.saturating_sub(waited(call))).nanos_since(self.0)
    }
}

#[inline]
fn waited(call: Option<&Call>) -> u64 {
    call.map_or(0, Call::waited_nanos)
}
