//! What a breaker goes by: its settings, and what follows from them.

#[cfg(all(test, not(steadfast_loom), feature = "test-util"))]
#[allow(clippy::unwrap_used)] // clippy does not see that this module is for tests
mod tests;

use std::sync::Arc;

use super::{CircuitBreakerSettings, shared::FleetTerms, stopwatch::Measure};
use crate::{
    algorithm::circuit::CircuitConfig,
    policy::{Switch, settings::PolicySettings as _},
};

/// What is in force. A call reads it once, when it begins, and ends under it.
#[derive(Debug, PartialEq)]
pub(super) struct Terms {
    pub(super) settings: CircuitBreakerSettings,
    pub(super) switch: Switch,
    pub(super) measure: Measure,
    pub(super) enforce: bool,
    pub(super) config: Arc<CircuitConfig>,
    /// Where the circuits are the fleet's.
    pub(super) fleet: Option<Arc<FleetTerms>>,
}

impl Terms {
    /// Of settings with what their preset says.
    pub(super) fn new(settings: CircuitBreakerSettings, switch: Switch) -> Self {
        let config = Arc::new(settings.config());
        Self {
            measure: match switch {
                Switch::Off => Measure::OFF,
                _ => Measure::new(settings.slow_call, settings.cancelled.unwrap_or_default()),
            },
            enforce: settings.enforce.unwrap_or(true),
            fleet: settings
                .is_shared()
                .then(|| Arc::new(FleetTerms::new(&settings, &config))),
            settings,
            switch,
            config,
        }
    }

    /// Calls are made as if there were no breaker.
    pub(super) fn is_off(&self) -> bool {
        self.switch == Switch::Off
    }

    /// Whether every call is made, whatever state the circuit is in.
    pub(super) fn admits_all(&self) -> bool {
        self.is_off() || !self.enforce
    }
}
