//! The policies: settings, an algorithm, a clock and permits, put together.

pub(crate) mod bulkhead;
pub(crate) mod circuit_breaker;
#[cfg(all(test, not(steadfast_loom), feature = "test-util"))]
#[allow(clippy::unwrap_used)] // clippy does not see that this module is for tests
mod extremes;
pub(crate) mod fallback;
pub(crate) mod rate_limiter;
pub(crate) mod reloadable;
pub(crate) mod retry;
pub(crate) mod settings;
pub(crate) mod shared;
#[cfg(all(test, not(any(feature = "test-util", steadfast_loom))))]
mod skewed_cores;
#[cfg(feature = "config")]
pub(crate) mod spelling;
pub(crate) mod timeout;

use crate::{error::ConfigError, event::Sink, health::Verdict, kind::PolicyKind, name::PolicyName};
use settings::{PolicySettings, Setting, Value, Written};

/// What the registry needs of a policy.
pub(crate) trait Policy: Clone + Send + Sync + 'static {
    /// Its settings as written, unset ones included.
    type Settings: PolicySettings;

    /// A policy of settings that have been checked.
    fn assemble(name: PolicyName, settings: &Self::Settings, sink: Sink) -> Self;

    /// Its settings in force.
    fn settings(&self) -> Vec<Setting>;

    /// What it counts and which state it is in, for snapshots. Never a key's value.
    fn observe(&self) -> Vec<(&'static str, Value)>;

    /// How well it is, where its state tells.
    fn condition(&self) -> Option<Verdict> {
        None
    }

    /// Puts other settings in force and keeps the state. A call that runs goes on under those that it
    /// began with; callers who wait are judged again, in their order.
    ///
    /// Settings that have been checked, and whose `shared` is that of the ones in force.
    #[cfg_attr(not(feature = "config"), allow(dead_code))] // nobody has others
    fn configure(&self, settings: &Self::Settings, switch: Switch) -> Later;

    /// All of it at once, for those who hold no lock.
    #[cfg(test)]
    #[cfg_attr(not(feature = "test-util"), allow(dead_code))] // for tests in virtual time
    fn reconfigure(&self, settings: &Self::Settings, switch: Switch) {
        self.configure(settings, switch).run();
    }

    /// Back to the initial state, settings kept.
    fn reset(&self);

    /// What its figures are published of.
    #[cfg(feature = "metrics")]
    fn metered(&self) -> std::sync::Arc<dyn crate::metrics::Metered>;
}

/// What is left to do once no lock is held: wakers and subscribers may come back in. Dropped, nobody is
/// told or woken, as befits a policy that nobody has seen yet.
#[must_use]
pub(crate) struct Later(Option<Box<dyn FnOnce()>>);

impl Later {
    /// Nothing.
    pub(crate) const NOTHING: Self = Self(None);

    pub(crate) fn new(act: impl FnOnce() + 'static) -> Self {
        Self(Some(Box::new(act)))
    }

    #[cfg_attr(not(feature = "config"), allow(dead_code))] // nothing is left
    pub(crate) fn run(self) {
        if let Some(act) = self.0 {
            act();
        }
    }
}

/// Whether a policy does its work: said by the configuration alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(not(feature = "config"), allow(dead_code))] // nobody says it
pub(crate) enum Switch {
    /// It does.
    #[default]
    On,
    /// As if it were not there: calls pass, and nothing is counted, told, or changed. Callers who wait
    /// for it go on.
    Off,
    /// A breaker that refuses every call.
    ForcedOpen,
    /// A breaker that lets every call through.
    ForcedClosed,
}

/// Checks the settings and makes an instance that no registry knows of.
pub(crate) fn build<P: Policy>(name: PolicyName, settings: &P::Settings) -> Result<P, ConfigError> {
    check::<P>(&name, settings)?;
    let policy = P::assemble(name, settings, Sink::current());
    attend(&policy);
    Ok(policy)
}

/// Has a new policy's figures published.
#[cfg_attr(not(feature = "metrics"), allow(unused_variables))]
pub(crate) fn attend<P: Policy>(policy: &P) {
    #[cfg(feature = "metrics")]
    crate::metrics::attend(&policy.metered());
}

pub(crate) fn check<P: Policy>(
    name: &PolicyName,
    settings: &P::Settings,
) -> Result<(), ConfigError> {
    settings
        .check()
        .map_err(|problem| ConfigError::BadSetting {
            kind: P::Settings::KIND,
            policy: name.clone(),
            setting: problem.setting,
            problem: problem.message.to_owned(),
        })?;
    match settings.missing() {
        None => Ok(()),
        Some(setting) => Err(ConfigError::BadSetting {
            kind: P::Settings::KIND,
            policy: name.clone(),
            setting,
            problem: format!("`{setting}` is required"),
        }),
    }
}

/// The kind of a policy type.
pub(crate) const fn kind_of<P: Policy>() -> PolicyKind {
    P::Settings::KIND
}
