//! What a rate limiter can be told.

use std::time::Duration;

use super::{Algorithm, RateLimiter};
use crate::{
    algorithm::{decision::Unrepresentable, pace::period},
    kind::PolicyKind,
    policy::{
        settings::{PolicySettings, Problem, Setting, Show, settings},
        shared::{Mode, OnStoreError, needs_shared, no_instances},
    },
    rate::Rate,
};

settings! {
    /// Makes a [`RateLimiter`].
    RateLimiterSettings, RateLimiterBuilder => RateLimiter;

    /// Permits in a time, neither of them zero. Required.
    rate: Rate,
    /// Size of the bucket (token and leaky bucket), at least 1. Default: the rate's count.
    burst: u32,
    /// How calls are counted. Default: token bucket.
    algorithm: Algorithm,
    /// Keys that are remembered, at least 1: only those whose limit is as if unused are forgotten, and
    /// where there are none, new keys share a few overflow limits. Default: 100 000.
    max_keys: u32,
    /// How long a caller waits for its turn, longer than zero. Default: not at all.
    max_wait: Duration,
    /// Lower end of an adaptive limit, at most `rate`. Default: a tenth of `rate`.
    min_rate: Rate,
    /// An adaptive limit makes one step in this time, longer than zero. Default: 1 s.
    interval: Duration,
    /// Share of successes, above 0 and at most 1, below which an adaptive limit backs off.
    /// Default: 0.8.
    adaptive_threshold: f64,
    /// What an adaptive limit is multiplied by when it backs off, above 0 and below 1. Default: 0.7.
    backoff_factor: f64,
    /// What an adaptive limit is multiplied by when it recovers, above 1. Default: 1.2.
    recovery_factor: f64,
    /// `false`: counts and tells, but lets every call through. Default: true.
    enforce: bool,
    /// Keeps its state in the registry's [store](crate::Store), so that all instances of a service act as
    /// one. Default: false.
    shared: bool,
    /// How often the store is asked; only with `shared`. Default: for each decision.
    mode: Mode,
    /// What happens while the store is away; only with `shared`. Default: local.
    on_store_error: OnStoreError,
    /// By how many instances a limit is divided at least while this one goes by itself, at least 1; only
    /// with `shared`. Default: 1, or as many as were last seen.
    instances: u32,
}

/// The defaults that are no function of other settings.
pub(super) mod default {
    use std::time::Duration;

    pub(crate) const MAX_KEYS: u32 = 100_000;
    pub(crate) const INTERVAL: Duration = Duration::from_secs(1);
    pub(crate) const THRESHOLD: f64 = 0.8;
    pub(crate) const BACKOFF: f64 = 0.7;
    pub(crate) const RECOVERY: f64 = 1.2;
}

impl RateLimiterSettings {
    pub(crate) const fn problem(&self) -> Option<Problem> {
        if let Some(problem) = self.rate_problem() {
            return Some(problem);
        }
        if let Some(problem) = self.size_problem() {
            return Some(problem);
        }
        let algorithm = match self.algorithm {
            Some(Algorithm::Adaptive) => self.adaptive_problem(),
            _ => self.needs_adaptive(),
        };
        if algorithm.is_some() {
            return algorithm;
        }
        match no_instances(self.instances) {
            None => needs_shared!(self; mode, on_store_error, instances),
            some => some,
        }
    }

    const fn rate_problem(&self) -> Option<Problem> {
        if let Some(rate) = self.rate
            && let Err(error) = period(rate)
        {
            return Some(Problem::new("rate", error.message()));
        }
        if let Some(rate) = self.min_rate
            && let Err(error) = period(rate)
        {
            return Some(Problem::new("min_rate", error.message()));
        }
        None
    }

    const fn size_problem(&self) -> Option<Problem> {
        if let Some(0) = self.burst {
            return Some(Problem::new("burst", Unrepresentable::NoBurst.message()));
        }
        if self.burst.is_some() && !self.is_bucket() {
            return Some(Problem::new(
                "burst",
                "`burst` is the size of a token or leaky bucket, and this algorithm has none: leave `burst` out",
            ));
        }
        if let Some(0) = self.max_keys {
            return Some(Problem::new(
                "max_keys",
                "`max_keys` must be at least 1: some key has to be remembered",
            ));
        }
        match self.max_wait {
            Some(wait) if wait.is_zero() => Some(Problem::new(
                "max_wait",
                "`max_wait` must be longer than zero: leave it out to refuse at once",
            )),
            _ => None,
        }
    }

    const fn is_bucket(&self) -> bool {
        matches!(
            self.algorithm,
            None | Some(Algorithm::TokenBucket | Algorithm::LeakyBucket)
        )
    }

    const fn needs_adaptive(&self) -> Option<Problem> {
        macro_rules! needs_adaptive {
            ($($setting:ident),*) => {$(
                if self.$setting.is_some() {
                    return Some(Problem::new(
                        stringify!($setting),
                        concat!("`", stringify!($setting), "` does nothing without `algorithm = adaptive`: write that too"),
                    ));
                }
            )*};
        }
        needs_adaptive!(
            min_rate,
            interval,
            adaptive_threshold,
            backoff_factor,
            recovery_factor
        );
        None
    }

    const fn adaptive_problem(&self) -> Option<Problem> {
        if let (Some(min), Some(max)) = (self.min_rate, self.rate)
            && exceeds(min, max)
        {
            return Some(Problem::new(
                "min_rate",
                "`min_rate` is above `rate`: write a lower one, at most `rate`",
            ));
        }
        if let Some(interval) = self.interval
            && interval.is_zero()
        {
            return Some(Problem::new(
                "interval",
                "`interval` must be longer than zero: write \"1s\"",
            ));
        }
        if let Some(share) = self.adaptive_threshold
            && !(share > 0.0 && share <= 1.0)
        {
            return Some(Problem::new(
                "adaptive_threshold",
                "`adaptive_threshold` is a share of calls: write a number above 0 and at most 1",
            ));
        }
        if let Some(factor) = self.backoff_factor
            && !(factor > 0.0 && factor < 1.0)
        {
            return Some(Problem::new(
                "backoff_factor",
                "`backoff_factor` must make the limit lower: write a number above 0 and below 1",
            ));
        }
        if let Some(factor) = self.recovery_factor
            && !(factor > 1.0 && factor <= f64::MAX)
        {
            return Some(Problem::new(
                "recovery_factor",
                "`recovery_factor` must make the limit higher: write a number above 1",
            ));
        }
        None
    }

    pub(super) const fn algorithm_in_force(&self) -> Algorithm {
        match self.algorithm {
            Some(algorithm) => algorithm,
            None => Algorithm::TokenBucket,
        }
    }

    /// The lower end of an adaptive limit, where its default can be written as a rate.
    pub(super) fn min_rate_in_force(&self) -> Option<Rate> {
        let tenth = |rate: Rate| match rate.count() % 10 {
            0 => Rate::new(rate.count() / 10, rate.per()),
            _ => Rate::new(rate.count(), rate.per().saturating_mul(10)),
        };
        self.min_rate
            .or_else(|| self.rate.map(tenth))
            .filter(|&rate| period(rate).is_ok())
    }
}

/// Whether `a` is the higher rate.
const fn exceeds(a: Rate, b: Rate) -> bool {
    a.count() as u128 * b.per().as_nanos() > b.count() as u128 * a.per().as_nanos()
}

impl PolicySettings for RateLimiterSettings {
    const KIND: PolicyKind = PolicyKind::RateLimiter;

    fn is_shared(&self) -> bool {
        self.shared.unwrap_or(false)
    }

    fn effective(&self) -> Vec<Setting> {
        let bucket = self
            .is_bucket()
            .then(|| self.burst.or_else(|| self.rate.map(Rate::count)))
            .flatten();
        let adaptive = self.algorithm_in_force() == Algorithm::Adaptive;
        let factor = |written: Option<f64>, default| adaptive.then(|| written.unwrap_or(default));
        vec![
            Setting::new("rate", self.rate),
            Setting::new("burst", bucket),
            Setting::new("algorithm", self.algorithm_in_force()),
            Setting::new("max_keys", self.max_keys.unwrap_or(default::MAX_KEYS)),
            Setting::new("max_wait", self.max_wait),
            Setting::new(
                "min_rate",
                if adaptive {
                    self.min_rate_in_force()
                } else {
                    None
                },
            ),
            Setting::new(
                "interval",
                adaptive.then(|| self.interval.unwrap_or(default::INTERVAL)),
            ),
            Setting::new(
                "adaptive_threshold",
                factor(self.adaptive_threshold, default::THRESHOLD),
            ),
            Setting::new(
                "backoff_factor",
                factor(self.backoff_factor, default::BACKOFF),
            ),
            Setting::new(
                "recovery_factor",
                factor(self.recovery_factor, default::RECOVERY),
            ),
            Setting::new("enforce", self.enforce.unwrap_or(true)),
            Setting::new("shared", self.is_shared()),
            Setting::new(
                "mode",
                self.is_shared().then(|| self.mode.unwrap_or_default()),
            ),
            Setting::new(
                "on_store_error",
                self.is_shared()
                    .then(|| self.on_store_error.unwrap_or_default()),
            ),
            Setting::new(
                "instances",
                self.is_shared().then(|| self.instances.unwrap_or(1)),
            ),
        ]
    }

    fn brought(&self) -> &'static [&'static str] {
        &["rate"]
    }

    fn missing(&self) -> Option<&'static str> {
        self.rate.is_none().then_some("rate")
    }

    fn harmless(self) -> Self {
        self.rate(self.rate.unwrap_or(Rate::OF_THE_CALL))
    }
}

impl Show for Rate {
    fn show(&self) -> String {
        match *self {
            Self::OF_THE_CALL => "of the call".to_owned(),
            rate => rate.to_string(),
        }
    }
}
