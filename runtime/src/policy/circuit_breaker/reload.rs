//! Other terms, while calls run.

use std::sync::Arc;

use super::{
    CircuitBreakerSettings,
    cell::{Aftermath, Cell},
    core::Core,
    terms::Terms,
};
use crate::{algorithm::circuit::Phase, clock, policy::Switch, sync::lock};

impl Core {
    /// Puts other terms in force for the calls that begin from now on, and for all circuits.
    pub(super) fn reconfigure(&self, settings: &CircuitBreakerSettings, switch: Switch) {
        let terms = Terms::new(settings.filled(), switch);
        if terms.switch != self.terms().switch {
            self.rouse_if_stored();
        }
        let aftermaths = {
            let _turn = lock(&self.turn);
            self.put_in_force(terms)
        };
        // Outside the turn: whoever is woken or told may come back with other settings.
        for (cell, aftermath) in aftermaths {
            self.follow(cell.as_deref().unwrap_or(&self.cell), aftermath);
        }
    }

    /// The same where nobody waits or listens yet: somebody's lock may be held.
    pub(super) fn begin(&self, settings: &CircuitBreakerSettings, switch: Switch) {
        let _turn = lock(&self.turn);
        for (_, aftermath) in self.put_in_force(Terms::new(settings.filled(), switch)) {
            aftermath.wake();
        }
    }

    /// In whose turn it is. Gives what has to wait until that is over, and for which circuit: `None` is the
    /// only one.
    fn put_in_force(&self, terms: Terms) -> Vec<(Option<Arc<Cell>>, Aftermath)> {
        let before = self.terms();
        if terms == *before {
            return Vec::new();
        }
        // First, so that circuits that are made meanwhile go by it.
        self.terms.set(terms);
        let (terms, now) = (self.terms(), clock::now());
        let configure = |cell: &Cell| {
            let fleet = terms.fleet.as_ref();
            cell.configure(&terms.config, fleet, now, fastrand::f64)
        };
        self.cell.lay_lanes(terms.config.window);
        let mut aftermaths = vec![(None, configure(&self.cell))];
        if let Some(keyed) = self.keyed.get() {
            keyed.set_max_keys(terms.settings.keys());
            keyed.for_each(|cell| {
                let aftermath = configure(cell);
                if !aftermath.is_nothing() {
                    aftermaths.push((Some(Arc::clone(cell)), aftermath));
                }
            });
        }
        if terms.switch != before.switch
            && let Some(aftermath) = self.cell.force(forced(terms.switch), now)
        {
            aftermaths.push((None, aftermath));
            if forced(terms.switch).is_none() {
                self.abandon_keys(|aftermath| aftermaths.push((None, aftermath)));
            }
        }
        aftermaths
    }

    /// Before what concerns the whole fleet, but is nobody's use of it: that there is no store is for the
    /// first caller to find out.
    fn rouse_if_stored(&self) {
        if let Some(hub) = &self.hub
            && hub.has_store()
        {
            self.rouse_if_shared(&self.cell);
        }
    }
}

/// The state that the configuration says, if it does.
fn forced(switch: Switch) -> Option<Phase> {
    match switch {
        Switch::On | Switch::Off => None,
        Switch::ForcedOpen => Some(Phase::ForcedOpen),
        Switch::ForcedClosed => Some(Phase::Disabled),
    }
}
