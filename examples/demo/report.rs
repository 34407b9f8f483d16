//! What a run leaves behind: every call, and the figures of the final table.

use crate::day::{self, Weather};
use std::time::Duration;

/// Where a caller's answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Service,
    Cache,
    Stale,
    Fallback,
    Failed,
}

/// One finished call.
pub(crate) struct Call {
    pub(crate) at: Duration,
    /// From the moment the caller wanted to call.
    pub(crate) latency: Duration,
    pub(crate) answer: Answer,
}

impl Call {
    /// Answered by the service, but nobody likes to wait that long.
    pub(crate) fn late(&self) -> bool {
        self.answer == Answer::Service && self.latency > Duration::from_millis(500)
    }
}

pub(crate) struct Report {
    pub(crate) calls: Vec<Call>,
    /// When requests were sent, attempts on a closed port included.
    pub(crate) sent: Vec<Duration>,
    /// The service's own count.
    pub(crate) received: u32,
    pub(crate) retries: u32,
    pub(crate) refused: u32,
}

impl Report {
    pub(crate) fn answers(&self, answer: Answer) -> usize {
        self.calls
            .iter()
            .filter(|call| call.answer == answer)
            .count()
    }

    pub(crate) fn answered(&self) -> usize {
        self.calls.len() - self.answers(Answer::Failed)
    }

    /// Answers of the service that came late.
    pub(crate) fn late(&self) -> usize {
        self.calls.iter().filter(|call| call.late()).count()
    }

    /// The latency that `percent` of all calls stay within.
    pub(crate) fn latency(&self, percent: usize) -> Duration {
        percentile(self.calls.iter(), percent)
    }

    /// The same of the morning's calls, when the service was healthy.
    pub(crate) fn morning_latency(&self, percent: usize) -> Duration {
        percentile(self.morning_calls(), percent)
    }

    /// The service's own answers to the morning's calls, per second.
    pub(crate) fn morning_throughput(&self) -> f64 {
        let good = self
            .morning_calls()
            .filter(|call| call.answer == Answer::Service);
        good.count() as f64 / day::morning().as_secs_f64()
    }

    fn morning_calls(&self) -> impl Iterator<Item = &Call> {
        self.calls.iter().filter(|call| call.at < day::morning())
    }

    /// How long after the service's return a caller got an answer from it again.
    pub(crate) fn recovery(&self) -> Duration {
        let (_, back) = day::outage();
        let answered = self
            .calls
            .iter()
            .filter(|call| call.at >= back && call.answer == Answer::Service);
        let first = answered.map(|call| call.at + call.latency - back).min();
        first.unwrap_or_else(|| day::length() - back)
    }

    /// Requests sent while the service had that weather.
    pub(crate) fn sent_while(&self, weather: Weather) -> usize {
        self.sent
            .iter()
            .filter(|at| day::phase_at(**at).weather == weather)
            .count()
    }

    /// For how long of its outage the service was knocked on: slices of 50 ms with a request in them.
    pub(crate) fn hammered(&self) -> Duration {
        const SLICE: u32 = 50;
        let down = self
            .sent
            .iter()
            .filter(|at| day::phase_at(**at).weather == Weather::Down);
        let mut slices: Vec<u128> = down.map(|at| at.as_millis() / u128::from(SLICE)).collect();
        slices.sort_unstable();
        slices.dedup();
        Duration::from_millis(u64::from(SLICE)) * slices.len() as u32
    }
}

fn percentile<'a>(calls: impl Iterator<Item = &'a Call>, percent: usize) -> Duration {
    let mut latencies: Vec<Duration> = calls.map(|call| call.latency).collect();
    latencies.sort_unstable();
    let rank = (latencies.len() * percent).div_ceil(100).max(1);
    latencies.get(rank - 1).copied().unwrap_or_default()
}
