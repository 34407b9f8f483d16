//! The settings in force, as a limit.

use std::time::Duration;

use super::{Algorithm, RateLimiterSettings, settings::default};
use crate::{
    algorithm::{
        adaptive::AdaptiveSettings,
        decision::{Decision, Unrepresentable},
        limit::Limit,
        pace::period,
    },
    clock,
    policy::Switch,
    rate::Rate,
};

/// What a limiter goes by.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    settings: RateLimiterSettings,
    pub(super) limit: Limit,
    /// Only where a caller could be refused.
    pub(super) max_wait: Option<Duration>,
    pub(super) max_keys: u32,
    pub(super) enforce: bool,
    /// The limit is not here, but in the store.
    pub(super) shared: bool,
    /// The policy is not there.
    pub(super) off: bool,
    /// Others were in force before these: something may be owed from then.
    succeeds: bool,
}

/// All the rest follows from these.
impl PartialEq for Rules {
    fn eq(&self, other: &Self) -> bool {
        let of = |rules: &Self| (rules.settings, rules.off, rules.succeeds);
        of(self) == of(other)
    }
}

impl Rules {
    /// Of settings that were checked, in force in place of others.
    pub(super) fn switched(settings: &RateLimiterSettings, switch: Switch) -> Self {
        let rules = Self::new(settings);
        Self {
            limit: rules.limit.overdrawn(),
            off: switch == Switch::Off,
            succeeds: true,
            ..rules
        }
    }

    /// Of settings that were checked.
    pub(super) fn new(settings: &RateLimiterSettings) -> Self {
        let rate = settings.rate.unwrap_or(Rate::OF_THE_CALL);
        let limit = limit(settings, rate);
        Self {
            settings: *settings,
            limit: limit.unwrap_or_else(|error| unreachable!("checked settings: {error}")),
            max_wait: settings
                .max_wait
                .filter(|_| settings.enforce.unwrap_or(true)),
            max_keys: settings.max_keys.unwrap_or(default::MAX_KEYS),
            enforce: settings.enforce.unwrap_or(true),
            shared: settings.shared.unwrap_or(false),
            off: false,
            succeeds: false,
        }
    }

    /// As they are written.
    pub(super) fn settings(&self) -> &RateLimiterSettings {
        &self.settings
    }

    /// The answer where the policy is not there.
    pub(super) fn past(&self) -> Decision {
        Decision::past(self.limit.largest())
    }

    /// Whether outcomes move the limit.
    pub(super) fn is_adaptive(&self) -> bool {
        matches!(self.limit, Limit::Adaptive(_))
    }

    /// The limit of a key with a rate of its own. `None`: a rate that lets nothing through.
    ///
    /// It comes from the program at run time; one beyond what can be counted is brought to that. The next
    /// call may bring another, so what is owed stays owed as after other settings.
    pub(super) fn at_rate(&self, rate: Rate) -> Option<Limit> {
        let fixed = match period(rate) {
            Ok(_) => rate,
            Err(Unrepresentable::TooLong) => {
                Rate::new(rate.count(), Duration::from_nanos(u64::MAX))
            }
            Err(Unrepresentable::TooFast) => Rate::OF_THE_CALL,
            Err(_) => return None,
        };
        limit(&self.settings, fixed).ok().map(Limit::overdrawn)
    }
}

fn limit(settings: &RateLimiterSettings, rate: Rate) -> Result<Limit, Unrepresentable> {
    match settings.algorithm_in_force() {
        Algorithm::TokenBucket | Algorithm::LeakyBucket => {
            Limit::bucket(rate, settings.burst.unwrap_or(rate.count()))
        }
        Algorithm::FixedWindow => {
            let now = clock::now();
            Limit::fixed_window(rate, now, clock::since_epoch(now))
        }
        Algorithm::SlidingWindow => Limit::sliding_log(rate),
        Algorithm::SlidingWindowCounter => Limit::sliding_counter(rate),
        Algorithm::Adaptive => Limit::adaptive(AdaptiveSettings {
            rate,
            // A key with a rate of its own has its own lower end, too.
            min_rate: settings
                .min_rate
                .or_else(|| RateLimiterSettings::new().rate(rate).min_rate_in_force()),
            interval: settings.interval.unwrap_or(default::INTERVAL),
            threshold: settings.adaptive_threshold.unwrap_or(default::THRESHOLD),
            backoff: settings.backoff_factor.unwrap_or(default::BACKOFF),
            recovery: settings.recovery_factor.unwrap_or(default::RECOVERY),
        }),
    }
}
