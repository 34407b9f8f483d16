//! What decides over a fleet's circuit, in the units of its store.

use std::time::Duration;

use crate::algorithm::{
    circuit::CircuitConfig,
    window::{Span, Tally},
};

/// Whole microseconds: of a span, or of a store's clock since the Unix epoch.
pub(crate) type Micros = i64;

/// The longest time that is told apart from longer ones: 35 years. Twice this, after the present time, is
/// still an integer to Lua.
const LONGEST: Micros = 1 << 50;
/// What is remembered of a circuit that nobody uses, beyond what its settings ask for.
const KEEP: Micros = 3_600_000_000;
/// What was set by hand stays until it is taken back; every look at it renews this.
const KEEP_BY_HAND: Micros = 365 * 86_400_000_000;
/// A granted place that no caller takes within this time is given back. It comes on top of the time that
/// a probe has, so that a probe which begins at its end has that whole.
pub(crate) const SPARE: Duration = Duration::from_secs(1);
/// A window of calls has no more batches than about twice this.
const GRAINS: i64 = 128;
/// As in the window of one process.
const FEWEST_PIECES: i64 = 10;
const COARSEST_PIECE: i64 = 1_000_000;
const MOST_PIECES: i64 = 1 << 20;

/// The settings of a circuit, as its reports bring them: a record does not know them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rules {
    pub(crate) reach: Reach,
    pub(crate) failure_rate: Option<f64>,
    pub(crate) slow_rate: Option<f64>,
    pub(crate) minimum_calls: i64,
    /// Instances that must have reached the threshold of consecutive failures.
    pub(crate) quorum: i64,
    pub(crate) recovery: Micros,
    /// Zero: a failed recovery does not lengthen the next one.
    pub(crate) longest_recovery: Micros,
    /// Probes in flight at once.
    pub(crate) places: i64,
    pub(crate) successes: i64,
    /// How long a probe's place is held for it, the time included that it may be spare.
    pub(crate) lease: Micros,
    /// How long a circuit that nobody uses is remembered.
    pub(crate) keep: Micros,
}

/// How far back a window reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The newest batches that hold at least so many calls together. Batches that have no more than
    /// `grain` calls together are one.
    Count { calls: i64, grain: i64 },
    /// The newest `pieces`, each so long.
    Time { width: Micros, pieces: i64 },
}

impl Rules {
    pub(crate) fn new(config: &CircuitConfig, quorum: u32) -> Self {
        let recovery = micros(config.recovery.timeout);
        let longest_recovery = config.recovery.longest.map_or(0, micros);
        let probe = micros(config.half_open_timeout);
        let (reach, window) = match config.window {
            Span::Count(calls) => (Reach::count(calls.get().into()), 0),
            Span::Time(length) => (Reach::time(micros(length)), micros(length)),
        };
        let memory = window.max(recovery).max(longest_recovery).max(probe);
        Self {
            reach,
            failure_rate: config.failure_rate,
            slow_rate: config.slow_rate,
            minimum_calls: i64::try_from(config.least_calls()).unwrap_or(i64::MAX),
            quorum: quorum.into(),
            recovery,
            longest_recovery,
            places: config.half_open_requests.get().into(),
            successes: config.success_threshold.get().into(),
            lease: probe.saturating_add(micros(SPARE)).min(LONGEST),
            keep: memory.saturating_add(KEEP).min(LONGEST),
        }
    }

    /// The open time after so many failed recoveries; `jitter` is what is added, in millionths of it.
    pub(crate) fn open_time(&self, failed_recoveries: i64, jitter: i64) -> Micros {
        let mut time = self.recovery;
        if self.longest_recovery > 0 {
            let mut failed = failed_recoveries;
            while failed > 0 && time < self.longest_recovery {
                time = (time * 2).min(self.longest_recovery);
                failed -= 1;
            }
        }
        // In two parts, so that no product exceeds what Lua counts exactly.
        time + time / 1_000_000 * jitter + time % 1_000_000 * jitter / 1_000_000
    }

    pub(crate) fn rates_reached(&self, tally: Tally) -> bool {
        let reached = |limit: Option<f64>, rate: Option<f64>| {
            limit.zip(rate).is_some_and(|(limit, rate)| rate >= limit)
        };
        i64::try_from(tally.calls).unwrap_or(i64::MAX) >= self.minimum_calls
            && (reached(self.failure_rate, tally.failure_rate())
                || reached(self.slow_rate, tally.slow_rate()))
    }

    /// How long the store holds a place.
    pub(crate) fn lease(&self) -> Duration {
        Duration::from_micros(u64::try_from(self.lease).unwrap_or(0))
    }

    /// How long the sign that an instance has given of its consecutive failures counts: as long as the
    /// circuit would be open for them.
    pub(crate) fn sign_lasts(&self) -> Micros {
        self.recovery
    }

    pub(crate) fn keep_by_hand(&self) -> Micros {
        self.keep.max(KEEP_BY_HAND)
    }
}

impl Reach {
    pub(crate) fn count(calls: i64) -> Self {
        let grain = calls / GRAINS + i64::from(calls % GRAINS > 0);
        Self::Count { calls, grain }
    }

    pub(crate) fn time(length: Micros) -> Self {
        let seconds = length / COARSEST_PIECE + i64::from(length % COARSEST_PIECE > 0);
        let pieces = seconds.clamp(FEWEST_PIECES, MOST_PIECES);
        let width = (length / pieces).max(1);
        Self::Time {
            width,
            pieces: length / width,
        }
    }
}

fn micros(time: Duration) -> Micros {
    let micros = Micros::try_from(time.as_nanos().div_ceil(1_000)).unwrap_or(Micros::MAX);
    micros.clamp(1, LONGEST)
}
