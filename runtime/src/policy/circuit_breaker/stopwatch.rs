//! How long a call took, without the time it spent waiting in the policies below.

use std::time::Duration;

use crate::{call::Call, clock::Nanos};

/// The start, moved back by what the call had waited until then: one word to keep across awaits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopwatch(Nanos);

impl Stopwatch {
    /// For breakers that have no slow calls: no clock is read.
    pub(super) const OFF: Self = Self(Nanos::NEVER);

    #[inline]
    pub(super) fn start(now: Nanos, call: Option<&Call>) -> Self {
        Self(now.before(waited(call)))
    }

    #[inline]
    pub(super) fn elapsed(self, now: Nanos, call: Option<&Call>) -> Duration {
        now.before(waited(call)).since(self.0)
    }
}

fn waited(call: Option<&Call>) -> Duration {
    call.map_or(Duration::ZERO, Call::waited)
}
