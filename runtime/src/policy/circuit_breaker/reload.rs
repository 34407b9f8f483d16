//! Other terms, while calls run.

use std::sync::Arc;

use super::{
    CircuitBreakerSettings,
    cell::{Aftermath, Cell},
    core::Core,
    terms::Terms,
};
use crate::{algorithm::circuit::Phase, clock, policy::Switch, sync::lock};

/// What has to wait until nobody's lock is held: wakers and subscribers may come back with other settings.
#[derive(Default)]
#[must_use = "wake who waits, and tell the transitions"]
pub(super) struct Aftermaths {
    /// With their circuits: `None` is the only one.
    each: Vec<(Option<Arc<Cell>>, Aftermath)>,
    /// The configuration has said what the state is, or that it does no longer.
    is_forced: bool,
}

impl Core {
    /// Puts other terms in force for the calls that begin from now on, and for all circuits.
    pub(super) fn reconfigure(
        &self,
        settings: &CircuitBreakerSettings,
        switch: Switch,
    ) -> Aftermaths {
        let _turn = lock(&self.turn);
        self.put_in_force(Terms::new(settings.filled(), switch))
    }

    pub(super) fn conclude(&self, aftermaths: Aftermaths) {
        for (cell, aftermath) in aftermaths.each {
            self.follow(cell.as_deref().unwrap_or(&self.cell), aftermath);
        }
        if aftermaths.is_forced {
            self.rouse_if_stored();
        }
    }

    /// In whose turn it is.
    fn put_in_force(&self, terms: Terms) -> Aftermaths {
        let before = self.terms();
        if terms == *before {
            return Aftermaths::default();
        }
        // First, so that circuits that are made meanwhile go by it.
        self.terms.set(terms);
        let (terms, now) = (self.terms(), clock::now());
        let configure = |cell: &Cell| {
            let fleet = terms.fleet.as_ref();
            cell.configure(&terms.config, fleet, now, fastrand::f64)
        };
        self.cell.lay_lanes(terms.config.window);
        let mut each = vec![(None, configure(&self.cell))];
        if let Some(keyed) = self.keyed.get() {
            keyed.set_max_keys(terms.settings.keys());
            keyed.for_each(|cell| {
                let aftermath = configure(cell);
                if !aftermath.is_nothing() {
                    each.push((Some(Arc::clone(cell)), aftermath));
                }
            });
        }
        let forced = forced(terms.switch);
        let mut is_forced = false;
        if terms.switch != before.switch
            && let Some(aftermath) = self.cell.force(forced, now)
        {
            is_forced = true;
            each.push((None, aftermath));
            if forced.is_none() {
                self.abandon_keys(|aftermath| each.push((None, aftermath)));
            }
        }
        Aftermaths { each, is_forced }
    }

    /// For the fleet to hear of it although nobody calls. That there is no store is for the first caller to
    /// find out.
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
