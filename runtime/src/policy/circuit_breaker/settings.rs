//! What a circuit breaker can be told.

use std::{num::NonZeroU32, time::Duration};

use super::{Cancelled, CircuitBreaker, CircuitPreset, Window};
use crate::{
    algorithm::circuit::{CircuitConfig, Recovery},
    kind::PolicyKind,
    policy::{
        settings::{PRESET, PolicySettings, Problem, Setting, Written, settings},
        shared::{OnStoreError, needs_shared},
    },
};

settings! {
    /// Makes a [`CircuitBreaker`].
    ///
    /// Without a single setting it opens at 5 consecutive failures, stays open for a minute, and closes
    /// when 3 probes have succeeded.
    ///
    /// ```
    /// use std::time::Duration;
    /// use steadfast::CircuitBreaker;
    ///
    /// # fn main() -> Result<(), steadfast::ConfigError> {
    /// let breaker = CircuitBreaker::builder("quotes")
    ///     .failure_rate(0.5)
    ///     .window(Duration::from_secs(30))
    ///     .minimum_calls(20)
    ///     .recovery_timeout(Duration::from_secs(10))
    ///     .build()?;
    /// # let _ = breaker;
    /// # Ok(())
    /// # }
    /// ```
    CircuitBreakerSettings, CircuitBreakerBuilder => CircuitBreaker;

    /// What the settings are that nothing else sets. Default: those named with each.
    preset: CircuitPreset,
    /// Consecutive failures that open it, at least 1. Default 5; off where `failure_rate` is set and
    /// this is not.
    failure_threshold: u32,
    /// The share of failures in the window that opens it: it does once the share is as high. Above 0, at
    /// most 1. Default: off.
    failure_rate: f64,
    /// Which calls the rates are taken over: the last so many, or those of the last while. Default: the
    /// last 100.
    window: Window [into],
    /// Outcomes in the window before a rate means anything, at least 1, with a count window at most its
    /// size; only with `failure_rate` or `slow_call`. Default 10, or the size of a smaller count window.
    minimum_calls: u32,
    /// A call that takes longer is slow, time spent waiting in the policies below not counted. Default:
    /// off.
    slow_call: Duration,
    /// The share of slow calls in the window that opens it, above 0, at most 1; only with `slow_call`.
    /// Default 0.5.
    slow_call_rate: f64,
    /// How long it stays open before it lets probes through. Default 60 s.
    recovery_timeout: Duration,
    /// The share of the open time that is added at random, from 0 to 1, so that a fleet does not probe at
    /// once. Default 0.
    recovery_jitter: f64,
    /// Doubles the open time at each failed recovery, up to this (jitter comes on top). Default: off.
    max_recovery_timeout: Duration,
    /// Probes in flight at once while half-open, at least 1. Default: `success_threshold`.
    half_open_requests: u32,
    /// Probes that must succeed to close it, at least 1. Default 3.
    success_threshold: u32,
    /// A probe that has not ended by then has lost its place, and its result no longer counts. Default:
    /// `recovery_timeout`.
    half_open_timeout: Duration,
    /// What a call counts as that was dropped by its caller. Default: nothing.
    cancelled: Cancelled,
    /// Circuits that are remembered where there is one per key, at least 1. Default 10 000.
    max_keys: u32,
    /// `false`: decides, records and tells, but lets every call through. Default `true`.
    enforce: bool,
    /// Keeps its state in the registry's [store](crate::Store), so that all instances of a service act as
    /// one. Default: false.
    shared: bool,
    /// What happens while the store is away; only with `shared`: `local` goes on as if it were not shared,
    /// `allow` lets everything through and counts nothing, `deny` refuses. Default: local.
    on_store_error: OnStoreError,
    /// Instances that must have reached `failure_threshold` to open it for all, at least 1; only with
    /// `shared`. One that has reached it counts until one of its calls succeeds, and for `recovery_timeout`
    /// after its last report. Default: 1.
    quorum: u32,
}

const FAILURE_THRESHOLD: u32 = 5;
const MINIMUM_CALLS: u32 = 10;
const SLOW_CALL_RATE: f64 = 0.5;
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(60);
const SUCCESS_THRESHOLD: u32 = 3;
const MAX_KEYS: u32 = 10_000;

impl CircuitBreakerSettings {
    pub(crate) const fn problem(&self) -> Option<Problem> {
        if let Some(problem) = self.problem_with_counts() {
            return Some(problem);
        }
        if let Some(problem) = self.problem_with_times() {
            return Some(problem);
        }
        if let Some(problem) = self.problem_with_shares() {
            return Some(problem);
        }
        if is_zero(self.quorum) {
            return Some(Problem::new("quorum", "`quorum` must be at least 1"));
        }
        let filled = self.filled();
        if self.quorum.is_some()
            && filled.failure_rate.is_some()
            && filled.failure_threshold.is_none()
        {
            return Some(Problem::new(
                "quorum",
                "`quorum` counts instances that have reached their `failure_threshold`, which is off beside `failure_rate`: set it too, or leave `quorum` out",
            ));
        }
        needs_shared!(self; on_store_error, quorum)
    }

    const fn problem_with_counts(&self) -> Option<Problem> {
        let filled = self.filled();
        let (setting, message) = if is_zero(self.failure_threshold) {
            (
                "failure_threshold",
                "`failure_threshold` must be at least 1",
            )
        } else if is_zero(self.minimum_calls) {
            ("minimum_calls", "`minimum_calls` must be at least 1")
        } else if self.minimum_calls.is_some() && !filled.has_rate() {
            (
                "minimum_calls",
                "`minimum_calls` is for rates: set `failure_rate` or `slow_call`, or leave it away",
            )
        } else if self.minimum_exceeds_window() && self.preset.is_some() && self.window.is_none() {
            (
                "minimum_calls",
                "`minimum_calls` exceeds the `window` of the preset, and would never be reached: write `window` too",
            )
        } else if self.minimum_exceeds_window() {
            (
                "minimum_calls",
                "`minimum_calls` must not exceed a `window` of calls (100 where it is not set): it would never be reached",
            )
        } else if is_zero(self.half_open_requests) {
            (
                "half_open_requests",
                "`half_open_requests` must be at least 1: without a probe it would never close",
            )
        } else if is_zero(self.success_threshold) {
            (
                "success_threshold",
                "`success_threshold` must be at least 1: only a successful probe closes it",
            )
        } else if is_zero(self.max_keys) {
            ("max_keys", "`max_keys` must be at least 1")
        } else {
            return None;
        };
        Some(Problem::new(setting, message))
    }

    const fn problem_with_times(&self) -> Option<Problem> {
        let (setting, message) = if is_instant(self.slow_call) {
            (
                "slow_call",
                "`slow_call` must be longer than zero: every call would be slow",
            )
        } else if is_instant(self.recovery_timeout) {
            (
                "recovery_timeout",
                "`recovery_timeout` must be longer than zero",
            )
        } else if is_instant(self.half_open_timeout) {
            (
                "half_open_timeout",
                "`half_open_timeout` must be longer than zero: a probe needs some time",
            )
        } else if let Some(window) = self.window
            && window.is_empty()
        {
            (
                "window",
                "`window` must hold at least one call, or be longer than zero",
            )
        } else if let Some(longest) = self.max_recovery_timeout
            && longest.as_nanos() < self.recovery_time().as_nanos()
            && self.preset.is_some()
            && self.recovery_timeout.is_none()
        {
            (
                "max_recovery_timeout",
                "`max_recovery_timeout` is under the `recovery_timeout` of the preset: write `recovery_timeout` too",
            )
        } else if let Some(longest) = self.max_recovery_timeout
            && longest.as_nanos() < self.recovery_time().as_nanos()
        {
            (
                "max_recovery_timeout",
                "`max_recovery_timeout` must not be shorter than `recovery_timeout` (60 s where it is not set)",
            )
        } else {
            return None;
        };
        Some(Problem::new(setting, message))
    }

    const fn problem_with_shares(&self) -> Option<Problem> {
        let (setting, message) = if !is_share(self.failure_rate) {
            (
                "failure_rate",
                "`failure_rate` must be above 0 and at most 1: `0.5` is every second call",
            )
        } else if !is_share(self.slow_call_rate) {
            (
                "slow_call_rate",
                "`slow_call_rate` must be above 0 and at most 1: `0.5` is every second call",
            )
        } else if self.slow_call_rate.is_some() && self.slow_call.is_none() {
            (
                "slow_call_rate",
                "`slow_call_rate` needs `slow_call`, which says when a call is slow",
            )
        } else if let Some(jitter) = self.recovery_jitter
            && !(jitter >= 0.0 && jitter <= 1.0)
        {
            (
                "recovery_jitter",
                "`recovery_jitter` must be from 0 to 1: `0.2` adds up to a fifth of the open time",
            )
        } else {
            return None;
        };
        Some(Problem::new(setting, message))
    }

    /// With what the preset says where nothing is written.
    pub(super) const fn filled(self) -> Self {
        let Some(preset) = self.preset else {
            return self;
        };
        let filled = self.or(preset.settings());
        match self.minimum_calls {
            Some(_) => filled,
            None => filled.with_minimum_in_window(),
        }
    }

    /// A minimum that nobody has written never keeps a window from meaning something.
    const fn with_minimum_in_window(mut self) -> Self {
        if let (Some(minimum), Some(Window::Count(calls))) = (self.minimum_calls, self.window)
            && calls > 0
            && calls < minimum
        {
            self.minimum_calls = Some(calls);
        }
        self
    }

    const fn has_rate(&self) -> bool {
        self.failure_rate.is_some() || self.slow_call.is_some()
    }

    const fn minimum_exceeds_window(&self) -> bool {
        let window = match self.filled().window {
            Some(window) => window,
            None => Window::DEFAULT,
        };
        match (self.minimum_calls, window) {
            (Some(minimum), Window::Count(calls)) => calls > 0 && minimum > calls,
            _ => false,
        }
    }

    /// The outcomes that a rate needs: what is written, else what the window can hold.
    fn minimum(&self) -> u32 {
        let most = match self.window.unwrap_or(Window::DEFAULT) {
            Window::Count(calls) => calls,
            Window::Time(_) => u32::MAX,
        };
        self.minimum_calls.unwrap_or(MINIMUM_CALLS.min(most))
    }

    const fn recovery_time(&self) -> Duration {
        match self.filled().recovery_timeout {
            Some(timeout) => timeout,
            None => RECOVERY_TIMEOUT,
        }
    }

    /// The consecutive failures in force: a rate takes the place of the default.
    fn threshold(&self) -> Option<u32> {
        let default = self.failure_rate.is_none().then_some(FAILURE_THRESHOLD);
        self.failure_threshold.or(default)
    }

    fn probes_to_close(&self) -> u32 {
        self.success_threshold.unwrap_or(SUCCESS_THRESHOLD)
    }

    fn slow_rate(&self) -> Option<f64> {
        self.slow_call
            .map(|_| self.slow_call_rate.unwrap_or(SLOW_CALL_RATE))
    }

    pub(super) fn keys(&self) -> u32 {
        self.max_keys.unwrap_or(MAX_KEYS)
    }

    /// What the machine is to do. Numbers that the checks would refuse become the least possible.
    pub(super) fn config(&self) -> CircuitConfig {
        let recovery_timeout = self.recovery_time();
        CircuitConfig {
            failure_threshold: self.threshold().map(at_least_one),
            failure_rate: self.failure_rate,
            slow_rate: self.slow_rate(),
            window: self.window.unwrap_or(Window::DEFAULT).span(),
            minimum_calls: at_least_one(self.minimum()),
            recovery: Recovery {
                timeout: recovery_timeout,
                longest: self.max_recovery_timeout,
                jitter: self.recovery_jitter.unwrap_or(0.0),
            },
            half_open_requests: at_least_one(
                self.half_open_requests.unwrap_or(self.probes_to_close()),
            ),
            success_threshold: at_least_one(self.probes_to_close()),
            half_open_timeout: self.half_open_timeout.unwrap_or(recovery_timeout),
        }
    }
}

const fn is_zero(count: Option<u32>) -> bool {
    matches!(count, Some(0))
}

const fn is_instant(time: Option<Duration>) -> bool {
    matches!(time, Some(Duration::ZERO))
}

/// False for "not a number", too.
const fn is_share(rate: Option<f64>) -> bool {
    match rate {
        Some(rate) => rate > 0.0 && rate <= 1.0,
        None => true,
    }
}

fn at_least_one(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}

impl PolicySettings for CircuitBreakerSettings {
    const KIND: PolicyKind = PolicyKind::CircuitBreaker;

    fn is_shared(&self) -> bool {
        self.shared.unwrap_or(false)
    }

    fn is_preset(&self, setting: &str) -> bool {
        let says = |preset: CircuitPreset| preset.settings().is_written(setting);
        !self.is_written(setting) && self.preset.is_some_and(says)
    }

    fn unfolded(self) -> Self {
        Self {
            preset: None,
            ..self.filled()
        }
    }

    fn fitted(mut self, is_presets: impl Fn(&str) -> bool, _: bool) -> Self {
        if !is_presets("minimum_calls") {
            return self;
        }
        if !is_presets("failure_rate") && !self.filled().has_rate() {
            // Of what was taken away.
            self.minimum_calls = None;
        }
        match is_presets("window") {
            true => self,
            false => self.with_minimum_in_window(),
        }
    }

    fn effective(&self) -> Vec<Setting> {
        let this = self.filled();
        let recovery_timeout = this.recovery_time();
        vec![
            Setting::new(PRESET, self.preset),
            Setting::new("failure_threshold", this.threshold()),
            Setting::new("failure_rate", this.failure_rate),
            Setting::new("window", this.window.unwrap_or(Window::DEFAULT)),
            Setting::new("minimum_calls", this.has_rate().then(|| this.minimum())),
            Setting::new("slow_call", this.slow_call),
            Setting::new("slow_call_rate", this.slow_rate()),
            Setting::new("recovery_timeout", recovery_timeout),
            Setting::new("recovery_jitter", this.recovery_jitter.unwrap_or(0.0)),
            Setting::new("max_recovery_timeout", this.max_recovery_timeout),
            Setting::new(
                "half_open_requests",
                this.half_open_requests.unwrap_or(this.probes_to_close()),
            ),
            Setting::new("success_threshold", this.probes_to_close()),
            Setting::new(
                "half_open_timeout",
                this.half_open_timeout.unwrap_or(recovery_timeout),
            ),
            Setting::new("cancelled", this.cancelled.unwrap_or_default()),
            Setting::new("max_keys", this.keys()),
            Setting::new("enforce", this.enforce.unwrap_or(true)),
            Setting::new("shared", this.is_shared()),
            Setting::new(
                "on_store_error",
                this.is_shared()
                    .then(|| this.on_store_error.unwrap_or_default()),
            ),
            Setting::new(
                "quorum",
                this.threshold()
                    .filter(|_| this.is_shared())
                    .map(|_| this.quorum.unwrap_or(1)),
            ),
        ]
    }
}

#[cfg(all(test, not(steadfast_loom)))]
mod tests {
    use super::*;
    use crate::policy::settings::tests::{documented, table};

    fn preset(preset: CircuitPreset) -> CircuitBreakerSettings {
        CircuitBreakerSettings::new().preset(preset)
    }

    #[test]
    fn the_table_says_what_each_preset_is() {
        let presets = CircuitPreset::ALL.map(|each| (each.as_str(), preset(each), each.settings()));
        let rows = table(&presets);
        assert_eq!(rows, documented(include_str!("preset.rs")));
    }

    #[test]
    fn each_preset_is_good_as_it_stands() {
        for each in CircuitPreset::ALL {
            assert_eq!(preset(each).check(), Ok(()));
        }
    }

    #[test]
    fn what_is_written_goes_before_what_the_preset_says() {
        let settings = preset(CircuitPreset::HighVolume).failure_rate(0.1);
        let config = settings.filled().config();
        assert_eq!(config.failure_rate, Some(0.1));
        assert_eq!(config.failure_threshold, None);
        assert_eq!(config.minimum_calls.get(), 100);
        assert_eq!(config.success_threshold.get(), 10);
    }

    #[test]
    fn a_small_window_lowers_the_minimum_that_the_preset_says() {
        let settings = preset(CircuitPreset::HighVolume).window(Window::Count(40));
        assert_eq!(settings.check(), Ok(()));
        assert_eq!(settings.filled().config().minimum_calls.get(), 40);
    }

    #[test]
    fn mistakes_beside_a_preset_are_told_by_their_setting() {
        let high = preset(CircuitPreset::HighVolume);
        let low = preset(CircuitPreset::LowVolume);
        for (settings, setting) in [
            (
                high.max_recovery_timeout(Duration::from_secs(1)),
                "max_recovery_timeout",
            ),
            (low.minimum_calls(21), "minimum_calls"),
            (high.shared(true).quorum(2), "quorum"),
        ] {
            assert_eq!(settings.check().map_err(|p| p.setting), Err(setting));
        }
        // What is a mistake without it.
        for settings in [high.minimum_calls(7), low.shared(true).quorum(2)] {
            assert_eq!(settings.check(), Ok(()));
        }
    }
}
