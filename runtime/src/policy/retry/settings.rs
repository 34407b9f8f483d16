//! What a retry can be told.

use std::time::Duration;

use super::{Retry, RetryPreset};
use crate::{
    algorithm::{backoff::Backoff, budget::Share, jitter::Jitter, schedule::Schedule},
    kind::PolicyKind,
    policy::{
        Switch,
        settings::{PRESET, PolicySettings, Problem, Setting, Show, Written, settings},
    },
};

settings! {
    /// Makes a [`Retry`].
    RetrySettings, RetryBuilder => Retry;

    /// What the settings are that nothing else sets. Default: those named with each.
    preset: RetryPreset,
    /// Attempts in all, the first included; at least 1. Default: 3.
    max_attempts: u32,
    /// How the delay grows. Default: exponential.
    backoff: Backoff,
    /// The delay that the backoff starts from, longer than zero. Default: 1 s.
    base_delay: Duration,
    /// The longest delay, jitter included; at least `base_delay`. Default: 60 s.
    max_delay: Duration,
    /// What an exponential delay is multiplied by each time, at least 1. Default: 2.
    multiplier: f64,
    /// How the delays are spread out. Default: full.
    jitter: Jitter,
    /// No delay is begun that would end later than this after the first attempt began. A running
    /// attempt is not cut off: that is a timeout's work. Default: no limit.
    max_elapsed: Duration,
    /// Whether an attempt that a timeout cut off is made again: set it to false where the call may not
    /// happen twice. Default: true.
    timeouts: bool,
    /// Retries for each call in the long run, more than 0: 0.2 is one retry in five calls, after a
    /// reserve of 100. It keeps an outage from being met by a storm of retries. Polling is not
    /// counted. Default: no limit.
    budget: f64,
    /// Whether a refusal by a policy further in is retried too, after its `retry_after` at the
    /// earliest. Default: false.
    rejections: bool,
}

/// What is in force.
#[derive(Debug, PartialEq)]
pub(super) struct Terms {
    pub(super) settings: RetrySettings,
    pub(super) plan: Plan,
}

impl Terms {
    pub(super) fn new(settings: RetrySettings, switch: Switch) -> Self {
        let plan = match switch {
            Switch::Off => Plan::NONE,
            _ => settings.plan(),
        };
        Self { settings, plan }
    }

    /// Whether there is a budget, be it that nothing is made of it while the retry is switched off.
    pub(super) fn has_budget(&self) -> bool {
        self.settings.filled().budget.is_some()
    }
}

/// What a call goes by, from its first attempt to its last.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Plan {
    /// The retry is switched on. If not, it neither judges nor counts.
    pub(super) is_on: bool,
    pub(super) schedule: Schedule,
    pub(super) max_attempts: u32,
    pub(super) max_elapsed: Option<Duration>,
    pub(super) timeouts: bool,
    pub(super) share: Option<Share>,
    pub(super) rejections: bool,
    /// Nothing is to be done for it before the first attempt.
    pub(super) is_free_at_first: bool,
}

impl Plan {
    /// As if there were no retry.
    const NONE: Self = Self {
        is_on: false,
        schedule: Schedule::NONE,
        max_attempts: 1,
        max_elapsed: None,
        timeouts: false,
        share: None,
        rejections: false,
        is_free_at_first: false,
    };
}

const BASE_DELAY: Duration = Duration::from_secs(1);
const MAX_DELAY: Duration = Duration::from_secs(60);
const MULTIPLIER: f64 = 2.0;

impl RetrySettings {
    pub(crate) const fn problem(&self) -> Option<Problem> {
        if let Some(0) = self.max_attempts {
            return Some(Problem::new(
                "max_attempts",
                "`max_attempts` must be at least 1: the first attempt counts, so 1 never retries",
            ));
        }
        if let Some(problem) = self.delay_problem() {
            return Some(problem);
        }
        match (self.multiplier, self.filled().backoff) {
            (Some(_), Some(Backoff::Linear | Backoff::Fixed)) => {
                return Some(Problem::new(
                    "multiplier",
                    "`multiplier` does nothing without `backoff = exponential`: leave it out",
                ));
            }
            (Some(multiplier), _) if !(multiplier >= 1.0 && multiplier.is_finite()) => {
                return Some(Problem::new(
                    "multiplier",
                    "`multiplier` must be at least 1: below it the delays would shrink",
                ));
            }
            _ => {}
        }
        match (self.jitter, self.budget) {
            (Some(Jitter::Fraction(fraction)), _) if !(fraction >= 0.0 && fraction <= 1.0) => {
                Some(Problem::new(
                    "jitter",
                    "`jitter` as a fraction lies between 0.0 and 1.0: 0.1 is ten percent either way",
                ))
            }
            (_, Some(budget)) if !(budget > 0.0 && budget.is_finite()) => Some(Problem::new(
                "budget",
                "`budget` must be more than 0: 0.2 allows one retry in five calls",
            )),
            _ => None,
        }
    }

    const fn delay_problem(&self) -> Option<Problem> {
        if matches!(self.base_delay, Some(delay) if delay.is_zero()) {
            return Some(Problem::new(
                "base_delay",
                "`base_delay` must be longer than zero: write \"1ms\" to retry almost at once",
            ));
        }
        if matches!(self.max_elapsed, Some(time) if time.is_zero()) {
            return Some(Problem::new(
                "max_elapsed",
                "`max_elapsed` must be longer than zero: leave it out for no limit",
            ));
        }
        let (base, max) = (self.base_in_force(), self.max_in_force());
        if max.as_nanos() >= base.as_nanos() {
            return None;
        }
        Some(match (self.base_delay, self.max_delay) {
            (_, None) if self.preset.is_some() => Problem::new(
                "max_delay",
                "`base_delay` is over the `max_delay` of the preset: write `max_delay` too",
            ),
            (None, _) if self.preset.is_some() => Problem::new(
                "max_delay",
                "`max_delay` is under the `base_delay` of the preset: write `base_delay` too",
            ),
            (_, None) => Problem::new(
                "max_delay",
                "`base_delay` is over `max_delay`, which is 60s by default: write `max_delay` too",
            ),
            (None, _) => Problem::new(
                "max_delay",
                "`max_delay` is under `base_delay`, which is 1s by default: write `base_delay` too",
            ),
            _ => Problem::new(
                "max_delay",
                "`max_delay` is under `base_delay`: it must be at least as long",
            ),
        })
    }

    /// With what the preset says where nothing is written.
    const fn filled(self) -> Self {
        match self.preset {
            Some(preset) => self.or(preset.settings()),
            None => self,
        }
    }

    /// Beside a function that says each delay: a `base_delay` that has no effect there is under any
    /// `max_delay`.
    #[must_use]
    pub const fn of_function(mut self) -> Self {
        let (base, max) = (self.base_in_force(), self.max_in_force());
        if !self.is_decorrelated() && base.as_nanos() > max.as_nanos() {
            self.base_delay = Some(max);
        }
        self
    }

    /// Its delays start from `base_delay`, whatever the backoff.
    const fn is_decorrelated(&self) -> bool {
        matches!(self.filled().jitter, Some(Jitter::Decorrelated))
    }

    const fn base_in_force(&self) -> Duration {
        match self.filled().base_delay {
            Some(delay) => delay,
            None => BASE_DELAY,
        }
    }

    const fn max_in_force(&self) -> Duration {
        match self.filled().max_delay {
            Some(delay) => delay,
            None => MAX_DELAY,
        }
    }

    /// What an exponential delay is multiplied by; the others are not.
    fn multiplier_in_force(&self) -> Option<f64> {
        let this = self.filled();
        let is_exponential = this.backoff.unwrap_or_default() == Backoff::Exponential;
        is_exponential.then(|| this.multiplier.unwrap_or(MULTIPLIER))
    }

    pub(super) fn plan(&self) -> Plan {
        let this = self.filled();
        Plan {
            is_on: true,
            schedule: Schedule::new(
                this.backoff.unwrap_or_default(),
                this.jitter.unwrap_or_default(),
                this.base_in_force(),
                this.max_in_force(),
                this.multiplier.unwrap_or(MULTIPLIER),
            ),
            max_attempts: this.max_attempts.unwrap_or(3),
            max_elapsed: this.max_elapsed,
            timeouts: this.timeouts.unwrap_or(true),
            share: this.budget.map(Share::new),
            rejections: this.rejections.unwrap_or(false),
            is_free_at_first: this.budget.is_none() && this.max_elapsed.is_none(),
        }
    }
}

impl PolicySettings for RetrySettings {
    const KIND: PolicyKind = PolicyKind::Retry;

    const BROUGHT_BY: &'static str = "a function that says each delay";

    fn brought(&self) -> &'static [&'static str] {
        match self.is_decorrelated() {
            true => &["backoff", "multiplier"],
            false => &["backoff", "multiplier", "base_delay"],
        }
    }

    fn fitted(self, _: impl Fn(&str) -> bool, varying: bool) -> Self {
        match varying {
            true => self.of_function(),
            false => self,
        }
    }

    fn is_preset(&self, setting: &str) -> bool {
        let says = |preset: RetryPreset| preset.settings().is_written(setting);
        !self.is_written(setting) && self.preset.is_some_and(says)
    }

    fn unfolded(self) -> Self {
        Self {
            preset: None,
            ..self.filled()
        }
    }

    fn effective(&self) -> Vec<Setting> {
        let (this, plan) = (self.filled(), self.plan());
        vec![
            Setting::new(PRESET, self.preset),
            Setting::new("max_attempts", plan.max_attempts),
            Setting::new("backoff", this.backoff.unwrap_or_default()),
            Setting::new("base_delay", self.base_in_force()),
            Setting::new("max_delay", self.max_in_force()),
            Setting::new("multiplier", self.multiplier_in_force()),
            Setting::new("jitter", this.jitter.unwrap_or_default()),
            Setting::new("max_elapsed", plan.max_elapsed),
            Setting::new("timeouts", plan.timeouts),
            Setting::new("budget", this.budget),
            Setting::new("rejections", plan.rejections),
        ]
    }
}

impl Show for Backoff {
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Show for Jitter {
    fn show(&self) -> String {
        match self {
            // An attribute says it in a word.
            Self::Fraction(0.0) => Self::None.to_string(),
            jitter => jitter.to_string(),
        }
    }
}

#[cfg(all(test, not(steadfast_loom)))]
mod tests {
    use super::*;
    use crate::policy::settings::Written;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn each_mistake_is_told_by_its_setting() {
        let new = RetrySettings::new;
        let cases = [
            (new().max_attempts(0), "max_attempts"),
            (new().base_delay(Duration::ZERO), "base_delay"),
            (new().max_delay(Duration::ZERO), "max_delay"),
            (new().base_delay(seconds(61)), "max_delay"),
            (new().max_delay(seconds(1) / 2), "max_delay"),
            (
                new().base_delay(seconds(9)).max_delay(seconds(8)),
                "max_delay",
            ),
            (new().max_elapsed(Duration::ZERO), "max_elapsed"),
            (new().multiplier(0.99), "multiplier"),
            (new().multiplier(f64::NAN), "multiplier"),
            (new().multiplier(f64::INFINITY), "multiplier"),
            (new().backoff(Backoff::Linear).multiplier(2.0), "multiplier"),
            (new().backoff(Backoff::Fixed).multiplier(2.0), "multiplier"),
            (new().jitter(Jitter::Fraction(1.01)), "jitter"),
            (new().jitter(Jitter::Fraction(-0.1)), "jitter"),
            (new().jitter(Jitter::Fraction(f64::NAN)), "jitter"),
            (new().budget(0.0), "budget"),
            (new().budget(f64::NAN), "budget"),
            (
                new().preset(RetryPreset::FastApi).base_delay(seconds(1)),
                "max_delay",
            ),
            (
                new().preset(RetryPreset::SlowBatch).max_delay(seconds(1)),
                "max_delay",
            ),
        ];
        for (settings, setting) in cases {
            assert_eq!(
                settings.check().map_err(|p| p.setting),
                Err(setting),
                "{settings:?}"
            );
        }
    }

    #[test]
    fn the_ends_of_each_range_are_allowed() {
        const SETTINGS: RetrySettings = RetrySettings::new()
            .max_attempts(u32::MAX)
            .backoff(Backoff::Exponential)
            .base_delay(seconds(8))
            .max_delay(seconds(8))
            .multiplier(1.0)
            .jitter(Jitter::Fraction(1.0))
            .max_elapsed(Duration::MAX)
            .timeouts(false)
            .budget(1e-9)
            .rejections(true)
            .checked();
        assert!(!SETTINGS.is_empty() && RetrySettings::new().is_empty());
        assert_eq!(RetrySettings::new().check(), Ok(()));
    }

    #[test]
    fn settings_in_force_are_spelt_as_in_the_attribute() {
        let effective = RetrySettings::new().jitter(Jitter::Equal).effective();
        let spelt: Vec<_> = effective.iter().map(|s| (s.name, &*s.value)).collect();
        assert_eq!(
            spelt,
            [
                ("preset", "none"),
                ("max_attempts", "3"),
                ("backoff", "exponential"),
                ("base_delay", "1s"),
                ("max_delay", "1m"),
                ("multiplier", "2"),
                ("jitter", "equal"),
                ("max_elapsed", "none"),
                ("timeouts", "true"),
                ("budget", "none"),
                ("rejections", "false"),
            ]
        );
    }
}
