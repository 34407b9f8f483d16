//! How long a call took, without the time it spent waiting in the policies below.

use std::time::Duration;

use crate::{
    call::Call,
    clock::{Nanos, nanos},
};

/// Two whole words: it is kept across awaits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopwatch {
    start: Nanos,
    /// Nanoseconds that the call had waited when it started.
    waited: u64,
}

impl Stopwatch {
    /// For breakers that have no slow calls: no clock is read.
    pub(super) const OFF: Self = Self {
        start: Nanos::NEVER,
        waited: 0,
    };

    pub(super) fn start(now: Nanos, call: Option<&Call>) -> Self {
        Self {
            start: now,
            waited: waited(call),
        }
    }

    pub(super) fn elapsed(self, now: Nanos, call: Option<&Call>) -> Duration {
        let paused = Duration::from_nanos(waited(call).saturating_sub(self.waited));
        now.since(self.start).saturating_sub(paused)
    }
}

fn waited(call: Option<&Call>) -> u64 {
    call.map_or(0, |call| nanos(call.waited()))
}
