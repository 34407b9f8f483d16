//! The settings in force, and what follows from them.

use super::{
    BulkheadSettings,
    rules::{InForce, Manner, Rules},
    settings::Limits,
};
use crate::policy::{Switch, reloadable::Reloadable};

/// What is in force.
#[derive(Debug, PartialEq)]
pub(super) struct Terms {
    pub(super) settings: BulkheadSettings,
    pub(super) limits: Limits,
    switch: Switch,
}

impl Terms {
    pub(super) fn new(settings: BulkheadSettings, switch: Switch) -> Self {
        Self {
            settings,
            limits: settings.limits(),
            switch,
        }
    }

    /// The bulkhead is switched off: as if it were not there.
    pub(super) fn is_off(&self) -> bool {
        self.switch == Switch::Off
    }

    pub(super) fn manner(&self) -> Manner {
        match self.limits.max_wait {
            _ if self.is_off() => Manner::Absent,
            _ if !self.limits.enforce => Manner::Watch,
            None => Manner::Refuse,
            Some(max_wait) => Manner::Wait {
                max_wait,
                max_queue: self.limits.max_queue,
            },
        }
    }

    /// How many its own places let in: of a shared bulkhead there are none.
    pub(super) fn own_limit(&self) -> u32 {
        match self.is_off() || self.settings.shared == Some(true) {
            true => 0,
            false => self.limits.max_concurrent,
        }
    }
}

impl InForce for Reloadable<Terms> {
    fn rules(&self) -> Rules {
        let terms = self.get();
        Rules {
            limit: terms.own_limit(),
            manner: terms.manner(),
        }
    }
}
