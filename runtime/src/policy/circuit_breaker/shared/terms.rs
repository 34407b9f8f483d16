//! What the settings say of circuits that are the fleet's.

use std::time::Duration;

use super::super::settings::CircuitBreakerSettings;
use crate::{
    algorithm::{circuit::CircuitConfig, fleet_circuit::Rules},
    policy::shared::OnStoreError,
};

/// What a circuit of the fleet goes by, besides what it would by itself.
#[derive(Debug, PartialEq)]
pub(in super::super) struct FleetTerms {
    pub(super) rules: Rules,
    pub(super) on_store_error: OnStoreError,
    /// The time that a probe has.
    pub(super) probe: Duration,
    /// The share of an open time that is added at random.
    jitter: f64,
}

impl FleetTerms {
    pub(in super::super) fn new(settings: &CircuitBreakerSettings, config: &CircuitConfig) -> Self {
        Self {
            rules: Rules::new(config, settings.quorum.unwrap_or(1)),
            on_store_error: settings.on_store_error.unwrap_or_default(),
            probe: config.half_open_timeout,
            jitter: config.recovery.jitter,
        }
    }

    /// What is added to an open time, in millionths of it.
    pub(super) fn jitter(&self, random: f64) -> i64 {
        let added = self.jitter * random * 1e6;
        (added.clamp(0.0, 1e6)) as i64
    }
}
