//! What a bulkhead can be told.

use std::time::Duration;

use super::{Bulkhead, gate::MAX_CONCURRENT};
use crate::{
    kind::PolicyKind,
    policy::{
        settings::{PolicySettings, Problem, Setting, settings},
        shared::{OnStoreError, needs_shared, no_instances},
    },
};

settings! {
    /// Makes a [`Bulkhead`].
    BulkheadSettings, BulkheadBuilder => Bulkhead;

    /// Calls that may run at once, from 1 to 2³⁰. Default: 10.
    max_concurrent: u32,
    /// How long a caller waits for a place, longer than zero. Default: not at all.
    max_wait: Duration,
    /// Callers that may wait at once (for one key), at least 1; needs `max_wait`. Default: 1 000.
    max_queue: u32,
    /// Keys that are remembered, at least 1: only those that are in use cannot be forgotten, and where
    /// all are, new keys share a few overflow places. Default: 10 000.
    max_keys: u32,
    /// `false`: counts and tells, but lets every call through. Default: true.
    enforce: bool,
    /// Keeps its state in the registry's [store](crate::Store), so that all instances of a service act as
    /// one. Default: false.
    shared: bool,
    /// A shared permit that is not renewed for this long (its process is gone) is given to others, at
    /// least 1 s; only with `shared`. Default: 10 s.
    lease: Duration,
    /// What happens while the store is away; only with `shared`. Default: local.
    on_store_error: OnStoreError,
    /// By how many instances a limit is divided at least while this one goes by itself, at least 1; only
    /// with `shared`. Default: 1, or as many as were last seen.
    instances: u32,
}

const SHORTEST_LEASE: Duration = Duration::from_secs(1);

/// The settings in force.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Limits {
    pub(super) max_concurrent: u32,
    pub(super) max_wait: Option<Duration>,
    pub(super) max_queue: u32,
    pub(super) max_keys: u32,
    pub(super) enforce: bool,
}

impl BulkheadSettings {
    pub(crate) const fn problem(&self) -> Option<Problem> {
        match self.own_problem() {
            None => self.shared_problem(),
            some => some,
        }
    }

    const fn shared_problem(&self) -> Option<Problem> {
        if let Some(lease) = self.lease
            && lease.as_nanos() < SHORTEST_LEASE.as_nanos()
        {
            return Some(Problem::new(
                "lease",
                "`lease` must be at least 1s: it is renewed every third of it, over a network",
            ));
        }
        if let Some(problem) = no_instances(self.instances) {
            return Some(problem);
        }
        needs_shared!(self; lease, on_store_error, instances)
    }

    const fn own_problem(&self) -> Option<Problem> {
        match *self {
            Self {
                max_concurrent: Some(0),
                ..
            } => Some(Problem::new(
                "max_concurrent",
                "`max_concurrent` must be at least 1: a bulkhead of 0 lets nothing through",
            )),
            Self {
                max_concurrent: Some(n),
                ..
            } if n > MAX_CONCURRENT => Some(Problem::new(
                "max_concurrent",
                "`max_concurrent` is at most 1073741824 (2^30)",
            )),
            Self {
                max_wait: Some(wait),
                ..
            } if wait.is_zero() => Some(Problem::new(
                "max_wait",
                "`max_wait` must be longer than zero: leave it out to refuse at once",
            )),
            Self {
                max_queue: Some(0), ..
            } => Some(Problem::new(
                "max_queue",
                "`max_queue` must be at least 1: leave `max_wait` out to let nobody wait",
            )),
            Self {
                max_queue: Some(_),
                max_wait: None,
                ..
            } => Some(Problem::new(
                "max_queue",
                "`max_queue` does nothing without `max_wait`: nobody waits; write `max_wait` too",
            )),
            Self {
                max_keys: Some(0), ..
            } => Some(Problem::new(
                "max_keys",
                "`max_keys` must be at least 1: some key has to be remembered",
            )),
            _ => None,
        }
    }

    pub(super) fn lease_in_force(&self) -> Duration {
        self.lease.unwrap_or(Duration::from_secs(10))
    }

    pub(super) fn limits(&self) -> Limits {
        Limits {
            max_concurrent: self.max_concurrent.unwrap_or(10),
            max_wait: self.max_wait,
            max_queue: self.max_queue.unwrap_or(1_000),
            max_keys: self.max_keys.unwrap_or(10_000),
            enforce: self.enforce.unwrap_or(true),
        }
    }
}

impl PolicySettings for BulkheadSettings {
    const KIND: PolicyKind = PolicyKind::Bulkhead;

    fn is_shared(&self) -> bool {
        self.shared.unwrap_or(false)
    }

    fn effective(&self) -> Vec<Setting> {
        let limits = self.limits();
        vec![
            Setting::new("max_concurrent", limits.max_concurrent),
            Setting::new("max_wait", limits.max_wait),
            Setting::new("max_queue", limits.max_wait.map(|_| limits.max_queue)),
            Setting::new("max_keys", limits.max_keys),
            Setting::new("enforce", limits.enforce),
            Setting::new("shared", self.is_shared()),
            Setting::new("lease", self.is_shared().then(|| self.lease_in_force())),
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
}

#[cfg(all(test, not(steadfast_loom)))]
mod tests {
    use super::*;
    use crate::policy::settings::Written;

    #[test]
    fn each_mistake_is_told_by_its_setting() {
        let new = BulkheadSettings::new;
        let cases = [
            (new().max_concurrent(0), "max_concurrent"),
            (new().max_concurrent(MAX_CONCURRENT + 1), "max_concurrent"),
            (new().max_wait(Duration::ZERO), "max_wait"),
            (new().max_wait(Duration::MAX).max_queue(0), "max_queue"),
            (new().max_queue(1), "max_queue"),
            (new().max_keys(0), "max_keys"),
            (new().lease(Duration::from_secs(5)), "lease"),
            (
                new().shared(true).lease(Duration::from_millis(999)),
                "lease",
            ),
            (new().shared(true).instances(0), "instances"),
            (new().on_store_error(OnStoreError::Deny), "on_store_error"),
        ];
        for (settings, setting) in cases {
            assert_eq!(
                settings.check().map_err(|p| p.setting),
                Err(setting),
                "{settings:?}"
            );
        }
        assert_eq!(new().check(), Ok(()));
        assert_eq!(new().max_concurrent(MAX_CONCURRENT).check(), Ok(()));
    }

    #[test]
    fn settings_in_force_are_spelt_as_in_the_attribute() {
        let effective = BulkheadSettings::new().effective();
        let spelt: Vec<_> = effective.iter().map(|s| (s.name, &*s.value)).collect();
        assert_eq!(
            spelt,
            [
                ("max_concurrent", "10"),
                ("max_wait", "none"),
                ("max_queue", "none"),
                ("max_keys", "10000"),
                ("enforce", "true"),
                ("shared", "false"),
                ("lease", "none"),
                ("on_store_error", "none"),
                ("instances", "none"),
            ]
        );
    }
}
