//! What a fallback can be told.

use std::time::Duration;

use super::Fallback;
use crate::{
    kind::PolicyKind,
    policy::{
        Switch,
        settings::{PolicySettings, Problem, Setting, settings},
    },
};

pub(super) const MAX_ENTRIES: u32 = 10_000;

settings! {
    /// Makes a [`Fallback`].
    FallbackSettings, FallbackBuilder => Fallback;

    /// How old a remembered answer may be and still count as fresh. Default: as `stale`, or nothing is
    /// remembered where neither is set.
    fresh: Duration,
    /// How old a remembered answer may be at the most; past `fresh` it is marked stale. Default: as
    /// `fresh`.
    stale: Duration,
    /// How many answers are remembered at the most. Default: 10 000.
    max_entries: u32,
    /// Remembers answers in the registry's [store](crate::Store) as well, so that one instance can answer
    /// with what another one got: see [`#[fallback]`](macro@crate::fallback), and without the attribute
    /// [`Answering::shared`](crate::Answering::shared). Needs the feature `redis`, and `fresh` or `stale`.
    /// Default: false.
    shared: bool,
}

impl FallbackSettings {
    pub(crate) const fn problem(&self) -> Option<Problem> {
        if let Some(problem) = self.problem_of_sharing() {
            return Some(problem);
        }
        if let (Some(fresh), Some(stale)) = (self.fresh, self.stale)
            && stale.as_nanos() < fresh.as_nanos()
        {
            return Some(Problem::new(
                "stale",
                "`stale` must not be shorter than `fresh`: an answer is fresh first, then stale",
            ));
        }
        match self.max_entries {
            Some(0) => Some(Problem::new(
                "max_entries",
                "`max_entries` must be at least 1",
            )),
            _ => None,
        }
    }

    const fn problem_of_sharing(&self) -> Option<Problem> {
        match self.shared {
            Some(true) if !cfg!(feature = "redis") => Some(Problem::new(
                "shared",
                "a `shared` fallback needs the feature `redis` of `steadfast`: write `steadfast = { .., features = [\"redis\"] }`",
            )),
            Some(true) if self.fresh.is_none() && self.stale.is_none() => Some(Problem::new(
                "shared",
                "`shared` does nothing without `fresh`: only answers that are remembered can be shared",
            )),
            _ => None,
        }
    }

    pub(super) fn ages(&self) -> Ages {
        Ages {
            fresh: self.fresh.or(self.stale).unwrap_or_default(),
            stale: self.stale.or(self.fresh).unwrap_or_default(),
        }
    }
}

/// What is in force.
#[derive(Debug, PartialEq)]
pub(super) struct Terms {
    pub(super) settings: FallbackSettings,
    /// If not, it answers nothing, and remembers nothing.
    pub(super) is_on: bool,
    pub(super) ages: Ages,
    pub(super) max_entries: u32,
}

impl Terms {
    pub(super) fn new(settings: FallbackSettings, switch: Switch) -> Self {
        Self {
            settings,
            is_on: switch != Switch::Off,
            ages: settings.ages(),
            max_entries: settings.max_entries.unwrap_or(MAX_ENTRIES),
        }
    }
}

/// How old a remembered answer may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ages {
    pub(super) fresh: Duration,
    pub(super) stale: Duration,
}

impl PolicySettings for FallbackSettings {
    const KIND: PolicyKind = PolicyKind::Fallback;

    fn is_shared(&self) -> bool {
        self.shared.unwrap_or(false)
    }

    fn effective(&self) -> Vec<Setting> {
        vec![
            Setting::new("fresh", self.fresh.or(self.stale)),
            Setting::new("stale", self.stale.or(self.fresh)),
            Setting::new("max_entries", self.max_entries.unwrap_or(MAX_ENTRIES)),
            Setting::new("shared", self.is_shared()),
        ]
    }
}

#[cfg(all(test, not(feature = "redis"), not(steadfast_loom)))]
mod tests {
    use super::*;

    #[test]
    fn without_the_feature_sharing_is_refused_and_the_feature_named() {
        let settings = FallbackSettings::new().fresh(Duration::from_secs(1));
        assert_eq!(settings.problem(), None);
        let problem = settings.shared(true).problem();
        assert!(problem.is_some_and(|problem| problem.message.contains("the feature `redis`")));
    }
}
