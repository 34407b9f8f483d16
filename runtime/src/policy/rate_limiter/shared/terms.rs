//! A limit in the words of its script.

use std::time::Duration;

use super::scripts;
use crate::{
    algorithm::fleet::{Counters, Ratio, WHOLE, micros, scaled},
    policy::rate_limiter::{Algorithm, RateLimiterSettings, settings::default},
    rate::Rate,
    store::{Arg, Script},
};

/// What a batch is decided by: the same on every instance whose settings are the same.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) script: &'static Script,
    params: [i64; MOST],
    used: usize,
    /// Permits that an unused limit gives out at once.
    pub(super) limit: u32,
    /// Whether it is told how calls end.
    pub(super) adapts: bool,
    pace: Pace,
    /// How long permits that were taken ahead may be given out.
    pub(super) life: Duration,
}

/// How soon permits come back, at best.
#[derive(Debug, Clone, Copy)]
enum Pace {
    /// So many microseconds for so many permits.
    Even { per: i64, count: i64 },
    /// So many in a window.
    Windows { per: i64, count: i64 },
}

const MOST: usize = 9;
/// Where a limit is given per call, factors are given in millionths; larger ones lead to the end as well.
const LARGEST_FACTOR: f64 = 1_000.0;
/// Permits taken ahead are given out for no longer.
const LONGEST_LIFE: Duration = Duration::from_secs(1);

impl Terms {
    /// `None`: a rate that lets nothing through.
    pub(super) fn new(settings: &RateLimiterSettings, rate: Rate) -> Option<Self> {
        if rate.count() == 0 || rate.per().is_zero() {
            return None;
        }
        let (per, count) = (micros(rate.per()), i64::from(rate.count()));
        let windows = Pace::Windows { per, count };
        let of = |script: &'static Script, params: &[i64], limit: i64, pace| {
            let mut room = [0; MOST];
            room[..params.len()].copy_from_slice(params);
            Self {
                script,
                params: room,
                used: params.len(),
                limit: u32::try_from(limit).unwrap_or(u32::MAX),
                pace,
                adapts: std::ptr::eq(script, &raw const scripts::ADAPTING),
                life: LONGEST_LIFE.min(Duration::from_micros(per.unsigned_abs())),
            }
        };
        Some(match settings.algorithm_in_force() {
            Algorithm::TokenBucket | Algorithm::LeakyBucket => {
                let burst = settings.burst.unwrap_or(rate.count());
                let ratio = Ratio::new(rate, burst, 1);
                let Ratio {
                    permit,
                    pace,
                    burst,
                } = ratio;
                of(&scripts::BUCKET, &[permit, pace, burst], burst, even(ratio))
            }
            Algorithm::FixedWindow => of(&scripts::WINDOW, &[per, count], count, windows),
            Algorithm::SlidingWindow => of(&scripts::LOG, &[per, count], count, windows),
            Algorithm::SlidingWindowCounter => {
                let Counters { tick, .. } = Counters::new(per, count);
                of(&scripts::COUNTERS, &[per, count, tick], count, windows)
            }
            Algorithm::Adaptive => {
                let (ratio, scale) = scaled(rate);
                let Ratio {
                    permit,
                    pace,
                    burst,
                } = ratio;
                let interval = micros(settings.interval.unwrap_or(default::INTERVAL));
                let params = [
                    permit,
                    pace,
                    burst,
                    scale,
                    lowest(settings, rate),
                    interval,
                    millionths(settings.adaptive_threshold.unwrap_or(default::THRESHOLD)),
                    millionths(settings.backoff_factor.unwrap_or(default::BACKOFF)),
                    millionths(settings.recovery_factor.unwrap_or(default::RECOVERY)),
                ];
                of(&scripts::ADAPTING, &params, burst, even(ratio))
            }
        })
    }

    /// What the script is told of the limit.
    pub(super) fn args(&self) -> impl Iterator<Item = Arg> + '_ {
        self.params[..self.used]
            .iter()
            .map(|param| Arg::Int(*param))
    }

    /// The three numbers that a bucket is.
    pub(super) fn bucket(&self) -> Option<[i64; 3]> {
        let [permit, pace, burst, ..] = self.params;
        std::ptr::eq(self.script, &raw const scripts::BUCKET).then_some([permit, pace, burst])
    }

    /// How long it takes at least until permits have come for `behind` more, once those for a `first` are
    /// there.
    pub(super) fn at_least(&self, first: u32, behind: u64) -> Duration {
        let behind = i128::from(behind);
        let micros = match self.pace {
            Pace::Even { per, count } => behind * i128::from(per) / i128::from(count),
            Pace::Windows { per, count } => {
                let (first, count) = (i128::from(first), i128::from(count));
                (first + behind - 1).max(0) / count * i128::from(per)
            }
        };
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}

fn even(ratio: Ratio) -> Pace {
    Pace::Even {
        per: ratio.permit,
        count: ratio.pace,
    }
}

/// The lowest level of an adaptive limit.
fn lowest(settings: &RateLimiterSettings, rate: Rate) -> i64 {
    let whole = i128::from(WHOLE);
    let lowest = match settings.min_rate {
        None => whole / 10,
        Some(min) => {
            let (min_count, min_per) = (i128::from(min.count()), i128::from(micros(min.per())));
            let (count, per) = (i128::from(rate.count()), i128::from(micros(rate.per())));
            (whole * min_count * per) / (min_per * count).max(1)
        }
    };
    i64::try_from(lowest.clamp(1, whole)).unwrap_or(WHOLE)
}

fn millionths(factor: f64) -> i64 {
    let whole = WHOLE as f64;
    ((factor.min(LARGEST_FACTOR) * whole).round() as i64).max(1)
}
